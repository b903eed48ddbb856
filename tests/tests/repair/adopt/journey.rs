//! After an adoption, learners of the old system sign in to jishu over HTTP, see their cards and sittings, buy and sit.

use jishu_tests::{Backend, PurchaseInput, TestApp, global_id};
use serde_json::{Value, json};

use super::{NewDatabase, command, old_system, succeed};
use crate::old_database::{OldDatabase, on_each};

on_each!(learners_sign_in_see_their_cards_buy_and_sit);

const CARDS: &str = "{ viewer { mockTestAttempts(first: 50) { edges { node { id testNumber subject { name } status \
                     attemptsUsed maxAttempts latestScore firstScore bestScore canStart } } } \
                     testSessions(first: 50) { edges { node { attemptNumber status startedAt \
                     questions { slot stem marks } result { score maxScore percentage correct wrong unanswered \
                     percentile byTopic { topic correct } } } } } } }";

async fn learners_sign_in_see_their_cards_buy_and_sit(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old_system::create(old).await;
        old_system::fill(old).await;
        let NewDatabase { url, folder, .. } = {
            let new = NewDatabase::create(backend).await;
            succeed(command(old, &new, &["--format", "json"]));
            new
        };
        let app = TestApp::start_at(backend, url, folder, jishu_tests::UNLIMITED).await;
        let login = async |email: &str| {
            let signed_in = app.anonymous().login(email, old_system::PASSWORD).await;
            app.with_token(signed_in.access_token())
        };
        // Asha's password has a hash of scrypt, Mira's a hash of PBKDF2. A blocked account cannot sign in, and neither
        // can an account without a password.
        let (asha, mira) = (login("asha@example.com").await, login("mira@example.com").await);
        for email in ["bad@example.com", "gita@example.com"] {
            assert!(app.anonymous().login(email, old_system::PASSWORD).await.is_refused(), "{email}");
        }

        let seen = asha.run(CARDS).await;
        let cards = seen.list("/viewer/mockTestAttempts/edges");
        assert_eq!(cards.len(), 9);
        let card = |id: i64| find(cards, &global_id("MockTestAttempt", id));
        assert_eq!(card(1)["firstScore"], "2.00");
        assert_eq!((&card(1)["latestScore"], &card(1)["bestScore"]), (&json!("1.00"), &json!("3.00")));
        // The second purchase of Physics replaced the first, so only the cards of the second can start.
        assert_eq!((&card(2)["canStart"], &card(8)["canStart"]), (&json!(false), &json!(true)));
        let sittings = seen.list("/viewer/testSessions/edges");
        let told: Vec<_> = sittings
            .iter()
            .map(|edge| {
                (
                    edge["node"]["startedAt"].as_str().unwrap(),
                    edge["node"]["result"]["score"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            told.iter().map(|(_, score)| *score).collect::<Vec<_>>(),
            ["2.00", "1.00", "3.00", "2.00"]
        );
        assert!(told.is_sorted_by(|later, earlier| later.0 > earlier.0), "{told:?}");
        let first = &sittings[3]["node"];
        assert_eq!(first["questions"][1]["stem"], "Unit of energy?");
        assert_eq!(first["result"]["byTopic"], json!([{ "topic": "General", "correct": 2 }]));
        assert_eq!(first["result"]["percentile"], Value::Null);
        assert_eq!(sittings[2]["node"]["questions"], json!([]));

        // Mira buys a subject at its offer, and sits its first test.
        let (course, subject) = (global_id("Course", 1), global_id("Subject", 1));
        let bought =
            mira.buy(PurchaseInput::new(&course, "SINGLE_SUBJECT", &[&subject]).cost("399.00")).await;
        assert_eq!(bought.cards().total(), 3);
        let card = &bought.cards().nodes().next().unwrap().id;
        let sitting = mira.start_session(card).await;
        assert_eq!(sitting.user_errors, []);
        assert_eq!(sitting.questions().len(), 3);
        let choose = |slot: usize| {
            let question = &sitting.questions()[slot];
            json!({ "slot": question.slot, "optionIds": [question.options[0].id] })
        };
        let submitted = mira.submit_session(sitting.id(), Some((1, json!([choose(0), choose(1)])))).await;
        assert_eq!(submitted.result().unanswered, 1);
        assert_eq!(submitted.result().max_score, "3.00");
        // Asha sits an adopted card again. The new sitting has the questions of the paper that all learners of this
        // test get.
        let again = asha.start_session(&global_id("MockTestAttempt", 8)).await;
        assert_eq!((again.user_errors.len(), again.session().attempt_number), (0, 3));
        asha.submit_session(again.id(), None).await;

        let bad = jishu_service::integrity::examine(app.connection()).await.unwrap();
        assert!(bad.is_empty(), "{bad:?}");
        app.stop().await;
    })
    .await;
}

fn find<'a>(edges: &'a [Value], id: &str) -> &'a Value {
    edges.iter().map(|edge| &edge["node"]).find(|node| node["id"] == id).expect("the card")
}
