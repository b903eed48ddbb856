//! What a purchase creates.

use std::sync::Arc;

use jishu_tests::{Backend, TestApp, on_each_database};
use serde_json::json;

use super::{COST_IS_SUM_OF_PRICES, PURCHASE, buy, input, no_card_is_doubled, outcome};

on_each_database!(
    a_single_subject_gives_its_cards_once,
    several_subjects_number_their_cards_from_one,
    a_bundle_is_one_purchase_at_its_price,
    a_bundle_of_200_subjects_is_one_statement_for_10_000_cards,
    subjects_have_1_50_and_1000_cards,
    what_was_bought_leaves_the_cart,
);

async fn a_single_subject_gives_its_cards_once(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).named("NEET").create(&app).await;
    let asha = app.learner("Asha").await;
    let wanted = input(&course, "SINGLE_SUBJECT", &[&course.subjects[0]]);

    let first = buy(&asha, wanted.clone()).await;
    assert_eq!(outcome(&first), ("CREATED", 50, 50));
    assert_eq!(first.text("/purchase/message"), "You bought Physics; 50 test cards are ready.");
    assert_eq!(
        *first.at("/purchase/purchase"),
        json!({
            "id": first.text("/purchase/purchase/id"),
            "purchaseType": "SINGLE_SUBJECT",
            "status": "ACTIVE",
            "cost": { "amount": "100.00", "currency": "INR" },
            "subjects": [{ "name": "Physics" }],
            "course": { "name": "NEET" },
        })
    );
    let numbers: Vec<_> = first
        .list("/purchase/testCards/edges")
        .iter()
        .map(|edge| edge["node"]["testNumber"].as_i64())
        .collect();
    assert_eq!(numbers, (1..=50).map(Some).collect::<Vec<_>>());

    let again = buy(&asha, wanted).await;
    assert_eq!(outcome(&again), ("EXISTING", 0, 50));
    assert_eq!(again.text("/purchase/message"), "You already own Physics; its 50 test cards are below.");
    assert_eq!(again.at("/purchase/purchase"), first.at("/purchase/purchase"));
    assert_eq!(again.at("/purchase/testCards"), first.at("/purchase/testCards"));
    assert_eq!(app.number("SELECT COUNT(*) FROM purchases").await, 1);
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts").await, 50);
}

async fn several_subjects_number_their_cards_from_one(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let asha = app.learner("Asha").await;
    let [physics, chemistry] = [&course.subjects[0], &course.subjects[1]];
    let bought = buy(&asha, input(&course, "MULTIPLE_SUBJECTS", &[chemistry, physics])).await;
    assert_eq!(outcome(&bought), ("CREATED", 100, 100));
    assert_eq!(bought.text("/purchase/purchase/cost/amount"), "200.00");
    // (p,1,1) beside (p,2,1): the row that the old key refused.
    let ones = "SELECT COUNT(*) FROM mock_test_attempts WHERE test_number = 1";
    assert_eq!(app.number(ones).await, 2);
    no_card_is_doubled(&app).await;
}

async fn a_bundle_is_one_purchase_at_its_price(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).bundle(250_01).create(&app).await;
    let asha = app.learner("Asha").await;
    let bought = buy(&asha, input(&course, "FULL_BUNDLE", &[])).await;
    assert_eq!(outcome(&bought), ("CREATED", 150, 150));
    assert_eq!(bought.text("/purchase/purchase/cost/amount"), "250.01");
    assert_eq!(bought.text("/purchase/purchase/purchaseType"), "FULL_BUNDLE");
    assert_eq!(
        bought.text("/purchase/message"),
        "You bought Physics, Chemistry and Biology; 150 test cards are ready."
    );
    assert_eq!(app.number(COST_IS_SUM_OF_PRICES).await, 1);
}

