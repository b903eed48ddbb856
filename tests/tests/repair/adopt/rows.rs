//! Adopts a small database with awkward rows, and checks the report and the rows of the new database. Also checks which
//! databases the commands refuse.

use std::collections::BTreeMap;

use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{
    course, entitlement, mock_test_attempt, paper_question, purchase, question, subject, test_answer,
    test_session, topic_total, user,
};
use jishu_tests::Backend;
use sea_orm::{DatabaseConnection, EntityTrait, QueryOrder};
use serde_json::{Value, json};

use super::{NewDatabase, assert_checked, command, jishu, old_system, outcome, succeed};
use crate::old_database::{OldDatabase, connect, on_each};

on_each!(every_row_is_carried_or_listed, an_old_database_is_recognised_and_not_changed);

async fn every_row_is_carried_or_listed(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old_system::create(old).await;
        old_system::fill(old).await;
        let structure = old.structure().await;
        let new = NewDatabase::create(backend).await;
        let file = |name: &str| new.folder.path().join(name).display().to_string();
        let (dry_lines, lines, ids) = (file("dry"), file("lines"), file("ids"));

        let mut dry = succeed(command(old, &new, &["--dry-run", "--report", &dry_lines, "--format", "json"]));
        match backend {
            Backend::Sqlite => assert!(!new.folder.path().join("jishu.db").exists()),
            _ => {
                assert_eq!(jishu_tests::structure(&connect(&new.url).await).await, Vec::<Vec<String>>::new());
            }
        }
        let options = ["--report", &lines, "--id-map", &ids, "--format", "json"];
        let report = succeed(command(old, &new, &options));
        assert_counts(&report);
        assert_eq!(dry["dryRun"].take(), json!(true));
        dry["dryRun"] = json!(false);
        assert_eq!(dry, report);
        let read = |path: &str| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&dry_lines), read(&lines));
        assert_lines(&read(&lines));
        for line in [
            "users,1,users,1",
            "exam_category_questions,5,questions,1",
            "mock_test_attempts,16,mock_test_attempts,10",
        ] {
            assert!(read(&ids).lines().any(|found| found == line), "{line}");
        }

        let connection = connect(&new.url).await;
        assert_people(&connection).await;
        assert_catalogue(&connection).await;
        assert_purchases(&connection).await;
        assert_tests(&connection).await;
        connection.close().await.unwrap();
        assert_checked(&new);

        // Repeating the command changes nothing. Other options are refused, and so is an old database that has changed.
        assert_eq!(succeed(command(old, &new, &options)), report);
        let (code, _, stderr) = outcome(command(old, &new, &["--admins"]));
        assert!(code == Some(1) && stderr.contains("other options (--currency INR)"), "{stderr}");
        assert_eq!(old.structure().await, structure);
        old.run("INSERT INTO exam_category (id, course_name) VALUES (3, 'New')").await;
        let (code, _, stderr) = outcome(command(old, &new, &[]));
        assert!(
            code == Some(1) && stderr.contains("`exam_category` of the old database has changed"),
            "{stderr}"
        );
        new.remove().await;
    })
    .await;
}

