//! The query `learner`, with which support reads the account of a learner.

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_tests::{TestApp, on_each_database};
use serde_json::{Value, json};

use crate::sittings::{World, accepted, answers, id};

on_each_database!(support_finds_the_card_to_grant_time_to, nobody_else_finds_a_learner);

const LEARNER: &str = "query ($email: String!, $filter: MockTestAttemptFilter, $after: String) { learner(email: $email) {
  name email testCards(first: 2, after: $after, filter: $filter) { totalCount pageInfo { hasNextPage endCursor } edges { node {
    mockTestAttemptId subject { id viewerEntitlement { grantedAt } } testNumber status maxAttempts attemptsUsed extraSeconds canStart
    latestAttemptAt expiresAt } } } } }";

async fn looks(app: &TestApp) -> i64 {
    app.number(
        "SELECT COUNT(*) FROM audit_events a JOIN users u ON u.id = a.actor_id JOIN users l ON l.id = a.target_id \
         WHERE action = 'user.looked_up' AND target_type = 'users' AND u.role <> 'learner' AND l.name = 'Asha'",
    )
    .await
}

async fn support_finds_the_card_to_grant_time_to(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let started = world.learner.start_session(&world.card).await;
    accepted(&started);
    let support = app.staff("Sam", Role::Support).await;
    let found = support.run_with(LEARNER, json!({ "email": " ASHA@example.com" })).await;
    assert_eq!((found.text("/learner/name"), found.text("/learner/email")), ("Asha", "asha@example.com"));
    assert_eq!(found.number("/learner/testCards/totalCount"), 3);
    assert_eq!(
        *found.at("/learner/testCards/edges/0/node"),
        json!({ "mockTestAttemptId": world.card, "testNumber": 1, "status": "IN_PROGRESS", "maxAttempts": 3,
            "attemptsUsed": 1, "extraSeconds": 0, "canStart": true, "latestAttemptAt": started.session().started_at,
            "expiresAt": started.session().expires_at,
            // `viewerEntitlement` is the entitlement of the support user, not of the learner.
            "subject": { "id": world.course.subjects[0], "viewerEntitlement": null } })
    );
    let after = found.text("/learner/testCards/pageInfo/endCursor");
    let rest = support.run_with(LEARNER, json!({ "email": "asha@example.com", "after": after })).await;
    assert_eq!(rest.list("/learner/testCards/edges").len(), 1);
    assert_eq!(looks(&app).await, 2, "each look-up must be recorded exactly once");

    // `grantExtraTime` accepts the card's id from the look-up.
    let card = found.text("/learner/testCards/edges/0/node/mockTestAttemptId");
    let grant =
        "mutation ($card: ID!) { grantExtraTime(input: { mockTestAttemptId: $card, extraSeconds: 300 }) {
        userErrors { message } } }";
    support.run_with(grant, json!({ "card": card })).await;
    let admin = app.staff("Ada", Role::Admin).await;
    let filter = json!({ "email": "asha@example.com", "filter": { "status": ["IN_PROGRESS"] } });
    let found = admin.run_with(LEARNER, filter).await;
    assert_eq!(found.number("/learner/testCards/totalCount"), 1);
    assert_eq!(found.number("/learner/testCards/edges/0/node/extraSeconds"), 300);
    // Staff cannot read a learner's card or sitting by its id, not even an admin.
    world.learner.save_answers(&id(&started), 1, answers(&started, 2, 1)).await;
    let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    let nodes = admin.run_with(nodes, json!({ "ids": [card, id(&started)] })).await;
    assert_eq!(*nodes.at("/nodes"), json!([null, null]));
}

async fn nobody_else_finds_a_learner(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let author = app.staff("Ann", Role::Author).await;
    let before = app.row_counts().await;
    let wanted = json!({ "email": "asha@example.com" });
    for (client, code) in
        [(&world.learner, "FORBIDDEN"), (&author, "FORBIDDEN"), (&app.anonymous(), "UNAUTHENTICATED")]
    {
        assert_eq!(client.fail(LEARNER, wanted.clone()).await.0, code);
    }
    assert_eq!(app.row_counts().await, before);
    let support = app.staff("Sam", Role::Support).await;
    for nobody in ["nobody@example.com", "", "a\0b"] {
        let found = support.run_with(LEARNER, json!({ "email": nobody })).await;
        assert_eq!(*found.at("/learner"), Value::Null);
    }
    assert_eq!(looks(&app).await, 0);
}