async fn a_bundle_of_200_subjects_is_one_statement_for_10_000_cards(app: Arc<TestApp>) {
    let names: Vec<String> = (1..=200).map(|number| format!("Subject {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let course = app.course(&names).bundle(9_999_00).create(&app).await;
    let asha = app.learner("Asha").await;
    let _ = app.take_statements();
    let bought = buy(&asha, input(&course, "FULL_BUNDLE", &[])).await;
    assert_eq!(outcome(&bought), ("CREATED", 10_000, 10_000));
    assert_eq!(
        bought.text("/purchase/message"),
        "You bought Subject 1, Subject 2 and 198 more; 10000 test cards are ready."
    );
    let statements = app.take_statements();
    let inserts = statements.iter().filter(|sql| sql.contains("INSERT INTO mock_test_attempts")).count();
    assert_eq!(inserts, 1, "{statements:#?}");
    assert_eq!(bought.text("/purchase/purchase/cost/amount"), "9999.00");
    assert_eq!(app.number(COST_IS_SUM_OF_PRICES).await, 1);
    no_card_is_doubled(&app).await;
}

async fn subjects_have_1_50_and_1000_cards(app: Arc<TestApp>) {
    let asha = app.learner("Asha").await;
    for cards in [1, 50, 1_000] {
        let course = app.course(&["Physics"]).cards(cards).create(&app).await;
        let bought = buy(&asha, input(&course, "SINGLE_SUBJECT", &[&course.subjects[0]])).await;
        let cards = i64::from(cards);
        assert_eq!(outcome(&bought), ("CREATED", cards, cards));
        let last = format!(
            "SELECT MAX(test_number) FROM mock_test_attempts WHERE subject_id = {}",
            course.subject_rows[0]
        );
        assert_eq!(app.number(&last).await, cards);
    }
    let too_many = app.services.database.writer();
    let refused =
        sea_orm::ConnectionTrait::execute_unprepared(too_many, "UPDATE subjects SET total_mock_tests = 1001");
    refused.await.expect_err("the database refuses more than MariaDB's recursion gives");
}

async fn what_was_bought_leaves_the_cart(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).create(&app).await;
    let asha = app.learner("Asha").await;
    asha.run_with(
        "mutation ($ids: [ID!]!) { addToCart(subjectIds: $ids) { userErrors { code } } }",
        json!({ "ids": course.subjects }),
    )
    .await;
    buy(&asha, input(&course, "MULTIPLE_SUBJECTS", &[&course.subjects[0], &course.subjects[2]])).await;
    let cart = asha.run("{ viewer { cart { subjects { name } } } }").await;
    assert_eq!(*cart.at("/viewer/cart/subjects"), json!([{ "name": "Chemistry" }]));
}

/// A check that no client can provoke: a trigger swallows a card behind the statement's back. MariaDB has no
/// trigger that can.
mod miscounted {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_sqlite() {
        TestApp::run(Backend::Sqlite, async |app| {
            app.execute(
                "CREATE TRIGGER drop_one BEFORE INSERT ON mock_test_attempts WHEN NEW.test_number = 7
                 BEGIN SELECT RAISE(IGNORE); END",
            )
            .await;
            a_miscount_takes_the_purchase_back(app).await;
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_postgres() {
        TestApp::run(Backend::Postgres, async |app| {
            app.execute(
                "CREATE FUNCTION drop_one() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                 CREATE TRIGGER drop_one BEFORE INSERT ON mock_test_attempts FOR EACH ROW
                 WHEN (NEW.test_number = 7) EXECUTE FUNCTION drop_one()",
            )
            .await;
            a_miscount_takes_the_purchase_back(app).await;
        })
        .await;
    }

    async fn a_miscount_takes_the_purchase_back(app: Arc<TestApp>) {
        let course = app.course(&["Physics"]).create(&app).await;
        let asha = app.learner("Asha").await;
        let before = app.rows().await;
        let wanted = input(&course, "SINGLE_SUBJECT", &[&course.subjects[0]]);
        let answer = asha.send(PURCHASE, json!({ "input": wanted })).await;
        let error = &answer.body["errors"][0];
        assert_eq!(error["extensions"]["code"], "INTERNAL", "{:#}", answer.body);
        assert!(error["extensions"]["requestId"].is_string());
        assert!(!answer.body.to_string().contains("test cards where"), "the cause is not shown");
        assert_eq!(app.rows().await, before);
    }
}
