//! Checks that requests do not wait for locks of rows that they do not need. Somebody holds the locks and does not
//! commit. Purchases, starts and registrations that need a lock get the error `OVERLOADED` or `TIMEOUT`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jishu_entity::user::Role;
use jishu_tests::{Backend, Client, Session, TestApp, TestCourse, Tries, answer};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use serde_json::{Value, json};

/// A request that takes less time than this counts as fast. The limit is generous, because the machine runs other tests
/// too. When requests waited for the locks of others, they took 5 to 10 seconds.
const MAX_FAST_REQUEST_TIME: Duration = Duration::from_secs(1);

/// Number of purchases that are sent at once and wait for a locked row.
const PURCHASES_AT_ONCE: usize = 40;

const BUY: &str =
    "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome testCardsCreated } }";

/// A connection to the database with an open transaction that holds locks, as an operator may have at a console.
struct Console(DatabaseConnection);

impl Console {
    async fn lock(app: &TestApp, condition: &str) -> Self {
        Self::run(app, &format!("UPDATE users SET status = 'active' {condition}")).await
    }

    /// Opens a connection, and runs a statement on it in a transaction that is not committed.
    async fn run(app: &TestApp, statement: &str) -> Self {
        let mut options = ConnectOptions::new(&app.database_url);
        options.max_connections(1).min_connections(1);
        let connection = Database::connect(options).await.unwrap();
        connection.execute_unprepared("BEGIN").await.unwrap();
        connection.execute_unprepared(statement).await.unwrap();
        Self(connection)
    }

    async fn roll_back(self) {
        self.0.execute_unprepared("ROLLBACK").await.unwrap();
        self.0.close().await.unwrap();
    }
}

/// A learner whose requests need no locked row. The learner owns a subject, has an open sitting of it, and can buy more
/// subjects.
struct Undisturbed {
    client: Client,
    course: TestCourse,
    session: Session,
    /// The number of subjects and batches that the measurements have used so far.
    used: usize,
}

