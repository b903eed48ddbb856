//! Rows with values that are not allowed. The database refuses new rows of this kind, and jishu names existing rows and
//! still serves all other rows.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_entity::user::Role;
use jishu_service::integrity;
use jishu_service::session;
use jishu_tests::{Backend, Client, TestApp, TestCourse, on_each_database, rows, structure};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use crate::sittings::{accepted, answers, id};

on_each_database!(
    words_that_are_not_known_are_refused,
    a_migration_names_the_rows_in_its_way_and_changes_nothing,
    a_bad_row_of_the_catalogue_takes_no_other_with_it,
    a_value_that_cannot_be_read_fails_its_field_alone,
    a_bad_row_keeps_no_other_sitting_from_being_closed,
    a_question_with_a_bad_word_is_not_drawn,
);

/// Creates a course with questions and a blueprint, and a learner who has bought the course and started a sitting of
/// the first card.
async fn with_rows(app: &TestApp) -> (TestCourse, Client) {
    let course = app.course(&["Physics"]).cards(3).create(app).await;
    app.bank(course.subject_rows[0], 4).await;
    let learner = app.staff("Asha", Role::Learner).await;
    let card = app.cards(&learner, &course).await.remove(0);
    accepted(&learner.start_session(&card).await);
    app.execute(&format!(
        "INSERT INTO blueprint_parts (subject_id, position, difficulty, questions) VALUES ({}, 0, 'easy', 4)",
        course.subject_rows[0]
    ))
    .await;
    (course, learner)
}

/// Drops a constraint, as an operator could do to store an unusual value.
async fn without(app: &TestApp, table: &str, check: &str) {
    let text = match app.backend {
        Backend::Sqlite => format!("DROP TRIGGER {check}_insert; DROP TRIGGER {check}_update"),
        _ => format!("ALTER TABLE {table} DROP CONSTRAINT {check}"),
    };
    app.execute(&text).await;
}

const WORDS: [(&str, &str, &str); 13] = [
    ("users", "role", "learner"),
    ("users", "status", "active"),
    ("subjects", "grading_method", "highest"),
    ("subjects", "review_policy", "never"),
    ("blueprint_parts", "difficulty", "easy"),
    ("question_versions", "difficulty", "easy"),
    ("question_versions", "kind", "multiple_choice"),
    ("question_versions", "kind", "short_answer"),
    ("question_versions", "text_format", "plain"),
    ("purchases", "purchase_type", "single_subject"),
    ("purchases", "status", "active"),
    ("purchase_requests", "outcome", "created"),
    ("mock_test_attempts", "status", "available"),
];

async fn words_that_are_not_known_are_refused(app: Arc<TestApp>) {
    let _ = with_rows(&app).await;
    let refuses = async |sql: &str| {
        let error = app.connection().execute_unprepared(sql).await.err();
        error.unwrap_or_else(|| panic!("not refused: {sql}")).to_string()
    };
    for (table, column, word) in WORDS {
        // A numeric question has a value, so it cannot get another kind.
        let filter = format!("{column} <> 'numeric'");
        let count = format!("SELECT COUNT(*) FROM {table} WHERE {filter}");
        assert!(app.number(&count).await > 0, "{table} has no row");
        let cased = format!("{}{}", word[..1].to_uppercase(), &word[1..]);
        for bad in ["best", "", &cased, &format!("{word} ")] {
            let message = refuses(&format!("UPDATE {table} SET {column} = '{bad}'")).await;
            assert!(message.contains(&format!("check_{table}_{column}")), "{message}");
        }
        // The constraint accepts the valid word. The test rolls the update back, because the word may contradict other
        // rows.
        let transaction = app.connection().begin().await.unwrap();
        let update = format!("UPDATE {table} SET {column} = '{word}' WHERE {filter}");
        transaction.execute_unprepared(&update).await.unwrap_or_else(|error| panic!("{error}: {update}"));
        transaction.rollback().await.unwrap();
    }
    refuses("UPDATE test_sessions SET status = 'paused', open_marker = NULL, submitted_at = started_at, score = 0").await;
    refuses(
        "INSERT INTO users (name, email, password_hash, role, status, created_at) \
         SELECT name, 'b@example.com', '', 'boss', status, created_at FROM users",
    )
    .await;
    for marks in [
        "marks_unanswered = 400",
        "marks_wrong = 401",
        "marks_correct = 0, marks_wrong = -1, marks_unanswered = -1",
    ] {
        let message = refuses(&format!("UPDATE subjects SET {marks}")).await;
        assert!(message.contains("check_subjects_marks"), "{message}");
    }
    assert_eq!(integrity::examine(app.connection()).await.unwrap(), [], "a wrong value was written");
}

