//! Runs the SQL statements of a start and of a submission with pgbench.

use std::path::Path;

use jishu_tests::pgbench::PgbenchScript;

use crate::learners::{FIRST_NUMBER, Hall};

/// Number of clients of pgbench, and of connections to the server in the turns of `turns.rs`.
pub(crate) const CLIENTS: usize = 16;

/// Number of answers in the last batch of a sitting.
const ANSWERS: usize = 5;

/// Starts a sitting for each of `count` learners whose ids follow each other, from `first` on. Returns the starts per
/// second.
pub(crate) fn start(hall: &Hall, first: i64, count: usize, url: &str, folder: &Path) -> f64 {
    let mut script = script_of(first, count);
    let (read, in_transaction) = hall.start.split_first().expect("statements");
    append(&mut script, read, hall);
    script.plain("BEGIN");
    for statement in in_transaction {
        append(&mut script, statement, hall);
    }
    script.plain("COMMIT");
    script.run(url, folder, CLIENTS, &arguments(count))
}

/// Submits the sittings of `count` learners whose ids follow each other, from `first` on. Returns the submissions per
/// second.
pub(crate) fn submit(hall: &Hall, first: i64, count: usize, url: &str, folder: &Path) -> f64 {
    let mut script = script_of(first, count);
    script.plain("BEGIN");
    for statement in &hall.submit {
        append(&mut script, statement, hall);
    }
    script.plain("COMMIT");
    script.run(url, folder, CLIENTS, &arguments(count))
}

/// Returns the beginning of a script, which sets the ids of the next learner. Each client has learners of its own.
fn script_of(first: i64, count: usize) -> PgbenchScript {
    let mut script = PgbenchScript::default();
    let each = count / CLIENTS;
    script.set("number", ":number + 1");
    script.set("owner", format_args!("{first} + :client_id * {each} + :number"));
    // The card and the sitting of a learner have these ids: see `Hall::open` and `turns::measure`.
    script.set("card", format_args!("{FIRST_NUMBER} + :owner"));
    script.set("session", format_args!("{FIRST_NUMBER} + :owner"));
    // The score is random, because submissions with the same score would wait for the lock of the same row of the
    // ranking.
    script.set("score", "random(-20, 700)");
    script
}

fn arguments(count: usize) -> Vec<String> {
    ["-t", &(count / CLIENTS).to_string(), "-D", "number=-1"].map(str::to_owned).to_vec()
}

/// Appends a recorded statement with values for its parameters.
fn append(script: &mut PgbenchScript, statement: &str, hall: &Hall) {
    let values: Vec<String> = if statement.contains("unnest(") {
        answers()
    } else {
        columns(statement).iter().map(|column| value(statement, column, hall)).collect()
    };
    if statement.contains("RETURNING \"id\"") {
        script.returning(statement, &values);
    } else {
        script.statement(statement, &values);
    }
}

/// Returns the values of the statement that saves answers.
fn answers() -> Vec<String> {
    let array = |kind: &str, value: &str| {
        let values = vec![format!("CAST({value} AS {kind})"); ANSWERS].join(", ");
        format!("ARRAY[{values}]")
    };
    vec![
        "ARRAY[CAST(:session AS bigint)]".to_owned(),
        "now()".to_owned(),
        array("bigint", ":session"),
        array("bigint", ":owner"),
        array("timestamptz", "now()"),
        array("int", "1"),
        "ARRAY[1, 2, 3, 4, 5]".to_owned(),
        array("bigint", "1"),
        array("text", "''"),
        array("text", "''"),
        array("bool", "false"),
        array("int", "-1"),
        "'{}'::bigint[]".to_owned(),
    ]
}

/// Returns the column of each parameter, in the order of the parameters. The number is the row of an `INSERT`, or the
/// place in a list of `IN`, from 0.
fn columns(statement: &str) -> Vec<(String, usize)> {
    let last_word = |text: &str| {
        let text = text.trim_end().trim_end_matches('"');
        let start = text.rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
        text[start..].to_owned()
    };
    let inserted: Vec<String> = match (statement.starts_with("INSERT"), statement.split_once('(')) {
        (true, Some((_, rest))) => {
            rest.split(')').next().unwrap_or_default().split(',').map(last_word).collect()
        }
        _ => Vec::new(),
    };
    let parts: Vec<&str> = statement.split('$').collect();
    let mut columns: Vec<(String, usize)> = Vec::new();
    for (index, before) in parts[..parts.len() - 1].iter().enumerate() {
        let before = before.trim_end();
        let column = if let Some(comparison) = before.strip_suffix('=') {
            (last_word(comparison), 0)
        } else if let Some(list) = before.strip_suffix("IN (") {
            (last_word(list), 0)
        } else if before.ends_with("LIMIT") {
            ("limit".to_owned(), 0)
        } else if inserted.is_empty() {
            let (column, row) = columns.last().expect("an earlier value of the list");
            (column.clone(), row + 1)
        } else {
            (inserted[index % inserted.len()].clone(), index / inserted.len())
        };
        columns.push(column);
    }
    columns
}

/// Returns the SQL expression that takes the place of a parameter.
fn value(statement: &str, (column, row): &(String, usize), hall: &Hall) -> String {
    let big = |number: i64| format!("CAST({number} AS bigint)");
    let variable = |name: &str| format!("CAST(:{name} AS bigint)");
    let has = |part: &str| statement.contains(part);
    let begins = has("INSERT INTO \"test_sessions\"");
    let value = match column.as_str() {
        "user_id" => return variable("owner"),
        "id" if has("FROM \"users\"") => return variable("owner"),
        "mock_test_attempt_id" | "target_id" => return variable("card"),
        "id" if has("mock_test_attempts") && !has("\"test_sessions\"") => return variable("card"),
        "session_id" => return variable("session"),
        "id" if has("\"test_sessions\"") => return variable("session"),
        "id" if has("FROM subjects") => return big(hall.subject.0),
        "id" if has("FROM papers") => return big(hall.paper.0),
        "subject_id" => return big(hall.subject.0),
        "paper_id" => return big(hall.paper.0),
        // The topics of a new database have the ids 1, 2 and 3.
        "topic_id" => return big(i64::try_from(row + 1).expect("few")),
        "scope" | "action" | "target_type" => "'test'",
        "status" if begins => "'in_progress'",
        "status" if has("UPDATE \"test_sessions\"") => "'submitted'",
        "status" => "'completed'",
        "open_marker" if !begins => "NULL",
        "at" | "started_at" | "latest_attempt_at" => "now()",
        "submitted_at" if !begins => "now()",
        "expires_at" => "now() + interval '3 hours'",
        "saves" => "0",
        "slot" => return (row + 1).to_string(),
        "seed" | "open_marker" | "attempt_number" | "attempts_used" | "paper_revision" | "limit" => "1",
        "actor_id" | "end_reason" | "state_before" | "state_after" => "NULL",
        // A sitting that begins has no result yet.
        _ if begins => "NULL",
        "score" | "latest_score" | "first_score" | "best_score" => ":score",
        "max_score" => "720",
        _ => "1",
    };
    value.to_owned()
}
