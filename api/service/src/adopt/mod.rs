//! Adopts a database of the old system: reads it and fills an empty database of jishu.
//!
//! Rows keep their ids. So the adoption needs no table of ids to find the rows to which a row refers, and other systems
//! of the operator still find their rows. The adoption reads each old table in the order of its ids. Each batch is one
//! transaction, which also stores the progress of the adoption ([`state`]). After an interruption the next run
//! continues from that progress.
//!
//! Purchases are carried together with their cards, sittings and answers ([`purchases`]). Functions that use no
//! database decide whether and how a row is carried ([`cards`], [`sittings`], [`witness`], [`answer_key`]).
//!
//! A paper belongs to one test of a subject, and all learners get it. But in the old system the questions of a test
//! were made for each card. So an old card whose answers are carried has a paper of its own. The test number of that
//! paper is above the numbers of tests that are sold ([`courses::FIRST_OLD_TEST_NUMBER`]). New sittings of the card get
//! the paper of the test.

mod answer_key;
mod batch;
mod card_sittings;
mod cards;
mod courses;
mod finish;
mod load;
mod old;
mod orphans;
mod people;
mod purchases;
mod questions;
mod report;
mod scratch;
mod sitting_rows;
mod sittings;
mod state;
mod witness;

use std::collections::BTreeMap;

use jishu_service_macros::service_call;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};

pub use report::{AdoptReport, ExportError, ShortBank, write_id_map, write_rows};
pub use scratch::{AdoptionScratch, AdoptionScratchError};
pub use state::{MoneyCounts, TableCounts};

use crate::auth::unusable_hash;
use crate::clock::Clock;
use crate::database::{Database, WritePolicy, sql};
use crate::error::{Error, Refusal};
use crate::money;
use batch::store;
use old::{CARDS, COURSES, OldDatabase, OldRow, OldTable, PURCHASES, QUESTIONS, SUBJECTS, USERS};
use state::{AdoptOptions, AdoptState, Phase, STATE_TABLE};

/// A request to adopt a database.
#[derive(Clone, Debug)]
pub struct AdoptRequest {
    /// The URL of the old database.
    pub from: String,
    /// The currency of all amounts, as an ISO 4217 code.
    pub currency: String,
    /// Whether admins of the old system become admins. Otherwise they become learners.
    pub admins: bool,
    /// Maximum number of old rows that one transaction handles. A purchase counts as ten rows, with all its cards.
    pub rows_per_batch: u64,
}

/// The progress of an adoption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdoptProgress {
    /// The number of old rows that were handled.
    pub done: u64,
    /// The number of all old rows.
    pub total: u64,
}

/// A reason not to adopt a database.
#[derive(Debug, thiserror::Error)]
pub enum AdoptRefusal {
    /// The currency is unknown.
    #[error("There is no currency `{0}`. Give a code of ISO 4217 in capital letters, such as INR.")]
    Currency(String),
    /// The old database cannot be opened.
    #[error("The old database cannot be opened: {0}. Check --from.")]
    Unreachable(DbErr),
    /// The old database lacks a table that every database of the old system has.
    #[error(
        "The database of --from has no table `{0}`, so it is not a database of the old system. Check --from."
    )]
    NotOldSystem(&'static str),
    /// The new database has rows, and no adoption into it was begun.
    #[error(
        "The database has rows in `{0}` already. Adopt into an empty database: give another --database-url."
    )]
    NotEmpty(&'static str),
    /// The adoption was begun with other options.
    #[error(
        "The adoption of this database was begun with other options ({0}). Give these options, or begin with another \
         empty database."
    )]
    OtherOptions(String),
    /// The old database has changed since the adoption was begun.
    #[error(
        "The table `{0}` of the old database has changed since the adoption was begun. Stop the old system, and begin with \
         another empty database."
    )]
    SourceChanged(String),
    /// Another process adopts into the same database.
    #[error("Another process adopts into this database. Wait until it has ended, and run the command again.")]
    AnotherRun,
    /// An adoption of an old database into this one was begun and has not ended.
    #[error(
        "The adoption of an old database into this one has not ended. Run the same `jishu adopt` command again to finish \
         it."
    )]
    Unfinished,
}

