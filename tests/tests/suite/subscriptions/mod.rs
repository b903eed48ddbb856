//! Subscriptions over WebSockets and over event streams, and who receives which event.

mod clock;
mod event_stream;
mod late_commits;
mod per_user;
mod purchases;
mod sittings;
mod websocket;
mod websocket_limits;

use jishu_entity::UserId;
use jishu_entity::user::Role;
use jishu_service::auth::Viewer;
use jishu_service::clock::Clock;
use jishu_tests::{Client, TestApp, TestCourse};
use serde_json::json;
use std::time::Duration;

const CHANGES: &str = "subscription { mockTestAttemptChanged { testNumber } }";

/// Buys the subjects at these positions of the course.
async fn buy(learner: &Client, course: &TestCourse, subjects: &[usize]) {
    let ids: Vec<_> = subjects.iter().map(|place| &course.subjects[*place]).collect();
    let kind = if ids.len() == 1 { "SINGLE_SUBJECT" } else { "MULTIPLE_SUBJECTS" };
    let input = json!({ "courseId": course.id, "purchaseType": kind, "subjectIds": ids });
    let answer = learner
        .run_with(
            "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome userErrors { message } } }",
            json!({ "input": input }),
        )
        .await;
    assert_eq!(answer.text("/purchase/outcome"), "CREATED");
}

/// Returns a token that expires within one or two seconds.
fn short_token(app: &TestApp) -> String {
    let viewer = Viewer { user_id: UserId(1), role: Role::Learner, session_id: uuid::Uuid::nil() };
    app.services.tokens.issue_for(viewer, app.clock.now(), Duration::from_secs(2)).unwrap().token
}