/// Reads the main columns of tables whose values the constraints check. A test compares them to see whether a row has
/// changed.
async fn everything(app: &TestApp) -> Vec<Vec<Vec<String>>> {
    let mut all = Vec::new();
    for query in [
        "SELECT id, name, email, role, status FROM users ORDER BY id",
        "SELECT id, name, grading_method, review_policy, marks_correct FROM subjects ORDER BY id",
        "SELECT subject_id, position, difficulty FROM blueprint_parts ORDER BY subject_id",
        "SELECT id, difficulty, kind, text_format, stem FROM question_versions ORDER BY id",
        "SELECT id, purchase_type, status, cost FROM purchases ORDER BY id",
        "SELECT id, outcome FROM purchase_requests ORDER BY id",
        "SELECT id, status, test_number FROM mock_test_attempts ORDER BY id",
        "SELECT id, status, open_marker, seed FROM test_sessions ORDER BY id",
    ] {
        all.push(rows(app.connection(), query).await);
    }
    all
}

async fn a_migration_names_the_rows_in_its_way_and_changes_nothing(app: Arc<TestApp>) {
    let (course, _) = with_rows(&app).await;
    let database = &app.services.database;
    let migrations = database.migrations().await.unwrap();
    let at = migrations.iter().position(|migration| migration.name.ends_with("_checks")).unwrap();
    let whole = structure(app.connection()).await;
    database.migrate_down(u32::try_from(migrations.len() - at).unwrap()).await.unwrap();
    let bare = structure(app.connection()).await;
    assert_ne!(whole, bare);

    let subject = course.subject_rows[0];
    app.execute(&format!(
        "UPDATE subjects SET grading_method = 'best', marks_correct = -400 WHERE id = {subject}"
    ))
    .await;
    app.execute("UPDATE blueprint_parts SET difficulty = 'odd'").await;
    let before = everything(&app).await;
    let message = database.migrate_up().await.expect_err("rows are in its way").to_string();
    for named in [
        format!("subjects: id {subject}, grading_method best"),
        format!("subjects: id {subject}, marks_correct -400, marks_wrong -100, marks_unanswered 0"),
        format!("blueprint_parts: subject_id {subject}, position 0, difficulty odd"),
        "grading_method IN ('latest', 'highest', 'first', 'average')".to_owned(),
    ] {
        assert!(message.contains(&named), "{named}: {message}");
    }
    assert!(
        everything(&app).await == before && structure(app.connection()).await == bare,
        "the failed migration changed something"
    );
    let named = integrity::examine(app.connection()).await.unwrap();
    assert_eq!(
        named.iter().filter(|bad| bad.column == "grading_method").count(),
        1,
        "without the constraint, the wrong value was not found once"
    );

    app.execute("UPDATE subjects SET grading_method = 'average', marks_correct = 400").await;
    app.execute("UPDATE blueprint_parts SET difficulty = 'hard'").await;
    let before = everything(&app).await;
    database.migrate_up().await.unwrap();
    assert_eq!(structure(app.connection()).await, whole);
    assert!(everything(&app).await == before, "a row has changed");
}