impl Refusal for AdoptRefusal {}

/// The tables that an old database must have.
const REQUIRED_TABLES: [&OldTable; 4] = [&USERS, &COURSES, &PURCHASES, &CARDS];

/// Adopts an old database into a migrated, empty database, or continues an adoption. If the adoption has ended already,
/// returns its report again. Calls `progress` at the start and after each batch.
///
/// # Errors
/// See [`AdoptRefusal`]. Batches that were stored before the error stay, and the next call continues after them.
#[service_call]
pub async fn adopt(
    database: &Database,
    clock: &dyn Clock,
    request: &AdoptRequest,
    progress: &(dyn Fn(AdoptProgress) + Sync),
) -> Result<AdoptReport, Error<AdoptRefusal>> {
    if !money::is_known(&request.currency) {
        return Err(AdoptRefusal::Currency(request.currency.clone()).into());
    }
    let old = OldDatabase::open(&request.from).await.map_err(AdoptRefusal::Unreachable)?;
    let adopted = run(&old, database, clock, request, progress).await;
    let closed = old.close().await;
    let report = adopted?;
    closed?;
    Ok(report)
}

/// Refuses a database into which an adoption was begun and has not ended.
///
/// # Errors
/// Returns [`AdoptRefusal::Unfinished`], or the database's error.
#[service_call]
pub async fn refuse_unfinished(database: &Database) -> Result<(), Error<AdoptRefusal>> {
    match state::read(database.reader()).await? {
        Some(state) if state.phase != Phase::Done => Err(AdoptRefusal::Unfinished.into()),
        _ => Ok(()),
    }
}

/// Refuses a database that has rows in a table that an adoption fills, such as accounts. Accepts a database into which
/// an adoption was begun.
///
/// # Errors
/// Returns [`AdoptRefusal::NotEmpty`], or the database's error.
#[service_call]
pub async fn refuse_filled(database: &Database) -> Result<(), Error<AdoptRefusal>> {
    if state::read(database.reader()).await?.is_some() {
        return Ok(());
    }
    for (_, table) in finish::NEW_TABLES {
        if crate::database::columns_of(database.reader(), table).await?.is_empty() {
            continue;
        }
        if finish::number(database, &format!("SELECT COUNT(*) FROM {table}")).await? > 0 {
            return Err(AdoptRefusal::NotEmpty(table).into());
        }
    }
    Ok(())
}

async fn run(
    old: &OldDatabase,
    database: &Database,
    clock: &dyn Clock,
    request: &AdoptRequest,
    progress: &(dyn Fn(AdoptProgress) + Sync),
) -> Result<AdoptReport, Error<AdoptRefusal>> {
    if let Some(missing) = REQUIRED_TABLES.iter().find(|table| !old.has(table)) {
        return Err(AdoptRefusal::NotOldSystem(missing.name).into());
    }
    let mut state = begin(old, database, clock, request).await?;
    let questions_per_test = old.questions_per_test().await?;
    let tell = |state: &AdoptState| {
        let (done, total) = state.progress();
        let positive = |count| u64::try_from(count).unwrap_or_default();
        progress(AdoptProgress { done: positive(done), total: positive(total) });
    };
    tell(&state);
    while state.phase != Phase::Done {
        step(old, database, &mut state, (request.rows_per_batch, &questions_per_test)).await?;
        tell(&state);
    }
    Ok(report::report(old, database, &state).await?)
}

