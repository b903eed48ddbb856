//! The statement that saves answers. PostgreSQL, MariaDB and MySQL, and SQLite each have their own text.

use chrono::{DateTime, Utc};
use jishu_entity::{TestSessionId, UserId};
use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, Statement, Value};

use super::answers::{MAX_ANSWERS_PER_BATCH, StoredAnswer};
use crate::database::{array, sql};

/// A batch of answers to write.
#[derive(Debug)]
pub(super) struct AnswerWrite {
    pub(super) id: TestSessionId,
    pub(super) owner: UserId,
    pub(super) sequence: i32,
    /// The answers, sorted by slot, so that two batches lock the rows of slots in the same order.
    pub(super) answers: Vec<StoredAnswer>,
    pub(super) now: DateTime<Utc>,
    /// The batch is not written if the deadline of its sitting is before this time.
    pub(super) overdue_before: DateTime<Utc>,
    /// Whether the caller wants to know the greatest number of a batch with stored answers.
    pub(super) wants_sequence: bool,
}

/// Returns the statement that saves batches of different sittings.
///
/// In each slot, the answer of the batch with the greatest number is kept. So repeated, late and reordered batches give
/// the same result. The statement skips a batch if its sitting belongs to another user, is not open, is overdue, or is
/// locked by another transaction. Sittings whose batches it writes cannot be closed until the statement is done.
pub(super) fn upsert(backend: DbBackend, writes: &[&AnswerWrite]) -> Statement {
    match backend {
        DbBackend::Postgres => arrays(writes),
        _ => rows(backend, writes),
    }
}

/// Returns the time that is stored as the time of saving for all answers: the time of the latest batch.
fn now(writes: &[&AnswerWrite]) -> DateTime<Utc> {
    writes.iter().map(|write| write.now).max().unwrap_or_default()
}

/// Returns the statement for PostgreSQL. Each column of answers is one array parameter, so all batches share one
/// prepared statement with a small plan. Each sitting is locked once.
///
/// The statement returns a row for each sitting of which it stored answers: the id of the sitting, the number of these
/// answers, and the greatest number of a batch that had stored answers before. The last number is null if the sitting
/// had no stored answers, or if the caller does not want it. It does not count a batch that another transaction stores
/// at the same time.
///
/// The sittings must be found by their primary key. `open_marker + 0` hides that column from the index of open sittings
/// by deadline. A generic plan would choose that index, and read all open sittings.
fn arrays(writes: &[&AnswerWrite]) -> Statement {
    let text = format!(
        "WITH open AS MATERIALIZED (SELECT id, user_id, expires_at FROM test_sessions \
         WHERE id = ANY(?) AND open_marker + 0 = 1 FOR SHARE SKIP LOCKED), \
         saved AS (INSERT INTO test_answers \
         (session_id, slot, chosen, numeric_value, text, flagged, time_spent_seconds, sequence, saved_at) \
         SELECT open.id, v.slot, v.chosen, NULLIF(v.numeric_value, ''), NULLIF(v.text, ''), v.flagged, \
         NULLIF(v.time_spent_seconds, -1), v.sequence, ? \
         FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) AS v (session_id, user_id, overdue_before, sequence, slot, chosen, \
         numeric_value, text, flagged, time_spent_seconds) \
         JOIN open ON open.id = v.session_id AND open.user_id = v.user_id AND open.expires_at >= v.overdue_before{ON_CONFLICT} \
         RETURNING session_id) \
         SELECT session_id, COUNT(*), CASE WHEN session_id = ANY(?) THEN \
         (SELECT MAX(a.sequence) FROM test_answers a WHERE a.session_id = saved.session_id) END \
         FROM saved GROUP BY session_id"
    );
    let of_writes = |kind, value: fn(&AnswerWrite) -> Option<Value>| {
        array(kind, writes.iter().filter_map(|write| value(write)))
    };
    let of_answers = |kind, value: fn(&AnswerWrite, &StoredAnswer) -> Value| {
        let values = writes.iter().flat_map(|write| write.answers.iter().map(|answer| value(write, answer)));
        array(kind, values)
    };
    // The arrays have no null elements. An empty text and -1 stand for null: neither is a valid answer.
    let values = [
        of_writes(ArrayType::BigInt, |write| Some(write.id.into())),
        now(writes).into(),
        of_answers(ArrayType::BigInt, |write, _| write.id.into()),
        of_answers(ArrayType::BigInt, |write, _| write.owner.into()),
        of_answers(ArrayType::ChronoDateTimeUtc, |write, _| write.overdue_before.into()),
        of_answers(ArrayType::Int, |write, _| write.sequence.into()),
        of_answers(ArrayType::Int, |_, answer| answer.slot.into()),
        of_answers(ArrayType::BigInt, |_, answer| answer.chosen.into()),
        of_answers(ArrayType::String, |_, answer| answer.number.clone().unwrap_or_default().into()),
        of_answers(ArrayType::String, |_, answer| answer.text.clone().unwrap_or_default().into()),
        of_answers(ArrayType::Bool, |_, answer| answer.flagged.into()),
        of_answers(ArrayType::Int, |_, answer| answer.time_spent_seconds.unwrap_or(-1).into()),
        of_writes(ArrayType::BigInt, |write| write.wants_sequence.then(|| write.id.into())),
    ];
    sql(DbBackend::Postgres, &text, values)
}

