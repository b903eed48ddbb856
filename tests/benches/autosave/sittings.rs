//! Creates open sittings, each of its own learner, and the batches that are sent for them.

use std::path::Path;
use std::sync::{Arc, Mutex};

use jishu_api::server;
use jishu_entity::purchase::PurchaseType;
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{course, mock_test_attempt, subject, user};
use jishu_service::Services;
use jishu_service::auth::{KeyRing, Viewer};
use jishu_service::clock::SystemClock;
use jishu_service::database::{Database, DatabaseOptions};
use jishu_service::purchase::{self, PurchaseRequest, Selection};
use jishu_service::session::{self, AnswerBatch, GivenAnswer};
use jishu_tests::load::serve_config;
use jishu_tests::{Client, Tries, answer, fill_bank, global_id};
use sea_orm::ActiveModelTrait;
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use crate::{ANSWERS_PER_BATCH, CONNECTIONS, QUESTIONS_PER_SITTING, SITTINGS_PER_CONNECTION};

/// An open sitting.
#[derive(Clone)]
pub(crate) struct Sitting {
    pub(crate) row: i64,
    pub(crate) owner: i64,
    pub(crate) token: String,
    id: String,
    card: String,
    /// A right and a wrong answer for each slot.
    answers: Vec<[String; 2]>,
}

const SAVE: &str = "mutation Save($input: SaveAnswersInput!) { saveAnswers(input: $input) { superseded userErrors { code } } }";

impl Sitting {
    /// Returns the body of a request that saves answers to five consecutive slots.
    pub(crate) fn batch(&self, number: i64) -> String {
        let first = rand::random_range(0..QUESTIONS_PER_SITTING / ANSWERS_PER_BATCH) * ANSWERS_PER_BATCH;
        let slots = &self.answers[first..first + ANSWERS_PER_BATCH];
        let answers: Vec<&str> =
            slots.iter().map(|answers| answers[usize::from(rand::random::<bool>())].as_str()).collect();
        format!(
            r#"{{"query":"{SAVE}","variables":{{"input":{{"sessionId":"{}","sequence":{number},"answers":[{}]}}}}}}"#,
            self.id,
            answers.join(",")
        )
    }
}

/// Creates the sittings and saves all slots of each once. Also returns the SQL statement that saved a batch.
pub(crate) async fn prepare(url: &str, folder: &Path) -> (Vec<Sitting>, String) {
    KeyRing::load_or_create(&folder.join("keys.pem")).expect("a key");
    let config = serve_config(url, folder, 0, &[]);
    let texts = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&texts);
    let observer = Arc::new(move |sql: &str| {
        if sql.starts_with("INSERT INTO test_answers") {
            sql.clone_into(&mut log.lock().expect("never poisoned"));
        }
    });
    let options = DatabaseOptions { observer: Some(observer), ..config.database.options() };
    let database = Database::connect(&options).await.expect("the database opens");
    database.migrate_up().await.expect("the migrations apply");
    let services = server::services(&config, database, Arc::new(SystemClock)).await.expect("the services");
    let selection = catalogue(&services).await;
    let mut sittings = Vec::new();
    for number in 0..CONNECTIONS * SITTINGS_PER_CONNECTION {
        sittings.push(sitting(&services, number, selection.clone()).await);
    }
    services.database.close().await.expect("it closes");
    let statement = texts.lock().expect("never poisoned").clone();
    assert!(!statement.is_empty(), "answers are saved by an INSERT");
    (sittings, statement)
}

async fn catalogue(services: &Services) -> Selection {
    let (connection, now) = (services.database.writer(), services.clock.now());
    let course = course::ActiveModel {
        name: Set("Course".to_owned()),
        currency: Set("INR".to_owned()),
        created_at: Set(now),
        ..Default::default()
    };
    let course = course.insert(connection).await.expect("a course").id;
    let subject = subject::ActiveModel {
        course_id: Set(course),
        name: Set("Physics".to_owned()),
        list_price: Set(100_00),
        total_mock_tests: Set(1),
        max_attempts: Set(1),
        created_at: Set(now),
        ..Default::default()
    };
    let subject = subject.insert(connection).await.expect("a subject").id;
    fill_bank(connection, subject, i64::try_from(QUESTIONS_PER_SITTING).expect("few"), now).await;
    services.catalog.reload().await.expect("the catalogue can be read");
    Selection { course_id: course, purchase_type: PurchaseType::SingleSubject, subject_ids: vec![subject] }
}

async fn sitting(services: &Services, number: usize, selection: Selection) -> Sitting {
    let learner = user::ActiveModel {
        name: Set("Learner".to_owned()),
        email: Set(format!("learner{number}@example.com")),
        // Nobody signs in with this password.
        password_hash: Set("none".to_owned()),
        role: Set(Role::Learner),
        status: Set(UserStatus::Active),
        created_at: Set(services.clock.now()),
        ..Default::default()
    };
    let owner = learner.insert(services.database.writer()).await.expect("a learner").id;
    let request = PurchaseRequest { selection, cost: None, idempotency_key: None };
    purchase::purchase(services, owner, request).await.expect("a purchase");
    let card = mock_test_attempt::Entity::of(owner).one(services.database.reader()).await;
    let card = card.expect("the query runs").expect("a card").id;
    let started = session::start(services, owner, card).await.expect("a sitting");
    let row = started.session.id;
    let slots: Vec<i32> = (1..=i32::try_from(QUESTIONS_PER_SITTING).expect("few")).collect();
    for (slots, sequence) in slots.chunks(ANSWERS_PER_BATCH).zip(1..) {
        let no_answer = |slot: &i32| GivenAnswer {
            slot: *slot,
            options: Some(Vec::new()),
            number: None,
            ..GivenAnswer::default()
        };
        let batch = AnswerBatch { sequence, answers: slots.iter().map(no_answer).collect() };
        session::save(services, owner, row, batch).await.expect("answers are saved");
    }
    let viewer = Viewer { user_id: owner, role: Role::Learner, session_id: Uuid::new_v4() };
    let token = services.tokens.issue(viewer, services.clock.now()).expect("a token").token;
    Sitting {
        row: row.0,
        owner: owner.0,
        token,
        id: global_id("TestSession", row.0),
        card: global_id("MockTestAttempt", card.0),
        answers: Vec::new(),
    }
}

/// Reads the questions of each sitting from the server, and prepares the answers to them.
pub(crate) async fn read_all(port: u16, sittings: Vec<Sitting>) -> Vec<Sitting> {
    let http = reqwest::Client::new();
    let mut read = Vec::new();
    for sitting in sittings {
        let url = format!("http://127.0.0.1:{port}/graphql");
        let client = Client::new(http.clone(), url, Some(sitting.token.clone()));
        let started = client.start_session(&sitting.card).await;
        assert_eq!((started.id(), started.resumed), (sitting.id.as_str(), true));
        let questions = started.questions();
        let both = |question| [Tries::Right, Tries::Wrong].map(|tries| answer(question, tries).to_string());
        read.push(Sitting { answers: questions.iter().map(both).collect(), ..sitting });
    }
    read
}
