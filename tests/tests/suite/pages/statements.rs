//! What a page costs.

use std::sync::Arc;

use jishu_tests::{Backend, TestApp, on_each_database};
use serde_json::{Value, json};

use super::{cursor, page, purchase, with_cards};
use crate::plan::plan;

on_each_database!(
    the_number_of_statements_does_not_grow_with_the_page,
    the_page_is_read_from_its_index_at_any_depth,
    total_count_is_counted_only_when_selected,
);

async fn the_number_of_statements_does_not_grow_with_the_page(app: Arc<TestApp>) {
    let (asha, _) = with_cards(&app).await;
    let document = "query ($first: Int!, $after: String) { viewer { mockTestAttempts(first: $first, after: $after) {
        edges { cursor node { id testNumber status remainingAttempts latestScore
                       subject { name price { amount } course { name } } purchase { id cost { amount } createdAt } } }
        pageInfo { hasNextPage hasPreviousPage endCursor } } } }";
    let start = cursor(&page(&asha, json!({ "first": 2 })).await, "endCursor");
    for after in [Value::Null, json!(start)] {
        let mut counts = Vec::new();
        for first in [1, 10, 70] {
            // The catalogue is read again in the background.
            let reads_the_catalogue = |sql: &String| {
                sql.contains("FROM \"courses\"")
                    || sql.contains("FROM \"subjects\"")
                    || sql.contains("FROM `courses`")
                    || sql.contains("FROM `subjects`")
            };
            let _ = app.take_statements();
            asha.run_with(document, json!({ "first": first, "after": after })).await;
            let statements: Vec<_> =
                app.take_statements().into_iter().filter(|sql| !reads_the_catalogue(sql)).collect();
            assert!(statements.len() <= 3, "{statements:#?}");
            counts.push(statements.len());
        }
        assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    }
}

async fn the_page_is_read_from_its_index_at_any_depth(app: Arc<TestApp>) {
    let course = app.course(&["A", "B", "C", "D", "E"]).cards(1_000).create(&app).await;
    // Planners read a small table whole; this one is not small.
    for learner in ["Binod", "Chitra", "Devi", "Asha"] {
        let client = app.learner(learner).await;
        for subject in 0..5 {
            purchase(&client, &course, subject).await;
        }
    }
    app.execute(if app.backend == Backend::MariaDb { "ANALYZE TABLE mock_test_attempts" } else { "ANALYZE" })
        .await;
    let owner = app.number("SELECT id FROM users WHERE name = 'Asha'").await;
    let asha = app.learner_again("Asha").await;
    for subject in [0, 4] {
        let filter = json!({ "subjectId": course.subjects[subject] });
        let deep = page(&asha, json!({ "last": 2, "filter": filter })).await;
        let after = cursor(&deep, "startCursor");
        let _ = app.take_statements();
        page(&asha, json!({ "first": 50, "after": after })).await;
        let select = app
            .take_statements()
            .into_iter()
            .find(|sql| sql.contains("ORDER BY") && sql.contains("mock_test_attempts"))
            .expect("the statement of the page");
        // user, then the key (subject, number, id), spelled out on MariaDB, then the limit.
        let (subject, number, id) = (course.subject_rows[subject].0, 999, 1);
        let values = match app.backend {
            Backend::MariaDb => vec![owner, subject, subject, subject, number, subject, number, id, 51],
            Backend::Sqlite | Backend::Postgres => vec![owner, subject, number, id, 51],
        };
        let plan = plan(&app, &select, &values).await;
        assert!(plan.contains("idx_mock_test_attempts_page"), "{plan}");
        assert!(!plan.contains("SCAN mock_test_attempts\n") && !plan.contains("Seq Scan"), "{plan}");
        assert!(
            !plan.contains("TEMP B-TREE") && !plan.contains("filesort") && !plan.contains("Sort Key"),
            "{plan}"
        );
    }
}

async fn total_count_is_counted_only_when_selected(app: Arc<TestApp>) {
    let (asha, _) = with_cards(&app).await;
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
