//! Purchases under load. However many requests arrive at once, each subject is bought once. Clients that hang up leave
//! whole purchases.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jishu_tests::purchases::{
    BRIEF_PURCHASE, CALLERS, all_at_once, assert_one_bought, created, overlapping, slowest, two_subjects,
};
use jishu_tests::{Backend, Client, TestApp, on_each_database};
use serde_json::json;

on_each_database!(
    sixty_four_identical_purchases_make_one,
    sixty_four_overlapping_purchases_buy_each_subject_once,
    two_servers_make_one_purchase_for_one_buyer,
    clients_that_hang_up_leave_whole_purchases_and_free_connections,
    buyers_that_wait_share_a_commit_and_refusals_among_them_change_nothing,
);

/// Returns how often a test repeats its purchases: 20 times, or the value of the variable `PURCHASE_ROUNDS`.
fn rounds() -> usize {
    std::env::var("PURCHASE_ROUNDS").map_or(20, |rounds| rounds.parse().expect("a number"))
}

/// Returns the tables that have more rows than `before`, each with the number of new rows.
async fn grown(app: &TestApp, before: Vec<(&'static str, i64)>) -> Vec<(&'static str, i64)> {
    let after = app.row_counts().await.into_iter().zip(before);
    after
        .map(|((table, after), (_, before))| (table, after - before))
        .filter(|(_, rows)| *rows != 0)
        .collect()
}

async fn sixty_four_identical_purchases_make_one(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let mut longest = Duration::ZERO;
    for round in 0..rounds() {
        let learner = app.learner(&format!("Learner{round}")).await;
        let before = app.row_counts().await;
        let input = two_subjects(&course.id, &course.subjects);
        let calls = all_at_once(&[learner], vec![input; CALLERS]).await;
        longest = longest.max(slowest(&calls));
        assert_one_bought(&calls, 100);
        let expected = [
            ("purchases", 1),
            ("purchase_requests", 1),
            ("entitlements", 2),
            ("mock_test_attempts", 100),
            ("audit_events", 1),
        ];
        assert_eq!(grown(&app, before).await, expected);
    }
    eprintln!("{:?}: {CALLERS} identical purchases, slowest call {longest:?}", app.backend);
}

async fn sixty_four_overlapping_purchases_buy_each_subject_once(app: Arc<TestApp>) {
    let course = app.course(&["A", "B", "C"]).bundle(250_00).create(&app).await;
    let mut longest = Duration::ZERO;
    for round in 0..rounds() {
        let learner = app.learner(&format!("Learner{round}")).await;
        let selection = |caller| overlapping(&course.id, &course.subjects, caller + round);
        let calls = all_at_once(&[learner], (0..CALLERS).map(selection).collect()).await;
        longest = longest.max(slowest(&calls));
        assert_eq!(created(&calls), 150, "not every card was created for exactly one caller");
    }
    let rounds = i64::try_from(rounds()).expect("few");
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts").await, 150 * rounds);
    assert_eq!(app.number("SELECT COUNT(*) FROM entitlements").await, 3 * rounds);
    // The cost of each purchase is the sum of the prices paid for its subjects.
    let unequal = "SELECT COUNT(*) FROM purchases p WHERE p.cost <> \
                   (SELECT SUM(e.price_paid) FROM entitlements e WHERE e.purchase_id = p.id)";
    assert_eq!(app.number(unequal).await, 0);
    eprintln!("{:?}: {CALLERS} overlapping purchases, slowest call {longest:?}", app.backend);
}

/// Each server has its own queue of a buyer's purchases. The lock on the buyer's row orders the purchases of both
/// servers.
async fn two_servers_make_one_purchase_for_one_buyer(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let node = app.second_node().await;
    let mut longest = Duration::ZERO;
    for round in 0..5 {
        let here = app.learner(&format!("Learner{round}")).await;
        let there = Client::new(app.http().clone(), node.url("/graphql"), Some(here.token().to_owned()));
        let input = two_subjects(&course.id, &course.subjects);
        let calls = all_at_once(&[here, there], vec![input; CALLERS]).await;
        longest = longest.max(slowest(&calls));
        assert_one_bought(&calls, 100);
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM purchases").await, 5);
    eprintln!(
        "{:?}: {CALLERS} identical purchases through two servers, slowest call {longest:?}",
        app.backend
    );
    node.stop().await;
}

async fn register(app: &TestApp, number: usize) -> Client {
    app.learner(&format!("Learner{number}")).await
}

async fn clients_that_hang_up_leave_whole_purchases_and_free_connections(app: Arc<TestApp>) {
    let course = app.course(&["A", "B", "C"]).bundle(250_00).create(&app).await;
    let learners = join_all((0..10).map(|number| register(&app, number))).await;
    for (number, learner) in learners.iter().enumerate() {
        // Sends 32 requests at once, more than the pool has connections. Each request is given up at another moment.
        let calls = (0..32_u64).map(|caller| {
            let turn = number + usize::try_from(caller).expect("few");
            let input = overlapping(&course.id, &course.subjects, turn);
            let cut_off = Duration::from_micros(150 * caller);
            tokio::time::timeout(cut_off, learner.send(BRIEF_PURCHASE, json!({ "input": input })))
        });
        join_all(calls).await;
    }
    // The server still serves later purchases, and each learner then has all 150 cards.
    for learner in &learners {
        let input = json!({ "courseId": course.id, "purchaseType": "FULL_BUNDLE" });
        let answer = learner.run_with(BRIEF_PURCHASE, json!({ "input": input })).await;
        assert_eq!(answer.number("/purchase/testCards/totalCount"), 150);
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts").await, 1_500);
    assert_eq!(app.number("SELECT COUNT(*) FROM entitlements").await, 30);
    let empty = "SELECT COUNT(*) FROM purchases p LEFT JOIN entitlements e ON e.purchase_id = p.id \
                 WHERE e.purchase_id IS NULL";
    assert_eq!(app.number(empty).await, 0);
}

/// Sixty-four buyers purchase at once, which is more than there are connections. Every fourth names a wrong price.
async fn buyers_that_wait_share_a_commit_and_refusals_among_them_change_nothing(app: Arc<TestApp>) {
    let learners = join_all((0..CALLERS).map(|number| register(&app, number))).await;
    let bought = i64::try_from(CALLERS - CALLERS / 4).expect("few");
    // On a busy machine, a group may be full of one purchase. Then the buyers purchase another course.
    for round in 1..=5 {
        let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
        let before = app.row_counts().await;
        let calls = learners.iter().enumerate().map(|(number, learner)| {
            let mut input = two_subjects(&course.id, &course.subjects);
            if number % 4 == 3 {
                input["cost"] = json!("1.00");
            }
            async move { learner.run_with(BRIEF_PURCHASE, json!({ "input": input })).await }
        });
        for (number, answer) in join_all(calls).await.iter().enumerate() {
            if number % 4 == 3 {
                assert_eq!(answer.text("/purchase/userErrors/0/code"), "PRICE_CHANGED");
            } else {
                assert_eq!(answer.number("/purchase/testCards/totalCount"), 100);
            }
        }
        let expected = [
            ("purchases", bought),
            ("purchase_requests", bought),
            ("entitlements", 2 * bought),
            ("mock_test_attempts", 100 * bought),
            ("audit_events", bought),
        ];
        assert_eq!(grown(&app, before).await, expected);
        if app.backend != Backend::Postgres {
            return;
        }
        // `xmin` is the transaction of PostgreSQL that inserted a row.
        let commits = app.number("SELECT COUNT(DISTINCT CAST(xmin AS text)) FROM purchases").await;
        eprintln!("round {round}: {} purchases in {commits} transactions", bought * round);
        if commits < bought * round {
            return;
        }
    }
    panic!("no two purchases shared a transaction of the database");
}
