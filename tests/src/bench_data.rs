//! Inserts the rows that benchmarks need, through the services or straight into the database. Also builds the request
//! for a page of cards.

use jishu_entity::purchase::PurchaseType;
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{
    CourseId, MockTestAttemptId, SubjectId, UserId, course, mock_test_attempt, subject, user,
};
use jishu_service::Services;
use jishu_service::auth::Viewer;
use jishu_service::purchase::{self, PurchaseRequest, Selection};
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use crate::load::graphql_post;

/// The query of a page of test cards, each with its subject and course.
pub const PAGE_OF_CARDS: &str =
    "query Cards($first: Int!, $after: String) { viewer { mockTestAttempts(first: $first, after: $after) {
    edges { cursor node { id testNumber status maxAttempts attemptsUsed remainingAttempts
    subject { id name course { id name } } } } pageInfo { hasNextPage endCursor } } } }";

/// Maximum number of rows that one statement inserts.
const ROWS_PER_INSERT: usize = 500;

/// Returns the bytes of a request for a page of cards. If `accept_encoding` is given, the request has a header
/// `accept-encoding` with this value.
#[must_use]
pub fn page_request(
    token: &str,
    first: usize,
    after: Option<&str>,
    accept_encoding: Option<&str>,
) -> Vec<u8> {
    let body = json!({ "query": PAGE_OF_CARDS, "variables": { "first": first, "after": after } });
    // `graphql_post` ends the line of the header `authorization` after the token, so a text after the token can add a
    // header.
    let encoding =
        accept_encoding.map(|encoding| format!("\r\naccept-encoding: {encoding}")).unwrap_or_default();
    graphql_post(&format!("{token}{encoding}"), &body.to_string())
}

/// Inserts a course that has no bundle price, so its subjects are sold one by one.
///
/// # Panics
/// Panics if the database fails.
pub async fn add_course(services: &Services) -> CourseId {
    let course = course::ActiveModel {
        name: Set("Engineering entrance".to_owned()),
        currency: Set("INR".to_owned()),
        created_at: Set(services.clock.now()),
        ..Default::default()
    };
    course.insert(services.database.writer()).await.expect("a course").id
}

/// Inserts `count` subjects, each with `tests_per_subject` tests and three attempts for each test. Reloads the
/// catalogue, and returns the ids of the subjects.
///
/// # Panics
/// Panics if the database fails.
pub async fn add_subjects(
    services: &Services,
    course: CourseId,
    count: usize,
    tests_per_subject: i32,
) -> Vec<SubjectId> {
    let mut subjects = Vec::new();
    for number in 0..count {
        let subject = subject::ActiveModel {
            course_id: Set(course),
            name: Set(format!("Physics {number}")),
            list_price: Set(100_00),
            total_mock_tests: Set(tests_per_subject),
            max_attempts: Set(3),
            created_at: Set(services.clock.now()),
            ..Default::default()
        };
        subjects.push(subject.insert(services.database.writer()).await.expect("a subject").id);
    }
    services.catalog.reload().await.expect("the catalogue can be read");
    subjects
}

/// Inserts `count` learners. Nobody can sign in as one of them, because their password hash is not a hash. Returns the
/// ids of all users in the database, in ascending order.
///
/// # Panics
/// Panics if the database fails.
pub async fn add_learners(services: &Services, count: usize) -> Vec<UserId> {
    let connection = services.database.writer();
    let numbers: Vec<usize> = (0..count).collect();
    for numbers in numbers.chunks(ROWS_PER_INSERT) {
        let rows = numbers.iter().map(|number| user::ActiveModel {
            name: Set("Learner".to_owned()),
            email: Set(format!("learner{number}@example.com")),
            password_hash: Set("none".to_owned()),
            role: Set(Role::Learner),
            status: Set(UserStatus::Active),
            created_at: Set(services.clock.now()),
            ..Default::default()
        });
        user::Entity::insert_many(rows).exec_without_returning(connection).await.expect("learners");
    }
    let users = user::Entity::find().order_by_asc(user::Column::Id).all(connection).await;
    users.expect("the learners").into_iter().map(|user| user.id).collect()
}

/// Purchases one subject for a user.
///
/// # Panics
/// Panics if the purchase is refused.
pub async fn purchase_subject(services: &Services, owner: UserId, course: CourseId, subject: SubjectId) {
    let selection = Selection {
        course_id: course,
        purchase_type: PurchaseType::SingleSubject,
        subject_ids: vec![subject],
    };
    let request = PurchaseRequest { selection, cost: None, idempotency_key: None };
    purchase::purchase(services, owner, request).await.expect("a purchase");
}

/// Purchases one subject for each user, eight purchases at a time.
///
/// # Panics
/// Panics if a purchase is refused.
pub async fn purchase_subject_for_all(
    services: &Services,
    owners: &[UserId],
    course: CourseId,
    subject: SubjectId,
) {
    for owners in owners.chunks(8) {
        let purchases = owners.iter().map(|owner| purchase_subject(services, *owner, course, subject));
        futures_util::future::join_all(purchases).await;
    }
}

/// Returns the id of the user's card that was made first.
///
/// # Panics
/// Panics if the user has no card.
pub async fn first_card(services: &Services, owner: UserId) -> MockTestAttemptId {
    let cards = mock_test_attempt::Entity::of(owner).order_by_asc(mock_test_attempt::Column::Id);
    let card = cards.one(services.database.reader()).await;
    card.expect("the query runs").expect("a card").id
}

/// Issues an access token for a learner, with a random session id.
///
/// # Panics
/// Panics if the keys cannot sign.
#[must_use]
pub fn learner_token(services: &Services, learner: UserId) -> String {
    let viewer = Viewer { user_id: learner, role: Role::Learner, session_id: Uuid::new_v4() };
    services.tokens.issue(viewer, services.clock.now()).expect("a token").token
}

/// Makes the database gather statistics for its query planner. MariaDB gathers statistics only of the table of cards.
/// PostgreSQL also vacuums its tables.
///
/// # Panics
/// Panics if the database fails.
pub async fn gather_statistics(services: &Services) {
    let connection = services.database.writer();
    let statement = match connection.get_database_backend() {
        sea_orm::DbBackend::Postgres => "VACUUM ANALYZE",
        sea_orm::DbBackend::MySql => "ANALYZE TABLE mock_test_attempts",
        _ => "ANALYZE",
    };
    connection.execute_unprepared(statement).await.expect("the statistics are made");
}
