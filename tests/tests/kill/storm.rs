//! A storm of clients that purchase while processes are killed. The clients retry each request with the same
//! idempotency key until it gets a response.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::future::join_all;
use jishu_entity::UserId;
use jishu_entity::user::Role;
use jishu_service::auth::{AccessTokens, Viewer};
use jishu_service::failpoint::PURCHASE_BOUNDARIES;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ledger::{Entry, Ledger, PurchaseResponse};
use crate::world::World;

pub(crate) const CLIENTS: u64 = 12;

/// Maximum number of times that [`forget`] deletes the purchases until none is left.
const MAX_DELETIONS: usize = 20;

/// The processes that a storm kills, and the times of the kills.
#[derive(Clone, Copy)]
pub(crate) struct Kills {
    pub(crate) server: bool,
    pub(crate) database: bool,
    /// Maximum time between a restart and the next kill, in milliseconds.
    pub(crate) max_pause_ms: u64,
    /// Maximum time for which a request is retried after the last kill.
    pub(crate) max_retry_time: Duration,
}

pub(crate) struct Report {
    pub(crate) ledger: Ledger,
    pub(crate) server_kills: usize,
    pub(crate) database_kills: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ledger, server_kills, database_kills } = self;
        let (keys, acknowledged) = (ledger.entries.len(), ledger.acknowledged());
        write!(f, "{keys} keys, {acknowledged} acknowledged, {} attempts cut off, ", ledger.cut_off)?;
        write!(f, "{server_kills} kills of the server, {database_kills} of the database")
    }
}

/// State that all clients share.
struct Shared {
    http: reqwest::Client,
    endpoint: String,
    course: i64,
    subjects: Vec<i64>,
    buyers: Vec<i64>,
    tokens: AccessTokens,
    max_retry_time: Duration,
    next_buyer: AtomicUsize,
    stop: AtomicBool,
}

/// Kills the server and deletes all purchases, so that the next storm begins anew on the same database.
///
/// A transaction of the killed server may still commit. So the deletion is repeated until the tables have no violation.
pub(crate) async fn forget(world: &mut World) {
    world.server.kill();
    let mut left = Vec::new();
    for _ in 0..MAX_DELETIONS {
        delete_purchases(world).await;
        left = world.violations(&Ledger::default()).await;
        if left.is_empty() {
            return;
        }
    }
    panic!("violations are left after {MAX_DELETIONS} deletions: {left:?}");
}

async fn delete_purchases(world: &World) {
    let connection = world.connect().await;
    // The audit events are deleted first. Otherwise a purchase that is committed in between would lose its event, and
    // stay.
    for delete in [
        "DELETE FROM audit_events WHERE target_type = 'purchases'",
        "DELETE FROM purchase_request_owned",
        "DELETE FROM purchase_requests",
        "DELETE FROM mock_test_attempts",
        "DELETE FROM entitlements",
        "DELETE FROM purchases",
    ] {
        // A deletion fails if a purchase that was committed in between refers to one of the rows. The next round
        // deletes both.
        if let Err(error) = connection.execute_unprepared(delete).await {
            eprintln!("a deletion failed, so the next round repeats it: {error}");
            break;
        }
    }
    connection.close().await.expect("closing");
}

pub(crate) async fn run(world: &mut World, seed: u64, length: Duration, kills: Kills) -> Report {
    let mut rng = StdRng::seed_from_u64(seed);
    let shared = Arc::new(shared(world, kills.max_retry_time));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(client(Arc::clone(&shared), StdRng::seed_from_u64(rng.next_u64()))))
        .collect();

    let (server_kills, database_kills) = kill_for(world, &mut rng, length, kills).await;
    shared.stop.store(true, Ordering::SeqCst);
    let mut ledger = Ledger::default();
    for client in join_all(clients).await {
        ledger.merge(client.expect("clients do not panic"));
    }
    Report { ledger, server_kills, database_kills }
}

/// Kills and restarts processes after random pauses for `length`. Returns how often it killed the server and the
/// database.
pub(crate) async fn kill_for(
    world: &mut World,
    rng: &mut StdRng,
    length: Duration,
    kills: Kills,
) -> (usize, usize) {
    let (mut server_kills, mut database_kills) = (0, 0);
    let started = Instant::now();
    for number in 1.. {
        if started.elapsed() >= length {
            break;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..kills.max_pause_ms))).await;
        // Every fifth kill is of the database. Chance does not decide, because a short storm has few kills.
        if kills.database && number % 5 == 2 {
            // A killed database server needs seconds to restart. jishu keeps running meanwhile.
            let database = world.database.get_mut().expect("never poisoned");
            tokio::task::block_in_place(|| {
                database.kill();
                database.restart();
            });
            database_kills += 1;
        } else if kills.server {
            let server = &mut world.server;
            tokio::task::block_in_place(|| {
                server.kill();
                server.restart();
            });
            server_kills += 1;
        }
    }
    (server_kills, database_kills)
}

