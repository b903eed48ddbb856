//! Objects of other users are not found, neither by their ids nor by filters and cursors. Also tests the order and the
//! limit of `nodes`.

use std::sync::Arc;

use jishu_tests::{TestApp, on_each_database};
use serde_json::{Value, json};

on_each_database!(
    another_learners_ids_name_nothing,
    nodes_keep_their_order_and_leave_gaps,
    strangers_see_only_the_catalogue
);

const PURCHASE: &str = "mutation ($input: PurchaseInput!) { purchase(input: $input) {
    purchase { id } testCards(first: 1) { edges { cursor node { id } } } } }";
const NODE: &str = "query ($id: ID!) { node(id: $id) { __typename id } }";

async fn another_learners_ids_name_nothing(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).create(&app).await;
    let (asha, binod) = (app.learner("Asha").await, app.learner("Binod").await);
    let input =
        json!({ "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": course.subjects });
    let hers = asha.run_with(PURCHASE, json!({ "input": input })).await;
    let purchase = hers.text("/purchase/purchase/id");
    let card = hers.text("/purchase/testCards/edges/0/node/id");
    let cursor = hers.text("/purchase/testCards/edges/0/cursor");
    let user = asha.run("{ viewer { id } }").await;

    for id in [purchase, card, user.text("/viewer/id")] {
        assert_eq!(asha.run_with(NODE, json!({ "id": id })).await.text("/node/id"), id);
        for other in [&binod, &app.anonymous()] {
            assert_eq!(*other.run_with(NODE, json!({ "id": id })).await.at("/node"), Value::Null);
        }
    }
    let list = "query ($filter: MockTestAttemptFilter, $after: String) { viewer {
        mockTestAttempts(filter: $filter, after: $after) { totalCount edges { node { id } } } purchases { totalCount } } }";
    for variables in [json!({ "filter": { "purchaseId": purchase } }), json!({ "after": cursor }), json!({})]
    {
        let his = binod.run_with(list, variables).await;
        assert_eq!(
            *his.at("/viewer"),
            json!({
                "mockTestAttempts": { "totalCount": 0, "edges": [] }, "purchases": { "totalCount": 0 },
            })
        );
    }
    let his = binod
        .run_with(
            "query ($id: ID!) { node(id: $id) { ... on Subject { viewerEntitlement { grantedAt } } } }",
            json!({ "id": course.subjects[0] }),
        )
        .await;
    assert_eq!(*his.at("/node/viewerEntitlement"), Value::Null);
    let bought = binod.run_with(PURCHASE, json!({ "input": input })).await;
    assert_ne!(bought.text("/purchase/purchase/id"), purchase);
    assert_ne!(bought.text("/purchase/testCards/edges/0/node/id"), card);
}

async fn nodes_keep_their_order_and_leave_gaps(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(3).create(&app).await;
    let (asha, binod) = (app.learner("Asha").await, app.learner("Binod").await);
    let input =
        json!({ "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": course.subjects });
    asha.run_with(PURCHASE, json!({ "input": input })).await;
    binod.run_with(PURCHASE, json!({ "input": input })).await;
    let cards: Vec<_> = (1..=6).map(|row| app.global("MockTestAttempt", row)).collect();
    let ids = json!([
        cards[3],
        course.id,
        "nonsense",
        cards[0],
        cards[0],
        course.subjects[0],
        app.global("Course", 99)
    ]);
    let _ = app.take_statements();
    let answer = asha
        .run_with("query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", json!({ "ids": ids }))
        .await;
    let kinds: Vec<_> = answer.list("/nodes").iter().map(|node| node["__typename"].as_str()).collect();
    let hers = |row: usize| answer.at("/nodes")[row]["id"] == cards[0].as_str();
    assert_eq!(
        kinds,
        [None, Some("Course"), None, Some("MockTestAttempt"), Some("MockTestAttempt"), Some("Subject"), None]
    );
    assert!(hers(3) && hers(4));
    let selects = app.take_statements().iter().filter(|sql| sql.contains("mock_test_attempts")).count();
    assert_eq!(selects, 1, "the cards were not read in one statement");
    let many: Vec<_> = (0..101).map(|_| &course.id).collect();
    let (code, message) =
        asha.fail("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": many })).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("BAD_USER_INPUT", "`ids` takes at most 100; 101 were given. Send several requests.")
    );
}

async fn strangers_see_only_the_catalogue(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).create(&app).await;
    let stranger = app.anonymous();
    assert_eq!(*stranger.run("{ viewer { id } }").await.at("/viewer"), Value::Null);
    let input =
        json!({ "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": course.subjects });
    let before = app.row_counts().await;
    let (code, _) = stranger.fail(PURCHASE, json!({ "input": input })).await;
    assert_eq!(code, "UNAUTHENTICATED");
    assert_eq!(app.row_counts().await, before);
}
