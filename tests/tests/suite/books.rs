//! The check of `jishu check` and `jishu verify-backup` names purchases, refunds and sittings that contradict each
//! other.

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_service::integrity;
use jishu_tests::{RefundInput, TestApp, on_each_database};

on_each_database!(rows_that_contradict_each_other_are_named);

async fn named(app: &TestApp) -> Vec<String> {
    let found = integrity::examine(app.connection()).await.expect("the database can be examined");
    found.iter().map(ToString::to_string).collect()
}

async fn rows_that_contradict_each_other_are_named(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).cards(1).create(&app).await;
    app.bank(course.subject_rows[0], 4).await;
    let learner = app.staff("Asha", Role::Learner).await;
    let support = app.staff("Sam", Role::Support).await;
    let bought = learner.buy(course.several(&[0, 1])).await;
    let (purchase, subject) = (&bought.purchase().id, &course.subjects[1]);
    let refunded = support.refund(RefundInput::whole(purchase).subjects(&[subject])).await;
    assert_eq!(refunded.outcome(), "CREATED");
    let card = &bought.cards().nodes().next().expect("a card").id;
    assert_eq!(learner.start_session(card).await.user_errors, []);
    assert_eq!(named(&app).await, Vec::<String>::new());

    let first = course.subject_rows[0];
    for (spoil, repair, name) in [
        (
            "UPDATE purchases SET tax = 7",
            "UPDATE purchases SET tax = 0",
            "purchases, id 1: tax is not the sum of the taxes of the purchase's subjects",
        ),
        (
            "UPDATE purchases SET status = 'refunded'",
            "UPDATE purchases SET status = 'active'",
            "purchases, id 1: status is not the status that follows from the purchase's refunded subjects",
        ),
        (
            "UPDATE refunds SET amount = 1",
            "UPDATE refunds SET amount = 10000",
            "refunds, id 1: amount is not the sum of the amounts of the refund's subjects",
        ),
        (
            "UPDATE entitlements SET ended_at = NULL WHERE end_reason = 'refunded'",
            "UPDATE entitlements SET ended_at = granted_at WHERE end_reason = 'refunded'",
            "refunds, id 1: purchase_id is the purchase of a refunded subject whose entitlement has not ended, or whose price is not the refunded amount",
        ),
        (
            &format!("UPDATE entitlements SET ended_at = granted_at WHERE subject_id = {first}"),
            &format!("UPDATE entitlements SET ended_at = NULL WHERE subject_id = {first}"),
            "test_sessions, id 1: status is open, although the entitlement to the sitting's card has ended",
        ),
    ] {
        app.execute(spoil).await;
        assert_eq!(named(&app).await, [name]);
        app.execute(repair).await;
        assert_eq!(named(&app).await, Vec::<String>::new());
    }
}
