//! Archived questions: fixed tests still ask them, and an author can restore them. Also the search for questions.

use std::sync::Arc;

use jishu_tests::{TestApp, on_each_database};
use serde_json::{Value, json};

use super::corrections::{QUESTIONS, World};
use super::rows;

on_each_database!(
    an_archived_question_is_never_drawn_and_can_be_restored,
    an_import_leaves_a_question_archived_and_tells,
    questions_are_found_by_their_words,
);

pub(super) const ARCHIVE: &str =
    "mutation ($input: SetQuestionArchivedInput!) { setQuestionArchived(input: $input) {
    question { id archivedAt } userErrors { code path } } }";

async fn set(world: &World, id: &Value, archived: bool) -> Value {
    let input = json!({ "questionId": id, "archived": archived });
    world.author.run_with(ARCHIVE, json!({ "input": input })).await.at("/setQuestionArchived").clone()
}

async fn an_archived_question_is_never_drawn_and_can_be_restored(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let learner = app.learner("Asha").await;
    let first = app.cards(&learner, &world.course).await.remove(0);
    learner.start_session(&first).await;
    let question = world.question("k1").await["id"].clone();
    let archived = set(&world, &question, true).await;
    assert!(
        archived["question"]["archivedAt"].is_string() && archived["userErrors"] == json!([]),
        "{archived}"
    );
    let before = rows(&app).await;
    assert_eq!(set(&world, &question, true).await, archived, "archiving a second time has another response");
    assert_eq!(rows(&app).await, before);

    let second = app.number("SELECT id FROM mock_test_attempts WHERE test_number = 2").await;
    let second = app.global("MockTestAttempt", second);
    let refused = learner.start_session(&second).await;
    assert_eq!(refused.error().code, "TOO_FEW_QUESTIONS");
    let session = learner.start_session(&first).await;
    let ended = learner.submit_session(session.id(), None).await;
    assert_eq!(ended.questions().len(), 2, "the test has lost the archived question");
    let list = |archived: bool| {
        let author = world.author.clone();
        let variables = json!({ "subject": world.subject, "archived": archived });
        async move {
            let page = author.run_with(QUESTIONS, variables).await;
            page.list("/questions/edges")
                .iter()
                .map(|it| it["node"]["externalId"].clone())
                .collect::<Vec<_>>()
        }
    };
    assert_eq!((list(true).await, list(false).await), (vec![json!("k1")], vec![json!("k2")]));
    assert_eq!(world.author.export(&world.subject, "GIFT").await.question_count, 1);

    assert_eq!(set(&world, &question, false).await["question"]["archivedAt"], Value::Null);
    assert_eq!(learner.start_session(&second).await.user_errors, []);
    for action in ["question.archived", "question.restored"] {
        assert_eq!(
            app.number(&format!("SELECT COUNT(*) FROM audit_events WHERE action = '{action}'")).await,
            1
        );
    }
    let unknown = set(&world, &json!(app.global("AuthoredQuestion", 999)), true).await;
    assert_eq!(unknown["userErrors"][0]["code"], "QUESTION_NOT_FOUND");
}

async fn an_import_leaves_a_question_archived_and_tells(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let question = world.question("k1").await["id"].clone();
    set(&world, &question, true).await;
    for (text, counted) in
        [("How many? {#54:1 #### There are 54.}", [0, 0, 1, 0]), ("How many? {#54:2}", [0, 1, 0, 0])]
    {
        let answer = world.author.import(&world.subject, &format!("// [id:k1]\n{text}\n")).await;
        assert_eq!(answer.counts(), counted);
        let [notice] = &answer.notices[..] else { panic!("{answer:?}") };
        assert_eq!(notice.external_id.as_deref(), Some("k1"));
        assert!(notice.text.contains("archived"), "{notice:?}");
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM questions WHERE archived_at IS NOT NULL").await, 1);
}

async fn questions_are_found_by_their_words(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let more = "// [id:p_1]\nIs 100% all? {=yes ~no}\n\n// [id:px1]\nIst Öl flüssig! {=ja ~nein}\n";
    world.author.import(&world.subject, more).await;
    for (search, found) in [
        ("GAS", vec!["k2"]),
        ("100%", vec!["p_1"]),
        ("p_1", vec!["p_1"]),
        ("Öl", vec!["px1"]),
        ("!", vec!["px1"]),
        ("%x", vec![]),
    ] {
        let page =
            world.author.run_with(QUESTIONS, json!({ "subject": world.subject, "search": search })).await;
        let ids: Vec<&str> = page
            .list("/questions/edges")
            .iter()
            .map(|it| it["node"]["externalId"].as_str().unwrap())
            .collect();
        assert_eq!(ids, found, "{search}");
        assert_eq!(page.number("/questions/totalCount"), i64::try_from(found.len()).unwrap());
    }
}
