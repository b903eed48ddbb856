//! What is owned already.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_tests::{TestApp, on_each_database};
use serde_json::json;

use super::{buy, input, outcome, refusal};

on_each_database!(
    what_is_owned_is_set_aside,
    a_bundle_that_is_partly_owned_costs_the_remaining_shares,
    a_bundle_that_is_owned_is_existing_whatever_became_of_the_course,
    an_archived_subject_that_is_owned_can_be_asked_for_again,
    an_ended_term_can_be_bought_again,
);

async fn what_is_owned_is_set_aside(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let asha = app.learner("Asha").await;
    let [physics, chemistry] = [&course.subjects[0], &course.subjects[1]];
    let first = buy(&asha, input(&course, "SINGLE_SUBJECT", &[physics])).await;
    let both = input(&course, "MULTIPLE_SUBJECTS", &[physics, chemistry]);

    let second = buy(&asha, both.clone()).await;
    assert_eq!(outcome(&second), ("CREATED", 50, 100));
    assert_eq!(second.text("/purchase/purchase/cost/amount"), "100.00");
    assert_eq!(*second.at("/purchase/purchase/subjects"), json!([{ "name": "Chemistry" }]));
    assert_eq!(*second.at("/purchase/alreadyOwned"), json!([{ "name": "Physics" }]));
    assert_eq!(
        second.text("/purchase/message"),
        "You bought Chemistry; 50 test cards are ready. You already own Physics; its 50 test cards are below."
    );

    let third = buy(&asha, both).await;
    assert_eq!(outcome(&third), ("EXISTING", 0, 100));
    assert_eq!(third.text("/purchase/purchase/id"), first.text("/purchase/purchase/id"));
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts").await, 100);
}

async fn a_bundle_that_is_partly_owned_costs_the_remaining_shares(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).bundle(240_00).create(&app).await;
    let asha = app.learner("Asha").await;
    buy(&asha, input(&course, "SINGLE_SUBJECT", &[&course.subjects[1]])).await;
    let rest = buy(&asha, input(&course, "FULL_BUNDLE", &[])).await;
    assert_eq!(outcome(&rest), ("CREATED", 100, 150));
    assert_eq!(rest.text("/purchase/purchase/cost/amount"), "160.00");
}

async fn a_bundle_that_is_owned_is_existing_whatever_became_of_the_course(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).bundle(150_00).create(&app).await;
    let asha = app.learner("Asha").await;
    let bundle = input(&course, "FULL_BUNDLE", &[]);
    buy(&asha, bundle.clone()).await;
    app.execute("UPDATE courses SET bundle_price = NULL").await;
    assert_eq!(outcome(&buy(&asha, bundle.clone()).await), ("EXISTING", 0, 100));
    app.execute("UPDATE subjects SET archived_at = created_at").await;
    assert_eq!(outcome(&buy(&asha, bundle.clone()).await), ("EXISTING", 0, 100));
    app.execute("UPDATE courses SET archived_at = created_at").await;
    assert_eq!(outcome(&buy(&asha, bundle.clone()).await), ("EXISTING", 0, 100));
    let binod = app.learner("Binod").await;
    assert_eq!(refusal(&buy(&binod, bundle).await).0, "COURSE_EMPTY");
}

async fn an_archived_subject_that_is_owned_can_be_asked_for_again(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).create(&app).await;
    let asha = app.learner("Asha").await;
    let wanted = input(&course, "SINGLE_SUBJECT", &[&course.subjects[0]]);
    buy(&asha, wanted.clone()).await;
    app.execute("UPDATE subjects SET archived_at = created_at").await;
    app.execute("UPDATE courses SET archived_at = created_at").await;
    assert_eq!(outcome(&buy(&asha, wanted).await), ("EXISTING", 0, 50));
}

async fn an_ended_term_can_be_bought_again(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).valid_for_days(30).create(&app).await;
    let asha = app.learner("Asha").await;
    let wanted = input(&course, "SINGLE_SUBJECT", &[&course.subjects[0]]);
    let first = buy(&asha, wanted.clone()).await;
    // Access tokens last minutes, so a new one is needed after the wait.
    let asha = |app: &TestApp| {
        let viewer = app
            .services
            .tokens
            .verify(asha.token(), jishu_service::clock::Clock::now(&jishu_service::clock::SystemClock));
        let token = app.services.tokens.issue(viewer.unwrap(), app.services.clock.now()).unwrap().token;
        app.with_token(&token)
    };
    app.clock.advance(TimeDelta::days(30) - TimeDelta::microseconds(1));
    assert_eq!(outcome(&buy(&asha(&app), wanted.clone()).await), ("EXISTING", 0, 50));
    app.clock.advance(TimeDelta::microseconds(1));
    let second = buy(&asha(&app), wanted).await;
    assert_eq!(outcome(&second), ("CREATED", 50, 50));
    assert_ne!(second.text("/purchase/purchase/id"), first.text("/purchase/purchase/id"));
    // History stays: two purchases, two sets of cards, one live right.
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts").await, 100);
    assert_eq!(app.number("SELECT COUNT(*) FROM entitlements WHERE live = 1").await, 1);
    assert_eq!(app.number("SELECT COUNT(*) FROM entitlements WHERE ended_at = expires_at").await, 1);
    let list = asha(&app).run("{ viewer { purchases { edges { node { status } } } } }").await;
    assert_eq!(
        *list.at("/viewer/purchases/edges"),
        json!([{ "node": { "status": "ACTIVE" } }, { "node": { "status": "EXPIRED" } }])
    );
}
