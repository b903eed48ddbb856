//! The rows that one transaction of an adoption writes.

use chrono::{DateTime, Utc};
use jishu_entity::entitlement::EntitlementEnd;
use jishu_entity::{
    PurchaseId, SubjectId, UserId, course, entitlement, mock_test_attempt, paper, paper_question, purchase,
    question, question_option, question_version, subject, test_answer, test_session, topic, user,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
    Value,
};

use super::AdoptRefusal;
use super::old::OldTable;
use super::state::{AdoptState, ROWS_TABLE, STATE_TABLE};
use crate::database::{Database, WritePolicy, sql};
use crate::error::{Error, Fault};

/// Maximum number of rows that one statement inserts, because the databases limit the number of parameters.
const ROWS_PER_STATEMENT: usize = 400;

/// The outcome of the adoption of an old row, for its entry in the ledger. A row that was carried without a remark has
/// no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The old row is part of another row of jishu now.
    Merged,
    /// The row was not carried.
    NotCarried,
    /// The row was carried, and the entry is a remark about it.
    Noted,
}

impl Fate {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::NotCarried => "not_carried",
            Self::Noted => "noted",
        }
    }
}

/// A row of the ledger: an old row, the outcome of its adoption, and the reason.
#[derive(Clone, Debug)]
struct LedgerEntry {
    number: i64,
    table: &'static str,
    old_id: i64,
    fate: Fate,
    new_id: Option<i64>,
    reason: String,
}

/// An entitlement that an earlier batch has stored, and that this batch ends at the time `at`.
#[derive(Clone, Debug)]
pub(super) struct EndedEntitlement {
    pub(super) purchase: PurchaseId,
    pub(super) subject: SubjectId,
    pub(super) at: DateTime<Utc>,
}

/// The rows that one transaction writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    pub(super) replaced_users: Vec<UserId>,
    pub(super) users: Vec<user::ActiveModel>,
    pub(super) courses: Vec<course::ActiveModel>,
    pub(super) bundle_prices: Vec<(jishu_entity::CourseId, i64)>,
    pub(super) subjects: Vec<subject::ActiveModel>,
    pub(super) topics: Vec<topic::ActiveModel>,
    pub(super) questions: Vec<question::ActiveModel>,
    pub(super) versions: Vec<question_version::ActiveModel>,
    pub(super) options: Vec<question_option::ActiveModel>,
    pub(super) ended: Vec<EndedEntitlement>,
    pub(super) purchases: Vec<purchase::ActiveModel>,
    pub(super) entitlements: Vec<entitlement::ActiveModel>,
    pub(super) cards: Vec<mock_test_attempt::ActiveModel>,
    pub(super) papers: Vec<paper::ActiveModel>,
    pub(super) paper_questions: Vec<paper_question::ActiveModel>,
    pub(super) sittings: Vec<test_session::ActiveModel>,
    pub(super) answers: Vec<test_answer::ActiveModel>,
    /// Statements without parameters that run after the rows are written.
    pub(super) statements: Vec<String>,
    ledger: Vec<LedgerEntry>,
}

impl Batch {
    /// Returns a batch that has only statements without parameters.
    pub(super) fn of_statements(statements: Vec<String>) -> Self {
        Self { statements, ..Self::default() }
    }

    /// Adds an entry to the ledger: the outcome of the adoption of an old row, the id of the row of jishu if there is
    /// one, and the reason.
    pub(super) fn record(
        &mut self,
        state: &mut AdoptState,
        (table, old_id): (&OldTable, i64),
        fate: Fate,
        new_id: Option<i64>,
        reason: impl Into<String>,
    ) {
        let number = state.next_entry;
        state.next_entry += 1;
        self.ledger.push(LedgerEntry {
            number,
            table: table.name,
            old_id,
            fate,
            new_id,
            reason: reason.into(),
        });
    }

    /// Counts an old row as not carried, and adds the reason to the ledger.
    pub(super) fn refuse(
        &mut self,
        state: &mut AdoptState,
        row: (&OldTable, i64),
        reason: impl Into<String>,
    ) {
        state.counts(row.0).not_carried += 1;
        self.record(state, row, Fate::NotCarried, None, reason);
    }

    /// Adds a remark about a carried row to the ledger.
    pub(super) fn note(&mut self, state: &mut AdoptState, row: (&OldTable, i64), reason: impl Into<String>) {
        self.record(state, row, Fate::Noted, None, reason);
    }
}

/// A batch, with the number of its transaction and the state of the adoption after the batch.
struct StoreBatchCommand {
    batch: Batch,
    step: i64,
    state: String,
}