async fn a_bad_row_of_the_catalogue_takes_no_other_with_it(app: Arc<TestApp>) {
    let (asha, ben) = (app.learner("Asha").await, app.learner("Ben").await);
    let good = app.course(&["Physics", "Chemistry"]).named("Good").create(&app).await;
    let other = app.course(&["Biology", "Botany"]).named("Other").create(&app).await;
    app.cards(&asha, &other).await;
    app.cards(&ben, &good).await;
    without(&app, "subjects", "check_subjects_grading_method").await;
    let (bad, spoilt) = (other.subject_rows[0], good.subject_rows[1]);
    app.execute(&format!("UPDATE subjects SET grading_method = 'best' WHERE id = {bad}")).await;
    app.execute(&format!("UPDATE courses SET currency = 'ZZZ' WHERE id = {}", good.row)).await;
    app.execute(&format!("UPDATE courses SET currency = 'INR' WHERE id = {}", good.row)).await;
    app.services.catalog.reload().await.unwrap();
    let list = "{ courses { edges { node { name subjects { edges { node { name } } } } } } }";
    let named = |answer: &jishu_tests::GraphqlResponse| answer.at("/courses/edges").to_string();
    let shown = named(&ben.run(list).await);
    assert!(["Physics", "Chemistry", "Botany"].iter().all(|name| shown.contains(name)), "{shown}");
    assert!(!shown.contains("Biology"), "{shown}");
    // A second node starts despite the bad row. Ben, who does not own the bad subject, reads his cards and buys.
    let node = app.second_node().await;
    assert_eq!(node.services.catalog.snapshot().courses_on_sale().count(), 2);
    node.stop().await;
    let cards =
        ben.run("{ viewer { mockTestAttempts(first: 1) { edges { node { subject { name } } } } } }").await;
    assert_eq!(cards.text("/viewer/mockTestAttempts/edges/0/node/subject/name"), "Physics");
    let buy = "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome userErrors { code } } }";
    let input =
        json!({ "courseId": other.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [other.subjects[1]] });
    assert_eq!(ben.run_with(buy, json!({ "input": input })).await.text("/purchase/outcome"), "CREATED");

    // Asha owns the subject with the unknown grading method. She still sees it, together with the valid subjects.
    let owned = "{ viewer { mockTestAttempts(first: 100) { edges { node { subject { name archived } } } }
        purchases(first: 5) { edges { node { course { name } subjects { name } } } } } }";
    let shown = asha.run(owned).await.at("/viewer").to_string();
    assert!(["Biology", "Botany", "Other"].iter().all(|name| shown.contains(name)), "{shown}");
    app.execute("UPDATE courses SET currency = 'QQQ' WHERE name = 'Good'").await;
    let found = integrity::examine(app.connection()).await.unwrap();
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(told.contains(&format!("courses, id {}: currency is 'QQQ'", good.row)), "{told:?}");
    app.execute("UPDATE courses SET currency = 'INR' WHERE name = 'Good'").await;

    let found = integrity::examine(app.connection()).await.unwrap();
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(told, [format!("subjects, id {bad}: grading_method is 'best'")]);

    // A course with an unknown currency is not on sale. Users who own its subjects keep them.
    app.execute(&format!("UPDATE courses SET currency = 'ZZZ' WHERE id = {}", other.row)).await;
    app.services.catalog.reload().await.unwrap();
    assert!(!named(&ben.run(list).await).contains("Other"));
    let input =
        json!({ "courseId": other.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [other.subjects[1]] });
    let refused = app.learner("Chitra").await.run_with(buy, json!({ "input": input })).await;
    assert_eq!(refused.text("/purchase/userErrors/0/code"), "COURSE_ARCHIVED");
    let cards = ben.run("{ viewer { purchases(first: 1) { edges { node { subjects { name } } } } } }").await;
    assert_eq!(cards.text("/viewer/purchases/edges/0/node/subjects/0/name"), "Botany");

    app.execute(&format!("UPDATE subjects SET grading_method = 'first' WHERE id IN ({bad}, {spoilt})")).await;
    app.execute("UPDATE courses SET currency = 'INR'").await;
    app.services.catalog.reload().await.unwrap();
    assert!(
        named(&ben.run(list).await).contains("Biology"),
        "the subject is not on sale after the correction"
    );
}