/// Checks the numbers of rows that were read, carried, merged, not carried and made.
fn assert_counts(report: &Value) {
    let of = |table: &str| {
        let counts = &report["tables"][table];
        ["read", "carried", "merged", "notCarried", "made"].map(|name| counts[name].as_i64().unwrap())
    };
    assert_eq!(of("users"), [10, 7, 0, 3, 0]);
    assert_eq!(of("exam_category"), [2, 2, 0, 0, 0]);
    assert_eq!(of("exam_category_subjects"), [6, 4, 1, 1, 0]);
    assert_eq!(of("exam_category_questions"), [15, 10, 1, 4, 0]);
    assert_eq!(of("exam_category_purchase"), [10, 6, 0, 4, 0]);
    assert_eq!(of("mock_test_attempts"), [19, 14, 1, 4, 3]);
    assert_eq!(of("test_attempt_sessions"), [12, 8, 0, 4, 0]);
    assert_eq!(of("test_answers"), [9, 4, 0, 5, 0]);
    let number = |name: &str| report["money"][name].as_str().unwrap().parse::<f64>().unwrap();
    assert_eq!([number("read"), number("carried"), number("notCarried")], [2_973.60, 2_948.50, 25.10]);
    assert_eq!(report["tablesLeftBehind"], json!({ "test_attempts": 2, "user_purchase_history": 1 }));
    assert_eq!(report["valuesLeftBehind"]["users.mobile_no"], 1);
    assert_eq!(report["withoutPassword"], 3, "{report}");
    assert_eq!((&report["problems"], &report["shortBanks"]), (&json!([]), &json!([])));
}

/// Checks the reasons in the report for rows that were merged, not carried, or carried with a remark.
fn assert_lines(text: &str) {
    let mut reasons: BTreeMap<(String, i64), Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let id = line["id"].as_i64().or(line["sessionId"].as_i64()).unwrap();
        let reason = format!("{}: {}", line["fate"].as_str().unwrap(), line["reason"].as_str().unwrap());
        reasons.entry((line["table"].as_str().unwrap().to_owned(), id)).or_default().push(reason);
    }
    for (table, id, words) in [
        ("users", 5, "noted: This account was an admin"),
        ("users", 5, "noted: The hash of the password"),
        ("users", 6, "not_carried: Account 1 has the same e-mail address"),
        ("users", 7, "not_carried: This account was not carried: its e-mail address"),
        ("users", 8, "not_carried: Account 9 has the same e-mail address"),
        ("users", 10, "noted: The status `pending` is unknown"),
        ("exam_category_subjects", 2, "noted: The offer of 350"),
        ("exam_category_subjects", 3, "merged: This row stands for the whole course"),
        ("exam_category_subjects", 4, "noted: jishu cannot store the offer of -5"),
        ("exam_category_subjects", 5, "noted: This subject has no price"),
        ("exam_category_subjects", 6, "not_carried: This subject was not carried: its course"),
        ("exam_category_questions", -1, "not_carried: This row was not carried: its id"),
        ("exam_category_questions", 4, "not_carried: This question was not carried. The right answer"),
        ("exam_category_questions", 5, "merged: Question 1 is the same"),
        ("exam_category_questions", 6, "noted: Question 1 asks the same with another right answer"),
        ("exam_category_questions", 10, "not_carried: This question was not carried: its subject"),
        ("exam_category_questions", 11, "not_carried: This question was not carried. It has 1 options"),
        ("exam_category_purchase", 1, "noted: Purchase 2 gave subject 1 again"),
        ("exam_category_purchase", 5, "noted: This purchase has no cards"),
        ("exam_category_purchase", 6, "not_carried: This purchase was not carried: its account"),
        ("exam_category_purchase", 7, "not_carried: This purchase was not carried: its status"),
        ("exam_category_purchase", 8, "noted: The list of subjects of this purchase has subject 1, but"),
        ("exam_category_purchase", 9, "not_carried: This purchase was not carried: its cost -5"),
        ("exam_category_purchase", 10, "not_carried: This purchase was not carried: neither its cards"),
        ("mock_test_attempts", 9, "noted: This card, or a used card that was merged into it, was disabled"),
        ("mock_test_attempts", 14, "not_carried: This row was not carried, because"),
        ("mock_test_attempts", 16, "merged: This card was merged into card 10, which is of the same test"),
        ("mock_test_attempts", 17, "not_carried: This card was not carried: its purchase"),
        ("mock_test_attempts", 18, "not_carried: This card was not carried: it belongs"),
        ("mock_test_attempts", 19, "not_carried: This card was not carried: its test number"),
        ("test_attempt_sessions", 3, "noted: This sitting was open"),
        ("test_attempt_sessions", 8, "not_carried: This row was not carried, because"),
        ("test_attempt_sessions", 9, "not_carried: This sitting was not carried: its card does"),
        (
            "test_attempt_sessions",
            10,
            "not_carried: This sitting was not carried: it was completed, but its score is not known",
        ),
        (
            "test_attempt_sessions",
            12,
            "not_carried: This sitting was not carried: its status `paused` is unknown",
        ),
        (
            "test_answers",
            4,
            "not_carried: The answers of this sitting were not carried (1): the answers do not fit",
        ),
        ("test_answers", 9, "not_carried: The answers of this sitting were not carried (1): there is no"),
        ("test_answers", 777, "not_carried: The answers of this sitting were not carried (1): there is no"),
    ] {
        let found = reasons.get(&(table.to_owned(), id)).cloned().unwrap_or_default();
        assert!(found.iter().any(|reason| reason.starts_with(words)), "{table} {id}: {words}: {found:?}");
    }
}