impl Undisturbed {
    async fn new(app: &TestApp) -> Self {
        let names: Vec<String> = (0..14).map(|number| format!("Subject {number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let course = app.course(&names).cards(5).create(app).await;
        app.bank(course.subject_rows[0], 4).await;
        let client = app.staff("Bela", Role::Learner).await;
        let card = client.run_with(
            "mutation ($input: PurchaseInput!) { purchase(input: $input) { testCards(first: 1) { edges { node { id } } } } }",
            input(&course, 0),
        );
        let card = card.await.text("/purchase/testCards/edges/0/node/id").to_owned();
        let session = client.start_session(&card).await.session().clone();
        Self { client, course, session, used: 0 }
    }

    async fn read(&self) {
        let page = "{ viewer { mockTestAttempts(first: 5) { edges { node { id testNumber } } } } }";
        assert_eq!(self.client.run(page).await.list("/viewer/mockTestAttempts/edges").len(), 5);
    }

    async fn save(&self) {
        let answers = json!([answer(&self.session.questions[0], Tries::Right)]);
        let saved = self.client.save_answers(&self.session.id, self.used as i64, answers).await;
        assert!(saved.user_errors.is_empty() && saved.superseded.is_empty(), "{saved:?}");
    }

    async fn purchase(&self) {
        let bought = self.client.run_with(BUY, input(&self.course, self.used)).await;
        assert_eq!(bought.text("/purchase/outcome"), "CREATED");
    }

    /// Measures a read, a save and a purchase three times. Returns the median of each. Without purchases, the last time
    /// is zero.
    async fn times(&mut self, with_purchases: bool) -> [Duration; 3] {
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..3 {
            self.used += 1;
            times[0].push(timed(self.read()).await);
            times[1].push(timed(self.save()).await);
            times[2].push(if with_purchases { timed(self.purchase()).await } else { Duration::ZERO });
        }
        times.map(|mut times| {
            times.sort_unstable();
            times[1]
        })
    }
}

fn input(course: &TestCourse, subject: usize) -> Value {
    json!({ "input": { "courseId": course.id, "purchaseType": "SINGLE_SUBJECT",
                       "subjectIds": [course.subjects[subject]] } })
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let started = Instant::now();
    work.await;
    started.elapsed()
}

fn assert_undisturbed(before: [Duration; 3], during: [Duration; 3]) {
    for (what, (before, during)) in ["read", "save", "purchase"].iter().zip(before.into_iter().zip(during)) {
        eprintln!("{what}: {before:?} undisturbed, {during:?} beside the lock");
        assert!(
            during <= MAX_FAST_REQUEST_TIME.max(before * 3),
            "a {what} took {during:?}, undisturbed {before:?}"
        );
    }
}

/// Asserts that each response is the error `OVERLOADED` or `TIMEOUT`, which both mean "not now". A request that waits
/// in several queues may exceed its own time limit first.
fn assert_not_now(answers: &[Value]) {
    for answer in answers {
        let code = answer["errors"][0]["extensions"]["code"].as_str();
        assert!(matches!(code, Some("OVERLOADED" | "TIMEOUT")), "{answer:#}");
    }
}

async fn a_locked_row_holds_up_nobody_else(app: Arc<TestApp>) {
    let mut other = Undisturbed::new(&app).await;
    let buyer = app.staff("Asha", Role::Learner).await;
    let before = other.times(true).await;
    let console = Console::lock(&app, "WHERE email = 'asha@example.com'").await;
    let storm = join_all((0..PURCHASES_AT_ONCE).map(|_| {
        let (buyer, input) = (buyer.clone(), input(&other.course, 0));
        tokio::spawn(async move { buyer.send(BUY, input).await.body })
    }));
    let storm = tokio::spawn(storm);
    let during = other.times(true).await;
    assert_eq!(app.http().get(app.url("/health/ready")).send().await.unwrap().status(), 200);
    let answers: Vec<Value> = storm.await.unwrap().into_iter().map(Result::unwrap).collect();
    console.roll_back().await;
    assert_undisturbed(before, during);
    assert_not_now(&answers);
    buys(&buyer, input(&other.course, 0)).await;
    let cards = "{ viewer { mockTestAttempts { totalCount } } }";
    assert_eq!(buyer.run(cards).await.number("/viewer/mockTestAttempts/totalCount"), 5);
}

/// Purchases after the lock is released. An earlier purchase may have succeeded although its client got an error, so
/// the outcome may be `EXISTING`.
async fn buys(buyer: &Client, input: Value) {
    let bought = buyer.run_with(BUY, input).await;
    assert!(["CREATED", "EXISTING"].contains(&bought.text("/purchase/outcome")), "{:#}", bought.body);
}

/// Locks the rows of all users, as an UPDATE without WHERE does. Nobody can buy meanwhile, but everybody can read and
/// save.
async fn locks_of_all_rows_hold_up_no_reads_and_no_saves(app: Arc<TestApp>) {
    let mut other = Undisturbed::new(&app).await;
    let mut buyers = Vec::new();
    for number in 0..PURCHASES_AT_ONCE {
        buyers.push(app.staff(&format!("Buyer{number}"), Role::Learner).await);
    }
    let before = other.times(false).await;
    let console = Console::lock(&app, "").await;
    let storm = join_all(buyers.iter().cloned().map(|buyer| {
        let input = input(&other.course, 0);
        tokio::spawn(async move { buyer.send(BUY, input).await.body })
    }));
    let storm = tokio::spawn(storm);
    let during = other.times(false).await;
    let answers: Vec<Value> = storm.await.unwrap().into_iter().map(Result::unwrap).collect();
    console.roll_back().await;
    assert_undisturbed(before, during);
    assert_not_now(&answers);
    buys(&buyers[0], input(&other.course, 0)).await;
}

/// Holds three other locks, one after the other: of a subject that others buy, of a subject whose test others start
/// for the first time, and of an e-mail address that others register.
async fn locks_of_other_rows_hold_up_nobody_else(app: Arc<TestApp>) {
    let mut other = Undisturbed::new(&app).await;
    app.bank(other.course.subject_rows[11], 4).await;
    let mut buyers = Vec::new();
    for number in 0..PURCHASES_AT_ONCE {
        buyers.push(app.staff(&format!("Buyer{number}"), Role::Learner).await);
    }
    // Each buyer gets a card of a test that nobody has started.
    let mut cards = Vec::new();
    for buyer in &buyers {
        let document = "mutation ($input: PurchaseInput!) { purchase(input: $input) {
            testCards(first: 1) { edges { node { id } } } } }";
        let bought = buyer.run_with(document, input(&other.course, 11)).await;
        cards.push(bought.text("/purchase/testCards/edges/0/node/id").to_owned());
    }
    let before = other.times(true).await;
    let subject = |index: usize| {
        let id = other.course.subject_rows[index];
        match app.backend {
            Backend::MariaDb => format!("UPDATE subjects SET name = CONCAT(name, 'x') WHERE id = {id}"),
            _ => format!("SELECT id FROM subjects WHERE id = {id} FOR UPDATE"),
        }
    };
    let purchases = (subject(10), {
        let input = input(&other.course, 10);
        buyers.iter().map(|buyer| (buyer.clone(), BUY, input.clone())).collect::<Vec<_>>()
    });
    let start =
        "mutation ($id: ID!) { startTestSession(input: { mockTestAttemptId: $id }) { session { id } } }";
    let starts = (subject(11), {
        let starts = buyers.iter().zip(&cards);
        starts.map(|(buyer, card)| (buyer.clone(), start, json!({ "id": card }))).collect()
    });
    let register = "mutation ($input: RegisterInput!) { register(input: $input) { user { id } } }";
    let registrations = (
        "INSERT INTO users (name, email, password_hash, role, status, created_at) \
         VALUES ('New', 'new@example.com', 'none', 'learner', 'active', CURRENT_TIMESTAMP)"
            .to_owned(),
        {
            let input =
                json!({ "name": "New", "email": "new@example.com", "password": "correct horse battery" });
            let one = (app.anonymous(), register, json!({ "input": input }));
            vec![one; 12]
        },
    );
    for (lock, requests) in [purchases, starts, registrations] {
        let console = Console::run(&app, &lock).await;
        let storm = requests.into_iter().map(|(client, document, variables)| {
            tokio::spawn(async move { client.send(document, variables).await.body })
        });
        let storm = tokio::spawn(join_all(storm.collect::<Vec<_>>()));
        let during = other.times(true).await;
        let answers: Vec<Value> = storm.await.unwrap().into_iter().map(Result::unwrap).collect();
        console.roll_back().await;
        eprintln!("{lock}");
        assert_undisturbed(before, during);
        assert_not_now(&answers);
    }
    buys(&buyers[0], input(&other.course, 10)).await;
}

/// Flags of the server. A statement may take half of the 4 seconds of a request, so the purchases of a test give up
/// soon.
const FLAGS: &[&str] = &["--request-seconds=4"];

macro_rules! on_servers {
    ($($name:ident),+) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::TestApp::run_with(super::Backend::Postgres, super::FLAGS, super::$name).await; })+ }
        mod mariadb { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::TestApp::run_with(super::Backend::MariaDb, super::FLAGS, super::$name).await; })+ }
    };
}

on_servers!(
    a_locked_row_holds_up_nobody_else,
    locks_of_all_rows_hold_up_no_reads_and_no_saves,
    locks_of_other_rows_hold_up_nobody_else
);
