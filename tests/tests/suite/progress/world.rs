//! Creates learners with cards, and writes sittings directly, without the server's rules.

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::test_session::SessionStatus;
use jishu_entity::{
    MockTestAttemptId, PaperId, SubjectId, TopicId, UserId, mock_test_attempt, paper, test_session, topic,
};
use jishu_service::clock::Clock;
use jishu_tests::{Client, TestApp, TestCourse};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, QueryOrder};
use serde_json::json;

pub(super) struct Learner {
    pub(super) id: UserId,
    pub(super) client: Client,
}

pub(super) async fn learner(app: &TestApp, name: &str) -> Learner {
    let client = app.learner(name).await;
    let id = app.number(&format!("SELECT id FROM users WHERE name = '{name}'")).await;
    Learner { id: UserId(id), client }
}

impl Learner {
    pub(super) async fn purchase(&self, course: &TestCourse, subject: usize) {
        let answer = self
            .client
            .run_with(
                "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome } }",
                json!({ "input": {
                    "courseId": course.id,
                    "purchaseType": "SINGLE_SUBJECT",
                    "subjectIds": [course.subjects[subject]],
                } }),
            )
            .await;
        assert_eq!(answer.text("/purchase/outcome"), "CREATED");
    }

    /// Ends the learner's entitlements to a subject, as a refund does.
    pub(super) async fn lose(&self, app: &TestApp, SubjectId(subject): SubjectId) {
        let UserId(id) = self.id;
        app.execute(&format!(
            "UPDATE entitlements SET ended_at = granted_at WHERE user_id = {id} AND subject_id = {subject}"
        ))
        .await;
    }

    pub(super) async fn cards(&self, app: &TestApp) -> Vec<mock_test_attempt::Model> {
        let cards = mock_test_attempt::Entity::of(self.id).order_by_asc(mock_test_attempt::Column::Id);
        cards.all(app.connection()).await.unwrap()
    }
}

pub(super) async fn paper(app: &TestApp, subject_id: SubjectId, test_number: i32) -> PaperId {
    let paper = paper::ActiveModel {
        subject_id: Set(subject_id),
        test_number: Set(test_number),
        seed: Set(1),
        marks_correct: Set(400),
        marks_wrong: Set(-100),
        marks_unanswered: Set(0),
        time_limit_seconds: Set(3600),
        created_at: Set(app.clock.now()),
        ..Default::default()
    };
    paper.insert(app.connection()).await.unwrap().id
}

pub(super) async fn topic(app: &TestApp, subject_id: SubjectId, name: &str) -> TopicId {
    let topic =
        topic::ActiveModel { subject_id: Set(subject_id), name: Set(name.to_owned()), ..Default::default() };
    topic.insert(app.connection()).await.unwrap().id
}

/// Returns a row for an open sitting of a card, which the caller must insert.
pub(super) fn open(
    card: &mock_test_attempt::Model,
    paper: PaperId,
    attempt: i32,
    at: DateTime<Utc>,
) -> test_session::ActiveModel {
    test_session::ActiveModel {
        mock_test_attempt_id: Set(card.id),
        user_id: Set(card.user_id),
        subject_id: Set(card.subject_id),
        paper_id: Set(paper),
        attempt_number: Set(attempt),
        seed: Set(1),
        status: Set(SessionStatus::InProgress),
        open_marker: Set(Some(1)),
        started_at: Set(at),
        expires_at: Set(at + TimeDelta::hours(1)),
        ..Default::default()
    }
}

/// Sets the used attempts and the status of a card with `sat` ended sittings, and an open sitting if `open`.
pub(super) async fn tell_card(app: &TestApp, MockTestAttemptId(id): MockTestAttemptId, sat: i32, open: bool) {
    let used = sat + i32::from(open);
    let status = match (open, sat) {
        (true, _) => "in_progress",
        (false, 0) => "available",
        (false, 3) => "exhausted",
        (false, _) => "completed",
    };
    app.execute(&format!(
        "UPDATE mock_test_attempts SET attempts_used = {used}, status = '{status}' WHERE id = {id}"
    ))
    .await;
}
