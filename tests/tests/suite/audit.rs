//! The audit trail: who did what, and what it changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{SecondsFormat, TimeDelta};
use jishu_entity::user::Role;
use jishu_service::clock::Clock;
use jishu_tests::{Backend, Client, PurchaseInput, TestApp, on_each_database, rows};
use serde_json::{Value, json};

use crate::command_line::{fail, jishu, succeed};
use crate::sittings::World;

on_each_database!(
    an_admin_reads_who_did_what_newest_first,
    filters_choose_by_actor_target_action_and_time,
    pages_of_the_trail_cost_the_same_number_of_statements,
    the_trail_holds_no_secret_and_nothing_personal,
);

const EVENTS: &str = "query ($filter: AuditFilter, $first: Int, $after: String) {
  auditEvents(filter: $filter, first: $first, after: $after) { totalCount pageInfo { hasNextPage endCursor } edges { node {
    id at action actor { name role } target { __typename id } targetId before after } } } }";

const GRANT: &str =
    "mutation ($input: GrantExtraTimeInput!) { grantExtraTime(input: $input) { userErrors { code } } }";
const LOOK_UP: &str = r#"{ learner(email: "asha@example.com") { name } }"#;

/// Returns the events that match a filter, newest first.
async fn events(client: &Client, filter: Value) -> Vec<Value> {
    let answer = client.run_with(EVENTS, json!({ "filter": filter })).await;
    let edges = answer.list("/auditEvents/edges");
    assert_eq!(answer.number("/auditEvents/totalCount"), i64::try_from(edges.len()).unwrap());
    edges.iter().map(|edge| edge["node"].clone()).collect()
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["action"].as_str().unwrap()).collect()
}

