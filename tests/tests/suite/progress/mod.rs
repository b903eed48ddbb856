//! The field `progress`: its values, compared with values that the test computes from the same sittings in another way,
//! its arguments, and the number of its statements.

mod at_scale;
mod expected;
mod ranking;
mod sat;
mod world;

use std::sync::Arc;

use jishu_entity::test_session::SessionStatus;
use jishu_entity::{SubjectId, test_session};
use jishu_service::clock::Clock;
use jishu_tests::{TestApp, on_each_database};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use serde_json::{Value, json};

use expected::expected;
use sat::{Bank, CARDS, sit};
use world::{learner, open, tell_card};

on_each_database!(
    progress_is_what_the_sittings_add_up_to,
    without_a_sitting_there_is_nothing_to_average,
    a_subject_of_another_learner_has_no_progress,
    the_trend_has_a_length,
    only_what_is_asked_for_is_read,
);

const PROGRESS: &str = "
query ($subject: ID, $last: Int) {
  viewer {
    progress(subjectId: $subject) {
      testsTaken averagePercentage bestPercentage firstAverage latestAverage improvement timeSpentSeconds
      bySubject {
        subject { id } totalCards available inProgress completed exhausted averagePercentage
        byTopic { topic correct wrong unanswered score accuracy }
      }
      trend(last: $last) { at percentage session { id } }
    }
  }
}";

async fn progress_is_what_the_sittings_add_up_to(app: Arc<TestApp>) {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let bank = Bank::create(&app).await;
    let [science, humanities] = [&bank.courses[0], &bank.courses[1]];

    let mut learners = Vec::new();
    for name in ["Asha", "Binod", "Chitra", "Devi"] {
        learners.push(learner(&app, name).await);
    }
    let [asha, binod, chitra, devi] = [0, 1, 2, 3].map(|index| &learners[index]);
    // Asha buys Physics, loses the entitlement as by a refund, and buys Physics again. Below, she sits cards of both
    // purchases.
    asha.purchase(science, 0).await;
    asha.lose(&app, science.subject_rows[0]).await;
    asha.purchase(science, 0).await;
    asha.purchase(humanities, 0).await;
    // Binod loses the entitlement to the subject whose cards he sits.
    binod.purchase(science, 1).await;
    binod.lose(&app, science.subject_rows[1]).await;
    for subject in [0, 1] {
        chitra.purchase(science, subject).await;
    }
    chitra.purchase(humanities, 0).await;
    devi.purchase(humanities, 0).await;

    let mut compared = 0;
    for learner in &learners {
        let sittings = sit(&app, &bank, learner, &mut random).await;
        for subject in [None].into_iter().chain(bank.topics.keys().copied().map(Some)) {
            for last in [7, 100] {
                let variables = json!({ "subject": subject.map(|SubjectId(id)| app.global("Subject", id)), "last": last });
                let answer = learner.client.run_with(PROGRESS, variables.clone()).await;
                let expected = expected(&app, &bank, learner, &sittings, subject, last).await;
                assert_eq!(answer.at("/viewer/progress"), &expected, "seed {seed}, {variables}");
            }
        }
        compared += sittings.len();
    }
    assert!(compared > 60, "{compared} sittings");
}

async fn without_a_sitting_there_is_nothing_to_average(app: Arc<TestApp>) {
    let bank = Bank::create(&app).await;
    let asha = learner(&app, "Asha").await;
    let nothing = json!({
        "testsTaken": 0, "averagePercentage": null, "bestPercentage": null, "firstAverage": null,
        "latestAverage": null, "improvement": null, "timeSpentSeconds": 0, "bySubject": [], "trend": [],
    });
    assert_eq!(asha.client.run(PROGRESS).await.at("/viewer/progress"), &nothing);

    // An open sitting does not count. A sitting with a score below zero counts.
    asha.purchase(&bank.courses[1], 0).await;
    let card = asha.cards(&app).await.swap_remove(0);
    let at = app.clock.now();
    let row = open(&card, bank.papers[&(card.subject_id, card.test_number)], 1, at);
    let row = row.insert(app.connection()).await.unwrap();
    tell_card(&app, card.id, 0, true).await;
    let mut started = nothing.clone();
    started["bySubject"] = json!([{
        "subject": { "id": bank.courses[1].subjects[0] }, "totalCards": CARDS, "available": CARDS - 1,
        "inProgress": 1, "completed": 0, "exhausted": 0, "averagePercentage": null, "byTopic": [],
    }]);
    assert_eq!(asha.client.run(PROGRESS).await.at("/viewer/progress"), &started);

    let over = test_session::ActiveModel {
        status: Set(SessionStatus::Submitted),
        open_marker: Set(None),
        submitted_at: Set(Some(at)),
        score: Set(Some(-45_00)),
        percentage: Set(Some(-25_00)),
        time_taken_seconds: Set(Some(60)),
        ..row.into()
    };
    over.update(app.connection()).await.unwrap();
    let progress = asha.client.run(PROGRESS).await;
    for field in ["averagePercentage", "bestPercentage"] {
        assert_eq!(progress.text(&format!("/viewer/progress/{field}")), "-25.00");
    }
    assert_eq!(
        progress.at("/viewer/progress/improvement"),
        &Value::Null,
        "one sitting counts as an improvement"
    );
    assert_eq!(progress.text("/viewer/progress/trend/0/percentage"), "-25.00");
}

