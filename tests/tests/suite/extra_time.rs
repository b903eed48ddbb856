//! Extra time and extra attempts.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::test_session::SessionStatus;
use jishu_entity::user::Role;
use jishu_tests::{Client, TIME_LIMIT, TestApp, TestSitting, on_each_database};
use serde_json::{Value, json};

on_each_database!(
    an_open_sitting_gets_the_time_at_once_and_never_loses_any,
    a_grant_counts_once_however_often_it_is_sent,
    a_card_without_attempts_can_be_sat_again,
    a_sitting_whose_time_is_over_is_not_revived,
    an_invalid_grant_is_refused_and_writes_nothing,
);

const GRANT: &str = "mutation ($input: GrantExtraTimeInput!) {
  grantExtraTime(input: $input) {
    allowance { mockTestAttemptId status maxAttempts attemptsUsed extraSeconds expiresAt }
    userErrors { code message path }
  }
}";

/// Makes a learner who has bought three cards, and opens a sitting of one card. Returns the learner and the sitting.
async fn sitting(app: &TestApp) -> (Client, TestSitting) {
    let course = app.course(&["Physics"]).cards(3).create(app).await;
    let asha = app.learner("Asha").await;
    let input =
        json!({ "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": course.subjects });
    let purchase = "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome } }";
    asha.run_with(purchase, json!({ "input": input })).await;
    (asha, app.begin_sitting().await)
}

async fn send(client: &Client, card: &str, mut input: Value) -> Value {
    input["mockTestAttemptId"] = json!(card);
    client.run_with(GRANT, json!({ "input": input })).await.at("/grantExtraTime").clone()
}

async fn grant(client: &Client, card: &str, input: Value) -> Value {
    let granted = send(client, card, input).await;
    assert_eq!(granted["userErrors"], json!([]), "{granted}");
    granted["allowance"].clone()
}

/// Sends a grant that must be refused. Returns the code of its first user error and the last part of the error's path.
async fn refusal(client: &Client, card: &str, input: Value) -> (String, String) {
    let refused = send(client, card, input).await;
    assert_eq!(refused["allowance"], Value::Null, "{refused}");
    let error = &refused["userErrors"][0];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&error["code"]), text(error["path"].as_array().unwrap().last().unwrap()))
}

async fn extended(app: &TestApp) -> i64 {
    app.number("SELECT COUNT(*) FROM audit_events WHERE action = 'mock_test_attempt.extended'").await
}

async fn an_open_sitting_gets_the_time_at_once_and_never_loses_any(app: Arc<TestApp>) {
    let (_asha, sitting) = sitting(&app).await;
    let support = app.staff("Sam", Role::Support).await;
    let start = app.deadline(&sitting).await - TIME_LIMIT;
    let after = |seconds| start + TIME_LIMIT + TimeDelta::seconds(seconds);
    app.clock.advance(TimeDelta::minutes(10));

    let card = grant(&support, &sitting.card, json!({ "extraSeconds": 600 })).await;
    assert_eq!(card["mockTestAttemptId"], sitting.card);
    assert_eq!(
        app.deadline(&sitting).await,
        after(600),
        "the extra time was not counted from the start of the sitting"
    );
    // The given seconds are a total. A greater total moves the deadline, and the same total changes nothing. A smaller
    // total applies only to later sittings.
    for (seconds, deadline, events) in [(900, 900, 2), (900, 900, 2), (300, 900, 3), (0, 900, 4)] {
        grant(&support, &sitting.card, json!({ "extraSeconds": seconds })).await;
        assert_eq!(app.deadline(&sitting).await, after(deadline), "{seconds}");
        assert_eq!(app.number("SELECT seconds FROM extra_times").await, seconds);
        assert_eq!(extended(&app).await, events, "{seconds}");
    }
    let admin = app.staff("Ada", Role::Admin).await;
    grant(&admin, &sitting.card, json!({ "extraSeconds": 86_400 })).await;
    assert_eq!(app.deadline(&sitting).await, after(86_400));
    let wanted = "SELECT COUNT(*) FROM audit_events a JOIN users u ON u.id = a.actor_id \
                  WHERE action = 'mock_test_attempt.extended' AND target_type = 'mock_test_attempts' \
                  AND u.role = 'admin'";
    assert_eq!(app.number(wanted).await, 1, "the event does not name the admin who granted the time");
    assert_eq!(
        app.number(
            "SELECT COUNT(*) FROM extra_times e JOIN users u ON u.id = e.granted_by WHERE u.role = 'admin'"
        )
        .await,
        1
    );
}

