//! The order of cards and of purchases in pages. All pages together make one list, without missing or repeated items.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::mock_test_attempt;
use jishu_service::clock::Clock;
use jishu_tests::{Named, Page, TestApp, on_each_database};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use super::{World, backward, forward};

on_each_database!(
    pages_concatenate_in_both_directions,
    rows_inserted_meanwhile_neither_repeat_nor_hide_others,
    page_info_is_honest_at_both_ends,
    every_order_is_total_and_reverses,
    purchases_are_paged_newest_first,
);

async fn pages_concatenate_in_both_directions(app: Arc<TestApp>) {
    let asha = World::new(&app).await.asha;
    let all = asha.cards_page().first(100).await;
    let whole = all.ids();
    assert_eq!(whole.len(), 75);
    for size in [1, 7, 25, 74, 75, 76] {
        assert_eq!(
            forward(&asha, size, |page| page).await,
            whole,
            "pages of {size}, read forward, differ from the whole list"
        );
        assert_eq!(
            backward(&asha, size, |page| page).await,
            whole,
            "pages of {size}, read backward, differ from the whole list"
        );
    }
    let page = asha.cards_page().await;
    assert_eq!(page.ids(), whole[..50], "a page has another size than 50 by default");
    assert_eq!(page.total(), 75);
    // The default order is by subject, then by test number.
    let numbers: Vec<i64> = all.nodes().map(|card| card.test_number).collect();
    assert_eq!(numbers, (0..75).map(|index| index % 25 + 1).collect::<Vec<_>>());
}

async fn rows_inserted_meanwhile_neither_repeat_nor_hide_others(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).cards(25).create(&app).await;
    let asha = app.learner("Asha").await;
    asha.buy(course.subject(1)).await;
    let before = asha.cards_page().first(100).await.ids();
    let start = asha.cards_page().first(10).await;
    let end = asha.cards_page().last(10).await;
    // The new cards of Physics sort before the cards on the two pages, and the new cards of Biology sort after them.
    asha.buy(course.subject(0)).await;
    asha.buy(course.subject(2)).await;
    let rest = asha.cards_page().first(15).after(start.end()).await;
    assert_eq!([start.ids(), rest.ids()].concat(), before);
    let rest = asha.cards_page().last(15).before(end.start()).await;
    assert_eq!([rest.ids(), end.ids()].concat(), before);
}

async fn page_info_is_honest_at_both_ends(app: Arc<TestApp>) {
    let World { course, asha } = World::new(&app).await;
    let first = asha.cards_page().first(25).await;
    assert_eq!(first.goes_on(), (false, true));
    let second = asha.cards_page().first(25).after(first.end()).await;
    assert_eq!(second.goes_on(), (true, true));
    let third = asha.cards_page().first(25).after(second.end()).await;
    assert_eq!(third.goes_on(), (true, false));
    let beyond = asha.cards_page().first(25).after(third.end()).await;
    assert_eq!((beyond.ids().len(), beyond.goes_on()), (0, (true, false)));
    let back = asha.cards_page().last(25).before(third.start()).await;
    assert_eq!((back.ids(), back.goes_on()), (second.ids(), (true, true)));
    let between = asha.cards_page().first(25).after(first.end()).before(third.start()).await;
    assert_eq!((between.ids(), between.goes_on()), (second.ids(), (true, true)));
    // The cursor was read without the filter. No card that passes the filter is before the cursor.
    let filter = json!({ "subjectId": course.subjects[1] });
    let filtered = asha.cards_page().first(5).after(first.end()).filter(filter).await;
    assert_eq!((filtered.ids().len(), filtered.goes_on()), (5, (false, true)));
    assert!(app.learner("Chitra").await.cards_page().await.edges.is_empty());
}

async fn every_order_is_total_and_reverses(app: Arc<TestApp>) {
    let asha = World::new(&app).await.asha;
    // Several cards get the same time and percentage, and some cards get neither.
    let now = app.clock.now();
    sat(&app, 12, now).await;
    sat(&app, 4, now + TimeDelta::microseconds(1)).await;
    for field in ["SUBJECT_TEST_NUMBER", "LATEST_ATTEMPT_AT", "LATEST_PERCENTAGE"] {
        for direction in ["ASC", "DESC"] {
            let order = json!({ "field": field, "direction": direction });
            let whole = forward(&asha, 100, |page| page.order(order.clone())).await;
            assert_eq!(whole.len(), 75);
            assert_eq!(forward(&asha, 10, |page| page.order(order.clone())).await, whole, "{order}");
            assert_eq!(backward(&asha, 10, |page| page.order(order.clone())).await, whole, "{order}");
            let mut once = whole.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), 75, "{order}");
        }
    }
    let percentages = async |direction: &str| {
        let order = json!({ "field": "LATEST_PERCENTAGE", "direction": direction });
        let page = asha.cards_page().first(100).order(order).await;
        page.nodes().map(|card| card.latest_percentage.clone()).collect::<Vec<_>>()
    };
    let ascending = percentages("ASC").await;
    assert_eq!(ascending[0].as_deref(), Some("0.00"));
    assert_eq!(ascending[35].as_deref(), Some("37.50"));
    assert!(
        ascending[36..].iter().all(Option::is_none),
        "ascending, a card without a percentage is not last"
    );
    let descending = percentages("DESC").await;
    assert_eq!(descending[0].as_deref(), Some("37.50"));
    assert!(
        descending[36..].iter().all(Option::is_none),
        "descending, a card without a percentage is not last"
    );
}

async fn purchases_are_paged_newest_first(app: Arc<TestApp>) {
    let asha = World::new(&app).await.asha;
    let page = async |arguments: Value| -> Page<Bought> {
        let document = "query ($first: Int, $after: String, $last: Int, $before: String) { viewer {
            purchases(first: $first, after: $after, last: $last, before: $before) {
              totalCount edges { node { subjects { name } } }
              pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";
        asha.run_with(document, arguments).await.read("/viewer/purchases")
    };
    let names = |page: &Page<Bought>| -> Vec<String> {
        page.nodes().map(|purchase| purchase.subjects[0].name.clone()).collect()
    };
    let whole = page(json!({})).await;
    assert_eq!(names(&whole), ["Chemistry", "Physics", "Biology"]);
    assert_eq!(whole.total(), 3);
    let first = page(json!({ "first": 2 })).await;
    assert_eq!(names(&first), ["Chemistry", "Physics"]);
    assert_eq!(names(&page(json!({ "first": 2, "after": first.end() })).await), ["Biology"]);
    let last = page(json!({ "last": 1 })).await;
    assert_eq!(names(&last), ["Biology"]);
    assert_eq!(names(&page(json!({ "last": 1, "before": last.start() })).await), ["Physics"]);
}

/// A purchase of which only the subjects are selected.
#[derive(serde::Deserialize)]
struct Bought {
    subjects: Vec<Named>,
}

/// Marks each card with a test number up to `upto` as completed at the time `at`, with a percentage of 0 to 37.5.
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