async fn a_subject_of_another_learner_has_no_progress(app: Arc<TestApp>) {
    let bank = Bank::create(&app).await;
    let (asha, binod) = (learner(&app, "Asha").await, learner(&app, "Binod").await);
    asha.purchase(&bank.courses[0], 0).await;
    sit(&app, &bank, &asha, &mut StdRng::seed_from_u64(1)).await;
    let of = |id: &str| json!({ "subject": id });
    let hers = asha.client.run_with(PROGRESS, of(&bank.courses[0].subjects[0])).await;
    assert!(hers.number("/viewer/progress/testsTaken") > 0);
    let nothing = binod.client.run(PROGRESS).await;
    for id in [&bank.courses[0].subjects[0], &app.global("Subject", 999_999)] {
        let his = binod.client.run_with(PROGRESS, of(id)).await;
        assert_eq!(his.at("/viewer"), nothing.at("/viewer"));
    }
    for id in [bank.courses[0].id.as_str(), "x", ""] {
        let (code, message) = asha.client.fail(PROGRESS, of(id)).await;
        assert_eq!(code, "BAD_USER_INPUT");
        assert!(message.contains("`subjectId` is not the id of a Subject"), "{message}");
    }
    assert_eq!(app.anonymous().run(PROGRESS).await.at("/viewer"), &Value::Null);
}

async fn the_trend_has_a_length(app: Arc<TestApp>) {
    let bank = Bank::create(&app).await;
    let asha = learner(&app, "Asha").await;
    for subject in [0, 1] {
        asha.purchase(&bank.courses[0], subject).await;
    }
    asha.purchase(&bank.courses[1], 0).await;
    let sittings = sit(&app, &bank, &asha, &mut StdRng::seed_from_u64(3)).await;
    assert!(sittings.len() > 20, "{}", sittings.len());
    let unspoken = asha.client.run("{ viewer { progress { trend { at } } } }").await;
    assert_eq!(unspoken.list("/viewer/progress/trend").len(), 20);
    for (last, length) in [(1, 1), (20, 20), (100, sittings.len())] {
        let answer = asha.client.run_with(PROGRESS, json!({ "last": last })).await;
        assert_eq!(answer.list("/viewer/progress/trend").len(), length);
    }
    for last in [0, -1, 101, i32::MAX] {
        let (code, message) = asha.client.fail(PROGRESS, json!({ "last": last })).await;
        assert_eq!(code, "BAD_USER_INPUT");
        assert!(message.contains(&format!("`last` must be 1 to 100; {last} was given")), "{message}");
    }
}

async fn only_what_is_asked_for_is_read(app: Arc<TestApp>) {
    let bank = Bank::create(&app).await;
    let (asha, binod) = (learner(&app, "Asha").await, learner(&app, "Binod").await);
    for subject in [0, 1] {
        asha.purchase(&bank.courses[0], subject).await;
    }
    asha.purchase(&bank.courses[1], 0).await;
    binod.purchase(&bank.courses[0], 0).await;
    for learner in [&asha, &binod] {
        assert!(!sit(&app, &bank, learner, &mut StdRng::seed_from_u64(2)).await.is_empty());
    }
    let of_subjects =
        "bySubject { subject { name } totalCards averagePercentage byTopic { topic accuracy } }";
    for (fields, statements) in [
        ("__typename", 0),
        ("testsTaken averagePercentage bestPercentage timeSpentSeconds", 1),
        ("firstAverage latestAverage improvement", 1),
        ("bySubject { totalCards available inProgress completed exhausted subject { name } }", 1),
        ("bySubject { averagePercentage }", 2),
        ("bySubject { byTopic { topic score } }", 2),
        (of_subjects, 3),
        ("trend { at percentage }", 1),
        ("trend(last: 100) { session { attemptNumber result { percentage percentile } } }", 2),
        (&format!("testsTaken improvement {of_subjects} trend(last: 100) {{ at percentage }}"), 5),
    ] {
        let document = format!("{{ viewer {{ progress {{ {fields} }} }} }}");
        // The number of statements is the same for Asha with three subjects and Binod with one subject.
        for learner in [&asha, &binod] {
            let _ = app.take_statements();
            learner.client.run(&document).await;
            // Counts only statements on these tables, because the server also reads the catalogue in the background.
            let of_progress = |sql: &String| {
                ["test_sessions", "mock_test_attempts", "topic_totals"]
                    .iter()
                    .any(|table| sql.contains(table))
            };
            let ran: Vec<_> = app.take_statements().into_iter().filter(of_progress).collect();
            assert_eq!(ran.len(), statements, "{fields}\n{ran:#?}");
        }
    }
}