/// Sends a purchase that makes the server abort at a boundary. Then restarts the server and retries the purchase.
pub(crate) async fn one_purchase_through_an_abort(world: &mut World, boundary: &str) -> Ledger {
    world.abort_at(boundary);
    let shared = shared(world, Duration::from_secs(60));
    // Each boundary has a buyer of its own, because a purchase of an owned subject passes few boundaries.
    let number =
        PURCHASE_BOUNDARIES.iter().position(|name| *name == boundary).expect("a boundary of a purchase");
    let (buyer, token) = (&shared.buyers[number], &shared.token(shared.buyers[number]));
    let wanted = Wanted { kind: "MULTIPLE_SUBJECTS", subjects: vec![shared.subjects[0], shared.subjects[2]] };
    let key = Uuid::new_v4().to_string();
    let first = shared.attempt(token, &wanted, Some(&key)).await;
    assert!(
        matches!(first, Attempt::CutOff),
        "the server did not abort at {boundary}, but responded {first:?}"
    );
    assert!(world.revive());
    let mut entry = entry(&key, *buyer, &wanted);
    let mut ledger = Ledger::default();
    shared.until_response(token, &wanted, &mut entry, &mut ledger).await;
    ledger.entries.push(entry);
    ledger
}

fn shared(world: &World, max_retry_time: Duration) -> Shared {
    let http = jishu_tests::loopback_client().timeout(Duration::from_secs(30)).build().expect("a client");
    Shared {
        http,
        endpoint: world.server.endpoint(),
        course: world.course,
        subjects: world.subjects.clone(),
        buyers: world.buyers.clone(),
        tokens: world.tokens(),
        max_retry_time,
        next_buyer: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    }
}

struct Wanted {
    kind: &'static str,
    subjects: Vec<i64>,
}

impl Wanted {
    /// Returns a random selection: the subject A, AB, BC, ABC, or the bundle.
    fn random(rng: &mut StdRng, subjects: &[i64]) -> Self {
        let [a, b, c] = [subjects[0], subjects[1], subjects[2]];
        let (kind, subjects) = match rng.random_range(0..5) {
            0 => ("SINGLE_SUBJECT", vec![a]),
            1 => ("MULTIPLE_SUBJECTS", vec![a, b]),
            2 => ("MULTIPLE_SUBJECTS", vec![c, b]),
            3 => ("MULTIPLE_SUBJECTS", vec![a, b, c]),
            _ => ("FULL_BUNDLE", vec![a, b, c]),
        };
        Self { kind, subjects }
    }
}

fn entry(key: &str, buyer: i64, wanted: &Wanted) -> Entry {
    let subjects: BTreeSet<i64> = wanted.subjects.iter().copied().collect();
    Entry { key: key.to_owned(), buyer, subjects, response: None, contradictions: Vec::new() }
}

/// Takes one new buyer after the other until the storm stops. Sends several overlapping purchases of the buyer at once,
/// then repeats each.
async fn client(shared: Arc<Shared>, mut rng: StdRng) -> Ledger {
    let mut ledger = Ledger::default();
    while !shared.stop.load(Ordering::SeqCst) {
        let number = shared.next_buyer.fetch_add(1, Ordering::SeqCst);
        let Some(buyer) = shared.buyers.get(number) else { break };
        let token = &shared.token(*buyer);
        let wanted: Vec<Wanted> =
            (0..rng.random_range(2..6)).map(|_| Wanted::random(&mut rng, &shared.subjects)).collect();
        let requests = wanted.iter().map(async |wanted| {
            let mut ledger = Ledger::default();
            let mut entry = entry(&Uuid::new_v4().to_string(), *buyer, wanted);
            shared.until_response(token, wanted, &mut entry, &mut ledger).await;
            ledger.entries.push(entry);
            ledger
        });
        let first = ledger.entries.len();
        for part in join_all(requests).await {
            ledger.merge(part);
        }
        let (mine, errors) = (&mut ledger.entries[first..], &mut ledger.errors);
        for (entry, wanted) in mine.iter_mut().zip(&wanted) {
            shared.repeat(token, wanted, entry, errors).await;
        }
    }
    ledger
}

#[derive(Debug)]
enum Attempt {
    Acknowledged(PurchaseResponse),
    Refused(String),
    /// No response came, or the response says to try again: `OVERLOADED` or `TIMEOUT`.
    CutOff,
}

const PURCHASE: &str = "mutation ($input: PurchaseInput!) { purchase(input: $input) {
    outcome testCardsCreated purchase { id } testCards(first: 1) { totalCount } userErrors { code } } }";

