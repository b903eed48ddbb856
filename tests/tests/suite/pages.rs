//! Lists, page by page.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_api::clock::Clock;
use jishu_entity::mock_test_attempt;
use jishu_tests::{Answer, Backend, Client, TestApp, TestCourse, on_each_database};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use crate::plan::plan;

on_each_database!(
    pages_concatenate_in_both_directions,
    rows_inserted_meanwhile_neither_repeat_nor_hide_others,
    page_info_is_honest_at_both_ends,
    filters_narrow_and_combine,
    every_order_is_total_and_reverses,
    page_arguments_that_make_no_sense_are_refused,
    foreign_cursors_are_refused,
    the_number_of_statements_does_not_grow_with_the_page,
    the_page_is_read_from_its_index_at_any_depth,
    purchases_are_paged_newest_first,
    total_count_is_counted_only_when_selected,
);

const PAGE: &str = "
query ($first: Int, $after: String, $last: Int, $before: String, $filter: MockTestAttemptFilter, $orderBy: MockTestAttemptOrder) {
  viewer {
    mockTestAttempts(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy) {
      edges { cursor node { id testNumber subject { name } latestPercentage latestAttemptAt } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      totalCount
    }
  }
}";

async fn page(client: &Client, variables: Value) -> Answer {
    client.run_with(PAGE, variables).await
}

fn ids(answer: &Answer) -> Vec<String> {
    let edges = answer.list("/viewer/mockTestAttempts/edges");
    edges.iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned()).collect()
}

fn flag(answer: &Answer, name: &str) -> bool {
    answer.at("/viewer/mockTestAttempts/pageInfo")[name].as_bool().unwrap()
}

fn cursor(answer: &Answer, name: &str) -> String {
    answer.at("/viewer/mockTestAttempts/pageInfo")[name].as_str().unwrap().to_owned()
}

/// Everything, forward in pages of `size`.
async fn forward(client: &Client, size: i32, arguments: &Value) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), Value::Null);
    loop {
        let mut variables = arguments.clone();
        variables["first"] = size.into();
        variables["after"] = after;
        let answer = page(client, variables).await;
        all.extend(ids(&answer));
        if !flag(&answer, "hasNextPage") {
            return all;
        }
        after = cursor(&answer, "endCursor").into();
    }
}

/// Everything, backward in pages of `size`, in the list's order.
async fn backward(client: &Client, size: i32, arguments: &Value) -> Vec<String> {
    let (mut all, mut before) = (Vec::new(), Value::Null);
    loop {
        let mut variables = arguments.clone();
        variables["last"] = size.into();
        variables["before"] = before;
        let answer = page(client, variables).await;
        all.splice(0..0, ids(&answer));
        if !flag(&answer, "hasPreviousPage") {
            return all;
        }
        before = cursor(&answer, "startCursor").into();
    }
}

async fn purchase(client: &Client, course: &TestCourse, subject: usize) -> Answer {
    client
        .run_with(
            "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome purchase { id } } }",
            json!({ "input": {
                "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [course.subjects[subject]],
            } }),
        )
        .await
}

/// A learner with three subjects of 25 cards, bought last to first.
async fn with_cards(app: &TestApp) -> (Client, TestCourse) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).cards(25).create(app).await;
    let asha = app.learner("Asha").await;
    for subject in [2, 0, 1] {
        purchase(&asha, &course, subject).await;
    }
    // Somebody else's cards between hers.
    purchase(&app.learner("Binod").await, &course, 0).await;
    (asha, course)
}