async fn assert_people(connection: &DatabaseConnection) {
    let users = user::Entity::find().order_by_asc(user::Column::Id).all(connection).await.unwrap();
    let told: Vec<_> =
        users.iter().map(|user| (user.id.0, user.email.as_str(), user.status, user.role)).collect();
    let (active, gone) = (UserStatus::Active, UserStatus::Deactivated);
    assert_eq!(
        told,
        [
            (1, "asha@example.com", active, Role::Learner),
            (2, "ravi@example.com", active, Role::Learner),
            (3, "gita@example.com", active, Role::Learner),
            (4, "bad@example.com", gone, Role::Learner),
            (5, "boss@example.com", active, Role::Learner),
            (9, "mira@example.com", active, Role::Learner),
            (10, "odd@example.com", gone, Role::Learner),
        ]
    );
    assert_eq!(users[6].name, "Learner 10");
    assert!(users[0].password_hash.starts_with("scrypt:") && users[2].password_hash.starts_with("$argon2id"));
    assert_eq!(users[0].created_at.to_rfc3339(), "2023-01-05T08:00:00+00:00");
    let verified: Vec<_> =
        users.iter().filter(|user| user.email_verified_at.is_some()).map(|user| user.id.0).collect();
    assert_eq!(verified, [3]);
}

async fn assert_catalogue(connection: &DatabaseConnection) {
    let courses = course::Entity::find().order_by_asc(course::Column::Id).all(connection).await.unwrap();
    let told: Vec<_> =
        courses.iter().map(|row| (row.name.as_str(), row.description.as_deref(), row.bundle_price)).collect();
    assert_eq!(told, [("NEET", Some("All of it"), Some(75_000)), ("Law", None, None)]);
    let subjects = subject::Entity::find().order_by_asc(subject::Column::Id).all(connection).await.unwrap();
    let told: Vec<_> = subjects
        .iter()
        .map(|row| {
            (row.id.0, row.list_price, row.offer_price, row.total_mock_tests, row.archived_at.is_some())
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, 49_950, Some(39_900), 3, false),
            (2, 30_000, None, 3, false),
            (4, 10_000, None, 3, true),
            (5, 0, None, 50, true)
        ]
    );
    assert_eq!(
        (subjects[0].questions_per_test, subjects[0].marks_correct, subjects[0].marks_wrong),
        (3, 100, 0)
    );
    let questions =
        question::Entity::find().order_by_asc(question::Column::Id).all(connection).await.unwrap();
    let archived: Vec<_> = questions.iter().filter(|row| row.archived_at.is_some()).collect();
    assert_eq!((archived.len(), archived[0].external_id.as_str()), (1, "old-6"));
    let ids: Vec<_> = questions.iter().map(|row| row.id.0).collect();
    assert_eq!(ids, [1, 2, 3, 6, 7, 8, 9, 12, 13, 14]);
}

