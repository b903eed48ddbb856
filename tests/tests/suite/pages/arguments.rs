//! Filters of the list of cards, and arguments that the server refuses.

use std::sync::Arc;

use jishu_tests::{MOCK_TEST_ATTEMPTS, TestApp, on_each_database};
use serde_json::json;

use super::World;

on_each_database!(
    filters_narrow_and_combine,
    invalid_page_arguments_are_refused,
    cursors_of_other_lists_are_refused,
);

async fn filters_narrow_and_combine(app: Arc<TestApp>) {
    let World { course, asha } = World::new(&app).await;
    let other = app.course(&["History"]).cards(10).create(&app).await;
    let bought = asha.buy(other.subject(0)).await;
    app.execute(
        "UPDATE mock_test_attempts SET status = 'completed', attempts_used = 1 WHERE test_number = 3",
    )
    .await;
    let purchase = &bought.purchase().id;
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
        let page = asha.cards_page().first(100).filter(filter.clone()).await;
        assert_eq!(page.ids().len(), expected, "{filter}");
        assert_eq!(page.total(), i64::try_from(expected).unwrap(), "{filter}");
    }
    for (field, id) in
        [("courseId", &course.subjects[0]), ("subjectId", &course.id), ("purchaseId", &"x".to_owned())]
    {
        let (code, message) = asha.fail(MOCK_TEST_ATTEMPTS, json!({ "filter": { field: id } })).await;
        assert_eq!(code, "BAD_USER_INPUT");
        assert!(message.contains(field), "{message}");
    }
    // The list of cards of a purchase takes the same filter as the list of cards of the viewer.
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

async fn invalid_page_arguments_are_refused(app: Arc<TestApp>) {
    let asha = app.learner("Asha").await;
    for (arguments, named) in [
        (json!({ "first": 1, "last": 1 }), "both given"),
        (json!({ "first": 0 }), "`first` must be 1 to 100; 0 was given"),
        (json!({ "first": -1 }), "`first` must be 1 to 100; -1 was given"),
        (json!({ "first": 101 }), "`first` must be 1 to 100; 101 was given"),
        (json!({ "last": 0 }), "`last` must be"),
        (json!({ "last": 2_147_483_647 }), "`last` must be"),
    ] {
        let (code, message) = asha.fail(MOCK_TEST_ATTEMPTS, arguments).await;
        assert_eq!(code, "BAD_USER_INPUT");
        assert!(message.contains(named), "{message}");
    }
}

async fn cursors_of_other_lists_are_refused(app: Arc<TestApp>) {
    let asha = World::new(&app).await.asha;
    let page = asha.cards_page().first(5).await;
    let by_number = page.end();
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
        let (code, message) = asha.fail(MOCK_TEST_ATTEMPTS, variables.clone()).await;
        assert_eq!(code, "BAD_USER_INPUT", "{variables}");
        assert!(message.contains("cursor"), "{message}");
    }
}
