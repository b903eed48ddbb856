//! Purchase requests with an idempotency key.

use std::sync::Arc;

use jishu_tests::{TestApp, on_each_database};

use super::World;

const KEY: &str = "6f1c5f0e-2c55-4a53-8a0b-0f5d5f1f7a11";

on_each_database!(
    a_key_returns_the_first_response,
    a_key_with_another_body_is_refused,
    a_key_whose_first_response_was_existing_buys_nothing_later,
    keys_of_two_users_do_not_meet,
);

async fn a_key_returns_the_first_response(app: Arc<TestApp>) {
    let World { course, asha, .. } = World::new(&app, &["Physics", "Chemistry"]).await;
    asha.buy(course.subject(0)).await;
    let first = asha.buy(course.several(&[0, 1]).key(KEY)).await;
    assert_eq!(first.outcome(), ("CREATED", 50, 100));

    // After a change of the prices and the archiving of the subjects, a request with the idempotency key still returns
    // the first response.
    app.execute("UPDATE subjects SET list_price = 1, archived_at = created_at").await;
    app.services.catalog.reload().await.unwrap();
    assert_eq!(asha.buy(course.several(&[0, 1]).key(KEY)).await, first);
    assert_eq!(
        asha.buy(course.several(&[1, 0]).key(KEY)).await,
        first,
        "another order of the subjects counts as another request"
    );
    assert_eq!(app.number("SELECT COUNT(*) FROM purchases").await, 2);
}

async fn a_key_with_another_body_is_refused(app: Arc<TestApp>) {
    let World { course, asha, .. } = World::new(&app, &["Physics", "Chemistry"]).await;
    asha.buy(course.subject(0).key(KEY)).await;
    let before = app.row_counts().await;
    for other in [course.subject(1).key(KEY), course.subject(0).key(KEY).cost("100.00")] {
        let refused = asha.buy(other).await;
        let expected = ("IDEMPOTENCY_KEY_REUSED", "input.idempotencyKey".to_owned(), "FieldError");
        assert_eq!(refused.refused_as(), expected);
    }
    assert_eq!(app.row_counts().await, before);
}

async fn a_key_whose_first_response_was_existing_buys_nothing_later(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).valid_for_days(1).create(&app).await;
    let asha = app.learner("Asha").await;
    let first = asha.buy(course.subject(0)).await;
    let existing = asha.buy(course.subject(0).key(KEY)).await;
    assert_eq!(existing.outcome(), ("EXISTING", 0, 50));
    assert_eq!(asha.buy(course.subject(1).key(KEY)).await.refusal().code, "IDEMPOTENCY_KEY_REUSED");
    // A retry after the end of the term gets the first response, and nothing is charged.
    app.execute("UPDATE entitlements SET ended_at = granted_at").await;
    let late = asha.buy(course.subject(0).key(KEY)).await;
    assert_eq!(late.outcome().0, "EXISTING");
    assert_eq!(late.purchase().id, first.purchase().id);
    assert_eq!(app.number("SELECT COUNT(*) FROM purchases").await, 1);
}

async fn keys_of_two_users_do_not_meet(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).create(&app).await;
    for name in ["Asha", "Binod"] {
        let learner = app.learner(name).await;
        assert_eq!(learner.buy(course.subject(0).key(KEY)).await.outcome(), ("CREATED", 50, 50));
    }
}