async fn an_admin_reads_who_did_what_newest_first(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let (support, admin) = (app.staff("Sam", Role::Support).await, app.staff("Ada", Role::Admin).await);
    world.learner.start_session(&world.card).await;
    support.run(LOOK_UP).await;
    let granted = json!({ "mockTestAttemptId": world.card, "extraSeconds": 600, "maxAttempts": 5 });
    support.run_with(GRANT, json!({ "input": granted })).await;
    let subject = &world.course.subjects[0];
    let settings = "mutation ($id: ID!) { updateTestSettings(input: { subjectId: $id, maxAttempts: 2 }) { userErrors { code } } }";
    admin.run_with(settings, json!({ "id": subject })).await;

    let events = events(&admin, Value::Null).await;
    let told = [
        ("subject.test_settings_changed", "Ada"),
        ("mock_test_attempt.extended", "Sam"),
        ("user.looked_up", "Sam"),
        ("test_session.started", "Asha"),
        ("purchase.created", "Asha"),
    ];
    let actors: Vec<_> = events.iter().map(|event| event["actor"]["name"].as_str().unwrap()).collect();
    let (expected_actions, expected_actors): (Vec<_>, Vec<_>) = told.into_iter().unzip();
    assert_eq!((actions(&events), actors), (expected_actions, expected_actors));
    assert_eq!(events[0]["target"], json!({ "__typename": "Subject", "id": subject }));
    assert_eq!(events[0]["before"], r#"{"maxAttempts":3}"#);
    assert_eq!(events[0]["after"], r#"{"maxAttempts":2}"#);
    assert_eq!(events[1]["targetId"], json!(world.card));
    assert_eq!(events[1]["before"], r#"{"extraSeconds":0,"maxAttempts":3}"#);
    assert_eq!(events[1]["after"], r#"{"extraSeconds":600,"maxAttempts":5}"#);
    assert_eq!(events[2]["target"]["__typename"], "User");
    assert_eq!(events[2]["before"], Value::Null);
    let now = app.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true);
    assert_eq!(events[0]["at"], now);

    // An audit event has a global id. The query `node` returns the event to an admin, and null to everybody else.
    let node =
        "query ($id: ID!) { node(id: $id) { ... on AuditEvent { action actor { name } target { id } } } }";
    let id = json!({ "id": events[1]["id"] });
    let found = admin.run_with(node, id.clone()).await;
    assert_eq!(found.text("/node/action"), "mock_test_attempt.extended");
    assert_eq!(found.text("/node/actor/name"), "Sam");
    for other in [&support, &world.learner, &app.anonymous()] {
        assert_eq!(*other.run_with(node, id.clone()).await.at("/node"), Value::Null);
    }
    // The same grant of extra time changes nothing the second time, so no event is recorded.
    support.run_with(GRANT, json!({ "input": granted })).await;
    assert_eq!(self::events(&admin, Value::Null).await.len(), told.len());
}

async fn filters_choose_by_actor_target_action_and_time(app: Arc<TestApp>) {
    let (admin, asha) = (app.staff("Ada", Role::Admin).await, app.learner("Asha").await);
    let course = app.course(&["Physics", "Chemistry"]).cards(2).create(&app).await;
    let began = app.clock.now();
    for subject in 0..2 {
        app.clock.advance(TimeDelta::seconds(60));
        asha.buy(course.subject(subject)).await;
    }
    app.execute(
        "INSERT INTO audit_events (at, action, target_type, target_id) SELECT at, 'purchaseXcreated', 'refresh_tokens', 7 \
         FROM audit_events WHERE action = 'user.registered'",
    )
    .await;
    let at =
        |seconds: i64| (began + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Micros, true);
    let user = asha.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let everything = events(&admin, Value::Null).await;
    let names = ["purchaseXcreated", "purchase.created", "purchase.created", "user.registered"];
    assert_eq!(actions(&everything), names);
    let purchase = everything[1]["targetId"].clone();
    for (filter, expected) in [
        (json!({}), &[0, 1, 2, 3][..]),
        (json!({ "actorId": user }), &[1, 2, 3]),
        (json!({ "targetId": user }), &[3]),
        (json!({ "targetId": purchase }), &[1]),
        (json!({ "action": "purchase.created" }), &[1, 2]),
        (json!({ "action": "purchase." }), &[1, 2]),
        // `_` and `%` in a filter are ordinary characters, not wildcards.
        (json!({ "action": "purchase_." }), &[]),
        (json!({ "action": "%." }), &[]),
        (json!({ "action": "purchase" }), &[]),
        // The case of letters matters, and so does a space at the end.
        (json!({ "action": "Purchase." }), &[]),
        (json!({ "action": "Purchase.created" }), &[]),
        (json!({ "action": "purchase.created " }), &[]),
        (json!({ "action": "a\0b" }), &[]),
        (json!({ "from": at(60) }), &[1, 2]),
        (json!({ "from": at(61), "to": at(120) }), &[]),
        (json!({ "to": at(120) }), &[0, 2, 3]),
        (json!({ "from": "0000-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z" }), &[0, 1, 2, 3]),
        (json!({ "from": "2100-01-01T00:00:00Z" }), &[]),
        (json!({ "action": "purchase.", "actorId": user, "from": at(61) }), &[1]),
    ] {
        let found = events(&admin, filter.clone()).await;
        let expected: Vec<_> = expected.iter().map(|place| everything[*place].clone()).collect();
        assert_eq!(found, expected, "{filter}");
    }
    // An event about a row without a type in the API still has a `targetId`, and a filter accepts this id.
    let opaque = &everything[0];
    assert_eq!((&opaque["actor"], &opaque["target"]), (&Value::Null, &Value::Null));
    assert_eq!(events(&admin, json!({ "targetId": opaque["targetId"] })).await, everything[..1]);
    for filter in [json!({ "targetId": "x" }), json!({ "actorId": course.id })] {
        assert_eq!(admin.fail(EVENTS, json!({ "filter": filter })).await.0, "BAD_USER_INPUT");
    }
}

async fn pages_of_the_trail_cost_the_same_number_of_statements(app: Arc<TestApp>) {
    let admin = app.staff("Ada", Role::Admin).await;
    let course = app.course(&["Physics", "Chemistry", "Biology"]).cards(1).create(&app).await;
    for name in ["Asha", "Binod", "Chen", "Divya"] {
        let learner = app.learner(name).await;
        for subject in 0..3 {
            learner.buy(course.subject(subject)).await;
        }
    }
    let whole = events(&admin, Value::Null).await;
    assert_eq!(whole.len(), 16);
    let (mut read, mut after, mut counts) = (Vec::new(), Value::Null, Vec::new());
    loop {
        let _ = app.take_statements();
        let page = admin.run_with(EVENTS, json!({ "first": 5, "after": after })).await;
        // Counts only statements on these tables, because the server also reads the catalogue from time to time.
        let of_page = ["audit_events", "users", "purchases"];
        let statements = app.take_statements();
        counts.push(statements.iter().filter(|sql| of_page.iter().any(|table| sql.contains(table))).count());
        read.extend(page.list("/auditEvents/edges").iter().map(|edge| edge["node"].clone()));
        after = page.at("/auditEvents/pageInfo/endCursor").clone();
        if page.at("/auditEvents/pageInfo/hasNextPage") == &json!(false) {
            break;
        }
    }
    assert_eq!(read, whole);
    // At most six statements read: the viewer's role, the page, the actors, the total count, the viewer's purchases
    // among the targets, and whether an earlier page exists.
    assert!(counts.iter().all(|count| *count <= 6), "{counts:?}");
}

/// Runs mutations that the trail records, with names, addresses, tokens and texts that must not be in the trail.
async fn the_trail_holds_no_secret_and_nothing_personal(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let staff = app.staff("Sigrid", Role::Admin).await;
    let binod = app.learner("Binod").await;
    binod.buy(PurchaseInput::new(&world.course.id, "SINGLE_SUBJECT", &[&world.course.subjects[0]])).await;
    let signed_in = app.anonymous().login("binod@example.com", "correct horse battery").await;
    let refreshed = app.anonymous().refresh(signed_in.refresh_token()).await;
    let started = world.learner.start_session(&world.card).await;
    world.learner.submit_session(started.id(), None).await;
    staff.run(LOOK_UP).await;
    let granted = json!({ "mockTestAttemptId": world.card, "extraSeconds": 600 });
    staff.run_with(GRANT, json!({ "input": granted })).await;
    let subject = &world.course.subjects[0];
    staff.import(subject, "// [id:new]\nThe stem of a secret question {=right ~wrong}").await;
    let question = "query ($id: ID!) { questions(subjectId: $id, first: 1) { edges { node { id current { options { id } } } } } }";
    let question = staff.run_with(question, json!({ "id": subject })).await;
    let node = question.at("/questions/edges/0/node");
    let correct = "mutation ($id: ID!, $options: [ID!]) { correctQuestionKey(input: { questionId: $id, correctOptionIds: $options,
        reason: \"Binod told us\" }) { userErrors { code } } }";
    let options = json!([node["current"]["options"][2]["id"]]);
    staff.run_with(correct, json!({ "id": node["id"], "options": options })).await;
    let archive = "mutation ($id: ID!) { setQuestionArchived(input: { questionId: $id, archived: true }) { userErrors { code } } }";
    staff.run_with(archive, json!({ "id": node["id"] })).await;
    staff.run("mutation { logout { userErrors { code } } }").await;

    let recorded = rows(
        app.connection(),
        "SELECT action, target_type, state_before, state_after FROM audit_events ORDER BY id",
    )
    .await;
    let recorded_actions: Vec<_> = recorded.iter().map(|row| row[0].as_str()).collect();
    for action in [
        "user.registered",
        "purchase.created",
        "test_session.started",
        "test_session.closed",
        "user.looked_up",
        "mock_test_attempt.extended",
        "questions.imported",
        "question.key_corrected",
        "question.archived",
    ] {
        assert!(recorded_actions.contains(&action), "{action} is not among {recorded_actions:?}");
    }
    let text = format!("{recorded:?}").to_lowercase();
    for secret in [
        "example.com",
        "asha",
        "binod",
        "sigrid",
        "correct horse",
        "argon2",
        "secret question",
        signed_in.access_token(),
        signed_in.refresh_token(),
        refreshed.refresh_token(),
    ] {
        assert!(!text.contains(&secret.to_lowercase()), "{secret} is in {text}");
    }
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Checks that only `service/src/audit.rs` inserts audit events, and that no code deletes them. Only the deletion of an
/// account updates them: it erases a text that staff wrote. A restore of a backup replaces the whole database instead.
#[test]
fn nothing_changes_or_deletes_an_event() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["api", "entity", "migration"] {
        sources(&root.join(folder), &mut files);
    }
    let mut writers = Vec::new();
    for file in files.iter().filter(|file| !file.to_string_lossy().contains("node_modules")) {
        let text = fs::read_to_string(file).unwrap();
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for forbidden in [
            "audit_event::Entity::update",
            "audit_event::Entity::delete",
            "audit_event::Entity::insert",
            "UPDATE audit_events",
            "DELETE FROM audit_events",
            "TRUNCATE audit_events",
            "TRUNCATE TABLE",
        ] {
            // The deletion of an account erases what staff wrote about an order of this account, or what has its
            // address in a decision about another order, and nothing else.
            let erases = file.ends_with("account/deletion/orders.rs") && forbidden.ends_with("update");
            let appends = file.ends_with("service/src/audit.rs") && forbidden.ends_with("insert");
            let written = flat.matches(forbidden).count();
            assert_eq!(written, usize::from(erases || appends), "{}: {forbidden}", file.display());
        }
        if flat.contains("audit_event::ActiveModel") {
            writers.push(file.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
        }
    }
    let erasing = fs::read_to_string(root.join("api/service/src/account/deletion/orders.rs")).unwrap();
    assert_eq!(erasing.matches(".col_expr(audit_event::Column::").count(), 1);
    assert!(erasing.contains(".col_expr(audit_event::Column::StateAfter"));
    assert_eq!(writers, ["api/service/src/audit.rs"]);
    let writer = fs::read_to_string(root.join(&writers[0])).unwrap();
    for forbidden in [".update(", ".delete(", ".save(", "on_conflict"] {
        assert!(!writer.contains(forbidden), "{forbidden}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_export_is_json_lines_and_can_be_continued() {
    TestApp::run(Backend::Sqlite, async |app| {
        let world = World::new(&app, 4).await;
        let support = app.staff("Sam", Role::Support).await;
        let granted = json!({ "mockTestAttemptId": world.card, "extraSeconds": 600 });
        support.run_with(GRANT, json!({ "input": granted })).await;
        // Adds 2500 old events: the export reads 1000 events with one statement.
        app.execute(
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2500) \
             INSERT INTO audit_events (at, action, target_type, target_id) \
             SELECT '2020-01-01 00:00:00.000000+00:00', 'thing.made', 'things', i FROM n",
        )
        .await;
        let folder = tempfile::tempdir().unwrap();
        let export = |arguments: &[&str]| {
            let database = ["audit", "export", "--database-url", &app.database_url];
            let mut command = jishu(folder.path(), &[&database[..], arguments].concat());
            let output = command.output().unwrap();
            let (out, err) =
                (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
            assert!(output.status.success(), "{err}");
            let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            (lines, err)
        };
        let (all, told) = export(&[]);
        assert_eq!(i64::try_from(all.len()).unwrap(), app.number("SELECT COUNT(*) FROM audit_events").await);
        assert!(told.contains(&format!("events: {}", all.len())), "{told}");
        let extended = all.iter().find(|event| event["action"] == "mock_test_attempt.extended").unwrap();
        assert_eq!(extended["before"], json!({ "extraSeconds": 0 }));
        assert_eq!(extended["after"], json!({ "extraSeconds": 600 }));
        assert_eq!(extended["targetType"], "mock_test_attempts");
        let ids: Vec<_> = all.iter().map(|event| event["id"].as_i64().unwrap()).collect();
        assert!(ids.is_sorted());

        let (rest, _) = export(&["--after", &ids[99].to_string()]);
        assert_eq!(rest, all[100..]);
        let (of_action, _) = export(&["--action", "purchase."]);
        assert_eq!(of_action.len(), 1);
        let (old, told) = export(&["--until", "2021-01-01T00:00:00Z"]);
        assert_eq!(old.len(), 2500);
        // All of these events are old, so no transaction can still add an event with a smaller id. The export can be
        // continued after the last of them.
        let last = &old.last().unwrap()["id"];
        assert!(told.ends_with(&format!("to continue later: --after {last}\n")), "{told}");
        let (new, told) = export(&["--since", "2021-01-01T00:00:00Z"]);
        assert_eq!(new.len() + old.len(), all.len());
        assert!(told.ends_with("to continue later: --after 0\n"), "{told}");
        assert!(fail(jishu(folder.path(), &["audit", "export", "--since", "yesterday"])).contains("--since"));
        assert!(succeed(jishu(folder.path(), &["audit", "--help"])).contains("export"));
    })
    .await;
}
