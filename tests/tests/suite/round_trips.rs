//! The round trips between the server and its database that a purchase, a start, a save and a submission take.
//!
//! The more round trips an operation takes, the longer its rows stay locked. If a change of the code saves a round
//! trip, lower the expected number in this file.

use std::sync::{Arc, Mutex};

use jishu_entity::purchase::PurchaseType;
use jishu_entity::{UserId, mock_test_attempt};
use jishu_service::Services;
use jishu_service::database::{Database, DatabaseOptions};
use jishu_service::purchase::{self, PurchaseRequest, ReceiptOutcome, Selection};
use jishu_service::session::{self, AnswerBatch, GivenAnswer};
use jishu_tests::{Backend, RoundTripCounter, TestApp, TestCourse, on_each_database};

on_each_database!(a_purchase_takes_few_round_trips, a_sitting_takes_few_round_trips,);

/// Number of times that an operation is measured. The fewest round trips count, because a connection that was idle for
/// long is tested before its next use.
const TRIES: usize = 3;

/// Services over one connection for writing and one for reading, whose round trips are counted. No task of a server
/// uses these connections.
struct Counted {
    services: Services,
    counter: Counter,
}

enum Counter {
    /// Counts the round trips between the services and a database server.
    RoundTrips(RoundTripCounter),
    /// Counts statements instead, because SQLite has no round trips. BEGIN and COMMIT do not count.
    Statements(Arc<Mutex<usize>>),
}

impl Counted {
    async fn new(app: &TestApp) -> Self {
        let (counter, options) = match app.backend {
            Backend::Sqlite => {
                let statements = Arc::new(Mutex::new(0));
                let count = Arc::clone(&statements);
                let observer = Arc::new(move |_: &str| *count.lock().unwrap() += 1);
                let options =
                    DatabaseOptions { observer: Some(observer), ..DatabaseOptions::new(&app.database_url) };
                (Counter::Statements(statements), options)
            }
            Backend::Postgres | Backend::MariaDb => {
                let counter = RoundTripCounter::in_front_of(&app.database_url).await;
                let options = DatabaseOptions::new(counter.url());
                (Counter::RoundTrips(counter), options)
            }
        };
        let options = DatabaseOptions { max_connections: Some(2), ..options };
        let database = Database::connect(&options).await.unwrap();
        Self { services: Services { database, ..app.services.clone() }, counter }
    }

    fn count(&self) -> usize {
        match &self.counter {
            Counter::RoundTrips(counter) => counter.round_trips(),
            Counter::Statements(count) => *count.lock().unwrap(),
        }
    }
}

async fn learner(app: &TestApp, name: &str) -> UserId {
    app.learner(name).await;
    UserId(app.number(&format!("SELECT id FROM users WHERE name = '{name}'")).await)
}

async fn buy(counted: &Counted, buyer: UserId, course: &TestCourse, subjects: usize) -> usize {
    let purchase_type = match subjects {
        1 => PurchaseType::SingleSubject,
        _ => PurchaseType::FullBundle,
    };
    let subject_ids = if subjects == 1 { vec![course.subject_rows[0]] } else { Vec::new() };
    let selection = Selection { course_id: course.row, purchase_type, subject_ids };
    let request = PurchaseRequest { selection, cost: None, idempotency_key: None };
    let before = counted.count();
    let receipt = purchase::purchase(&counted.services, buyer, request).await.unwrap();
    assert!(matches!(receipt.outcome, ReceiptOutcome::Created { .. }));
    counted.count() - before
}

async fn a_purchase_takes_few_round_trips(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).bundle(200_00).create(&app).await;
    let counted = Counted::new(&app).await;
    for subjects in [1, 3] {
        let mut counts = Vec::new();
        // The first purchase also prepares the statements, so the test leaves out its count.
        for number in 0..=TRIES {
            let buyer = learner(&app, &format!("Buyer{subjects}x{number}")).await;
            counts.push(buy(&counted, buyer, &course, subjects).await);
        }
        // PostgreSQL begins, locks, reads, inserts all rows of five tables with one statement, and commits. The other
        // databases need a statement for each table, so four more. On SQLite, begin and commit are not counted.
        let expected = match app.backend {
            Backend::Postgres => 5,
            Backend::MariaDb => 9,
            Backend::Sqlite => 7,
        };
        assert_eq!(counts[1..].iter().min(), Some(&expected), "{subjects}: {counts:?}");
    }
    counted.services.database.close().await.unwrap();
}

async fn a_sitting_takes_few_round_trips(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(1).create(&app).await;
    app.bank(course.subject_rows[0], 5).await;
    let counted = Counted::new(&app).await;
    let services = &counted.services;
    let mut counts = Vec::new();
    for number in 0..=TRIES {
        let owner = learner(&app, &format!("Learner{number}")).await;
        buy(&counted, owner, &course, 1).await;
        let card = mock_test_attempt::Entity::of(owner).one(app.connection()).await.unwrap().unwrap();
        let mut before = counted.count();
        let mut since = || {
            let now = counted.count();
            now - std::mem::replace(&mut before, now)
        };
        let started = session::start(services, owner, card.id).await.unwrap();
        let start = since();
        let answer = |slot| GivenAnswer { slot, options: Some(Vec::new()), ..GivenAnswer::default() };
        let batch = AnswerBatch { sequence: 1, answers: vec![answer(1), answer(2)] };
        let saved = session::save(services, owner, started.session.id, batch, true).await.unwrap();
        assert_eq!((saved.superseded.len(), saved.sequence), (0, Some(1)));
        let save = since();
        session::submit(services, owner, started.session.id, None).await.unwrap();
        counts.push([start, save, since()]);
    }
    let fewest = |place: usize| counts[1..].iter().map(|counts| counts[place]).min().unwrap();
    // A start reads the card, begins, locks the learner's row, reads the card again, takes a shared lock of the
    // subject's row, reads the terms, inserts the sitting, updates the card, appends the audit event, and commits. The
    // first save of a sitting also reads the sitting. PostgreSQL returns the sequence from the statement that saves a
    // batch. SQLite and MariaDB read it, and MariaDB also reads new answers again.
    let expected = match app.backend {
        Backend::Postgres => [10, 2, 12],
        Backend::MariaDb => [10, 4, 12],
        Backend::Sqlite => [8, 3, 10],
    };
    assert_eq!([fewest(0), fewest(1), fewest(2)], expected, "{counts:?}");
    counted.services.database.close().await.unwrap();
}
