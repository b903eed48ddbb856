//! Papers: which questions a test asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use jishu_tests::{SittingPayload, TestApp, on_each_database};
use serde_json::json;

use super::{World, accepted, answers, id, questions};

on_each_database!(
    a_paper_is_what_the_blueprint_says,
    papers_of_a_subject_share_as_little_as_can_be,
    an_edit_changes_neither_a_paper_nor_a_past_result,
    archived_questions_are_left_out,
);

fn stems(payload: &SittingPayload) -> Vec<String> {
    questions(payload).iter().map(|question| question.stem.clone()).collect()
}

async fn start(app: &TestApp, world: &World, test_number: i32) -> SittingPayload {
    let card =
        app.number(&format!("SELECT id FROM mock_test_attempts WHERE test_number = {test_number}")).await;
    let started = world.learner.start_session(&app.global("MockTestAttempt", card)).await;
    accepted(&started);
    started
}

async fn a_paper_is_what_the_blueprint_says(app: Arc<TestApp>) {
    let world = World::new(&app, 30).await;
    app.execute("UPDATE question_versions SET difficulty = 'hard' WHERE id % 2 = 0").await;
    let subject = world.course.subject_rows[0];
    let topic = |name: &str| format!("(SELECT id FROM topics WHERE name = '{name}')");
    for (position, topic, difficulty, count) in [
        (0, topic("Optics"), "NULL", 4),
        (1, topic("Waves"), "'hard'", 2),
        (2, "NULL".to_owned(), "'medium'", 3),
    ] {
        let values = format!("{subject}, {position}, {topic}, {difficulty}, {count}");
        app.execute(&format!(
            "INSERT INTO blueprint_parts (subject_id, position, topic_id, difficulty, questions) VALUES ({values})"
        ))
        .await;
    }
    let numbers: Vec<i64> = stems(&start(&app, &world, 1).await)
        .iter()
        .map(|stem| stem.trim_start_matches("Question ").parse().unwrap())
        .collect();
    assert_eq!(numbers.len(), 9);
    assert!(numbers[..4].iter().all(|number| number % 3 == 1), "{numbers:?}");
    assert!(numbers[4..6].iter().all(|number| number % 3 == 2 && number % 2 == 0), "{numbers:?}");
    assert!(numbers[6..].iter().all(|number| number % 2 == 1), "{numbers:?}");
    let seed = app.number("SELECT seed FROM papers").await;
    assert_ne!(seed, 0, "the seed was not recorded");
}

async fn papers_of_a_subject_share_as_little_as_can_be(app: Arc<TestApp>) {
    let world = World::new(&app, 25).await;
    world.set(&app, "questions_per_test", "10").await;
    let mut asked = BTreeSet::new();
    for test_number in 1..=3 {
        asked.extend(stems(&start(&app, &world, test_number).await));
    }
    assert_eq!(asked.len(), 25, "a question was repeated before each question of the bank was asked");
}

async fn an_edit_changes_neither_a_paper_nor_a_past_result(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let started = world.learner.start_session(&world.card).await;
    let first = world.learner.submit_session(&id(&started), Some((1, answers(&started, 4, 0)))).await;
    app.execute(
        "INSERT INTO question_versions (question_id, version, topic_id, difficulty, kind, text_format, stem, \
         explanation, numeric_value, numeric_tolerance, content_hash, created_at) \
         SELECT question_id, 2, topic_id, difficulty, 'numeric', text_format, 'Edited', NULL, '1', '0', content_hash, \
         created_at FROM question_versions",
    )
    .await;
    app.execute("UPDATE questions SET current_version = 2").await;
    app.execute("UPDATE subjects SET marks_correct = 100, time_limit_seconds = 60").await;
    let node = app.second_node().await;
    let second = world.learner.start_session(&world.card).await;
    assert_eq!(stems(&second), stems(&started), "the paper has changed");
    let second = world.learner.submit_session(&id(&second), Some((1, answers(&second, 4, 0)))).await;
    assert_eq!(second.result(), first.result(), "the marks have changed");
    let document =
        "query ($id: ID!) { node(id: $id) { ... on TestSession { result { score byTopic { topic correct } }
        questions { stem explanation marks } } } }";
    let client = jishu_tests::Client::new(
        app.http().clone(),
        node.url("/graphql"),
        Some(world.learner.token().to_owned()),
    );
    let again = client.run_with(document, json!({ "id": id(&started) })).await;
    assert_eq!(again.text("/node/result/score"), "16.00");
    assert!(again.list("/node/questions").iter().all(|question| question["marks"] == "4.00"));
    node.stop().await;
    let other = start(&app, &world, 2).await;
    assert!(
        stems(&other).iter().all(|stem| stem == "Edited"),
        "a new paper has an old version of a question"
    );
}

async fn archived_questions_are_left_out(app: Arc<TestApp>) {
    let world = World::new(&app, 8).await;
    world.set(&app, "questions_per_test", "4").await;
    app.execute(
        "UPDATE questions SET archived_at = created_at WHERE external_id IN ('q1', 'q2', 'q3', 'q4')",
    )
    .await;
    let stems = stems(&start(&app, &world, 1).await);
    let left: BTreeSet<String> = (5..=8).map(|number| format!("Question {number}")).collect();
    assert_eq!(stems.into_iter().collect::<BTreeSet<_>>(), left);
}