async fn assert_purchases(connection: &DatabaseConnection) {
    let purchases =
        purchase::Entity::find().order_by_asc(purchase::Column::Id).all(connection).await.unwrap();
    let ids: Vec<_> = purchases.iter().map(|row| (row.id.0, row.cost, row.expires_at.is_some())).collect();
    let expected = [
        (1, 79_950, false),
        (2, 39_900, false),
        (3, 75_000, false),
        (4, 10_000, true),
        (5, 30_000, false),
        (8, 60_000, false),
    ];
    assert_eq!(ids, expected);
    let rights = entitlement::Entity::find()
        .order_by_asc(entitlement::Column::PurchaseId)
        .order_by_asc(entitlement::Column::SubjectId)
        .all(connection)
        .await
        .unwrap();
    let told: Vec<_> = rights
        .iter()
        .map(|row| {
            (
                row.purchase_id.0,
                row.subject_id.0,
                row.price_paid,
                row.test_cards,
                row.ended_at.map(|at| at.to_rfc3339()),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, 1, 49_950, 3, Some("2024-02-01T10:00:00+00:00".to_owned())),
            (1, 2, 30_000, 3, None),
            (2, 1, 39_900, 3, None),
            (3, 1, 46_857, 2, None),
            (3, 2, 28_143, 1, None),
            (4, 4, 10_000, 1, Some("2023-06-10T10:01:00+00:00".to_owned())),
            (5, 2, 30_000, 3, None),
            (8, 2, 60_000, 1, None),
        ]
    );
}

async fn assert_tests(connection: &DatabaseConnection) {
    let cards = mock_test_attempt::Entity::find().all(connection).await.unwrap();
    let card = |id: i64| {
        let card = cards.iter().find(|card| card.id.0 == id).unwrap();
        let scores = [card.first_score, card.latest_score, card.best_score].map(|score| score.unwrap_or(-1));
        (card.attempts_used, card.max_attempts, card.status, scores)
    };
    assert_eq!(card(1), (3, 3, CardStatus::Exhausted, [200, 100, 300]));
    assert_eq!(card(4), (1, 3, CardStatus::Completed, [-1, -1, -1]));
    assert_eq!(card(5), (0, 3, CardStatus::Available, [-1, -1, -1]));
    assert_eq!(card(8), (2, 3, CardStatus::Completed, [100, 300, 300]));
    assert_eq!(card(9), (1, 1, CardStatus::Exhausted, [-1, -1, -1]));
    assert_eq!(card(10), (3, 3, CardStatus::Exhausted, [300, 100, 300]));
    // Purchase 5 had no cards, so the adoption made cards for this purchase.
    assert_eq!(card(20), (0, 3, CardStatus::Available, [-1, -1, -1]));

    let sittings = test_session::Entity::find()
        .order_by_asc(test_session::Column::MockTestAttemptId)
        .order_by_asc(test_session::Column::AttemptNumber)
        .all(connection)
        .await
        .unwrap();
    let told: Vec<_> = sittings
        .iter()
        .map(|row| {
            let counts = [row.correct, row.wrong, row.unanswered].map(Option::unwrap);
            (
                row.mock_test_attempt_id.0,
                row.attempt_number,
                row.id.0,
                row.paper_id.0,
                row.score.unwrap(),
                counts,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, 1, 1, 7, 200, [2, 1, 0]),
            (1, 2, 2, 1, 300, [3, 0, 0]),
            (1, 3, 3, 7, 100, [1, 0, 2]),
            (7, 1, 4, 1, 200, [2, 0, 1]),
            (10, 1, 6, 1, 300, [3, 0, 0]),
            (10, 2, 5, 1, 100, [1, 2, 0]),
            (10, 3, 7, 1, 0, [0, 0, 3]),
            (13, 1, 11, 4, 200, [2, 1, 0]),
        ]
    );
    assert_eq!(sittings[0].submitted_at.unwrap().to_rfc3339(), "2023-03-01T10:10:00+00:00");
    assert_eq!((sittings[0].time_taken_seconds, sittings[1].time_taken_seconds), (Some(600), Some(300)));
    assert_eq!((sittings[0].max_score, sittings[0].percentage), (Some(300), Some(6_667)));
    let slots = paper_question::Entity::find()
        .order_by_asc(paper_question::Column::Slot)
        .all(connection)
        .await
        .unwrap();
    let slots: Vec<_> = slots.iter().map(|row| (row.paper_id.0, row.slot, row.question_id.0)).collect();
    assert_eq!(slots, [(7, 1, 7), (7, 2, 8), (7, 3, 9)]);
    let answers = test_answer::Entity::find()
        .order_by_asc(test_answer::Column::SessionId)
        .order_by_asc(test_answer::Column::Slot)
        .all(connection)
        .await
        .unwrap();
    let answers: Vec<_> = answers.iter().map(|row| (row.session_id.0, row.slot, row.chosen)).collect();
    assert_eq!(answers, [(1, 1, 1), (1, 2, 4), (1, 3, 2), (3, 1, 1)]);
    let totals = topic_total::Entity::find()
        .order_by_asc(topic_total::Column::UserId)
        .order_by_asc(topic_total::Column::TopicId)
        .all(connection)
        .await
        .unwrap();
    let totals: Vec<_> =
        totals.iter().map(|row| (row.user_id.0, row.topic_id.0, row.correct, row.score)).collect();
    assert_eq!(totals, [(1, 1, 8, 800), (2, 1, 4, 400), (2, 4, 2, 200)]);
}

