//! Sittings and users that tests write to the database directly, without the server's rules.

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::test_session::SessionStatus;
use jishu_entity::user::Role;
use jishu_entity::{
    MockTestAttemptId, TestSessionId, UserId, mock_test_attempt, paper, test_answer, test_session, user,
};
use jishu_service::clock::Clock;
use jishu_service::events::{self, Event};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use crate::{Client, TestApp};

/// The fields of a question that are null as long as the learner may not see the key.
pub const KEY_FIELDS: [&str; 7] = [
    "correctOptionIds",
    "correctValue",
    "tolerance",
    "correctTexts",
    "caseSensitive",
    "explanation",
    "marks",
];

/// The time limit of the sittings that [`TestApp::begin_sitting`] writes.
pub const TIME_LIMIT: TimeDelta = TimeDelta::hours(1);

/// A sitting that a test wrote to the database, and its card.
#[derive(Clone, Debug)]
pub struct TestSitting {
    /// The global id of the sitting.
    pub id: String,
    /// The database id of the sitting.
    pub row: TestSessionId,
    /// The global id of the sitting's card.
    pub card: String,
    /// The database id of the sitting's card.
    pub card_row: MockTestAttemptId,
    /// The learner who owns the card.
    pub owner: UserId,
}

impl TestApp {
    /// Creates a user with this role, and returns a client that is signed in as this user.
    pub async fn staff(&self, name: &str, role: Role) -> Client {
        let row = user::ActiveModel {
            id: NotSet,
            name: Set(name.to_owned()),
            email: Set(format!("{}@example.com", name.to_lowercase())),
            // The text is not a hash, so nobody can sign in with a password.
            password_hash: Set("none".to_owned()),
            role: Set(role),
            status: Set(user::UserStatus::Active),
            created_at: Set(self.clock.now()),
            email_verified_at: Set(None),
            birth_year: Set(None),
            deleted_at: Set(None),
        };
        let row = row.insert(self.connection()).await.expect("a user");
        let viewer = jishu_service::auth::Viewer { user_id: row.id, role, session_id: Uuid::new_v4() };
        // The token is valid for longer than any test moves the clock.
        let days = std::time::Duration::from_secs(10 * 86_400);
        let token = self.services.tokens.issue_for(viewer, self.clock.now(), days).expect("a token");
        self.with_token(&token.token)
    }

    /// Writes an open sitting of any available card, on an empty paper. Appends the audit event of a start.
    pub async fn begin_sitting(&self) -> TestSitting {
        let card = mock_test_attempt::Entity::find()
            .filter(mock_test_attempt::Column::Status.eq(CardStatus::Available))
            .one(self.connection())
            .await
            .expect("the query runs")
            .expect("a card");
        let now = self.clock.now();
        let paper = paper::ActiveModel {
            id: NotSet,
            subject_id: Set(card.subject_id),
            test_number: Set(card.test_number),
            seed: Set(1),
            marks_correct: Set(400),
            marks_wrong: Set(-100),
            marks_unanswered: Set(0),
            time_limit_seconds: Set(i32::try_from(TIME_LIMIT.num_seconds()).expect("an hour")),
            revision: Set(1),
            created_at: Set(now),
        };
        let paper = paper.insert(self.connection()).await.expect("a paper");
        let session = test_session::ActiveModel {
            id: NotSet,
            mock_test_attempt_id: Set(card.id),
            user_id: Set(card.user_id),
            subject_id: Set(card.subject_id),
            paper_id: Set(paper.id),
            attempt_number: Set(1),
            seed: Set(1),
            status: Set(SessionStatus::InProgress),
            open_marker: Set(Some(1)),
            started_at: Set(now),
            expires_at: Set(now + TIME_LIMIT),
            ..Default::default()
        };
        let session = session.insert(self.connection()).await.expect("a sitting");
        let (card_row, owner) = (card.id, card.user_id);
        let mut card = card.into_active_model();
        card.status = Set(CardStatus::InProgress);
        card.attempts_used = Set(1);
        card.latest_attempt_at = Set(Some(now));
        card.update(self.connection()).await.expect("the card");
        self.tell(Some(owner), Event::SessionStarted(card_row)).await;
        TestSitting {
            id: self.global("TestSession", session.id.0),
            row: session.id,
            card: self.global("MockTestAttempt", card_row.0),
            card_row,
            owner,
        }
    }

    /// Ends a sitting now, and sets the status of the sitting and of its card. Appends the audit event as another node
    /// or a closing worker does.
    pub async fn end_sitting(&self, sitting: &TestSitting, status: SessionStatus, card: CardStatus) {
        let now = self.clock.now();
        test_session::Entity::update_many()
            .col_expr(test_session::Column::Status, Expr::value(status))
            .col_expr(test_session::Column::OpenMarker, Expr::value(Option::<i32>::None))
            .col_expr(test_session::Column::SubmittedAt, Expr::value(now))
            .col_expr(test_session::Column::Score, Expr::value(0))
            .filter(test_session::Column::Id.eq(sitting.row))
            .exec(self.connection())
            .await
            .expect("the sitting ends");
        mock_test_attempt::Entity::update_many()
            .col_expr(mock_test_attempt::Column::Status, Expr::value(card))
            .filter(mock_test_attempt::Column::Id.eq(sitting.card_row))
            .exec(self.connection())
            .await
            .expect("the card changes");
        self.tell(None, Event::SessionClosed(sitting.card_row)).await;
    }

    async fn tell(&self, actor: Option<UserId>, event: Event) {
        events::append(self.connection(), self.clock.now(), actor, event).await.expect("an event");
    }

    /// Writes an answer to a slot of the sitting, and tells the watchers of the sitting on this node that answers were
    /// saved.
    pub async fn save_answer(&self, sitting: &TestSitting, slot: i32, sequence: i32) {
        let answer = test_answer::ActiveModel {
            session_id: Set(sitting.row),
            slot: Set(slot),
            chosen: Set(1),
            numeric_value: Set(None),
            text: Set(None),
            flagged: Set(false),
            time_spent_seconds: Set(None),
            sequence: Set(sequence),
            saved_at: Set(self.clock.now()),
        };
        test_answer::Entity::insert(answer)
            .exec_without_returning(self.connection())
            .await
            .expect("an answer");
        self.services.events.answers_saved(sitting.owner, sitting.row);
    }

    /// Reads the deadline of a sitting from the database.
    pub async fn deadline(&self, sitting: &TestSitting) -> DateTime<Utc> {
        let session = test_session::Entity::find_by_id(sitting.row).one(self.connection()).await;
        session.expect("the query runs").expect("the sitting").expires_at
    }
}
