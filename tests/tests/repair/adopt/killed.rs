//! Checks that an adoption that is killed several times has the same result as an adoption that is never killed. Until
//! it has ended, `jishu serve` and `jishu catalogue apply` refuse its database.

use std::process::Stdio;

use jishu_entity::{
    course, entitlement, mock_test_attempt, paper, paper_question, purchase, question, question_option,
    question_version, subject, test_answer, test_session, topic, topic_total, user,
};
use jishu_tests::Backend;
use rand::RngExt;
use regex::Regex;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, EntityTrait, Iterable, PrimaryKeyToColumn, QueryOrder, Statement,
};
use serde_json::Value;

use super::{NewDatabase, assert_checked, command, jishu, old_system, outcome, succeed};
use crate::old_database::{OldDatabase, connect, on_each};

on_each!(a_killed_adoption_goes_on_and_ends_the_same);

const KILLS: usize = 10;

async fn a_killed_adoption_goes_on_and_ends_the_same(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old_system::create(old).await;
        old_system::fill(old).await;
        let (whole, cut) = (NewDatabase::create(backend).await, NewDatabase::create(backend).await);
        let options = ["--batch", "1", "--format", "json"];
        let expected = succeed(command(old, &whole, &options));

        let connection = connect(&cut.url).await;
        let (mut step, mut killed_at) = (0, Vec::new());
        for _ in 0..KILLS {
            let wanted = step + rand::rng().random_range(1..=4);
            let mut process = command(old, &cut, &options);
            let mut process = process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            while step_of(&connection).await < wanted && process.try_wait().unwrap().is_none() {
                tokio::task::yield_now().await;
            }
            let _ = process.kill();
            // On a busy machine, the adoption can end before the test sees its step.
            if process.wait().unwrap().success() || has_ended(&connection).await {
                break;
            }
            step = step_of(&connection).await;
            killed_at.push(step);
            if killed_at.len() == 1 {
                other_commands_refuse(&cut);
            }
        }
        assert!(!killed_at.is_empty(), "the adoption ended before it was killed");
        eprintln!("{backend:?}: killed after these steps: {killed_at:?}");
        connection.close().await.unwrap();

        assert_eq!(
            succeed(command(old, &cut, &options)),
            expected,
            "the adoption was killed after the steps {killed_at:?}"
        );
        let (dump, expected) = (dump(&cut).await, dump(&whole).await);
        for (found, expected) in dump.iter().zip(&expected) {
            assert_eq!(found, expected, "the adoption was killed after the steps {killed_at:?}");
        }
        assert_checked(&cut);
        cut.remove().await;
        whole.remove().await;
    })
    .await;
}

/// Tells whether the adoption has ended.
async fn has_ended(connection: &DatabaseConnection) -> bool {
    let statement =
        Statement::from_string(connection.get_database_backend(), "SELECT state FROM jishu_adoption");
    let row = connection.query_one_raw(statement).await.ok().flatten();
    let state: Option<String> = row.map(|row| row.try_get_by_index(0).unwrap());
    state.is_some_and(|state| {
        let state: Value = serde_json::from_str(&state).unwrap();
        state["phase"].as_str().is_some_and(|phase| phase.eq_ignore_ascii_case("done"))
    })
}

/// Asserts that `jishu serve` and `jishu catalogue apply` refuse a database whose adoption has not ended.
fn other_commands_refuse(cut: &NewDatabase) {
    let mut serve =
        jishu(&["serve", "--listen", "127.0.0.1:0", "--database-url", &cut.url, "--signing-keys"]);
    serve.arg(cut.signing_keys());
    let catalogue = cut.folder.path().join("catalogue.yaml");
    std::fs::write(&catalogue, "courses: []").unwrap();
    let apply = ["catalogue", "apply", catalogue.to_str().unwrap(), "--database-url", &cut.url];
    for command in [serve, jishu(&apply)] {
        let (code, _, stderr) = outcome(command);
        assert!(code == Some(1) && stderr.contains("has not ended"), "{stderr}");
    }
}

/// Returns the number of transactions that the adoption has committed, or 0 before the first.
async fn step_of(connection: &DatabaseConnection) -> i64 {
    let statement =
        Statement::from_string(connection.get_database_backend(), "SELECT step FROM jishu_adoption");
    let row = connection.query_one_raw(statement).await.ok().flatten();
    row.map_or(0, |row| row.try_get_by_index(0).unwrap())
}

/// Returns the rows of the tables that an adoption fills, and its record, as text. Times from 2026 on and hashes of
/// Argon2id differ between adoptions, so both are replaced.
async fn dump(new: &NewDatabase) -> Vec<String> {
    let connection = connect(&new.url).await;
    let mut found = Vec::new();
    macro_rules! dump_tables {
        ($($table:ident),+) => {$( found.extend(rows_of::<$table::Entity>(&connection).await); )+};
    }
    dump_tables!(
        user,
        course,
        subject,
        topic,
        question,
        question_version,
        question_option,
        purchase,
        entitlement,
        mock_test_attempt,
        paper,
        paper_question,
        test_session,
        test_answer,
        topic_total
    );
    connection.close().await.unwrap();
    let entries =
        "SELECT old_table, old_id, number, fate, new_id, reason FROM jishu_adoption_rows ORDER BY number";
    found.extend(new.rows(entries).await.iter().map(|row| row.join(" ")));
    let state = new.rows("SELECT state FROM jishu_adoption").await.remove(0).remove(0);
    let state: Value = serde_json::from_str(&state).unwrap();
    found.push(format!("{} {} {}", state["step"], state["phase"], state["counts"]));
    let own = Regex::new(r"20(2[6-9]|[3-9]\d)-\d\d-\d\dT[0-9:.]+(Z|\+00:00)|\$argon2id[^\x22]*").unwrap();
    found.iter().map(|row| own.replace_all(row, "OWN").into_owned()).collect()
}

async fn rows_of<E: EntityTrait>(connection: &DatabaseConnection) -> Vec<String> {
    let select = E::PrimaryKey::iter().fold(E::find(), |select, key| select.order_by_asc(key.into_column()));
    select.all(connection).await.unwrap().iter().map(|row| format!("{row:?}")).collect()
}
