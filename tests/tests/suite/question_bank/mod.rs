//! The question bank. The tests of this file import and export questions.

mod archive;
mod corrections;
mod files;
mod made_up_ids;
mod option_order;
mod pictures;
mod short_answers;

use std::sync::Arc;

use futures_util::future::join_all;
use jishu_entity::SubjectId;
use jishu_entity::question_version::Difficulty;
use jishu_entity::user::Role;
use jishu_service::question_bank::{self, Defaults, Format, ImportFile, ImportReport, ImportRequest};
use jishu_tests::{Client, EXPORT, IMPORT, TestApp, TestCourse, on_each_database};
use serde_json::json;

on_each_database!(
    importing_again_changes_nothing,
    an_edit_makes_a_version_and_the_old_one_stays,
    a_bank_comes_back_from_each_format,
    a_bank_larger_than_a_batch_is_stored_whole,
    imports_at_once_store_each_question_once,
    a_dry_run_tells_the_same_and_writes_nothing,
    an_export_is_read_page_by_page,
    only_authors_and_admins_may,
    subjects_do_not_share_questions,
);

/// Four questions of two topics: one right option, several right options, a number, and true or false.
const BANK: &str = "$CATEGORY: $course$/top/Optics

// [id:opt-1] [tag:difficulty:hard]
::opt-1::[html]<p>Which lens\\: <b>converges</b>?</p> { =convex ~concave ~plane #### It is thicker in the middle. }

// [id:opt-2]
::opt-2::Which are colours? {~%50%red ~%50%blue ~%-100%π ≈ 3}

$CATEGORY: $course$/top/Waves \u{1d11e}

// [id:wav-1]
[markdown]Speed of sound in *air*, in m/s? {#340:5}

// [id:wav-2]
Light is a wave. {TRUE}
";

/// An author, and a course with the subjects whose banks the author fills.
struct World {
    course: TestCourse,
    author: Client,
}

impl World {
    async fn new(app: &TestApp, subjects: &[&str]) -> Self {
        let course = app.course(subjects).create(app).await;
        Self { course, author: app.staff("Meera", Role::Author).await }
    }
}

/// Counts the rows of topics, questions, versions, options and audit events, in this order.
async fn rows(app: &TestApp) -> Vec<i64> {
    let mut rows = Vec::new();
    for table in ["topics", "questions", "question_versions", "question_options", "audit_events"] {
        rows.push(app.number(&format!("SELECT COUNT(*) FROM {table}")).await);
    }
    rows
}

async fn importing_again_changes_nothing(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let physics = &course.subjects[0];
    let first = author.import(physics, BANK).await;
    assert_eq!(first.counts(), [4, 0, 0, 0]);
    assert_eq!(first.losses, []);
    let after = rows(&app).await;
    assert_eq!(after[..4], [2, 4, 4, 8]);
    assert_eq!(app.number("SELECT COUNT(*) FROM audit_events WHERE action = 'questions.imported'").await, 1);
    assert_eq!(author.import(physics, BANK).await.counts(), [0, 0, 4, 0]);
    assert_eq!(rows(&app).await, after);
    // A question without an id gets an id that is derived from its text. A question with the same text and another key
    // is refused.
    let nameless = "Which is a metal?\nA. iron\nB. sulphur\nANSWER: A\n";
    assert_eq!(author.import(physics, nameless).await.counts(), [1, 0, 0, 0]);
    assert_eq!(author.import(physics, nameless).await.counts(), [0, 0, 1, 0]);
    assert_eq!(author.import(physics, &nameless.replace(": A", ": B")).await.counts(), [0, 0, 0, 1]);
}

async fn an_edit_makes_a_version_and_the_old_one_stays(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    author.import(&course.subjects[0], BANK).await;
    let edited = BANK.replace("#340:5", "#343:3").replace("Optics", "Rays");
    assert_eq!(author.import(&course.subjects[0], &edited).await.counts(), [0, 3, 1, 0]);
    assert_eq!(app.number("SELECT COUNT(*) FROM question_versions WHERE version = 2").await, 3);
    assert_eq!(app.number("SELECT COUNT(*) FROM question_versions WHERE numeric_value = '340'").await, 1);
    assert_eq!(app.number("SELECT COUNT(*) FROM question_versions").await, 7);
    assert_eq!(app.number("SELECT COUNT(*) FROM questions WHERE current_version = 2").await, 3);
    assert_eq!(app.number("SELECT COUNT(*) FROM topics").await, 3);
    let exported = author.export(&course.subjects[0], "GIFT").await.text;
    assert!(exported.contains("#343:3") && !exported.contains("340") && exported.contains("top/Rays"));
}

async fn a_bank_comes_back_from_each_format(app: Arc<TestApp>) {
    let course = app.course(&["One", "Two", "Three", "Four", "Five"]).create(&app).await;
    let author = app.staff("Meera", Role::Author).await;
    let [from, rest @ ..] = &course.subjects[..] else { panic!("five subjects") };
    author.import(from, BANK).await;
    for (format, to) in ["GIFT", "MOODLE_XML", "QTI"].iter().zip(rest) {
        let exported = author.export(from, format).await;
        assert_eq!(exported.losses, [], "{format}");
        let document = &exported.text;
        let imported = author.import(to, document).await;
        assert_eq!(imported.counts(), [4, 0, 0, 0], "{format}\n{document}");
        assert_eq!(imported.losses, [], "{format}");
        assert_eq!(author.export(to, "GIFT").await.text, author.export(from, "GIFT").await.text, "{format}");
        assert_eq!(author.import(from, document).await.counts(), [0, 0, 4, 0], "{format}");
    }
    // An export and an import also keep HTML with many equals signs and with elements that QTI does not know.
    let odd = format!(
        "// [id:odd]\n[html]<p>{}</p><my-interaction></my-interaction> {{=yes ~no}}\n",
        "\\=".repeat(2_000)
    );
    assert_eq!(author.import(&course.subjects[4], &odd).await.counts(), [1, 0, 0, 0]);
    for format in ["GIFT", "MOODLE_XML", "QTI"] {
        let exported = author.export(&course.subjects[4], format).await;
        assert_eq!(exported.losses, [], "{format}");
        let again = author.import(&course.subjects[4], &exported.text).await;
        assert_eq!(again.counts(), [0, 0, 1, 0], "{format}");
    }
    let hashes = "SELECT COUNT(DISTINCT content_hash) FROM question_versions";
    assert_eq!(app.number(hashes).await, 5);

    let aiken = author.export(from, "AIKEN").await;
    let losses: Vec<(&str, bool)> = aiken
        .losses
        .iter()
        .map(|loss| (loss.external_id.as_deref().unwrap(), loss.text.contains("left out")))
        .collect();
    assert_eq!(losses, [("opt-1", false), ("opt-2", true), ("wav-1", true), ("wav-2", false)]);
    let document = &aiken.text;
    let imported =
        author.import(from, document).with(&json!({ "topic": "Aiken", "difficulty": "EASY" })).await;
    assert_eq!(imported.counts(), [2, 0, 0, 0]);
    let easy = "SELECT COUNT(*) FROM question_versions JOIN topics ON topics.id = topic_id \
                WHERE name = 'Aiken' AND difficulty = 'easy'";
    assert_eq!(app.number(easy).await, 2);
}

fn many(questions: usize) -> String {
    (0..questions)
        .map(|number| format!("::q{number}:: What is {number}? {{=it ~not it ~{number}}}\n\n"))
        .collect()
}

async fn a_bank_larger_than_a_batch_is_stored_whole(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let _ = app.take_statements();
    assert_eq!(author.import(&course.subjects[0], &many(1_100)).await.counts(), [1_100, 0, 0, 0]);
    let statements = app.take_statements().len();
    assert!(statements < 100, "{statements} statements for five batches");
    assert_eq!(rows(&app).await[1..4], [1_100, 1_100, 3_300]);
    let again = author.import(&course.subjects[0], &many(1_200)).await;
    assert_eq!(again.counts(), [100, 0, 1_100, 0]);
}

async fn imports_at_once_store_each_question_once(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    for round in 0..5 {
        let bank = BANK.replace("opt-", &format!("opt{round}-")).replace("wav-", &format!("wav{round}-"));
        let answers = join_all((0..8).map(async |_| author.import(&course.subjects[0], &bank).await)).await;
        let created: usize = answers.iter().map(|answer| answer.counts()[0]).sum();
        let unchanged: usize = answers.iter().map(|answer| answer.counts()[2]).sum();
        assert_eq!((created, unchanged), (4, 28));
    }
    // Eight imports at once change the key of the same question. Each import makes a version, and no version is lost.
    let before = app.number("SELECT COUNT(*) FROM question_versions").await;
    let edits = (0..8).map(|edit| BANK.replace("wav-1", "wav0-1").replace("#340:5", &format!("#{edit}:5")));
    let edits: Vec<String> = edits.collect();
    let answers =
        join_all(edits.iter().map(async |edit| author.import(&course.subjects[0], edit).await)).await;
    let updated: usize = answers.iter().map(|answer| answer.counts()[1]).sum();
    let created: usize = answers.iter().map(|answer| answer.counts()[0]).sum();
    assert_eq!((updated, created), (8, 3));
    assert_eq!(app.number("SELECT COUNT(*) FROM question_versions").await, before + 8 + 3);
}

async fn a_dry_run_tells_the_same_and_writes_nothing(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let file = format!(
        "{BANK}\nWrite about waves. {{}}\n\n// [id:opt-1]\nTwice? {{=a ~b}}\n\nMarks? {{=a#well ~b}}\n"
    );
    let before = rows(&app).await;
    let dry = author.import(&course.subjects[0], &file).with(&json!({ "dryRun": true })).await;
    assert_eq!(rows(&app).await, before);
    let wet = author.import(&course.subjects[0], &file).await;
    assert_eq!(dry, wet);
    assert_eq!(wet.counts(), [5, 0, 0, 2]);
    let [essay, twice] = &wet.refused[..] else { panic!("{wet:#?}") };
    assert_eq!((essay.line, twice.external_id.as_deref()), (Some(17), Some("opt-1")));
    assert!(essay.text.contains("essay") && twice.text.contains("line 4"), "{wet:#?}");
    assert_eq!(wet.loss_count, 1);
    let dry = author.import(&course.subjects[0], &file).with(&json!({ "dryRun": true })).await;
    assert_eq!(dry.counts(), [0, 0, 5, 2]);
}

async fn an_export_is_read_page_by_page(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics", "Chemistry"]).await;
    author.import(&course.subjects[0], &many(25)).await;
    let (mut whole, mut pages, mut after) = (String::new(), 0, None);
    loop {
        let page = author.export(&course.subjects[0], "GIFT").first(10).after(after.as_deref()).await;
        whole.push_str(&page.text);
        pages += 1;
        after = page.end_cursor;
        if !page.has_next_page {
            break;
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(author.import(&course.subjects[1], &whole).await.counts(), [25, 0, 0, 0]);
    for (variables, named) in [
        (json!({ "first": 0 }), "1 to 500"),
        (json!({ "first": 501 }), "1 to 500"),
        (json!({ "after": "nonsense" }), "cursor"),
        (json!({ "subject": course.id }), "no such subject"),
    ] {
        let mut all = json!({ "subject": course.subjects[0], "format": "QTI" });
        for (key, value) in variables.as_object().unwrap() {
            all[key] = value.clone();
        }
        let (code, message) = author.fail(EXPORT, all).await;
        assert!(code == "BAD_USER_INPUT" && message.contains(named), "{code} {message}");
    }
    let empty = author.export(&course.subjects[1], "MOODLE_XML").await.text;
    assert!(empty.ends_with("</quiz>\n"));
}

async fn only_authors_and_admins_may(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).create(&app).await;
    let input = json!({ "input": { "subjectId": course.subjects[0], "text": BANK } });
    let page = json!({ "subject": course.subjects[0], "format": "GIFT" });
    let before = rows(&app).await;
    let (learner, support) = (app.learner("Asha").await, app.staff("Sana", Role::Support).await);
    for client in [&learner, &support] {
        assert_eq!(client.fail(IMPORT, input.clone()).await.0, "FORBIDDEN");
        assert_eq!(client.fail(EXPORT, page.clone()).await.0, "FORBIDDEN");
    }
    assert_eq!(app.anonymous().fail(IMPORT, input.clone()).await.0, "UNAUTHENTICATED");
    assert_eq!(app.anonymous().fail(EXPORT, page.clone()).await.0, "UNAUTHENTICATED");
    assert_eq!(rows(&app).await[..4], before[..4]);
    let admin = app.staff("Ila", Role::Admin).await;
    assert_eq!(admin.import(&course.subjects[0], BANK).await.counts(), [4, 0, 0, 0]);
    assert_eq!(admin.export(&course.subjects[0], "GIFT").await.question_count, 4);
}

async fn subjects_do_not_share_questions(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let services = &app.services;
    let import = async |subject_id: SubjectId| -> ImportReport {
        let defaults = Defaults { topic: "General".to_owned(), difficulty: Difficulty::Medium };
        let (format, file) = (Some(Format::Gift), ImportFile::Text(BANK.to_owned()));
        let (names_are_ids, correct_keys, dry_run, actor) = (false, None, false, None);
        let request =
            ImportRequest { subject_id, format, file, defaults, names_are_ids, correct_keys, dry_run, actor };
        question_bank::import(&services.database, &*services.clock, request, &|_| {}).await.unwrap()
    };
    for subject in &course.subject_rows {
        assert_eq!(import(*subject).await.created, 4);
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM questions").await, 8);
    assert_eq!(app.number("SELECT COUNT(*) FROM topics").await, 4);
}