async fn pages_concatenate_in_both_directions(app: Arc<TestApp>) {
    let (asha, _) = with_cards(&app).await;
    let whole = ids(&page(&asha, json!({ "first": 100 })).await);
    assert_eq!(whole.len(), 75);
    for size in [1, 7, 25, 74, 75, 76] {
        assert_eq!(forward(&asha, size, &json!({})).await, whole, "forward by {size}");
        assert_eq!(backward(&asha, size, &json!({})).await, whole, "backward by {size}");
    }
    let answer = page(&asha, json!({})).await;
    assert_eq!(ids(&answer), whole[..50], "50 if nothing is said");
    assert_eq!(answer.number("/viewer/mockTestAttempts/totalCount"), 75);
    // In order: by subject, then by number.
    let numbers: Vec<_> = page(&asha, json!({ "first": 100 }))
        .await
        .list("/viewer/mockTestAttempts/edges")
        .iter()
        .map(|edge| edge["node"]["testNumber"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, (0..75).map(|index| index % 25 + 1).collect::<Vec<_>>());
}

async fn rows_inserted_meanwhile_neither_repeat_nor_hide_others(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).cards(25).create(&app).await;
    let asha = app.learner("Asha").await;
    purchase(&asha, &course, 1).await;
    let before = ids(&page(&asha, json!({ "first": 100 })).await);
    let start = page(&asha, json!({ "first": 10 })).await;
    let end = page(&asha, json!({ "last": 10 })).await;
    // One subject sorts before what was read, one after it.
    purchase(&asha, &course, 0).await;
    purchase(&asha, &course, 2).await;
    let rest = page(&asha, json!({ "first": 15, "after": cursor(&start, "endCursor") })).await;
    assert_eq!([ids(&start), ids(&rest)].concat(), before);
    let rest = page(&asha, json!({ "last": 15, "before": cursor(&end, "startCursor") })).await;
    assert_eq!([ids(&rest), ids(&end)].concat(), before);
}

async fn page_info_is_honest_at_both_ends(app: Arc<TestApp>) {
    let (asha, course) = with_cards(&app).await;
    let flags = |answer: &Answer| (flag(answer, "hasPreviousPage"), flag(answer, "hasNextPage"));
    let first = page(&asha, json!({ "first": 25 })).await;
    assert_eq!(flags(&first), (false, true));
    let second = page(&asha, json!({ "first": 25, "after": cursor(&first, "endCursor") })).await;
    assert_eq!(flags(&second), (true, true));
    let third = page(&asha, json!({ "first": 25, "after": cursor(&second, "endCursor") })).await;
    assert_eq!(flags(&third), (true, false));
    let beyond = page(&asha, json!({ "first": 25, "after": cursor(&third, "endCursor") })).await;
    assert_eq!((ids(&beyond).len(), flags(&beyond)), (0, (true, false)));
    let back = page(&asha, json!({ "last": 25, "before": cursor(&third, "startCursor") })).await;
    assert_eq!((ids(&back), flags(&back)), (ids(&second), (true, true)));
    let between =
        json!({ "first": 25, "after": cursor(&first, "endCursor"), "before": cursor(&third, "startCursor") });
    let between = page(&asha, between).await;
    assert_eq!((ids(&between), flags(&between)), (ids(&second), (true, true)));
    // A cursor from before a filter: nothing that the filter leaves lies behind it.
    let filter = json!({ "subjectId": course.subjects[1] });
    let filtered =
        page(&asha, json!({ "first": 5, "after": cursor(&first, "endCursor"), "filter": filter })).await;
    assert_eq!((ids(&filtered).len(), flags(&filtered)), (5, (false, true)));
    assert!(
        page(&app.learner("Chitra").await, json!({})).await.list("/viewer/mockTestAttempts/edges").is_empty()
    );
}

