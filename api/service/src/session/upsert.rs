//! The statement that saves answers.

use chrono::{DateTime, Utc};
use jishu_entity::{TestSessionId, UserId};
use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, Statement, Value};

use super::answers::{MOST_ANSWERS, StoredAnswer};
use crate::database::sql;

/// Who saves what.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) id: TestSessionId,
    pub(super) owner: UserId,
    pub(super) sequence: i32,
    /// In the order of slots, so that two batches take their rows in the same order.
    pub(super) answers: Vec<StoredAnswer>,
    pub(super) now: DateTime<Utc>,
    /// Its sitting takes it where its deadline is not before this.
    pub(super) overdue_before: DateTime<Utc>,
}

/// The statement that saves batches of different sittings: in each slot the answer of the batch with the greatest number
/// stays, so that batches that come twice, late or in another order leave the same. It writes nothing of a sitting that is
/// not its user's, not open, or being changed by another transaction; the rest it holds open until it is done.
pub(super) fn upsert(backend: DbBackend, writes: &[&Write]) -> Statement {
    match backend {
        DbBackend::Postgres => arrays(writes),
        _ => rows(backend, writes),
    }
}

fn now(writes: &[&Write]) -> DateTime<Utc> {
    writes.iter().map(|write| write.now).max().unwrap_or_default()
}

/// PostgreSQL takes a column of answers as one parameter, so that it prepares one text, and runs it without a node of its
/// plan for each row. The sittings are locked once each, and found by their key: their columns are hidden from the index of
/// deadlines, which a plan for unknown parameters would choose, reading all that are open.
fn arrays(writes: &[&Write]) -> Statement {
    let text = format!(
        "INSERT INTO test_answers \
         (session_id, slot, chosen, numeric_value, flagged, time_spent_seconds, sequence, saved_at) \
         WITH open AS MATERIALIZED (SELECT id, user_id, expires_at FROM test_sessions \
         WHERE id = ANY(?) AND open_marker + 0 = 1 FOR SHARE SKIP LOCKED) \
         SELECT open.id, v.slot, v.chosen, NULLIF(v.numeric_value, ''), v.flagged, NULLIF(v.time_spent_seconds, -1), \
         v.sequence, ? \
         FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?) AS v (session_id, user_id, overdue_before, sequence, slot, chosen, \
         numeric_value, flagged, time_spent_seconds) \
         JOIN open ON open.id = v.session_id AND open.user_id = v.user_id AND open.expires_at >= v.overdue_before{MERGE}"
    );
    let of_writes = |kind, value: fn(&Write) -> Value| array(kind, writes.iter().map(|write| value(write)));
    let of_answers = |kind, value: fn(&Write, &StoredAnswer) -> Value| {
        let values = writes.iter().flat_map(|write| write.answers.iter().map(|answer| value(write, answer)));
        array(kind, values)
    };
    // No element may be null: what a learner types is never empty, and no time is negative.
    let values = [
        of_writes(ArrayType::BigInt, |write| write.id.into()),
        now(writes).into(),
        of_answers(ArrayType::BigInt, |write, _| write.id.into()),
        of_answers(ArrayType::BigInt, |write, _| write.owner.into()),
        of_answers(ArrayType::ChronoDateTimeUtc, |write, _| write.overdue_before.into()),
        of_answers(ArrayType::Int, |write, _| write.sequence.into()),
        of_answers(ArrayType::Int, |_, answer| answer.slot.into()),
        of_answers(ArrayType::BigInt, |_, answer| answer.chosen.into()),
        of_answers(ArrayType::String, |_, answer| answer.number.clone().unwrap_or_default().into()),
        of_answers(ArrayType::Bool, |_, answer| answer.flagged.into()),
        of_answers(ArrayType::Int, |_, answer| answer.time_spent_seconds.unwrap_or(-1).into()),
    ];
    sql(DbBackend::Postgres, &text, values)
}

fn array(kind: ArrayType, values: impl Iterator<Item = Value>) -> Value {
    Value::Array(kind, Some(Box::new(values.collect())))
}