async fn a_grant_counts_once_however_often_it_is_sent(app: Arc<TestApp>) {
    let (_asha, sitting) = sitting(&app).await;
    let staff = [app.staff("Sam", Role::Support).await, app.staff("Sue", Role::Support).await];
    let before: DateTime<Utc> = app.deadline(&sitting).await;
    let all = (0..16).map(|number| {
        grant(&staff[number % 2], &sitting.card, json!({ "extraSeconds": 600, "maxAttempts": 5 }))
    });
    for card in join_all(all).await {
        assert_eq!(
            (&card["maxAttempts"], &card["attemptsUsed"], &card["extraSeconds"]),
            (&json!(5), &json!(1), &json!(600))
        );
    }
    assert_eq!(app.deadline(&sitting).await, before + TimeDelta::seconds(600));
    assert_eq!(app.number("SELECT COUNT(*) FROM extra_times").await, 1);
    assert_eq!(extended(&app).await, 1);

    // The greatest of sixteen different grants decides the deadline, in whatever order they run. The stored seconds are
    // those of the grant that ran last.
    let all = (0..16)
        .map(|number| grant(&staff[number % 2], &sitting.card, json!({ "extraSeconds": 1_000 + number })));
    join_all(all).await;
    assert_eq!(app.deadline(&sitting).await, before + TimeDelta::seconds(1_015));
    let kept = app.number("SELECT seconds FROM extra_times").await;
    assert!((1_000..=1_015).contains(&kept), "{kept}");
}

async fn a_card_without_attempts_can_be_sat_again(app: Arc<TestApp>) {
    let (asha, sitting) = sitting(&app).await;
    let support = app.staff("Sam", Role::Support).await;
    // While a sitting is open, the card stays in progress even if no attempt is left.
    let card = grant(&support, &sitting.card, json!({ "maxAttempts": 1 })).await;
    assert_eq!((&card["status"], &card["maxAttempts"]), (&json!("IN_PROGRESS"), &json!(1)));
    app.end_sitting(&sitting, SessionStatus::Submitted, CardStatus::Exhausted).await;

    for (attempts, status) in [(2, "COMPLETED"), (1, "EXHAUSTED"), (1_000, "COMPLETED")] {
        let card = grant(&support, &sitting.card, json!({ "maxAttempts": attempts })).await;
        assert_eq!((&card["status"], &card["maxAttempts"]), (&json!(status), &json!(attempts)));
    }
    let mine =
        asha.run("{ viewer { mockTestAttempts(first: 1) { edges { node { status maxAttempts } } } } }").await;
    assert_eq!(
        mine.at("/viewer/mockTestAttempts/edges/0/node"),
        &json!({ "status": "COMPLETED", "maxAttempts": 1_000 })
    );
    // A card without a used attempt stays available when its maximum changes.
    app.execute("UPDATE mock_test_attempts SET attempts_used = 0, status = 'available'").await;
    let card = grant(&support, &sitting.card, json!({ "maxAttempts": 1 })).await;
    assert_eq!(card["status"], "AVAILABLE");
}

