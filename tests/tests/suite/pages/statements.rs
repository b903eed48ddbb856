//! The cost of a page: its statements and their plans.

use std::sync::Arc;

use jishu_tests::{Backend, TestApp, on_each_database};
use serde_json::{Value, json};

use super::World;
use crate::plan::plan;

on_each_database!(
    the_number_of_statements_does_not_grow_with_the_page,
    the_page_is_read_from_its_index_at_any_depth,
    total_count_is_counted_only_when_selected,
);

async fn the_number_of_statements_does_not_grow_with_the_page(app: Arc<TestApp>) {
    let asha = World::new(&app).await.asha;
    let page = asha.cards_page().first(2).await;
    let start = page.end();
    // The server reads the page, looks for a card before the page, and reads the purchases. With the fields of the next
    // sitting, the server also reads entitlements, extra times, allowances and papers. Each read takes one statement.
    for (of_next, most) in
        [("", 3), ("canStart extraTimeSeconds paper { questions timeLimitSeconds fixed }", 7)]
    {
        let document = format!(
            "query ($first: Int!, $after: String) {{ viewer {{ mockTestAttempts(first: $first, after: $after) {{
            edges {{ cursor node {{ id testNumber status remainingAttempts latestScore {of_next} subject {{ name
                price {{ amount }} course {{ name }} }} purchase {{ id cost {{ amount }} createdAt }} }} }}
            pageInfo {{ hasNextPage hasPreviousPage endCursor }} }} }} }}"
        );
        for after in [Value::Null, json!(start)] {
            let mut counts = Vec::new();
            for first in [1, 10, 70] {
                // Leaves out the statements with which the server reads the catalogue in the background.
                let is_of_page = |sql: &str| !sql.contains("FROM courses") && !sql.contains("FROM subjects");
                let enough = counts.first().copied().unwrap_or(most);
                let statements = app
                    .fewest_statements(enough, is_of_page, async || {
                        asha.run_with(&document, json!({ "first": first, "after": after })).await;
                    })
                    .await;
                assert!(statements.len() <= most, "{statements:#?}");
                counts.push(statements.len());
            }
            assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
        }
    }
}

async fn the_page_is_read_from_its_index_at_any_depth(app: Arc<TestApp>) {
    let course = app.course(&["A", "B", "C", "D", "E"]).cards(1_000).create(&app).await;
    // Planners scan a small table as a whole, so the table of cards gets 20,000 rows.
    for learner in ["Binod", "Chitra", "Devi", "Asha"] {
        let client = app.learner(learner).await;
        for subject in 0..5 {
            client.buy(course.subject(subject)).await;
        }
    }
    let analyze = "ANALYZE TABLE mock_test_attempts, entitlements";
    app.execute(if app.backend == Backend::MariaDb { analyze } else { "ANALYZE" }).await;
    let owner = app.number("SELECT id FROM users WHERE name = 'Asha'").await;
    let asha = app.learner_again("Asha").await;
    for (subject, is_end) in [(0, false), (4, true)] {
        let filter = json!({ "subjectId": course.subjects[subject] });
        let deep = asha.cards_page().last(2).filter(filter).await;
        for entitled in [None, Some(true), Some(false)] {
            let _ = app.take_statements();
            let filter = entitled.map(|entitled| json!({ "entitled": entitled }));
            asha.cards_page().first(50).after(deep.start()).filter(json!(filter)).await;
            let select = app
                .take_statements()
                .into_iter()
                .find(|sql| sql.contains("ORDER BY") && sql.contains("mock_test_attempts"))
                .expect("the statement of the page");
            // The parameters are the user, the values that select entitlements, the key of the position (subject,
            // number, id) and the limit. MariaDB repeats parts of the key.
            let (subject, number, id) = (course.subject_rows[subject].0, 999, 1);
            let key = match app.backend {
                Backend::MariaDb => vec![subject, subject, subject, number, subject, number, id],
                Backend::Sqlite | Backend::Postgres => vec![subject, number, id],
            };
            let mut values = vec![owner.to_string()];
            if entitled.is_some() {
                values.extend(["1".to_owned(), "'2026-11-23 09:30:00'".to_owned()]);
            }
            values.extend(key.into_iter().chain([51]).map(|value| value.to_string()));
            let plan = plan(&app, &select, &values).await;
            assert!(plan.contains("idx_mock_test_attempts_page"), "{select}\n{plan}");
            // The table of entitlements is small here, so the planner may scan it.
            let scans: &[&str] = &["SCAN mock_test_attempts\n", "Seq Scan on mock_test_attempts"];
            // A planner may sort if it expects at most one row: at the end of the list, or among cards whose
            // entitlement has ended.
            let few = entitled == Some(false) || entitled.is_some() && is_end;
            let sorts: &[&str] = if few { &[] } else { &["TEMP B-TREE", "filesort", "Sort Key"] };
            for step in scans.iter().chain(sorts) {
                assert!(!plan.contains(step), "{step}: {select}\n{plan}");
            }
        }
    }
}

async fn total_count_is_counted_only_when_selected(app: Arc<TestApp>) {
    let asha = World::new(&app).await.asha;
    let counts = |app: &TestApp| app.take_statements().iter().filter(|sql| sql.contains("COUNT(")).count();
    let _ = app.take_statements();
    asha.run("{ viewer { mockTestAttempts { edges { node { id } } } } }").await;
    assert_eq!(counts(&app), 0);
    asha.run("{ viewer { mockTestAttempts { totalCount } } }").await;
    let statements = app.take_statements();
    assert!(
        !statements.iter().any(|sql| sql.contains("ORDER BY") && sql.contains("mock_test_attempts")),
        "{statements:#?}"
    );
}
