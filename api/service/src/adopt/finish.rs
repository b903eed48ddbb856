//! The end of an adoption: totals by topic from the carried sittings, and the comparison of the rows that were read
//! with the rows that are stored.

use jishu_entity::{UserId, user};
use rust_decimal::Decimal;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::batch::Batch;
use super::old::{
    ANSWERS, CARDS, COURSES, OldDatabase, OldTable, PURCHASES, QUESTIONS, SITTINGS, SUBJECTS, USERS,
};
use super::state::{AdoptState, TableCounts};
use crate::database::{Database, sql, whole_number_type};
use crate::money::Money;

/// Maximum number of users whose totals one transaction computes.
const USERS_PER_BATCH: u64 = 1_000;

/// The old tables, each with the table of jishu into which its rows are carried. Carried rows keep their ids, except
/// answers, which have no id in jishu.
pub(super) const NEW_TABLES: [(&OldTable, &str); 8] = [
    (&USERS, "users"),
    (&COURSES, "courses"),
    (&SUBJECTS, "subjects"),
    (&QUESTIONS, "questions"),
    (&PURCHASES, "purchases"),
    (&CARDS, "mock_test_attempts"),
    (&SITTINGS, "test_sessions"),
    (&ANSWERS, "test_answers"),
];

/// The tables into which the adoption inserts rows with ids. On PostgreSQL, these inserts do not advance the sequences
/// of ids, so the last batch sets the sequences.
const NUMBERED_TABLES: [&str; 10] = [
    "users",
    "courses",
    "subjects",
    "topics",
    "questions",
    "question_versions",
    "papers",
    "purchases",
    "mock_test_attempts",
    "test_sessions",
];

/// Makes the batch that computes the totals by topic of the next users. Returns None if there are no more users.
pub(super) async fn topic_totals(
    database: &Database,
    state: &mut AdoptState,
) -> Result<Option<Batch>, DbErr> {
    let users: Vec<UserId> = user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::Id.gt(state.after))
        .order_by_asc(user::Column::Id)
        .limit(USERS_PER_BATCH)
        .into_tuple()
        .all(database.reader())
        .await?;
    let Some(last) = users.last() else { return Ok(None) };
    // The adoption gives each subject one topic, with the id of the subject.
    let statement = format!(
        "INSERT INTO topic_totals (user_id, topic_id, correct, wrong, unanswered, score) \
         SELECT user_id, subject_id, SUM(correct), SUM(wrong), SUM(unanswered), SUM(score) FROM test_sessions \
         WHERE user_id > {} AND user_id <= {last} GROUP BY user_id, subject_id",
        state.after
    );
    state.after = last.0;
    Ok(Some(Batch::of_statements(vec![statement])))
}

/// Makes the last batch. On PostgreSQL, the batch sets each sequence of ids above the greatest id. On other databases,
/// the batch is empty.
pub(super) fn last_batch(database: &Database) -> Batch {
    let set = |table: &&str| {
        format!(
            "SELECT setval(pg_get_serial_sequence('{table}', 'id'), COALESCE((SELECT MAX(id) FROM {table}), 0) + 1, false)"
        )
    };
    let is_needed = database.backend() == DbBackend::Postgres;
    let statements = if is_needed { NUMBERED_TABLES.iter().map(set).collect() } else { Vec::new() };
    Batch::of_statements(statements)
}

/// Compares the counts and sums of the old database, of the adoption, and of the new database. Returns a text for each
/// difference.
pub(super) async fn differences(
    old: &OldDatabase,
    database: &Database,
    state: &AdoptState,
) -> Result<Vec<String>, DbErr> {
    let mut found = Vec::new();
    for (table, new_table) in NEW_TABLES {
        let TableCounts { read, carried, merged, not_carried, made } =
            state.counts.get(table.name).copied().unwrap_or_default();
        let rows = state.size(table).rows;
        let name = table.name;
        if read != rows {
            found.push(format!("{name} has {rows} rows in the old database, but {read} rows were read"));
        }
        if read != carried + merged + not_carried {
            let sum = carried + merged + not_carried;
            found.push(format!(
                "{read} rows of {name} were read, but {sum} rows were carried, merged or not carried"
            ));
        }
        let stored = number(database, &format!("SELECT COUNT(*) FROM {new_table}")).await?;
        if stored != carried + made {
            found.push(format!(
                "{new_table} has {stored} rows in the new database instead of {}",
                carried + made
            ));
        }
    }
    found.extend(money_differences(old, database, state).await?);
    Ok(found)
}

async fn money_differences(
    old: &OldDatabase,
    database: &Database,
    state: &AdoptState,
) -> Result<Vec<String>, DbErr> {
    let mut found = Vec::new();
    let money = state.money();
    // SQLite computes the sum in binary fractions, so it is rounded.
    let total = old.total_cost().await?.round_dp(2);
    if money.read.round_dp(2) != total {
        found.push(format!(
            "all purchases cost {total} in the old database, but those that were read cost {}",
            money.read
        ));
    }
    if money.read != money.carried + money.not_carried {
        let sum = money.carried + money.not_carried;
        found.push(format!(
            "the purchases that were read cost {}, but those that were carried or not carried cost {sum}",
            money.read
        ));
    }
    let whole = whole_number_type(database.backend());
    let sum = |column: &str, table: &str| {
        format!("SELECT CAST(COALESCE(SUM({column}), 0) AS {whole}) FROM {table}")
    };
    let costs = number(database, &sum("cost", "purchases")).await?;
    let stored = Money::new(costs, state.options.currency.as_str()).amount();
    if stored.normalize() != money.carried.normalize() {
        found.push(format!(
            "the carried purchases cost {stored} in the new database instead of {}",
            money.carried
        ));
    }
    let prices = number(database, &sum("price_paid", "entitlements")).await?;
    if prices != costs {
        let prices: Decimal = Money::new(prices, state.options.currency.as_str()).amount();
        found.push(format!("the entitlements cost {prices} in all, but their purchases cost {stored}"));
    }
    Ok(found)
}

/// Runs a query that selects one whole number. Returns 0 for a null or no row.
pub(super) async fn number(database: &Database, text: &str) -> Result<i64, DbErr> {
    let row = database.reader().query_one_raw(sql(database.backend(), text, [])).await?;
    Ok(row.map(|row| row.try_get_by_index::<Option<i64>>(0)).transpose()?.flatten().unwrap_or_default())
}
