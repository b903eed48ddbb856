//! Requests that are told by a key.

use std::sync::Arc;

use jishu_tests::{TestApp, on_each_database};

use super::{buy, input, outcome, refusal, with};

const KEY: &str = "6f1c5f0e-2c55-4a53-8a0b-0f5d5f1f7a11";

on_each_database!(
    a_key_returns_the_first_answer,
    a_key_with_another_body_is_refused,
    a_key_that_was_answered_existing_buys_nothing_later,
    keys_of_two_users_do_not_meet,
);

async fn a_key_returns_the_first_answer(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let asha = app.learner("Asha").await;
    buy(&asha, input(&course, "SINGLE_SUBJECT", &[&course.subjects[0]])).await;
    let [physics, chemistry] = [&course.subjects[0], &course.subjects[1]];
    let keyed = with(input(&course, "MULTIPLE_SUBJECTS", &[physics, chemistry]), "idempotencyKey", KEY);
    let first = buy(&asha, keyed.clone()).await;
    assert_eq!(outcome(&first), ("CREATED", 50, 100));

    // What happens to the catalogue meanwhile changes nothing in the answer.
    app.execute("UPDATE subjects SET list_price = 1, archived_at = created_at").await;
    app.services.catalog.reload().await.unwrap();
    let repeated = buy(&asha, keyed).await;
    assert_eq!(repeated.body, first.body);
    let reordered = with(input(&course, "MULTIPLE_SUBJECTS", &[chemistry, physics]), "idempotencyKey", KEY);
    assert_eq!(buy(&asha, reordered).await.body, first.body);
    assert_eq!(app.number("SELECT COUNT(*) FROM purchases").await, 2);
}

async fn a_key_with_another_body_is_refused(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let asha = app.learner("Asha").await;
    let physics = with(input(&course, "SINGLE_SUBJECT", &[&course.subjects[0]]), "idempotencyKey", KEY);
    buy(&asha, physics.clone()).await;
    let before = app.rows().await;
    let chemistry = with(input(&course, "SINGLE_SUBJECT", &[&course.subjects[1]]), "idempotencyKey", KEY);
    for other in [chemistry, with(physics, "cost", "100.00")] {
        let refused = buy(&asha, other).await;
        let expected = ("IDEMPOTENCY_KEY_REUSED", "input.idempotencyKey", "FieldError");
        assert_eq!(refusal(&refused), (expected.0.into(), expected.1.into(), expected.2.into()));
    }
    assert_eq!(app.rows().await, before);
}

async fn a_key_that_was_answered_existing_buys_nothing_later(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).valid_for_days(1).create(&app).await;
    let asha = app.learner("Asha").await;
    let physics = input(&course, "SINGLE_SUBJECT", &[&course.subjects[0]]);
    let first = buy(&asha, physics.clone()).await;
    let keyed = with(physics.clone(), "idempotencyKey", KEY);
    let existing = buy(&asha, keyed.clone()).await;
    assert_eq!(outcome(&existing), ("EXISTING", 0, 50));
    let chemistry = with(input(&course, "SINGLE_SUBJECT", &[&course.subjects[1]]), "idempotencyKey", KEY);
    assert_eq!(refusal(&buy(&asha, chemistry).await).0, "IDEMPOTENCY_KEY_REUSED");
    // A retry that comes late, when the term is over, gets the first answer and is not charged.
    app.execute("UPDATE entitlements SET ended_at = granted_at").await;
    let late = buy(&asha, keyed).await;
    assert_eq!(late.text("/purchase/outcome"), "EXISTING");
    assert_eq!(late.text("/purchase/purchase/id"), first.text("/purchase/purchase/id"));
    assert_eq!(app.number("SELECT COUNT(*) FROM purchases").await, 1);
}

async fn keys_of_two_users_do_not_meet(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).create(&app).await;
    let keyed = with(input(&course, "SINGLE_SUBJECT", &[&course.subjects[0]]), "idempotencyKey", KEY);
    for name in ["Asha", "Binod"] {
        let learner = app.learner(name).await;
        assert_eq!(outcome(&buy(&learner, keyed.clone()).await), ("CREATED", 50, 50));
    }
}
