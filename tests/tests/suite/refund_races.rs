//! Refunds of a purchase against purchases of the same subjects and starts of its cards, all at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use jishu_entity::user::Role;
use jishu_tests::purchases::{BRIEF_PURCHASE, CALLERS};
use jishu_tests::{
    Client, PurchaseInput, REFUND, RULE_VIOLATIONS, RefundInput, TestApp, TestCourse, on_each_database,
};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

on_each_database!(refunds_against_purchases_and_starts_keep_the_books_straight);

/// Returns how often the test repeats: 20 times, or the value of the variable `REFUND_ROUNDS`.
fn rounds() -> usize {
    std::env::var("REFUND_ROUNDS").map_or(20, |rounds| rounds.parse().expect("a number"))
}

/// The course, the clients, the purchase and the cards that the calls of one round use.
struct Round<'a> {
    course: &'a TestCourse,
    learner: &'a Client,
    support: &'a Client,
    purchase: &'a str,
    cards: &'a [String],
    key: String,
}

/// The id of the refund that a call created or found. `None` for a purchase, for a start and for a refused refund.
type Called = Option<String>;

impl Round<'_> {
    /// Sends the request of one caller: a refund, a purchase or a start. The request must succeed, or be refused
    /// because another caller's refund came first.
    fn call(&self, caller: usize) -> BoxFuture<'_, Called> {
        let subjects = &self.course.subjects;
        let whole = || RefundInput::whole(self.purchase);
        match caller % 8 {
            // Two of eight callers send the same refund with the same idempotency key.
            0 | 1 => self.refund(whole().key(&self.key)).boxed(),
            2 => self.refund(whole().key(&Uuid::new_v4().to_string())).boxed(),
            3 => self.refund(whole().subjects(&[&subjects[caller / 8 % 2]])).boxed(),
            4 => self.buy(self.course.subject(caller / 8 % 2)).boxed(),
            5 => self.buy(self.course.several(&[0, 1])).boxed(),
            _ => self.start(&self.cards[caller / 8 % self.cards.len()]).boxed(),
        }
    }

    async fn refund(&self, input: RefundInput) -> Called {
        let refunded = taken(self.support, REFUND, "refundPurchase", input.json()).await;
        match refunded["userErrors"][0]["code"].as_str() {
            None => Some(refunded["refund"]["id"].as_str().expect("a refund").to_owned()),
            // Other refunds have refunded some of the subjects, but no single refund has exactly these subjects.
            Some("ALREADY_REFUNDED") => None,
            Some(_) => panic!("{refunded:#}"),
        }
    }

    async fn buy(&self, input: PurchaseInput) -> Called {
        let bought = taken(self.learner, BRIEF_PURCHASE, "purchase", input.json()).await;
        assert_eq!(bought["userErrors"], json!([]), "{bought:#}");
        None
    }

    async fn start(&self, card: &str) -> Called {
        let started =
            taken(self.learner, START, "startTestSession", &json!({ "mockTestAttemptId": card })).await;
        let refusal = started["userErrors"][0]["code"].as_str();
        assert!(matches!(refusal, None | Some("ENTITLEMENT_ENDED")), "{started:#}");
        None
    }
}

const START: &str = "mutation ($input: StartTestSessionInput!) { startTestSession(input: $input) {
    session { id } userErrors { code message } } }";

/// Sends a mutation again as long as the server responds `OVERLOADED`. On a slow machine, the queue of the buyer's
/// requests may be full. Panics at any other error.
async fn taken(client: &Client, document: &str, field: &str, input: &Value) -> Value {
    loop {
        let answer = client.send(document, json!({ "input": input })).await;
        match answer.body["errors"][0]["extensions"]["code"].as_str() {
            None => return answer.at(&format!("/{field}")).clone(),
            Some("OVERLOADED") => {}
            Some(_) => panic!("{:#}", answer.body),
        }
    }
}

async fn broken(app: &TestApp) -> Vec<String> {
    let mut broken = Vec::new();
    for (rule, query) in RULE_VIOLATIONS {
        let statement = Statement::from_string(app.services.database.backend(), query);
        let rows = app.connection().query_all_raw(statement).await.expect("the query runs");
        if !rows.is_empty() {
            broken.push(format!("{rule}: {} times", rows.len()));
        }
    }
    broken
}

async fn refunds_against_purchases_and_starts_keep_the_books_straight(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).bundle(100_01).cards(2).create(&app).await;
    for subject in &course.subject_rows {
        app.bank(*subject, 4).await;
    }
    let support = app.staff("Sam", Role::Support).await;
    let (mut closed_by_refund, mut bought_again) = (0, 0);
    for round in 0..rounds() {
        let learner = app.staff(&format!("Learner{round}"), Role::Learner).await;
        let bought = learner.buy(course.whole()).await;
        let cards: Vec<String> = bought.cards().nodes().map(|card| card.id.clone()).collect();
        // One sitting is open already when the calls begin.
        assert_eq!(learner.start_session(&cards[0]).await.user_errors, []);
        let purchase = bought.purchase().id.as_str();
        let key = Uuid::new_v4().to_string();
        let of =
            Round { course: &course, learner: &learner, support: &support, purchase, cards: &cards, key };
        let results = join_all((0..CALLERS).map(|caller| of.call(caller + round))).await;
        let by_key: BTreeSet<_> = results
            .iter()
            .enumerate()
            .filter(|(caller, _)| (caller + round) % 8 < 2)
            .map(|(_, id)| id)
            .collect();
        assert_eq!(by_key.len(), 1, "round {round}: one key gave several refunds: {by_key:?}");

        // In whatever order the calls ran, the whole purchase is refunded in the end, and its cards cannot be sat.
        let again = support.refund(RefundInput::whole(purchase)).await;
        assert_eq!((again.outcome(), again.purchase_status()), ("EXISTING", "REFUNDED"), "round {round}");
        for card in &cards {
            assert_eq!(learner.start_session(card).await.error().code, "ENTITLEMENT_ENDED");
        }
        assert_eq!(broken(&app).await, Vec::<String>::new(), "round {round}");
        let refunds = format!(
            "SELECT COUNT(*) FROM refunds WHERE purchase_id = {}",
            round_purchase(&app, purchase).await
        );
        assert!(
            (1..=2).contains(&app.number(&refunds).await),
            "round {round}: there is no refund, or more than one for each subject"
        );
        closed_by_refund =
            app.number("SELECT COUNT(*) FROM test_sessions WHERE end_reason = 'refunded'").await;
        bought_again = app.number("SELECT COUNT(*) FROM purchases WHERE status = 'active'").await;
    }
    eprintln!(
        "{:?}: {} rounds of {CALLERS} calls, {closed_by_refund} sittings closed by refunds, {bought_again} purchases after \
         refunds",
        app.backend,
        rounds()
    );
    assert!(closed_by_refund >= i64::try_from(rounds()).expect("few"), "an open sitting was not closed");
}

/// Returns the row id of the purchase with this global id.
async fn round_purchase(app: &TestApp, purchase: &str) -> i64 {
    let last = app.number("SELECT MAX(id) FROM purchases").await;
    (1..=last).find(|row| app.global("Purchase", *row) == purchase).expect("a row")
}