async fn filters_narrow_and_combine(app: Arc<TestApp>) {
    let (asha, course) = with_cards(&app).await;
    let other = app.course(&["History"]).cards(10).create(&app).await;
    let bought = purchase(&asha, &other, 0).await;
    app.execute(
        "UPDATE mock_test_attempts SET status = 'completed', attempts_used = 1 WHERE test_number = 3",
    )
    .await;
    let purchase = bought.text("/purchase/purchase/id");
    for (filter, expected) in [
        (json!({}), 85),
        (json!({ "courseId": course.id }), 75),
        (json!({ "courseId": other.id }), 10),
        (json!({ "subjectId": course.subjects[2] }), 25),
        (json!({ "purchaseId": purchase }), 10),
        (json!({ "status": ["COMPLETED"] }), 4),
        (json!({ "status": ["COMPLETED", "AVAILABLE"] }), 85),
        (json!({ "status": [] }), 0),
        (json!({ "status": ["COMPLETED"], "courseId": course.id }), 3),
        (json!({ "courseId": other.id, "subjectId": course.subjects[0] }), 0),
        (json!({ "purchaseId": purchase, "courseId": course.id }), 0),
        (json!({ "courseId": app.global("Course", 999_999) }), 0),
    ] {
        let answer = page(&asha, json!({ "first": 100, "filter": filter })).await;
        assert_eq!(ids(&answer).len(), expected, "{filter}");
        assert_eq!(
            answer.number("/viewer/mockTestAttempts/totalCount"),
            i64::try_from(expected).unwrap(),
            "{filter}"
        );
    }
    for (field, id) in
        [("courseId", &course.subjects[0]), ("subjectId", &course.id), ("purchaseId", &"x".to_owned())]
    {
        let (code, message) = asha.fail(PAGE, json!({ "filter": { field: id } })).await;
        assert_eq!(code, "BAD_USER_INPUT");
        assert!(message.contains(field), "{message}");
    }
    // A purchase has the same list.
    let nested = asha
        .run_with(
            "query ($id: ID!, $other: ID!) { node(id: $id) { ... on Purchase {
               mockTestAttempts(filter: { purchaseId: $other }) { totalCount } all: mockTestAttempts { totalCount } } } }",
            json!({ "id": purchase, "other": app.global("Purchase", 1) }),
        )
        .await;
    assert_eq!(
        (nested.number("/node/mockTestAttempts/totalCount"), nested.number("/node/all/totalCount")),
        (0, 10)
    );
}

