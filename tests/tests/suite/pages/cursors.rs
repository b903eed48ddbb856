//! Cursors of pages, also those of older versions of the server; the statements that a page of cards needs; and the
//! values of its fields.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jishu_tests::{TestApp, on_each_database};
use serde_json::{Value, json};

use super::World;

on_each_database!(
    cursors_are_short_and_old_ones_are_read,
    only_the_selected_flags_of_a_page_cost_statements,
    only_the_selected_columns_are_read,
    each_field_has_the_same_value_alone_and_with_others,
);

async fn cursors_are_short_and_old_ones_are_read(app: Arc<TestApp>) {
    let World { course, asha } = World::new(&app).await;
    let all = asha.cards_page().first(100).await.ids();
    let first = asha.cards_page().first(25).await;
    assert!(first.end().len() <= 20, "{}", first.end());
    // Builds the cursor of the 25th card in the format of older versions of the server.
    let subject = course.subject_rows[0].0;
    let sql = format!(
        "SELECT a.id FROM mock_test_attempts a JOIN users u ON u.id = a.user_id WHERE u.name = 'Asha' AND \
         a.subject_id = {subject} AND a.test_number = 25"
    );
    let id = app.number(&sql).await;
    let old = |key: Value| {
        let list = "MockTestAttempt.SubjectTestNumber.asc";
        URL_SAFE_NO_PAD.encode(json!([list, key]).to_string())
    };
    let cursor = old(json!({ "Number": [subject, 25, id] }));
    let second = asha.cards_page().first(10).after(&cursor).await;
    assert_eq!(second.ids(), all[25..35]);
    let (code, message) = asha
        .fail(
            "query ($after: String) { viewer { mockTestAttempts(after: $after) { edges { cursor } } } }",
            json!({ "after": old(json!({ "Number": [subject, 25] })) }),
        )
        .await;
    assert_eq!(code, "BAD_USER_INPUT");
    assert!(message.contains("not a cursor of this list"), "{message}");
}

/// Sends a request until it needs only one statement on the table of cards, but at most 20 times. Returns the
/// statements on this table from the request that ran the fewest.
async fn statements(app: &TestApp, run: impl AsyncFn()) -> Vec<String> {
    let of_page = |sql: &str| sql.contains("mock_test_attempts");
    app.fewest_statements(1, of_page, run).await
}

async fn only_the_selected_flags_of_a_page_cost_statements(app: Arc<TestApp>) {
    let asha = World::new(&app).await.asha;
    let first = asha.cards_page().first(25).await;
    for (arguments, flags, count) in [
        ("first: 5, after: $cursor", "hasNextPage endCursor", 1),
        ("first: 5, after: $cursor", "hasPreviousPage", 2),
        ("first: 5, after: $cursor", "hasNextPage hasPreviousPage", 2),
        ("first: 5, after: $cursor", "endCursor", 1),
        ("last: 5, before: $cursor", "hasPreviousPage", 1),
        ("last: 5, before: $cursor", "hasNextPage", 2),
        ("first: 5, before: $cursor", "hasPreviousPage", 1),
        // The server reads a sixth row, which answers the flag without another statement.
        ("last: 5, after: $cursor", "hasPreviousPage", 1),
        ("first: 5, before: $cursor", "hasNextPage", 1),
    ] {
        let document = format!(
            "query ($cursor: String) {{ viewer {{ mockTestAttempts({arguments}) {{ pageInfo {{ {flags} }} }} }} }}"
        );
        let sent = statements(&app, async || {
            asha.run_with(&document, json!({ "cursor": first.end() })).await;
        })
        .await;
        assert_eq!(sent.len(), count, "{arguments} {flags}: {sent:#?}");
    }
}

async fn only_the_selected_columns_are_read(app: Arc<TestApp>) {
    let asha = World::new(&app).await.asha;
    for (fields, order, has_results) in [
        ("id testNumber status remainingAttempts subject { name } purchase { id }", "", false),
        ("id canStart", "", false),
        ("id latestScore", "", true),
        ("...F", "", true),
        ("grade", "", true),
        ("id", "(orderBy: { field: LATEST_PERCENTAGE })", true),
    ] {
        let document = format!(
            "{{ viewer {{ mockTestAttempts{order} {{ edges {{ node {{ {fields} }} }} }} __typename ...V }} }} \
             fragment V on User {{ name }}"
        );
        let document = match fields {
            "...F" => format!("{document} fragment F on MockTestAttempt {{ latestAttemptAt }}"),
            _ => document,
        };
        let sent = statements(&app, async || {
            asha.run(&document).await;
        })
        .await;
        let page = sent.iter().find(|sql| sql.contains("ORDER BY")).expect("the statement of the page");
        let selected = page.split("FROM").next().expect("the columns");
        assert_eq!(selected.contains("first_score"), has_results, "{fields}: {page}");
    }
}

async fn each_field_has_the_same_value_alone_and_with_others(app: Arc<TestApp>) {
    let asha = World::new(&app).await.asha;
    app.execute(
        "UPDATE mock_test_attempts SET latest_attempt_at = '2026-11-23 09:30:00', latest_score = 1250, \
         latest_percentage = 6250, first_score = -25, best_score = 1300, attempts_used = 1, status = 'completed' \
         WHERE test_number % 2 = 0",
    )
    .await;
    const FIELDS: [&str; 16] = [
        "id",
        "testNumber",
        "status",
        "maxAttempts",
        "attemptsUsed",
        "remainingAttempts",
        "canStart",
        "extraTimeSeconds",
        "latestAttemptAt",
        "latestScore",
        "latestPercentage",
        "firstScore",
        "bestScore",
        "grade",
        "subject { id name course { id name } }",
        "paper { questions timeLimitSeconds correct wrong unanswered maxScore fixed }",
    ];
    let nodes = async |fields: &str| {
        let document =
            format!("{{ viewer {{ mockTestAttempts(first: 30) {{ edges {{ node {{ {fields} }} }} }} }} }}");
        asha.run(&document).await.list("/viewer/mockTestAttempts/edges").to_vec()
    };
    let all = nodes(&FIELDS.join(" ")).await;
    // The engine writes a card itself only if all selected fields of the card are plain fields. `openSession` is never
    // plain, so async-graphql resolves all fields of this selection.
    let resolved = nodes(&format!("{} openSession {{ id }}", FIELDS.join(" "))).await;
    for field in FIELDS {
        let name = field.split(' ').next().expect("a name");
        let alone = nodes(field).await;
        for ((alone, all), resolved) in alone.iter().zip(&all).zip(&resolved) {
            assert_eq!(alone["node"][name], all["node"][name], "{field}");
            assert_eq!(alone["node"][name], resolved["node"][name], "{field}");
        }
    }
}