/// Stores values that the driver cannot read: `infinity` in PostgreSQL, dates with zeros in MariaDB, and in SQLite a
/// text that is not UTF-8 and a word instead of a time.
async fn a_value_that_cannot_be_read_fails_its_field_alone(app: Arc<TestApp>) {
    let (course, asha) = with_rows(&app).await;
    app.course(&["Biology"]).named("Other").create(&app).await;
    let ben = app.staff("Ben", Role::Learner).await;
    let card = app.cards(&ben, &course).await.remove(0);
    accepted(&ben.start_session(&card).await);
    let bad = course.row;
    let spoil: &[&str] = match app.backend {
        Backend::Postgres => {
            let late = "UPDATE courses SET created_at = 'infinity'";
            let refused = app.connection().execute_unprepared(late).await.expect_err("a check").to_string();
            assert!(refused.contains("check_courses_times"), "{refused}");
            for table in ["courses", "test_sessions", "entitlements"] {
                app.execute(&format!("ALTER TABLE {table} DROP CONSTRAINT check_{table}_times")).await;
            }
            &[
                "UPDATE courses SET created_at = 'infinity' WHERE id = (SELECT MIN(id) FROM courses)",
                "UPDATE test_sessions SET expires_at = '-infinity' WHERE id = (SELECT MIN(id) FROM test_sessions)",
                "UPDATE entitlements SET expires_at = 'infinity' WHERE purchase_id = (SELECT MIN(id) FROM purchases)",
            ]
        }
        Backend::MariaDb => &[
            "SET STATEMENT sql_mode = '' FOR UPDATE courses SET created_at = '0000-00-00' ORDER BY id LIMIT 1",
            "SET STATEMENT sql_mode = '' FOR UPDATE entitlements SET expires_at = '2024-00-00' ORDER BY purchase_id LIMIT 1",
        ],
        Backend::Sqlite => &[
            "UPDATE courses SET name = CAST(x'ff' AS TEXT) WHERE id = (SELECT MIN(id) FROM courses)",
            "UPDATE entitlements SET expires_at = 'soon' WHERE purchase_id = (SELECT MIN(id) FROM purchases)",
        ],
    };
    for sql in spoil {
        app.execute(sql).await;
    }
    // The catalogue still loads, and a new node still starts.
    app.services.catalog.reload().await.unwrap();
    let node = app.second_node().await;
    assert_eq!(node.services.catalog.snapshot().courses_on_sale().count(), 1);
    node.stop().await;
    let list = app.anonymous().run("{ courses { edges { node { name } } } }").await;
    assert_eq!(*list.at("/courses/edges"), json!([{ "node": { "name": "Other" } }]));
    let names =
        "{ viewer { mockTestAttempts(first: 1) { edges { node { subject { name course { name } } } } } } }";
    let shown = ben.run(names).await;
    assert_eq!(shown.text("/viewer/mockTestAttempts/edges/0/node/subject/name"), "Physics");
    // A field that needs the unreadable value fails with the code `INTERNAL`. The request as a whole has the status
    // 200.
    let bought =
        "{ courses { totalCount } viewer { mockTestAttempts(first: 1) { edges { node { canStart } } } } }";
    let answer = asha.send(bought, serde_json::Value::Null).await;
    assert_eq!((answer.status, &answer.body["errors"][0]["extensions"]["code"]), (200, &json!("INTERNAL")));
    // The server still closes every sitting that it can read.
    app.clock.advance(TimeDelta::days(1));
    let left = i64::from(app.backend == Backend::Postgres);
    while app.number("SELECT COUNT(*) FROM test_sessions WHERE open_marker = 1").await > left {
        session::close_overdue(&app.services).await.unwrap();
    }

    let found = integrity::examine(&app.services.database.reader().without_time_check()).await.unwrap();
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), spoil.len(), "{told:?}");
    assert!(told.iter().any(|told| told.starts_with(&format!("courses, id {bad}: "))), "{told:?}");
    assert!(told.iter().any(|told| told.starts_with("entitlements, ")), "{told:?}");
}