impl Shared {
    fn token(&self, buyer: i64) -> String {
        let viewer = Viewer { user_id: UserId(buyer), role: Role::Learner, session_id: Uuid::new_v4() };
        self.tokens.issue(viewer, Utc::now()).expect("a token").token
    }

    /// Sends a purchase until it gets a response. After the storm, gives up after `max_retry_time`. Records the
    /// response, or an error.
    async fn until_response(&self, token: &str, wanted: &Wanted, entry: &mut Entry, ledger: &mut Ledger) {
        let key = entry.key.clone();
        let mut stopped = None;
        loop {
            match self.attempt(token, wanted, Some(&key)).await {
                Attempt::Acknowledged(response) => {
                    entry.response = Some(response);
                    return;
                }
                Attempt::Refused(error) => {
                    ledger.errors.push(format!("{key}: {error}"));
                    return;
                }
                Attempt::CutOff => ledger.cut_off += 1,
            }
            if self.stop.load(Ordering::SeqCst) {
                let since = *stopped.get_or_insert_with(Instant::now);
                if since.elapsed() > self.max_retry_time {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Repeats an acknowledged purchase. A response `CREATED` must come again unchanged, and the same key with another
    /// body must be refused. After `EXISTING`, only the outcome must be the same.
    async fn repeat(&self, token: &str, wanted: &Wanted, entry: &mut Entry, errors: &mut Vec<String>) {
        let Some(first) = entry.response.clone() else { return };
        match self.attempt(token, wanted, Some(&entry.key)).await {
            Attempt::Acknowledged(again) if first.outcome == "CREATED" && again != first => {
                entry.contradictions.push(format!("{}: first {first:?}, then {again:?}", entry.key));
            }
            Attempt::Acknowledged(again) if first.outcome == "EXISTING" && again.outcome != "EXISTING" => {
                entry.contradictions.push(format!("{}: EXISTING at first, then {again:?}", entry.key));
            }
            Attempt::Refused(error) => errors.push(format!("{}: repeated: {error}", entry.key)),
            Attempt::Acknowledged(_) | Attempt::CutOff => {}
        }
        if first.outcome != "CREATED" {
            return;
        }
        let subject = if wanted.subjects.len() == 1 { self.subjects[1] } else { self.subjects[0] };
        let other = Wanted { kind: "SINGLE_SUBJECT", subjects: vec![subject] };
        match self.attempt(token, &other, Some(&entry.key)).await {
            Attempt::Refused(error) if error.contains("IDEMPOTENCY_KEY_REUSED") => {}
            Attempt::CutOff => {}
            Attempt::Refused(error) => errors.push(format!("{}: another body: {error}", entry.key)),
            Attempt::Acknowledged(response) => {
                let message = format!("{}: another body was acknowledged with {response:?}", entry.key);
                entry.contradictions.push(message);
            }
        }
    }

    async fn attempt(&self, token: &str, wanted: &Wanted, key: Option<&str>) -> Attempt {
        let subjects: Vec<_> = if wanted.kind == "FULL_BUNDLE" {
            Vec::new()
        } else {
            wanted.subjects.iter().map(|subject| World::global("Subject", *subject)).collect()
        };
        let input = json!({
            "courseId": World::global("Course", self.course),
            "purchaseType": wanted.kind,
            "subjectIds": subjects,
            "idempotencyKey": key,
        });
        let body = json!({ "query": PURCHASE, "variables": { "input": input } });
        let Ok(response) = self.http.post(&self.endpoint).bearer_auth(token).json(&body).send().await else {
            return Attempt::CutOff;
        };
        let Ok(body) = response.json::<Value>().await else { return Attempt::CutOff };
        if let Some(error) = body["errors"].get(0) {
            // These codes mean that the database did not respond, and that the client should try again.
            return match error["extensions"]["code"].as_str() {
                Some("OVERLOADED" | "TIMEOUT") => Attempt::CutOff,
                _ => Attempt::Refused(body.to_string()),
            };
        }
        let payload = &body["data"]["purchase"];
        if payload["userErrors"].as_array().is_none_or(|errors| !errors.is_empty()) {
            return Attempt::Refused(body.to_string());
        }
        let number = |value: &Value| value.as_i64().unwrap_or(-1);
        Attempt::Acknowledged(PurchaseResponse {
            outcome: payload["outcome"].as_str().unwrap_or_default().to_owned(),
            purchase: row(payload["purchase"]["id"].as_str().unwrap_or_default()),
            created: number(&payload["testCardsCreated"]),
            total: number(&payload["testCards"]["totalCount"]),
        })
    }
}

/// Returns the database id in a global id, or -1 if the text is not a global id.
pub(crate) fn row(id: &str) -> i64 {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(id).unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    text.split_once(':').and_then(|(_, row)| row.parse().ok()).unwrap_or(-1)
}
