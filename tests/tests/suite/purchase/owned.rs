//! Purchases of subjects that the learner owns already.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_tests::{TestApp, on_each_database};
use serde_json::json;

use super::World;

on_each_database!(
    subjects_that_are_owned_are_not_bought_again,
    a_bundle_that_is_partly_owned_costs_the_remaining_shares,
    a_bundle_that_is_owned_exists_after_every_change_of_its_course,
    an_archived_subject_that_is_owned_can_be_asked_for_again,
    an_ended_term_can_be_bought_again,
);

async fn subjects_that_are_owned_are_not_bought_again(app: Arc<TestApp>) {
    let World { course, asha, .. } = World::new(&app, &["Physics", "Chemistry"]).await;
    let first = asha.buy(course.subject(0)).await;

    let second = asha.buy(course.several(&[0, 1])).await;
    assert_eq!(second.outcome(), ("CREATED", 50, 100));
    assert_eq!(second.cost(), "100.00");
    let [chemistry] = &second.purchase().subjects[..] else { panic!("{second:#?}") };
    assert_eq!((chemistry.name.as_str(), second.already_owned()), ("Chemistry", vec!["Physics"]));
    assert_eq!(
        second.message(),
        "You bought Chemistry; 50 test cards are ready. You already own Physics; its 50 test cards are below."
    );

    let third = asha.buy(course.several(&[0, 1])).await;
    assert_eq!(third.outcome(), ("EXISTING", 0, 100));
    assert_eq!(third.purchase().id, first.purchase().id);
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts").await, 100);
}

async fn a_bundle_that_is_partly_owned_costs_the_remaining_shares(app: Arc<TestApp>) {
    let World { course, asha, .. } =
        World::with_bundle(&app, &["Physics", "Chemistry", "Biology"], 240_00).await;
    asha.buy(course.subject(1)).await;
    let rest = asha.buy(course.whole()).await;
    assert_eq!(rest.outcome(), ("CREATED", 100, 150));
    assert_eq!(rest.cost(), "160.00");
}

async fn a_bundle_that_is_owned_exists_after_every_change_of_its_course(app: Arc<TestApp>) {
    let World { course, asha, .. } = World::with_bundle(&app, &["Physics", "Chemistry"], 150_00).await;
    asha.buy(course.whole()).await;
    for change in [
        "UPDATE courses SET bundle_price = NULL",
        "UPDATE subjects SET archived_at = created_at",
        "UPDATE courses SET archived_at = created_at",
    ] {
        app.execute(change).await;
        assert_eq!(asha.buy(course.whole()).await.outcome(), ("EXISTING", 0, 100), "{change}");
    }
    let binod = app.learner("Binod").await;
    assert_eq!(binod.buy(course.whole()).await.refusal().code, "COURSE_EMPTY");
}

async fn an_archived_subject_that_is_owned_can_be_asked_for_again(app: Arc<TestApp>) {
    let World { course, asha, .. } = World::new(&app, &["Physics"]).await;
    asha.buy(course.subject(0)).await;
    app.execute("UPDATE subjects SET archived_at = created_at").await;
    app.execute("UPDATE courses SET archived_at = created_at").await;
    assert_eq!(asha.buy(course.subject(0)).await.outcome(), ("EXISTING", 0, 50));
}

async fn an_ended_term_can_be_bought_again(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).valid_for_days(30).create(&app).await;
    let asha = app.learner("Asha").await;
    let first = asha.buy(course.subject(0)).await;
    // An access token is valid for minutes, so the learner needs a new token after the clock has moved by days.
    let asha = |app: &TestApp| {
        let viewer = app
            .services
            .tokens
            .verify(asha.token(), jishu_service::clock::Clock::now(&jishu_service::clock::SystemClock));
        let token = app.services.tokens.issue(viewer.unwrap(), app.services.clock.now()).unwrap().token;
        app.with_token(&token)
    };
    app.clock.advance(TimeDelta::days(30) - TimeDelta::microseconds(1));
    assert_eq!(asha(&app).buy(course.subject(0)).await.outcome(), ("EXISTING", 0, 50));
    app.clock.advance(TimeDelta::microseconds(1));
    let second = asha(&app).buy(course.subject(0)).await;
    assert_eq!(second.outcome(), ("CREATED", 50, 50));
    assert_ne!(second.purchase().id, first.purchase().id);
    // The history stays: two purchases and two sets of cards, but one live entitlement.
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts").await, 100);
    assert_eq!(app.number("SELECT COUNT(*) FROM entitlements WHERE live = 1").await, 1);
    assert_eq!(app.number("SELECT COUNT(*) FROM entitlements WHERE ended_at = expires_at").await, 1);
    let list = asha(&app).run("{ viewer { purchases { edges { node { status } } } } }").await;
    assert_eq!(
        *list.at("/viewer/purchases/edges"),
        json!([{ "node": { "status": "ACTIVE" } }, { "node": { "status": "EXPIRED" } }])
    );
}