/// Reads the stored state of the adoption, or stores a new one. Refuses other options, and an old database that has
/// changed since the adoption was begun.
async fn begin(
    old: &OldDatabase,
    database: &Database,
    clock: &dyn Clock,
    request: &AdoptRequest,
) -> Result<AdoptState, Error<AdoptRefusal>> {
    let options = AdoptOptions { currency: request.currency.clone(), admins: request.admins };
    let sizes = state::sizes(old).await?;
    refuse_filled(database).await?;
    state::create_tables(database).await?;
    if let Some(state) = state::read(database.reader()).await? {
        if state.options != options {
            let AdoptOptions { currency, admins } = &state.options;
            let given = format!("--currency {currency}{}", if *admins { " --admins" } else { "" });
            return Err(AdoptRefusal::OtherOptions(given).into());
        }
        let changed = sizes.iter().find(|(table, size)| state.sizes.get(*table) != Some(*size));
        if let Some((table, _)) = changed {
            return Err(AdoptRefusal::SourceChanged(table.clone()).into());
        }
        return Ok(state);
    }
    let state = AdoptState::new(options, sizes, unusable_hash()?, clock.now());
    let policy = WritePolicy::not_idempotent("begin to adopt");
    let json = state.to_json()?;
    database.write(policy, json, |transaction, json| Box::pin(insert_state(transaction, json))).await?;
    Ok(state)
}

async fn insert_state(transaction: &DatabaseTransaction, json: &str) -> Result<(), Error<AdoptRefusal>> {
    let text = format!("INSERT INTO {STATE_TABLE} (id, step, state) VALUES (1, 0, ?)");
    transaction.execute_raw(sql(transaction.get_database_backend(), &text, [json.into()])).await?;
    Ok(())
}

/// Stores the next batch of the phase. If the phase has no more rows, enters the next phase.
async fn step(
    old: &OldDatabase,
    database: &Database,
    state: &mut AdoptState,
    (limit, questions_per_test): (u64, &BTreeMap<i64, i64>),
) -> Result<(), Error<AdoptRefusal>> {
    let after = state.after;
    let batch = match state.phase {
        Phase::Users => {
            let rows = old.rows_after(&USERS, after, limit).await?;
            move_on(state, &rows, Phase::Courses);
            people::batch(database, state, &rows).await?
        }
        Phase::Courses => {
            let rows = old.rows_after(&COURSES, after, limit).await?;
            move_on(state, &rows, Phase::Subjects);
            courses::batch_of_courses(state, &rows)
        }
        Phase::Subjects => {
            let rows = old.rows_after(&SUBJECTS, after, limit).await?;
            move_on(state, &rows, Phase::Questions);
            courses::batch_of_subjects(database, state, &rows, questions_per_test).await?
        }
        Phase::Questions => {
            let rows = old.rows_after(&QUESTIONS, after, limit).await?;
            move_on(state, &rows, Phase::Purchases);
            questions::batch(database, state, &rows).await?
        }
        Phase::Purchases => {
            let limit = (limit / 10).max(1);
            match load::old_purchases(old, database, after, limit).await? {
                Some(rows) => {
                    let carried = load::carried_rows(database, &rows.purchases).await?;
                    purchases::PurchaseBatch::new(state, rows, carried).make()
                }
                None => {
                    state.enter(Phase::OrphanCards);
                    return Ok(());
                }
            }
        }
        Phase::OrphanCards | Phase::OrphanSittings | Phase::OrphanAnswers => {
            match orphans::batch(old, state, limit).await? {
                Some(batch) => batch,
                None => {
                    state.enter(match state.phase {
                        Phase::OrphanCards => Phase::OrphanSittings,
                        Phase::OrphanSittings => Phase::OrphanAnswers,
                        _ => Phase::TopicTotals,
                    });
                    return Ok(());
                }
            }
        }
        Phase::TopicTotals => match finish::topic_totals(database, state).await? {
            Some(batch) => batch,
            None => {
                state.enter(Phase::Finish);
                return Ok(());
            }
        },
        Phase::Finish => {
            state.problems = finish::differences(old, database, state).await?;
            state.enter(Phase::Done);
            finish::last_batch(database)
        }
        Phase::Done => return Ok(()),
    };
    store(database, state, batch).await
}

/// Sets the state to continue after these rows. If there are no rows, enters the phase `next`.
fn move_on(state: &mut AdoptState, rows: &[OldRow], next: Phase) {
    match rows.last() {
        Some(last) => state.after = last.id(),
        None => state.enter(next),
    }
}
