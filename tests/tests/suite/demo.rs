//! The data that `--demo` adds.

use std::sync::Arc;

use futures_util::future::join_all;
use jishu_entity::SubjectId;
use jishu_entity::question_version::Difficulty;
use jishu_service::demo;
use jishu_service::question_bank::{self, Defaults, Format, ImportFile, ImportRequest};
use jishu_tests::{Backend, Client, TestApp, on_each_database, rows};
use serde_json::json;

on_each_database!(
    adding_the_demo_again_changes_nothing,
    a_catalogue_without_questions_gets_them,
    every_card_of_the_demo_can_be_sat,
);

/// Returns the main columns of the rows that the demo writes, table by table in a fixed order.
async fn everything(app: &TestApp) -> Vec<Vec<Vec<String>>> {
    let mut all = Vec::new();
    for query in [
        "SELECT id, code, name, bundle_price FROM courses ORDER BY id",
        "SELECT id, code, name, list_price, marks_correct, marks_wrong, marks_unanswered, questions_per_test, \
         time_limit_seconds FROM subjects ORDER BY id",
        "SELECT id, subject_id, name FROM topics ORDER BY id",
        "SELECT id, subject_id, external_id, current_version FROM questions ORDER BY id",
        "SELECT id, question_id, version, stem, explanation, numeric_value FROM question_versions ORDER BY id",
        "SELECT version_id, position, text FROM question_options ORDER BY version_id, position",
        "SELECT id, name, email FROM users ORDER BY id",
        "SELECT id, action FROM audit_events ORDER BY id",
    ] {
        all.push(rows(app.connection(), query).await);
    }
    all
}

async fn adding_the_demo_again_changes_nothing(app: Arc<TestApp>) {
    let learner = demo::seed(&app.services).await.unwrap();
    let first = everything(&app).await;
    assert!(first.iter().all(|table| !table.is_empty()));
    assert_eq!(app.number("SELECT COUNT(*) FROM question_versions WHERE explanation IS NULL").await, 0);
    assert_eq!(app.number("SELECT COUNT(*) FROM topics WHERE name = 'General'").await, 0);
    assert_eq!(demo::seed(&app.services).await.unwrap().id, learner.id);
    assert!(everything(&app).await == first, "the second start changed something");

    // Starting the demo again does not undo an author's changes.
    app.execute("UPDATE questions SET current_version = 2 WHERE external_id = 'physics-1'").await;
    app.execute("UPDATE subjects SET questions_per_test = 45 WHERE code = 'botany'").await;
    let edited = everything(&app).await;
    let node = app.second_node().await;
    for seeded in join_all([&app.services, &node.services].map(demo::seed)).await {
        seeded.unwrap();
    }
    node.stop().await;
    assert!(everything(&app).await == edited, "the author's change was undone");
}

async fn a_catalogue_without_questions_gets_them(app: Arc<TestApp>) {
    demo::seed(&app.services).await.unwrap();
    let all = app.number("SELECT COUNT(*) FROM questions").await;
    for table in ["question_version_pictures", "question_options", "question_versions", "questions", "topics"]
    {
        app.execute(&format!("DELETE FROM {table}")).await;
    }
    // Sets the test settings of an older demo, which had no questions. An author has changed the marks of Botany, so
    // the settings of Botany must stay.
    app.execute("UPDATE subjects SET questions_per_test = 45, time_limit_seconds = 3600, marks_correct = 400, marks_wrong = -100")
        .await;
    app.execute("UPDATE subjects SET marks_correct = 300 WHERE code = 'botany'").await;
    // Two nodes add the demo at once.
    let node = app.second_node().await;
    for seeded in join_all([&app.services, &node.services].map(demo::seed)).await {
        seeded.unwrap();
    }
    node.stop().await;
    assert_eq!(app.number("SELECT COUNT(*) FROM questions").await, all);
    assert_eq!(app.number("SELECT COUNT(*) FROM question_versions").await, all);
    let settings =
        "SELECT code, marks_correct, marks_wrong, questions_per_test, time_limit_seconds FROM subjects";
    for [code, correct, wrong, questions, seconds] in
        rows(app.connection(), settings).await.into_iter().map(|row| <[String; 5]>::try_from(row).unwrap())
    {
        let expected = match code.as_str() {
            "botany" => ["300", "-100", "45", "3600"],
            "general-test" | "economics" => ["500", "-100", "10", "900"],
            "reasoning" | "quantitative-aptitude" | "general-awareness" => ["200", "-50", "10", "900"],
            // Two courses have a subject with the code `english`, with different marks.
            "english" if correct == "200" => ["200", "-50", "10", "900"],
            "english" => ["500", "-100", "10", "900"],
            _ => ["400", "-100", "10", "900"],
        };
        assert_eq!([correct, wrong, questions, seconds], expected, "{code}");
    }
}