async fn every_order_is_total_and_reverses(app: Arc<TestApp>) {
    let (asha, _) = with_cards(&app).await;
    // Ties on purpose, and cards that were never sat.
    let now = app.clock.now();
    sat(&app, 12, now).await;
    sat(&app, 4, now + TimeDelta::microseconds(1)).await;
    for field in ["SUBJECT_TEST_NUMBER", "LATEST_ATTEMPT_AT", "LATEST_PERCENTAGE"] {
        for direction in ["ASC", "DESC"] {
            let order = json!({ "orderBy": { "field": field, "direction": direction } });
            let whole = forward(&asha, 100, &order).await;
            assert_eq!(whole.len(), 75);
            assert_eq!(forward(&asha, 10, &order).await, whole, "{order}");
            assert_eq!(backward(&asha, 10, &order).await, whole, "{order}");
            let mut once = whole.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), 75, "{order}");
        }
    }
    let percentages = async |direction: &str| {
        let order =
            json!({ "first": 100, "orderBy": { "field": "LATEST_PERCENTAGE", "direction": direction } });
        let answer = page(&asha, order).await;
        let edges = answer.list("/viewer/mockTestAttempts/edges").to_vec();
        edges
            .iter()
            .map(|edge| edge["node"]["latestPercentage"].as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let ascending = percentages("ASC").await;
    assert_eq!(ascending[0].as_deref(), Some("0.00"));
    assert_eq!(ascending[35].as_deref(), Some("37.50"));
    assert!(ascending[36..].iter().all(Option::is_none), "cards without one come last");
    let descending = percentages("DESC").await;
    assert_eq!(descending[0].as_deref(), Some("37.50"));
    assert!(descending[36..].iter().all(Option::is_none), "in both directions");
}

/// Each card up to this number was sat at this time, with 0 to 37.5 per cent.
async fn sat(app: &TestApp, upto: i32, at: DateTime<Utc>) {
    let percentage = Expr::cust("(test_number % 4) * 1250");
    mock_test_attempt::Entity::update_many()
        .col_expr(mock_test_attempt::Column::AttemptsUsed, Expr::value(1))
        .col_expr(mock_test_attempt::Column::Status, Expr::value("completed"))
        .col_expr(mock_test_attempt::Column::LatestPercentage, percentage)
        .col_expr(mock_test_attempt::Column::LatestAttemptAt, Expr::value(at))
        .filter(mock_test_attempt::Column::TestNumber.lte(upto))
        .exec(app.connection())
        .await
        .unwrap();
}

async fn page_arguments_that_make_no_sense_are_refused(app: Arc<TestApp>) {
    let asha = app.learner("Asha").await;
    for (arguments, named) in [
        (json!({ "first": 1, "last": 1 }), "not both"),
        (json!({ "first": 0 }), "`first` must be 1 to 100; 0 was given"),
        (json!({ "first": -1 }), "`first` must be 1 to 100; -1 was given"),
        (json!({ "first": 101 }), "`first` must be 1 to 100; 101 was given"),
        (json!({ "last": 0 }), "`last` must be"),
        (json!({ "last": 2_147_483_647 }), "`last` must be"),
    ] {
        let (code, message) = asha.fail(PAGE, arguments).await;
        assert_eq!(code, "BAD_USER_INPUT");
        assert!(message.contains(named), "{message}");
    }
}

async fn foreign_cursors_are_refused(app: Arc<TestApp>) {
    let (asha, _) = with_cards(&app).await;
    let by_number = cursor(&page(&asha, json!({ "first": 5 })).await, "endCursor");
    let descending = json!({ "field": "SUBJECT_TEST_NUMBER", "direction": "DESC" });
    let by_percentage = json!({ "field": "LATEST_PERCENTAGE" });
    let purchases = asha.run("{ viewer { purchases { pageInfo { endCursor } } } }").await;
    let of_purchases = purchases.text("/viewer/purchases/pageInfo/endCursor");
    for variables in [
        json!({ "after": by_number, "orderBy": descending }),
        json!({ "before": by_number, "orderBy": by_percentage }),
        json!({ "after": of_purchases }),
        json!({ "after": "" }),
        json!({ "after": "MTIz" }),
        json!({ "after": "not base64!" }),
        json!({ "after": format!("{by_number}A") }),
        json!({ "before": app.global("MockTestAttempt", 1) }),
    ] {
        let (code, message) = asha.fail(PAGE, variables.clone()).await;
        assert_eq!(code, "BAD_USER_INPUT", "{variables}");
        assert!(message.contains("cursor"), "{message}");
    }
}

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

async fn purchases_are_paged_newest_first(app: Arc<TestApp>) {
    let (asha, _) = with_cards(&app).await;
    let document = "query ($first: Int, $after: String, $last: Int, $before: String) { viewer {
        purchases(first: $first, after: $after, last: $last, before: $before) {
          totalCount edges { node { id subjects { name } } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";
    let names = |answer: &Answer| -> Vec<String> {
        let edges = answer.list("/viewer/purchases/edges");
        edges.iter().map(|edge| edge["node"]["subjects"][0]["name"].as_str().unwrap().to_owned()).collect()
    };
    let whole = asha.run_with(document, json!({})).await;
    assert_eq!(names(&whole), ["Chemistry", "Physics", "Biology"]);
    assert_eq!(whole.number("/viewer/purchases/totalCount"), 3);
    let first = asha.run_with(document, json!({ "first": 2 })).await;
    assert_eq!(names(&first), ["Chemistry", "Physics"]);
    let after = first.text("/viewer/purchases/pageInfo/endCursor");
    assert_eq!(names(&asha.run_with(document, json!({ "first": 2, "after": after })).await), ["Biology"]);
    let last = asha.run_with(document, json!({ "last": 1 })).await;
    assert_eq!(names(&last), ["Biology"]);
    let before = last.text("/viewer/purchases/pageInfo/startCursor");
    assert_eq!(names(&asha.run_with(document, json!({ "last": 1, "before": before })).await), ["Physics"]);
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