async fn a_sitting_whose_time_is_over_is_not_revived(app: Arc<TestApp>) {
    let (_asha, sitting) = sitting(&app).await;
    let support = app.staff("Sam", Role::Support).await;
    let deadline = app.deadline(&sitting).await;
    // Until the end of the grace time the learner can still save, so support can still extend the sitting.
    app.clock.advance(TIME_LIMIT + TimeDelta::seconds(5));
    grant(&support, &sitting.card, json!({ "extraSeconds": 60 })).await;
    assert_eq!(app.deadline(&sitting).await, deadline + TimeDelta::seconds(60));

    app.clock.advance(TimeDelta::seconds(60) + TimeDelta::microseconds(1));
    let before = app.row_counts().await;
    let both = json!({ "extraSeconds": 86_400, "maxAttempts": 9 });
    let refused = refusal(&support, &sitting.card, both).await;
    assert_eq!(refused, ("TEST_SESSION_OVERDUE".to_owned(), "extraSeconds".to_owned()));
    assert_eq!(app.deadline(&sitting).await, deadline + TimeDelta::seconds(60));
    assert_eq!(app.row_counts().await, before);
    assert_eq!(
        app.number("SELECT seconds FROM extra_times").await,
        60,
        "the refused request changed the extra time"
    );
    assert_eq!(app.number("SELECT MAX(max_attempts) FROM mock_test_attempts").await, 3);
    // After the grace time, support may still repeat the same extra time or give more attempts, because neither moves
    // the deadline.
    grant(&support, &sitting.card, json!({ "extraSeconds": 60, "maxAttempts": 4 })).await;
    app.end_sitting(&sitting, SessionStatus::AutoSubmitted, CardStatus::Completed).await;
    grant(&support, &sitting.card, json!({ "extraSeconds": 120 })).await;
    assert_eq!(
        app.deadline(&sitting).await,
        deadline + TimeDelta::seconds(60),
        "the deadline of a sitting that is over has moved"
    );
}

async fn an_invalid_grant_is_refused_and_writes_nothing(app: Arc<TestApp>) {
    let (asha, sitting) = sitting(&app).await;
    app.execute("UPDATE mock_test_attempts SET attempts_used = 2 WHERE status = 'in_progress'").await;
    let support = app.staff("Sam", Role::Support).await;
    let author = app.staff("Ann", Role::Author).await;
    let before = app.row_counts().await;
    let input = json!({ "input": { "mockTestAttemptId": sitting.card, "extraSeconds": 60 } });
    for (client, code) in
        [(&asha, "FORBIDDEN"), (&author, "FORBIDDEN"), (&app.anonymous(), "UNAUTHENTICATED")]
    {
        assert_eq!(client.fail(GRANT, input.clone()).await.0, code);
    }
    let absent = app.global("MockTestAttempt", 999);
    let another = app.global("Purchase", 1);
    for (card, input, code, path) in [
        (&sitting.card, json!({}), "NOTHING_TO_GRANT", "input"),
        (&sitting.card, json!({ "extraSeconds": null, "maxAttempts": null }), "NOTHING_TO_GRANT", "input"),
        (&sitting.card, json!({ "extraSeconds": -1 }), "EXTRA_SECONDS_INVALID", "extraSeconds"),
        (&sitting.card, json!({ "extraSeconds": 86_401 }), "EXTRA_SECONDS_INVALID", "extraSeconds"),
        (&sitting.card, json!({ "maxAttempts": 0 }), "MAX_ATTEMPTS_INVALID", "maxAttempts"),
        (&sitting.card, json!({ "maxAttempts": 1_001 }), "MAX_ATTEMPTS_INVALID", "maxAttempts"),
        (
            &sitting.card,
            json!({ "extraSeconds": 60, "maxAttempts": 1 }),
            "MAX_ATTEMPTS_INVALID",
            "maxAttempts",
        ),
        (&absent, json!({ "extraSeconds": 60 }), "MOCK_TEST_ATTEMPT_NOT_FOUND", "mockTestAttemptId"),
        (&another, json!({ "extraSeconds": 60 }), "MOCK_TEST_ATTEMPT_NOT_FOUND", "mockTestAttemptId"),
    ] {
        let refused = refusal(&support, card, input.clone()).await;
        assert_eq!(refused, (code.to_owned(), path.to_owned()), "{input}");
    }
    assert_eq!(app.row_counts().await, before);
    assert_eq!(app.deadline(&sitting).await, app.services.clock.now() + TIME_LIMIT);
}
