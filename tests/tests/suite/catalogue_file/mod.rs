//! A file of the catalogue: applying it and exporting it.

mod commands;

use std::sync::Arc;

use chrono::DateTime;
use jishu_entity::user::Role;
use jishu_entity::{CourseId, SubjectId, course, subject};
use jishu_service::Error;
use jishu_service::catalogue_file::{self, ApplyMode, CatalogueFileRefusal, CatalogueReport};
use jishu_service::clock::Clock;
use jishu_tests::{TestApp, on_each_database, rows, wait_until};
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::json;

on_each_database!(
    a_file_makes_the_whole_catalogue_and_applying_it_again_changes_nothing,
    an_export_applied_changes_nothing_here_and_makes_the_same_catalogue_elsewhere,
    what_the_file_leaves_out_goes_back_to_its_default,
    what_the_file_does_not_name_is_archived_only_when_asked,
    a_bad_file_names_each_place_and_changes_nothing,
    rows_without_a_code_are_reported_and_left_alone,
    files_and_edits_at_once_lose_no_change,
    a_blueprint_decides_on_the_number_of_questions,
);

const FILE: &str = "\
courses:
  - code: neet
    name: NEET UG
    description: |
      For medicine.
      Two: lines # and signs
    currency: INR
    bundlePrice: 1499
    validityDays: 365
    subjects:
      - code: physics
        name: Physics
        listPrice: 599.00
        offer: { price: 499.5, startsAt: 2026-01-01T00:00:00+05:30, endsAt: 2027-01-01T00:00:00Z }
        totalMockTests: 20
        markingScheme: { correct: 4, wrong: -1, questionsPerTest: 10, gradingMethod: latest, review: NEVER }
      - { code: \"2026\", name: \"Chemistry: 'x'\", listPrice: \"450\" }
  - code: yen
    name: 日本語
    currency: JPY
    subjects: [{ code: n, name: N, listPrice: 5000, archived: true }]
";

async fn run(
    app: &TestApp,
    text: &str,
    mode: ApplyMode,
) -> Result<CatalogueReport, Error<CatalogueFileRefusal>> {
    catalogue_file::apply(&app.services.database, app.clock.now(), text, mode).await
}

async fn apply(app: &TestApp, text: &str) -> CatalogueReport {
    run(app, text, ApplyMode::default()).await.unwrap()
}

/// Returns the changes in words, such as `Updated course neet: name NEET UG -> NEET`.
fn changes(report: &CatalogueReport) -> Vec<String> {
    let described = report.changes.iter().map(|change| {
        let values: Vec<String> = change
            .values
            .iter()
            .map(|value| {
                let text = |text: &Option<String>| text.as_deref().unwrap_or("none").to_owned();
                format!(" {} {} -> {}", value.field, text(&value.before), text(&value.after))
            })
            .collect();
        format!("{:?} {}:{}", change.kind, change.name, values.join(","))
    });
    described.collect()
}

/// Returns all courses and subjects as text, without their ids, versions and times of creation. A text ends with `true`
/// if the course or the subject is archived, or else with `false`.
async fn everything(app: &TestApp) -> Vec<String> {
    let mut all = Vec::new();
    let courses =
        course::Entity::find().order_by_asc(course::Column::Id).all(app.connection()).await.unwrap();
    for row in courses {
        let is_archived = row.archived_at.is_some();
        let created_at = DateTime::UNIX_EPOCH;
        let row = course::Model { id: CourseId(0), version: 0, archived_at: None, created_at, ..row };
        all.push(format!("{row:?} {is_archived}"));
    }
    let subjects =
        subject::Entity::find().order_by_asc(subject::Column::Id).all(app.connection()).await.unwrap();
    for row in subjects {
        let is_archived = row.archived_at.is_some();
        let (id, course_id, created_at) = (SubjectId(0), CourseId(0), DateTime::UNIX_EPOCH);
        let row = subject::Model { id, course_id, version: 0, archived_at: None, created_at, ..row };
        all.push(format!("{row:?} {is_archived}"));
    }
    all
}

async fn a_file_makes_the_whole_catalogue_and_applying_it_again_changes_nothing(app: Arc<TestApp>) {
    let dry = run(&app, FILE, ApplyMode { dry_run: true, ..ApplyMode::default() }).await.unwrap();
    assert_eq!(everything(&app).await, [""; 0]);
    let made = apply(&app, FILE).await;
    assert_eq!(made, dry);
    let described = changes(&made);
    assert_eq!(described.len(), 5);
    assert!(
        described[0].starts_with("Created course neet: bundlePrice none -> 1499.00,"),
        "{}",
        described[0]
    );
    assert!(described[1].contains("offer.price none -> 499.50, offer.startsAt none -> 2025-12-31T18:30:00Z"));
    let answer = app.services.catalog.reload().await.map(|()| app.anonymous());
    let answer = answer
        .unwrap()
        .run("{ courses { edges { node { code description subjects { edges { node { code name listPrice { amount } } } } } } } }")
        .await;
    assert_eq!(
        *answer.at("/courses/edges"),
        json!([
            { "node": { "code": "neet", "description": "For medicine.\nTwo: lines # and signs", "subjects": { "edges": [
                { "node": { "code": "physics", "name": "Physics", "listPrice": { "amount": "599.00" } } },
                { "node": { "code": "2026", "name": "Chemistry: 'x'", "listPrice": { "amount": "450.00" } } },
            ] } } },
            { "node": { "code": "yen", "description": null, "subjects": { "edges": [] } } },
        ])
    );
    let before = (everything(&app).await, app.row_counts().await);
    assert_eq!(apply(&app, FILE).await, CatalogueReport::default());
    assert_eq!((everything(&app).await, app.row_counts().await), before);
    let events = "SELECT action, actor_id FROM audit_events ORDER BY id";
    let events: Vec<_> = rows(app.connection(), events).await.into_iter().map(|row| row.join(" ")).collect();
    assert_eq!(events.len(), 5);
    assert!(
        events
            .iter()
            .all(|event| event.contains(".created") && !event.contains(|char: char| char.is_ascii_digit()))
    );
}

async fn an_export_applied_changes_nothing_here_and_makes_the_same_catalogue_elsewhere(app: Arc<TestApp>) {
    apply(&app, FILE).await;
    let author = app.staff("Author", Role::Author).await;
    for (number, text) in [
        "- a\n- b",
        "#x",
        " \"q\" 'r'",
        "null",
        "true",
        "1e3",
        "a: b",
        "tab\there",
        "a\n\n\n  b  \nc",
        "|",
        "😀\u{a0}é",
        "%",
        "`",
        "@x",
        "&x *y",
    ]
    .into_iter()
    .enumerate()
    {
        author
            .create_course(json!({ "code": format!("odd-{number}"), "name": text.replace(['\n', '\t'], "_"), "currency": "KWD",
                                   "description": text, "bundlePrice": "1.234" }))
            .await
            .done();
    }
    let export = catalogue_file::export(&app.services.database).await.unwrap();
    assert_eq!(export.without_code, [""; 0]);
    let report = apply(&app, &export.text).await;
    assert_eq!(report, CatalogueReport::default(), "{}", export.text);

    let elsewhere = TestApp::start_on(app.backend).await;
    apply(&elsewhere, &export.text).await;
    assert_eq!(everything(&elsewhere).await, everything(&app).await);
    assert_eq!(catalogue_file::export(&elsewhere.services.database).await.unwrap().text, export.text);
    elsewhere.stop().await;
}

async fn what_the_file_leaves_out_goes_back_to_its_default(app: Arc<TestApp>) {
    apply(&app, FILE).await;
    let shorter = "\
courses:
  - { code: neet, name: NEET, currency: INR, subjects: [
      { code: physics, name: Physics, listPrice: 599 }, { code: \"2026\", name: \"Chemistry: 'x'\", listPrice: 450 }] }
  - { code: yen, name: 日本語, currency: JPY, subjects: [{ code: n, name: N, listPrice: 5000 }] }
";
    let report = apply(&app, shorter).await;
    assert_eq!(
        changes(&report),
        [
            "Updated course neet: bundlePrice 1499.00 -> none, description For medicine.\nTwo: lines # and signs -> none, \
             name NEET UG -> NEET, validityDays 365 -> none",
            "Updated subject neet/physics: markingScheme.gradingMethod latest -> highest, offer.endsAt 2027-01-01T00:00:00Z -> none, \
             offer.price 499.50 -> none, offer.startsAt 2025-12-31T18:30:00Z -> none, markingScheme.questionsPerTest 10 -> 45, \
             markingScheme.review never -> after_sitting, totalMockTests 20 -> 50",
            "Restored subject yen/n: archived true -> false",
        ]
    );
    assert_eq!(
        rows(app.connection(), "SELECT version FROM courses ORDER BY id").await,
        [["2".to_owned()], ["1".to_owned()]]
    );
}

async fn what_the_file_does_not_name_is_archived_only_when_asked(app: Arc<TestApp>) {
    apply(&app, FILE).await;
    let smaller = "courses: [{ code: neet, name: NEET UG, currency: INR, subjects: [{ code: physics, name: Physics, listPrice: 1 }] }]";
    let listed = apply(&app, smaller).await;
    let names: Vec<String> = listed.missing.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["subject neet/2026", "course yen"]);
    assert_eq!(app.number("SELECT COUNT(*) FROM courses WHERE archived_at IS NULL").await, 2);

    let mode = ApplyMode { archive_missing: true, ..ApplyMode::default() };
    let dry = run(&app, smaller, ApplyMode { dry_run: true, ..mode }).await.unwrap();
    assert_eq!(app.number("SELECT COUNT(*) FROM courses WHERE archived_at IS NULL").await, 2);
    let archived = run(&app, smaller, mode).await.unwrap();
    assert_eq!(archived, dry);
    assert_eq!(
        changes(&archived),
        ["Archived subject neet/2026: archived false -> true", "Archived course yen: archived false -> true"]
    );
    assert_eq!(run(&app, smaller, mode).await.unwrap(), CatalogueReport::default());
    // A course or a subject that a file names again is restored under its old id.
    let ids = rows(app.connection(), "SELECT id FROM courses ORDER BY id").await;
    let restored = apply(&app, FILE).await;
    let kinds: Vec<String> = restored.changes.iter().map(|change| format!("{:?}", change.kind)).collect();
    assert_eq!(kinds, ["Updated", "Updated", "Restored", "Restored"]);
    assert_eq!(rows(app.connection(), "SELECT id FROM courses ORDER BY id").await, ids);
}

async fn a_bad_file_names_each_place_and_changes_nothing(app: Arc<TestApp>) {
    apply(&app, FILE).await;
    let before = (everything(&app).await, app.row_counts().await);
    let refused = async |text: &str| match run(&app, text, ApplyMode::default()).await {
        Err(Error::Refused(CatalogueFileRefusal::Invalid(problems))) => {
            problems.iter().map(|problem| format!("{}: {problem}", problem.line)).collect::<Vec<_>>()
        }
        Err(Error::Refused(CatalogueFileRefusal::Unreadable { line, message })) => {
            vec![format!("{}: {message}", line.unwrap_or_default())]
        }
        other => panic!("{other:?}"),
    };
    // The file begins with a new course. Later lines are invalid, so that course is not created either.
    let text = "\
courses:
  - { code: new, name: New, currency: INR }
  - code: neet
    name: NEET
    currency: USD
    bundlePrice: 1.001
    subjects:
      - { code: physics, name: ' ', listPrice: -1 }
      - { code: physics, name: P, listPrice: 1, markingScheme: { correct: 0 } }
      - code: bio
        name: Biology
        listPrice: 1
        offer:
          price: 2
  - { code: bad code, name: X, currency: rupee }
  - { code: new, name: New, currency: INR }
";
    let problems = refused(text).await;
    let expected = [
        "5: course neet, currency: The currency",
        "6: course neet, bundlePrice: A price in INR has at most 2 decimal places",
        "8: subject neet/physics, name: Give a name",
        "8: subject neet/physics, listPrice: A price must be 0 to 10000000000.00 INR",
        "9: subject neet/physics, code: The file has this code twice",
        "9: subject neet/physics, markingScheme.correct: A correct answer must",
        "14: subject neet/bio, offer.price: An offer must not cost more",
        "15: course bad code, currency: There is no such currency",
        "15: course bad code, code: Give a code",
        "16: course new, code: The file has this code twice",
    ];
    for expected in expected {
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{expected}: {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");

    for (text, expected) in [
        ("", "1: "),
        ("courses:\n  - code: a\n    bogus: 1\n", "3: unknown field `bogus`"),
        ("courses:\n  - code: a\n    code: b\n", "3: duplicate mapping key"),
        ("courses:\n  - name: a\n    currency: INR\n", "3: missing field `code`"),
        ("courses:\n  - { code: a, name: a, currency: INR, bundlePrice: 1e3 }\n", "2: give a decimal number"),
        ("courses:\n  - { code: a, name: a, currency: INR, validityDays: 1.5 }\n", "2: invalid i32"),
        ("courses:\n\t- code: a\n", "2: tabs"),
        ("- code: a\n", "1: "),
    ] {
        let problems = refused(text).await;
        assert!(problems[0].starts_with(expected), "{text}: {problems:?}");
    }
    assert_eq!((everything(&app).await, app.row_counts().await), before);
}

async fn rows_without_a_code_are_reported_and_left_alone(app: Arc<TestApp>) {
    let old = app.course(&["Physics"]).named("Old").create(&app).await;
    apply(&app, FILE).await;
    app.execute("UPDATE subjects SET code = NULL WHERE code = 'physics'").await;
    let export = catalogue_file::export(&app.services.database).await.unwrap();
    assert!(!export.text.contains("Old") && !export.text.contains("Physics"));
    assert_eq!(export.without_code.len(), 2);
    assert!(export.without_code[0].contains(&format!("course {} (Old)", old.row)));
    let mode = ApplyMode { archive_missing: true, ..ApplyMode::default() };
    let report = run(&app, &export.text, mode).await.unwrap();
    assert_eq!((report.changes, report.without_code), (vec![], export.without_code));
    assert_eq!(app.number("SELECT COUNT(*) FROM courses WHERE archived_at IS NOT NULL").await, 0);
}

async fn files_and_edits_at_once_lose_no_change(app: Arc<TestApp>) {
    apply(&app, FILE).await;
    app.services.catalog.reload().await.unwrap();
    let author = app.staff("Author", Role::Author).await;
    let id = app.global("Subject", app.number("SELECT id FROM subjects WHERE code = '2026'").await);
    let other = FILE.replace("listPrice: \"450\"", "listPrice: 451").replace("NEET UG", "NEET");
    let files = async {
        for number in 0..20 {
            apply(&app, if number % 2 == 0 { &other } else { FILE }).await;
        }
    };
    let edits = async {
        let (mut version, mut done) = (1, 0);
        while done < 20 {
            let price = (500 + done).to_string();
            let edited =
                author.update_subject(json!({ "id": id, "version": version, "listPrice": price })).await;
            match edited.row {
                Some(row) => {
                    version = row.version;
                    done += 1;
                }
                None => version = edited.user_errors[0].more["version"].as_i64().unwrap(),
            }
        }
    };
    tokio::join!(files, edits);
    // Each version of a course or subject has one audit event, so no change was lost.
    for (table, target) in [("subjects", "subject"), ("courses", "course")] {
        let versions = rows(app.connection(), &format!("SELECT version FROM {table}")).await;
        let versions: i64 = versions.iter().map(|row| row[0].parse::<i64>().unwrap()).sum();
        let events = format!("SELECT COUNT(*) FROM audit_events WHERE action LIKE '{target}.%'");
        assert_eq!(app.number(&events).await, versions, "{table}");
    }
    apply(&app, FILE).await;
    wait_until("the server shows the file", async || {
        let shown = "query ($id: ID!) { node(id: $id) { ... on Subject { price { amount } } } }";
        app.anonymous().run_with(shown, json!({ "id": id })).await.text("/node/price/amount") == "450.00"
    })
    .await;
}

async fn a_blueprint_decides_on_the_number_of_questions(app: Arc<TestApp>) {
    let file = |settings: &str| {
        format!(
            "courses: [{{ code: a, name: A, currency: INR, subjects: [{{ code: b, name: B, listPrice: 1{settings} }}] }}]"
        )
    };
    apply(&app, &file("")).await;
    app.services.catalog.reload().await.unwrap();
    let author = app.staff("Author", Role::Author).await;
    let subject = app.global("Subject", app.number("SELECT id FROM subjects").await);
    let blueprint =
        "mutation ($id: ID!) { updateTestSettings(input: { subjectId: $id, blueprint: [{ questions: 7 }] })
        { userErrors { code } } }";
    author.run_with(blueprint, json!({ "id": subject })).await;
    assert_eq!(changes(&apply(&app, &file("")).await), [""; 0]);
    assert_eq!(changes(&apply(&app, &file(", markingScheme: { questionsPerTest: 7 }")).await), [""; 0]);
    let refused = run(&app, &file(", markingScheme: { questionsPerTest: 8 }"), ApplyMode::default()).await;
    let message = refused.unwrap_err().to_string();
    assert!(
        message.contains("subject a/b, markingScheme.questionsPerTest: The parts of the blueprint"),
        "{message}"
    );
}
