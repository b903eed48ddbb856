//! Pages are parts of one list, in one order.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::mock_test_attempt;
use jishu_service::clock::Clock;
use jishu_tests::{Answer, TestApp, on_each_database};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::{backward, cursor, flag, forward, ids, page, purchase, with_cards};

on_each_database!(
    pages_concatenate_in_both_directions,
    rows_inserted_meanwhile_neither_repeat_nor_hide_others,
    page_info_is_honest_at_both_ends,
    every_order_is_total_and_reverses,
    purchases_are_paged_newest_first,
);

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