/// Stores a batch and the new state of the adoption in one transaction.
///
/// # Errors
/// Fails if another process has stored a batch of the adoption meanwhile, or the database returns an error.
pub(super) async fn store(
    database: &Database,
    state: &mut AdoptState,
    batch: Batch,
) -> Result<(), Error<AdoptRefusal>> {
    state.step += 1;
    let step = i64::try_from(state.step).unwrap_or(i64::MAX);
    let command = StoreBatchCommand { batch, step, state: state.to_json()? };
    let policy = WritePolicy::idempotent("adopt");
    database.write(policy, command, |transaction, command| Box::pin(run(transaction, command))).await
}

async fn run(
    transaction: &DatabaseTransaction,
    command: &StoreBatchCommand,
) -> Result<(), Error<AdoptRefusal>> {
    let backend = transaction.get_database_backend();
    let before: Value = (command.step - 1).into();
    let text = format!("UPDATE {STATE_TABLE} SET step = ?, state = ? WHERE id = 1 AND step = ?");
    let update = sql(backend, &text, [command.step.into(), command.state.as_str().into(), before]);
    if transaction.execute_raw(update).await?.rows_affected() == 0 {
        // An earlier try of this transaction may have been committed although its response was lost. Then the stored
        // step and state are those of this batch.
        let select = sql(backend, &format!("SELECT step, state FROM {STATE_TABLE} WHERE id = 1"), []);
        let row = transaction.query_one_raw(select).await?;
        let row = row.ok_or_else(|| Fault::missing("the state of the adoption"))?;
        let (step, state): (i64, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let is_ours = step == command.step && state == command.state;
        return if is_ours { Ok(()) } else { Err(AdoptRefusal::AnotherRun.into()) };
    }
    Ok(write(transaction, &command.batch).await?)
}

async fn write(transaction: &DatabaseTransaction, batch: &Batch) -> Result<(), DbErr> {
    if !batch.replaced_users.is_empty() {
        let of_these = user::Column::Id.is_in(batch.replaced_users.iter().copied());
        user::Entity::delete_many().filter(of_these).exec(transaction).await?;
    }
    insert(transaction, &batch.users).await?;
    insert(transaction, &batch.courses).await?;
    for (id, price) in &batch.bundle_prices {
        course::Entity::update_many()
            .col_expr(course::Column::BundlePrice, Expr::value(*price))
            .filter(course::Column::Id.eq(*id))
            .exec(transaction)
            .await?;
    }
    insert(transaction, &batch.subjects).await?;
    insert(transaction, &batch.topics).await?;
    insert(transaction, &batch.questions).await?;
    insert(transaction, &batch.versions).await?;
    insert(transaction, &batch.options).await?;
    for ended in &batch.ended {
        entitlement::Entity::update_many()
            .col_expr(entitlement::Column::ExpiresAt, Expr::value(ended.at))
            .col_expr(entitlement::Column::EndedAt, Expr::value(ended.at))
            .col_expr(entitlement::Column::EndReason, Expr::value(EntitlementEnd::Expired))
            .filter(entitlement::Column::PurchaseId.eq(ended.purchase))
            .filter(entitlement::Column::SubjectId.eq(ended.subject))
            .exec(transaction)
            .await?;
    }
    insert(transaction, &batch.purchases).await?;
    insert(transaction, &batch.entitlements).await?;
    insert(transaction, &batch.cards).await?;
    insert(transaction, &batch.papers).await?;
    insert(transaction, &batch.paper_questions).await?;
    insert(transaction, &batch.sittings).await?;
    insert(transaction, &batch.answers).await?;
    insert_ledger(transaction, &batch.ledger).await?;
    for statement in &batch.statements {
        transaction.execute_unprepared(statement).await?;
    }
    Ok(())
}

/// Inserts rows with their ids. One statement inserts many rows.
async fn insert<A>(transaction: &DatabaseTransaction, rows: &[A]) -> Result<(), DbErr>
where
    A: ActiveModelTrait + Clone,
{
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        A::Entity::insert_many(chunk.to_vec()).exec_without_returning(transaction).await?;
    }
    Ok(())
}

async fn insert_ledger(transaction: &DatabaseTransaction, entries: &[LedgerEntry]) -> Result<(), DbErr> {
    for chunk in entries.chunks(ROWS_PER_STATEMENT) {
        let values = vec!["(?, ?, ?, ?, ?, ?)"; chunk.len()].join(", ");
        let text = format!(
            "INSERT INTO {ROWS_TABLE} (number, old_table, old_id, fate, new_id, reason) VALUES {values}"
        );
        let parameters = chunk.iter().flat_map(|entry| {
            let LedgerEntry { number, table, old_id, fate, new_id, reason } = entry;
            let values: [Value; 6] = [
                (*number).into(),
                (*table).into(),
                (*old_id).into(),
                fate.word().into(),
                (*new_id).into(),
                reason.as_str().into(),
            ];
            values
        });
        let statement = sql(transaction.get_database_backend(), &text, parameters);
        transaction.execute_raw(statement).await?;
    }
    Ok(())
}