/// Signs in as the learner of the demo, and returns the client.
async fn learner(app: &TestApp) -> Client {
    let login = "mutation ($input: LoginInput!) { login(input: $input) { tokens { accessToken } } }";
    let input = json!({ "input": { "email": demo::LEARNER_EMAIL, "password": demo::LEARNER_PASSWORD } });
    let answer = app.anonymous().run_with(login, input).await;
    app.with_token(answer.text("/login/tokens/accessToken"))
}

async fn every_card_of_the_demo_can_be_sat(app: Arc<TestApp>) {
    // Two nodes add the demo at once to an empty database.
    let node = app.second_node().await;
    for seeded in join_all([&app.services, &node.services].map(demo::seed)).await {
        seeded.unwrap();
    }
    node.stop().await;
    let learner = learner(&app).await;
    let courses = learner.run("{ courses { edges { node { id } } } }").await;
    for course in courses.list("/courses/edges") {
        let bought = learner
            .run_with(
                "mutation ($id: ID!) { purchase(input: { courseId: $id, purchaseType: FULL_BUNDLE }) { outcome } }",
                json!({ "id": course["node"]["id"] }),
            )
            .await;
        assert_eq!(bought.text("/purchase/outcome"), "CREATED");
    }
    // All papers of a subject are made in the same way, so the test checks only the first and the last of fifty.
    let cards = "SELECT id FROM mock_test_attempts WHERE test_number IN (1, 50) ORDER BY id";
    let cards = rows(app.connection(), cards).await;
    assert_eq!(cards.len(), 28);
    for card in cards {
        let card = app.global("MockTestAttempt", card[0].parse().unwrap());
        let started = learner.start_session(&card).await;
        assert_eq!(started.user_errors, [], "{card}");
        assert_eq!(started.questions().len(), 10);
        let submitted = learner.submit_session(started.id(), None).await;
        assert_eq!(submitted.result().unanswered, 10);
    }
}

/// Signs in to each account of the demo with its public password.
#[tokio::test]
async fn each_account_of_the_demo_has_its_role() {
    TestApp::run(Backend::Sqlite, async |app| {
        demo::seed(&app.services).await.unwrap();
        let login =
            "mutation ($input: LoginInput!) { login(input: $input) { user { role } userErrors { code } } }";
        let mut roles = Vec::new();
        for account in demo::ACCOUNTS {
            let input = json!({ "input": { "email": account.email, "password": account.password } });
            roles.push(app.anonymous().run_with(login, input).await.text("/login/user/role").to_owned());
        }
        assert_eq!(roles, ["LEARNER", "AUTHOR", "SUPPORT", "ADMIN"]);
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 4);
    })
    .await;
}

/// Each file of the demo is imported without refusals or losses. Each file except those for JEE has at least 16
/// questions, more than the 10 of a test.
#[tokio::test]
async fn the_files_are_read_whole() {
    TestApp::run(Backend::Sqlite, async |app| {
        let course = app.course(&["Physics"]).create(&app).await;
        let row = app.number("SELECT id FROM subjects").await;
        assert_eq!(course.subjects.len(), 1);
        let mut files = 0;
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../api/service/demo")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "gift") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let questions = u32::try_from(text.matches("// [id:").count()).unwrap();
            let request = ImportRequest {
                subject_id: SubjectId(row),
                format: Some(Format::Gift),
                file: ImportFile::Text(text),
                defaults: Defaults { topic: "General".to_owned(), difficulty: Difficulty::Medium },
                names_are_ids: false,
                correct_keys: None,
                dry_run: false,
                actor: None,
            };
            let clock = app.services.clock.as_ref();
            let report =
                question_bank::import(&app.services.database, clock, request, &|_| {}).await.unwrap();
            assert_eq!(
                (report.created, report.refused, report.losses),
                (questions, vec![], vec![]),
                "{path:?}"
            );
            assert!(
                questions >= 16 || path.to_string_lossy().ends_with("-jee.gift"),
                "{path:?}: {questions}"
            );
            files += 1;
        }
        assert_eq!(files, 13);
    })
    .await;
}