async fn a_bad_row_keeps_no_other_sitting_from_being_closed(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(1).create(&app).await;
    app.bank(course.subject_rows[0], 4).await;
    let mut sittings = Vec::new();
    for name in ["Asha", "Ben", "Chitra"] {
        let learner = app.staff(name, Role::Learner).await;
        let card = app.cards(&learner, &course).await.remove(0);
        let started = learner.start_session(&card).await;
        accepted(&learner.save_answers(&id(&started), 1, answers(&started, 2, 0)).await);
        sittings.push((learner, card));
    }
    without(&app, "users", "check_users_status").await;
    app.execute("UPDATE users SET status = 'gone' WHERE email = 'asha@example.com'").await;
    // SQLite accepts a word in a column of numbers, so jishu cannot read the row of Ben's sitting on SQLite.
    let spoilt = if app.backend == Backend::Sqlite { 2 } else { 1 };
    if app.backend == Backend::Sqlite {
        let of = "(SELECT id FROM users WHERE email = 'ben@example.com')";
        app.execute(&format!("UPDATE test_sessions SET seed = 'odd' WHERE user_id = {of}")).await;
        app.execute("UPDATE audit_events SET at = 'once' WHERE action = 'test_session.started'").await;
    }
    app.clock.advance(TimeDelta::days(1));
    while app.number("SELECT COUNT(*) FROM test_sessions WHERE open_marker = 1").await > spoilt {
        session::close_overdue(&app.services).await.unwrap();
    }
    let report = session::close_overdue(&app.services).await.unwrap();
    assert_eq!((report.closed, report.settled_meanwhile), (0, 0));
    let (chitra, card) = &sittings[2];
    let shown = "query ($id: ID!) { node(id: $id) { ... on MockTestAttempt { status latestScore } } }";
    let card = chitra.run_with(shown, json!({ "id": card })).await;
    assert_eq!(*card.at("/node"), json!({ "status": "COMPLETED", "latestScore": "8.00" }));

    // A subscriber receives later changes, even if audit events before them cannot be read.
    let watch = app
        .services
        .events
        .watch(jishu_entity::UserId(app.number("SELECT MAX(id) FROM users").await), None)
        .await;
    let watch = watch.unwrap();
    let more = app.course(&["Botany"]).cards(1).create(&app).await;
    app.cards(chitra, &more).await;
    tokio::time::timeout(std::time::Duration::from_secs(20), watch.changes())
        .await
        .expect("the subscriber receives the change");
}

async fn a_question_with_a_bad_word_is_not_drawn(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(2).create(&app).await;
    app.bank(course.subject_rows[0], 6).await;
    app.execute("UPDATE subjects SET questions_per_test = 4").await;
    without(&app, "question_versions", "check_question_versions_difficulty").await;
    without(&app, "question_versions", "check_question_versions_text_format").await;
    let first = app.number("SELECT MIN(id) FROM question_versions").await;
    app.execute(&format!("UPDATE question_versions SET difficulty = 'odd' WHERE id = {first}")).await;
    app.execute(&format!("UPDATE question_versions SET text_format = 'odd' WHERE id = {}", first + 1)).await;
    let learner = app.staff("Asha", Role::Learner).await;
    let card = app.cards(&learner, &course).await.remove(0);
    let started = learner.start_session(&card).await;
    accepted(&started);
    assert_eq!(crate::sittings::questions(&started).len(), 4);
    let drawn = format!("SELECT COUNT(*) FROM paper_questions WHERE version_id <= {}", first + 1);
    assert_eq!(app.number(&drawn).await, 0);
}