/// Returns the statement for MariaDB, MySQL and SQLite, with one `SELECT` for each answer.
fn rows(backend: DbBackend, writes: &[&AnswerWrite]) -> Statement {
    let (row, at, join, share, merge) = match backend {
        DbBackend::MySql => (
            MYSQL_SELECT_ROW,
            "CAST(? AS DATETIME(6))",
            "STRAIGHT_JOIN",
            // In an INSERT, MariaDB cannot skip locked rows for a shared lock, so the lock is exclusive. Servers
            // without SKIP LOCKED wait for the lock.
            " FOR UPDATE /*M!100600 SKIP LOCKED */ /*!80001 SKIP LOCKED */",
            MYSQL_ON_DUPLICATE_KEY,
        ),
        _ => (SELECT_ROW, "?", "CROSS JOIN", "", ON_CONFLICT),
    };
    let answers: usize = writes.iter().map(|write| write.answers.len()).sum();
    // Round the number of rows up, so that the server prepares few different statements. The extra rows are null and
    // match no sitting.
    let row_count = ROW_COUNTS.into_iter().find(|count| *count >= answers).unwrap_or(answers);
    let rows = vec![row; row_count].join(" UNION ALL ");
    // This join order finds the sittings by their primary key, and locks no other sittings. In a small table, the
    // optimizer might otherwise scan and lock all rows.
    let text = format!(
        "INSERT INTO test_answers \
         (session_id, slot, chosen, numeric_value, text, flagged, time_spent_seconds, sequence, saved_at) \
         SELECT s.id, v.slot, v.chosen, v.numeric_value, v.text, v.flagged, v.time_spent_seconds, v.sequence, {at} \
         FROM ({rows}) v {join} test_sessions s \
         WHERE s.id = v.session_id AND s.user_id = v.user_id AND s.open_marker = 1 \
         AND s.expires_at >= v.overdue_before{share}{merge}"
    );
    let mut values: Vec<Value> = Vec::with_capacity(NULL_ROW.len() * row_count + 1);
    values.push(now(writes).into());
    for write in writes {
        for answer in &write.answers {
            values.extend([
                Value::from(write.id),
                write.owner.into(),
                write.overdue_before.into(),
                write.sequence.into(),
                answer.slot.into(),
                answer.chosen.into(),
                answer.number.clone().into(),
                answer.text.clone().into(),
                answer.flagged.into(),
                answer.time_spent_seconds.into(),
            ]);
        }
    }
    values.extend(std::iter::repeat_n(NULL_ROW, row_count - answers.min(row_count)).flatten());
    sql(backend, &text, values)
}

/// The numbers of rows that the text of a statement can have. [`rows`] fills a statement with null rows up to the next
/// of these numbers, so that the server prepares few different statements.
const ROW_COUNTS: [usize; 9] = [1, 2, 5, 10, 20, 40, 80, 160, MAX_ANSWERS_PER_BATCH];

/// The parameters of a row that matches no sitting.
const NULL_ROW: [Value; 10] = [
    Value::BigInt(None),
    Value::BigInt(None),
    Value::ChronoDateTimeUtc(None),
    Value::Int(None),
    Value::Int(None),
    Value::BigInt(None),
    Value::String(None),
    Value::String(None),
    Value::Bool(None),
    Value::Int(None),
];

/// One answer as a row of a derived table, for SQLite.
const SELECT_ROW: &str = "SELECT ? AS session_id, ? AS user_id, ? AS overdue_before, ? AS sequence, ? AS slot, ? AS chosen, \
    ? AS numeric_value, ? AS text, ? AS flagged, ? AS time_spent_seconds";

/// Keeps the answer of the batch with the greatest number, on PostgreSQL and SQLite.
const ON_CONFLICT: &str = " ON CONFLICT (session_id, slot) DO UPDATE SET chosen = excluded.chosen, \
    numeric_value = excluded.numeric_value, text = excluded.text, flagged = excluded.flagged, \
    time_spent_seconds = excluded.time_spent_seconds, sequence = excluded.sequence, saved_at = excluded.saved_at \
    WHERE excluded.sequence > test_answers.sequence";

/// One answer as a row of a derived table, for MariaDB and MySQL. These databases derive the types of columns from the
/// parameters of the first call, so the text casts each parameter.
const MYSQL_SELECT_ROW: &str = "SELECT CAST(? AS SIGNED) AS session_id, CAST(? AS SIGNED) AS user_id, \
    CAST(? AS DATETIME(6)) AS overdue_before, CAST(? AS SIGNED) AS sequence, \
    CAST(? AS SIGNED) AS slot, CAST(? AS SIGNED) AS chosen, CAST(? AS CHAR(40)) AS numeric_value, \
    CAST(? AS CHAR(500)) AS text, CAST(? AS SIGNED) AS flagged, CAST(? AS SIGNED) AS time_spent_seconds";

/// Keeps the answer of the batch with the greatest number, on MariaDB and MySQL. The column `sequence` is set last,
/// because the conditions of the other columns read it.
const MYSQL_ON_DUPLICATE_KEY: &str = " ON DUPLICATE KEY UPDATE \
    chosen = IF(VALUES(sequence) > test_answers.sequence, VALUES(chosen), test_answers.chosen), \
    numeric_value = IF(VALUES(sequence) > test_answers.sequence, VALUES(numeric_value), \
    test_answers.numeric_value), \
    text = IF(VALUES(sequence) > test_answers.sequence, VALUES(text), test_answers.text), \
    flagged = IF(VALUES(sequence) > test_answers.sequence, VALUES(flagged), test_answers.flagged), \
    time_spent_seconds = IF(VALUES(sequence) > test_answers.sequence, VALUES(time_spent_seconds), \
    test_answers.time_spent_seconds), \
    saved_at = IF(VALUES(sequence) > test_answers.sequence, VALUES(saved_at), test_answers.saved_at), \
    sequence = GREATEST(VALUES(sequence), test_answers.sequence)";