fn rows(backend: DbBackend, writes: &[&Write]) -> Statement {
    // MariaDB and MySQL take the type of a column of a derived table from the parameter of the first call.
    let (row, at, join, share, merge) = match backend {
        DbBackend::MySql => (
            "SELECT CAST(? AS SIGNED) AS session_id, CAST(? AS SIGNED) AS user_id, \
             CAST(? AS DATETIME(6)) AS overdue_before, CAST(? AS SIGNED) AS sequence, \
             CAST(? AS SIGNED) AS slot, CAST(? AS SIGNED) AS chosen, CAST(? AS CHAR(40)) AS numeric_value, \
             CAST(? AS SIGNED) AS flagged, CAST(? AS SIGNED) AS time_spent_seconds",
            "CAST(? AS DATETIME(6))",
            "STRAIGHT_JOIN",
            // MariaDB passes over nothing for a shared lock in an INSERT. Servers that cannot pass over it wait.
            " FOR UPDATE /*M!100600 SKIP LOCKED */ /*!80001 SKIP LOCKED */",
            " ON DUPLICATE KEY UPDATE \
             chosen = IF(VALUES(sequence) > test_answers.sequence, VALUES(chosen), test_answers.chosen), \
             numeric_value = IF(VALUES(sequence) > test_answers.sequence, VALUES(numeric_value), \
             test_answers.numeric_value), \
             flagged = IF(VALUES(sequence) > test_answers.sequence, VALUES(flagged), test_answers.flagged), \
             time_spent_seconds = IF(VALUES(sequence) > test_answers.sequence, VALUES(time_spent_seconds), \
             test_answers.time_spent_seconds), \
             saved_at = IF(VALUES(sequence) > test_answers.sequence, VALUES(saved_at), test_answers.saved_at), \
             sequence = GREATEST(VALUES(sequence), test_answers.sequence)",
        ),
        _ => (ROW, "?", "CROSS JOIN", "", MERGE),
    };
    let answers: usize = writes.iter().map(|write| write.answers.len()).sum();
    // Few texts, so that each is prepared once: the rest of the rows are of no sitting.
    let size = SIZES.into_iter().find(|size| *size >= answers).unwrap_or(answers);
    let rows = vec![row; size].join(" UNION ALL ");
    // In this order the sittings are found by their key, and no others are locked (of a handful, perhaps all).
    let text = format!(
        "INSERT INTO test_answers \
         (session_id, slot, chosen, numeric_value, flagged, time_spent_seconds, sequence, saved_at) \
         SELECT s.id, v.slot, v.chosen, v.numeric_value, v.flagged, v.time_spent_seconds, v.sequence, {at} \
         FROM ({rows}) v {join} test_sessions s \
         WHERE s.id = v.session_id AND s.user_id = v.user_id AND s.open_marker = 1 \
         AND s.expires_at >= v.overdue_before{share}{merge}"
    );
    let mut values: Vec<Value> = Vec::with_capacity(9 * size + 1);
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
                answer.flagged.into(),
                answer.time_spent_seconds.into(),
            ]);
        }
    }
    let none = [
        Value::BigInt(None),
        Value::BigInt(None),
        Value::ChronoDateTimeUtc(None),
        Value::Int(None),
        Value::Int(None),
        Value::BigInt(None),
        Value::String(None),
        Value::Bool(None),
        Value::Int(None),
    ];
    values.extend(std::iter::repeat_n(none, size - answers.min(size)).flatten());
    sql(backend, &text, values)
}

/// How many rows a statement is made for.
const SIZES: [usize; 9] = [1, 2, 5, 10, 20, 40, 80, 160, MOST_ANSWERS];

const ROW: &str = "SELECT ? AS session_id, ? AS user_id, ? AS overdue_before, ? AS sequence, ? AS slot, ? AS chosen, \
    ? AS numeric_value, ? AS flagged, ? AS time_spent_seconds";

const MERGE: &str = " ON CONFLICT (session_id, slot) DO UPDATE SET chosen = excluded.chosen, \
    numeric_value = excluded.numeric_value, flagged = excluded.flagged, \
    time_spent_seconds = excluded.time_spent_seconds, sequence = excluded.sequence, saved_at = excluded.saved_at \
    WHERE excluded.sequence > test_answers.sequence";
