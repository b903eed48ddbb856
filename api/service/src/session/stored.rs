//! Reads the rows and terms that decide the start of a sitting, in few statements.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use jishu_entity::{MockTestAttemptId, PaperId, UserId, entitlement, mock_test_attempt, test_session};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, Value};

use crate::allowance::{AllowanceScope, share_subject};
use crate::database::{JoinedColumns, add_columns, sql};
use crate::error::Fault;
use crate::paper::PaperRevision;

/// A card with the rows that decide whether it can be sat.
#[derive(Clone, Debug)]
pub(super) struct StoredCard {
    pub(super) card: mock_test_attempt::Model,
    /// The open sitting of the card; None if the card has no open sitting.
    pub(super) open: Option<test_session::Model>,
    /// The entitlement that gave the card, which may have ended; None if there is no entitlement.
    pub(super) right: Option<entitlement::Model>,
    /// The latest revision of the paper of the card's test; None if the test has no paper yet.
    pub(super) paper: Option<PaperRevision>,
    /// The extra time that support granted to this card alone, in seconds; 0 if support granted no extra time. A new
    /// sitting gets this time or [`Terms::extra_seconds`], whichever is longer.
    pub(super) extra_seconds: i32,
}

static READ_SQL: LazyLock<String> = LazyLock::new(|| {
    let mut columns = String::new();
    add_columns::<mock_test_attempt::Model>(&mut columns, "c");
    add_columns::<test_session::Model>(&mut columns, "o");
    add_columns::<entitlement::Model>(&mut columns, "e");
    format!(
        "SELECT {columns}p.id AS p_id, p.revision AS p_revision, COALESCE(x.seconds, 0) AS extra_seconds \
         FROM mock_test_attempts c \
         LEFT JOIN test_sessions o ON o.mock_test_attempt_id = c.id AND o.open_marker = 1 \
         LEFT JOIN entitlements e ON e.purchase_id = c.purchase_id AND e.subject_id = c.subject_id \
         LEFT JOIN papers p ON p.subject_id = c.subject_id AND p.test_number = c.test_number \
         LEFT JOIN extra_times x ON x.mock_test_attempt_id = c.id \
         WHERE c.id = ? AND c.user_id = ?"
    )
});

impl StoredCard {
    /// Reads a card of a user. Returns None if the user has no such card.
    pub(super) async fn read(
        connection: &impl ConnectionTrait,
        owner: UserId,
        card: MockTestAttemptId,
    ) -> Result<Option<Self>, DbErr> {
        let statement = sql(connection.get_database_backend(), &READ_SQL, [card.into(), owner.into()]);
        let Some(row) = connection.query_one_raw(statement).await? else { return Ok(None) };
        // In the order of the columns in `READ_SQL`.
        let mut columns = JoinedColumns::of(&row);
        let Some(card) = columns.row()? else { return Ok(None) };
        let (open, right) = (columns.row()?, columns.row()?);
        let (paper, revision): (Option<PaperId>, Option<i32>) = (columns.value()?, columns.value()?);
        let paper = paper.zip(revision).map(|(paper, revision)| PaperRevision { paper, revision });
        Ok(Some(Self { card, open, right, paper, extra_seconds: columns.value()? }))
    }

    /// Tells whether the entitlement that gave the card is live.
    pub(super) fn is_entitled(&self, now: DateTime<Utc>) -> bool {
        self.right.as_ref().is_some_and(|right| right.is_live(now))
    }
}

/// The terms of a new sitting that other transactions can change until this transaction has a shared lock on the row of
/// the subject.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The latest revision of the paper.
    pub(super) revision: i32,
    /// The greatest extra time of the allowances that apply to the card, in seconds; 0 if no allowance applies.
    pub(super) extra_seconds: i32,
}

impl Terms {
    /// Takes a shared lock on the row of the subject, and reads the terms of a new sitting of a card. Until the
    /// transaction ends, the lock keeps out a grant of extra time to all learners of the subject.
    pub(super) async fn read(
        transaction: &DatabaseTransaction,
        card: &mock_test_attempt::Model,
        paper: PaperId,
    ) -> Result<Self, Fault> {
        let subject = card.subject_id;
        let course = share_subject(transaction, subject).await?;
        let course = course.ok_or_else(|| Fault::missing(format_args!("subject {subject}")))?;
        let mut values = AllowanceScope::texts_of(card.user_id, subject, course).map(Value::from).to_vec();
        values.push(paper.into());
        let text = "SELECT p.revision, \
            (SELECT MAX(a.extra_seconds) FROM allowances a WHERE a.scope IN (?, ?, ?, ?, ?)) FROM papers p WHERE p.id = ?";
        let row = transaction.query_one_raw(sql(transaction.get_database_backend(), text, values)).await?;
        let row = row.ok_or_else(|| Fault::missing(format_args!("paper {paper}")))?;
        let extra_seconds: Option<i32> = row.try_get_by_index(1)?;
        Ok(Self { revision: row.try_get_by_index(0)?, extra_seconds: extra_seconds.unwrap_or_default() })
    }
}
