//! Erases personal data from the tables when an account is deleted. The tests in `personal_data` list every column of
//! every table, and fail if a new column is not listed.

use chrono::{DateTime, Utc};
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{
    MockTestAttemptId, PurchaseId, TestSessionId, UserId, account_link, allowance, audit_event, cart_item,
    extra_time, guardian_consent, mock_test_attempt, oidc_identity, oidc_login, outbox_message, purchase,
    purchase_grant, recovery_code, refresh_token, refund, second_factor, sign_in_challenge, sign_in_network,
    test_answer, test_session, topic_total, user,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
    QuerySelect,
};

use crate::database::sql;

/// The name that a deleted account gets.
const DELETED_NAME: &str = "Deleted account";
/// The text that replaces a text about the person whose account was deleted.
pub(super) const ERASED_TEXT: &str = "Erased with the account.";
/// Maximum number of ids in one statement.
pub(super) const IDS_PER_STATEMENT: usize = 500;

/// The columns with reasons that staff wrote: the table, its key column, and the column of the reason.
const STAFF_TEXTS: [(&str, &str, &str); 4] = [
    ("refunds", "id", "reason"),
    ("purchase_grants", "purchase_id", "reason"),
    ("allowances", "id", "reason"),
    ("question_corrections", "id", "reason"),
];

/// Returns the LIKE pattern, with the escape character `!`, of texts in small letters that contain an e-mail address.
pub(super) fn containing(email: &str) -> String {
    format!("%{}%", email.replace('!', "!!").replace('%', "!%").replace('_', "!_"))
}

/// Deletes the rows about the person that no sum of the books needs: sessions, links, mails, the cart, the second
/// factor, identities, the consent, answers, topic totals, allowances and extra time.
pub(super) async fn rows(transaction: &DatabaseTransaction, user: UserId) -> Result<(), DbErr> {
    let allowances: Vec<i64> = allowance::Entity::find()
        .select_only()
        .column(allowance::Column::Id)
        .filter(allowance::Column::UserId.eq(user))
        .into_tuple()
        .all(transaction)
        .await?;
    values_of_events(transaction, "allowances", &allowances).await?;
    macro_rules! delete_of_user {
        ($($table:ident),+ $(,)?) => {$(
            let delete = $table::Entity::delete_many().filter($table::Column::UserId.eq(user));
            delete.exec(transaction).await?;
        )+};
    }
    delete_of_user!(
        refresh_token,
        sign_in_network,
        account_link,
        outbox_message,
        cart_item,
        allowance,
        guardian_consent,
        topic_total,
        second_factor,
        recovery_code,
        sign_in_challenge,
        oidc_identity,
        oidc_login,
    );
    // MariaDB would read the whole table of answers for a DELETE with a subquery. So the ids of the sittings are read
    // first.
    let sittings: Vec<TestSessionId> = test_session::Entity::of(user)
        .select_only()
        .column(test_session::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    for ids in sittings.chunks(IDS_PER_STATEMENT) {
        let ids = ids.iter().copied();
        let delete = test_answer::Entity::delete_many().filter(test_answer::Column::SessionId.is_in(ids));
        delete.exec(transaction).await?;
    }
    let cards: Vec<MockTestAttemptId> = mock_test_attempt::Entity::of(user)
        .select_only()
        .column(mock_test_attempt::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    for ids in cards.chunks(IDS_PER_STATEMENT) {
        let ids = ids.iter().copied();
        let delete =
            extra_time::Entity::delete_many().filter(extra_time::Column::MockTestAttemptId.is_in(ids));
        delete.exec(transaction).await?;
    }
    let cards: Vec<i64> = cards.into_iter().map(|id| id.0).collect();
    values_of_events(transaction, "mock_test_attempts", &cards).await
}

/// Erases the values before and after the change from the audit events about these rows. They say how much extra time a
/// person got.
async fn values_of_events(transaction: &DatabaseTransaction, table: &str, rows: &[i64]) -> Result<(), DbErr> {
    for rows in rows.chunks(IDS_PER_STATEMENT) {
        audit_event::Entity::update_many()
            .col_expr(audit_event::Column::StateBefore, Expr::value(None::<String>))
            .col_expr(audit_event::Column::StateAfter, Expr::value(None::<String>))
            .filter(audit_event::Column::TargetType.eq(table))
            .filter(audit_event::Column::TargetId.is_in(rows.iter().copied()))
            .exec(transaction)
            .await?;
    }
    Ok(())
}

/// Replaces the reasons that staff wrote for the refunds and the granted purchases of the person. Also replaces each
/// other reason that contains the e-mail address of the person.
pub(super) async fn texts(transaction: &DatabaseTransaction, user: UserId, email: &str) -> Result<(), DbErr> {
    refund::Entity::update_many()
        .col_expr(refund::Column::Reason, Expr::value(ERASED_TEXT))
        .filter(refund::Column::UserId.eq(user))
        .exec(transaction)
        .await?;
    let purchases: Vec<PurchaseId> = purchase::Entity::of(user)
        .select_only()
        .column(purchase::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    for ids in purchases.chunks(IDS_PER_STATEMENT) {
        purchase_grant::Entity::update_many()
            .col_expr(purchase_grant::Column::Reason, Expr::value(ERASED_TEXT))
            .filter(purchase_grant::Column::PurchaseId.is_in(ids.iter().copied()))
            .exec(transaction)
            .await?;
    }
    let backend = transaction.get_database_backend();
    let pattern = containing(email);
    for (table, key, column) in STAFF_TEXTS {
        let select = format!("SELECT {key} FROM {table} WHERE LOWER({column}) LIKE ? ESCAPE '!'");
        let found = transaction.query_all_raw(sql(backend, &select, [pattern.as_str().into()])).await?;
        for row in found {
            let id: i64 = row.try_get_by_index(0)?;
            let update = format!("UPDATE {table} SET {column} = ? WHERE {key} = ?");
            transaction.execute_raw(sql(backend, &update, [ERASED_TEXT.into(), id.into()])).await?;
        }
    }
    Ok(())
}

/// Replaces the personal data in the row of the account, and deactivates the account. The address of the account
/// becomes `deleted:` and its id. Nobody can register with that text, because it is not an e-mail address.
pub(super) async fn account(
    transaction: &DatabaseTransaction,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    user::Entity::update_many()
        .col_expr(user::Column::Name, Expr::value(DELETED_NAME))
        .col_expr(user::Column::Email, Expr::value(format!("deleted:{user}")))
        .col_expr(user::Column::PasswordHash, Expr::value(""))
        .col_expr(user::Column::Role, Expr::value(Role::Learner.to_value()))
        .col_expr(user::Column::Status, Expr::value(UserStatus::Deactivated.to_value()))
        .col_expr(user::Column::EmailVerifiedAt, Expr::value(None::<DateTime<Utc>>))
        .col_expr(user::Column::BirthYear, Expr::value(None::<i32>))
        .col_expr(user::Column::DeletedAt, Expr::value(now))
        .filter(user::Column::Id.eq(user))
        .exec(transaction)
        .await
        .map(drop)
}
