//! The tables that an examination reads, without the types of their entities.

use jishu_entity::{
    accepted_text, account_link, allowance, audit_event, blueprint_part, cart_item, course, entitlement,
    extra_time, guardian_consent, mock_test_attempt, oidc_identity, oidc_login, order, order_line,
    outbox_message, paper, paper_question, paper_revision, paper_score, payment_event, payment_refund,
    purchase, purchase_grant, purchase_request, purchase_request_owned, question, question_correction,
    question_option, question_version, question_version_picture, recovery_code, refresh_token, refund,
    refund_line, refund_repeat, second_factor, server_secret, sign_in_challenge, sign_in_network, subject,
    test_answer, test_session, topic, topic_total, user,
};
use sea_orm::sea_query::SelectStatement;
use sea_orm::{
    ColumnTrait, ColumnType, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn, QueryResult, QueryTrait,
};

use crate::database::{Unreadable, split_readable};

/// A table with its columns. The checks take this value instead of the type of an entity. So the compiler compiles the
/// checks once, and not once for each table.
pub(crate) struct Table {
    pub(super) name: &'static str,
    /// The columns of the primary key.
    pub(super) keys: Vec<&'static str>,
    pub(super) columns: Vec<TableColumn>,
    /// The statement that selects all columns of all rows of this table.
    pub(super) select: SelectStatement,
    /// The function that returns those of the given rows that the server cannot read.
    pub(super) unreadable: fn(Vec<QueryResult>) -> Vec<Unreadable>,
}

/// A column of a table.
pub(super) struct TableColumn {
    pub(super) name: &'static str,
    pub(super) column_type: ColumnType,
}

impl Table {
    /// Describes the table of an entity.
    pub(crate) fn of<E: EntityTrait>() -> Self {
        let column = |column: E::Column| TableColumn {
            name: column.as_str(),
            column_type: column.def().get_column_type().clone(),
        };
        Self {
            name: E::default().table_name(),
            keys: E::PrimaryKey::iter().map(|key| key.into_column().as_str()).collect(),
            columns: E::Column::iter().map(column).collect(),
            select: E::find().into_query(),
            unreadable: |rows| split_readable::<E>(rows).1,
        }
    }
}

/// Returns all tables of this version except the table of pictures, whose rows are large.
pub(super) fn all_without_pictures() -> Vec<Table> {
    macro_rules! tables {
        ($($table:ident),+ $(,)?) => { vec![$(Table::of::<$table::Entity>()),+] };
    }
    tables![
        accepted_text,
        account_link,
        allowance,
        audit_event,
        blueprint_part,
        cart_item,
        course,
        entitlement,
        extra_time,
        guardian_consent,
        mock_test_attempt,
        oidc_identity,
        oidc_login,
        order,
        order_line,
        outbox_message,
        paper,
        paper_question,
        paper_revision,
        paper_score,
        payment_event,
        payment_refund,
        purchase,
        purchase_grant,
        purchase_request,
        purchase_request_owned,
        question,
        question_correction,
        question_option,
        question_version,
        recovery_code,
        refresh_token,
        refund,
        refund_line,
        refund_repeat,
        second_factor,
        sign_in_challenge,
        question_version_picture,
        server_secret,
        sign_in_network,
        subject,
        test_answer,
        test_session,
        topic,
        topic_total,
        user,
    ]
}