async fn an_old_database_is_recognised_and_not_changed(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old_system::create(old).await;
        let structure = old.structure().await;
        let new = NewDatabase::create(backend).await;
        for arguments in [&["serve", "--migrate"][..], &["migrate", "up"], &["user", "list"]] {
            let mut command = jishu(arguments);
            command.args(["--database-url", &old.url]);
            if arguments[0] == "serve" {
                command.args(["--listen", "127.0.0.1:0", "--signing-keys"]).arg(new.signing_keys());
            }
            let (code, _, stderr) = outcome(command);
            assert!(code == Some(1) && stderr.contains("jishu adopt --from"), "{arguments:?}: {stderr}");
        }
        // An adoption refuses an old database as its target, and a database of jishu as its source.
        let (code, _, stderr) = outcome(jishu(&["adopt", "--from", &old.url, "--database-url", &old.url]));
        assert!(code == Some(1) && stderr.contains("Nothing was changed"), "{stderr}");
        assert_eq!(old.structure().await, structure);
        assert_eq!(outcome(jishu(&["migrate", "up", "--database-url", &new.url])).0, Some(0));
        let (code, _, stderr) = outcome(jishu(&["adopt", "--from", &new.url, "--database-url", &new.url]));
        assert!(code == Some(1) && stderr.contains("not a database of the old system"), "{stderr}");
        let (code, _, stderr) = outcome(command(old, &new, &["--currency", "RUPEES"]));
        assert!(code == Some(1) && stderr.contains("no currency `RUPEES`"), "{stderr}");

        // An adoption refuses a target that has rows.
        let course =
            "INSERT INTO courses (name, currency, created_at) VALUES ('Mine', 'INR', '2024-01-01 00:00:00')";
        let connection = connect(&new.url).await;
        sea_orm::ConnectionTrait::execute_unprepared(&connection, course).await.unwrap();
        connection.close().await.unwrap();
        for options in [&[][..], &["--dry-run"]] {
            let (code, _, stderr) = outcome(command(old, &new, options));
            assert!(code == Some(1) && stderr.contains("has rows in `courses` already"), "{stderr}");
        }
        new.remove().await;
    })
    .await;
}
