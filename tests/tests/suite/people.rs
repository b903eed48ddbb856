//! Accounts and purchases of all users, as support sees them.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_entity::user::Role;
use jishu_tests::{Backend, TestApp, on_each_database};
use serde_json::{Value, json};

use crate::sittings::{World, accepted, answers, id};

on_each_database!(
    accounts_are_found_by_address_name_and_id,
    pages_of_accounts_follow_each_other,
    a_look_is_recorded_once_in_a_request,
    an_open_sitting_shows_no_answers_and_no_key_to_staff,
    purchases_of_everybody_are_listed,
    a_sign_in_reads_its_own_account,
);

const USERS: &str = "query ($search: String, $role: Role, $status: UserStatus, $first: Int, $after: String) {
  users(search: $search, role: $role, status: $status, first: $first, after: $after) {
    totalCount pageInfo { hasNextPage endCursor } edges { node { id name email role status createdAt } } } }";

/// Returns the names of the accounts that a search finds.
async fn found(client: &jishu_tests::Client, variables: Value) -> Vec<String> {
    let page = client.run_with(USERS, variables).await;
    let edges = page.list("/users/edges").iter();
    let names: Vec<String> =
        edges.map(|edge| edge["node"]["name"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(page.number("/users/totalCount"), i64::try_from(names.len()).expect("few"));
    names
}

async fn looks(app: &TestApp, action: &str) -> i64 {
    app.number(&format!("SELECT COUNT(*) FROM audit_events WHERE action = '{action}'")).await
}

async fn accounts_are_found_by_address_name_and_id(app: Arc<TestApp>) {
    let asha = app.learner("Asha").await;
    app.learner("Binod").await;
    app.learner("100%").await;
    let support = app.staff("Sam", Role::Support).await;
    let own_id = asha.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let row = app.number("SELECT id FROM users WHERE name = 'Asha'").await;
    for (search, names) in [
        (json!("ASHA@exam"), vec!["Asha"]),
        (json!("asha@example.org"), vec![]),
        (json!("sha@example"), vec![]),
        (json!("SHA"), vec!["Asha"]),
        (json!("bin"), vec!["Binod"]),
        (json!("%"), vec!["100%"]),
        (json!("_"), vec![]),
        (json!("a\u{0}"), vec![]),
        (json!(own_id), vec!["Asha"]),
        // The id of the first account is also a part of the name of another account.
        (json!(row.to_string()), vec!["Asha", "100%"]),
        (json!("  "), vec!["Asha", "Binod", "100%", "Sam"]),
        (Value::Null, vec!["Asha", "Binod", "100%", "Sam"]),
    ] {
        assert_eq!(found(&support, json!({ "search": search })).await, names, "{search}");
    }
    assert_eq!(found(&support, json!({ "role": "SUPPORT" })).await, ["Sam"]);
    app.execute("UPDATE users SET status = 'deactivated' WHERE name = 'Binod'").await;
    assert_eq!(found(&support, json!({ "status": "DEACTIVATED" })).await, ["Binod"]);
    assert_eq!(found(&support, json!({ "status": "ACTIVE", "role": "LEARNER" })).await, ["Asha", "100%"]);
    let long = "a".repeat(255);
    assert_eq!(support.fail(USERS, json!({ "search": long })).await.0, "BAD_USER_INPUT");
}

async fn pages_of_accounts_follow_each_other(app: Arc<TestApp>) {
    for number in 0..5 {
        app.learner(&format!("Learner{number}")).await;
    }
    let support = app.staff("Sam", Role::Support).await;
    let first = support.run_with(USERS, json!({ "first": 2, "search": "learner" })).await;
    assert_eq!(first.number("/users/totalCount"), 5);
    let after = first.text("/users/pageInfo/endCursor");
    let next = support.run_with(USERS, json!({ "first": 2, "search": "learner", "after": after })).await;
    assert_eq!(next.text("/users/edges/0/node/name"), "Learner2");
    // The server counts the accounts only if `totalCount` is selected. It reads the accounts, and records the look
    // `user.listed`, only if `edges` or `pageInfo` is selected.
    let _ = app.take_statements();
    support.run("{ users(first: 1) { edges { node { id } } } }").await;
    let statements = app.take_statements();
    assert!(!statements.iter().any(|sql| sql.to_lowercase().contains("count(*)")), "{statements:?}");
    let before = looks(&app, "user.listed").await;
    support.run("{ users { totalCount } }").await;
    assert_eq!(looks(&app, "user.listed").await, before);
}

async fn a_look_is_recorded_once_in_a_request(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let support = app.staff("Sam", Role::Support).await;
    let user = world.learner.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let before = app.row_counts().await;
    world.learner.run("{ viewer { purchases { totalCount } progress { testsTaken } } }").await;
    assert_eq!(app.row_counts().await, before, "a learner read their own account, and an event was recorded");
    let node = "query ($id: ID!) { node(id: $id) { ... on User { name email role status cart { totalCount }
        purchases { edges { node { mockTestAttempts { totalCount } user { email } } } } mockTestAttempts { totalCount }
        testSessions { totalCount } progress { testsTaken } } } }";
    let seen = support.run_with(node, json!({ "id": user })).await;
    assert_eq!(seen.text("/node/email"), "asha@example.com");
    assert_eq!(seen.number("/node/mockTestAttempts/totalCount"), 3);
    assert_eq!(seen.text("/node/purchases/edges/0/node/user/email"), "asha@example.com");
    assert_eq!(looks(&app, "user.looked_up").await, 1);
    support.run("{ users { edges { node { name email } } } }").await;
    assert_eq!((looks(&app, "user.looked_up").await, looks(&app, "user.listed").await), (1, 1));
    let target = "SELECT COUNT(*) FROM audit_events e JOIN users u ON u.id = e.target_id AND u.id = e.actor_id \
                  WHERE e.action = 'user.listed' AND u.name = 'Sam'";
    assert_eq!(
        app.number(target).await,
        1,
        "the target of the event `user.listed` is not the member of staff who read the list"
    );
    support.run("{ users { edges { node { purchases { totalCount } } } } }").await;
    assert_eq!(
        looks(&app, "user.looked_up").await,
        2,
        "a second request that reads the account did not record one more event"
    );

    let author = app.staff("Ann", Role::Author).await;
    let before = app.row_counts().await;
    for (client, code) in [(&world.learner, "FORBIDDEN"), (&author, "FORBIDDEN")] {
        for query in ["{ users { totalCount } }", "{ purchases { totalCount } }"] {
            assert_eq!(client.fail(query, Value::Null).await.0, code);
        }
    }
    assert_eq!(*author.run_with(node, json!({ "id": user })).await.at("/node"), Value::Null);
    assert_eq!(app.row_counts().await, before);
}

/// Selects everything of a sitting that could show an answer or the key.
const SITTING: &str = "fragment S on TestSession { id status answerSequence result { score byTopic { correct } }
    questions { slot stem options { id } answer { optionIds numericValue text savedAt } flagged timeSpentSeconds correctOptionIds
      correctValue tolerance correctTexts caseSensitive explanation marks verdict topic difficulty }
    mockTestAttempt { latestScore bestScore firstScore grade } }";

/// A query that reads the sittings of an account by each list and field that leads to them.
const WAYS: &str = "query ($id: ID!) { node(id: $id) { ... on User {
    testSessions(first: 1) { edges { node { ...S } } }
    mockTestAttempts(first: 1) { edges { node { canStart openSession { ...S } sessions(first: 1) { edges { node { ...S } } } } } }
    purchases(first: 1) { edges { node { mockTestAttempts(first: 1) { edges { node { openSession { ...S } } } } } } }
    progress { trend(last: 1) { session { ...S } } bySubject { inProgress byTopic { correct } } } } } }";

async fn an_open_sitting_shows_no_answers_and_no_key_to_staff(app: Arc<TestApp>) {
    let world = World::new(&app, 4).await;
    let started = world.learner.start_session(&world.card).await;
    accepted(&started);
    world.learner.save_answers(&id(&started), 1, answers(&started, 2, 1)).await;
    let user = world.learner.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let document = format!("{WAYS} {SITTING}");
    for role in [Role::Support, Role::Admin] {
        let staff = app.staff(&format!("{role:?}"), role).await;
        let seen = staff.run_with(&document, json!({ "id": user })).await;
        let sittings = [
            "/node/testSessions/edges/0/node",
            "/node/mockTestAttempts/edges/0/node/openSession",
            "/node/mockTestAttempts/edges/0/node/sessions/edges/0/node",
            "/node/purchases/edges/0/node/mockTestAttempts/edges/0/node/openSession",
        ];
        for sitting in sittings.map(|pointer| seen.at(pointer)) {
            assert_eq!((&sitting["status"], &sitting["result"]), (&json!("IN_PROGRESS"), &Value::Null));
            for question in sitting["questions"].as_array().expect("a list") {
                assert_eq!(question["flagged"], false, "{question}");
                for hidden in [
                    "answer",
                    "timeSpentSeconds",
                    "correctOptionIds",
                    "correctValue",
                    "correctTexts",
                    "tolerance",
                    "explanation",
                    "marks",
                    "verdict",
                    "topic",
                    "difficulty",
                ] {
                    assert_eq!(question[hidden], Value::Null, "{hidden}");
                }
            }
            for score in ["latestScore", "bestScore", "firstScore", "grade"] {
                assert_eq!(sitting["mockTestAttempt"][score], Value::Null);
            }
        }
        assert_eq!(*seen.at("/node/mockTestAttempts/edges/0/node/canStart"), true);
        assert_eq!(*seen.at("/node/progress/trend"), json!([]));
    }
    // The learner still sees the answers of the open sitting.
    let own = "{ viewer { testSessions { edges { node { questions { answer { savedAt } } } } } } }";
    let own = world.learner.run(own).await;
    let answered = own.list("/viewer/testSessions/edges/0/node/questions").iter();
    assert_eq!(answered.filter(|question| !question["answer"].is_null()).count(), 3);

    // After the end of the sitting, staff see the answers. They do not see the key, because under the review policy
    // `never` the learner does not see the key, either.
    world.set(&app, "review_policy", "'never'").await;
    world.learner.submit_session(&id(&started), None).await;
    let staff = app.staff("Sue", Role::Support).await;
    let seen = staff.run_with(&document, json!({ "id": user })).await;
    let questions = seen.list("/node/testSessions/edges/0/node/questions");
    assert_eq!(questions.iter().filter(|question| !question["answer"].is_null()).count(), 3);
    for question in questions {
        for hidden in ["correctOptionIds", "correctValue", "explanation", "marks", "verdict"] {
            assert_eq!(question[hidden], Value::Null, "{hidden}");
        }
    }
    assert_ne!(*seen.at("/node/testSessions/edges/0/node/result"), Value::Null);
}

async fn purchases_of_everybody_are_listed(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).cards(1).valid_for_days(5).create(&app).await;
    let support = app.staff("Sam", Role::Support).await;
    let mut users = Vec::new();
    for name in ["Asha", "Binod"] {
        let learner = app.staff(name, Role::Learner).await;
        for subject in &course.subjects {
            let input =
                json!({ "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [subject] });
            jishu_tests::purchases::purchase(&learner, input).await;
        }
        users.push(learner.run("{ viewer { id } }").await.text("/viewer/id").to_owned());
    }
    let query = "query ($first: Int, $after: String, $userId: ID, $status: PurchaseStatus) {
        purchases(first: $first, after: $after, userId: $userId, status: $status) { totalCount
        pageInfo { hasNextPage endCursor } edges { node { id status user { id name } subjects { name } cost { amount } } } } }";
    let all = support.run_with(query, json!({ "first": 3 })).await;
    assert_eq!(all.number("/purchases/totalCount"), 4);
    assert_eq!(
        all.text("/purchases/edges/0/node/user/name"),
        "Binod",
        "the newest purchase is not the first"
    );
    let after = all.text("/purchases/pageInfo/endCursor");
    let rest = support.run_with(query, json!({ "first": 3, "after": after })).await;
    assert_eq!(rest.list("/purchases/edges").len(), 1);
    assert_eq!((looks(&app, "user.listed").await, looks(&app, "user.looked_up").await), (2, 0));
    let hers = support.run_with(query, json!({ "userId": users[0], "status": "ACTIVE" })).await;
    assert_eq!(hers.number("/purchases/totalCount"), 2);
    assert_eq!(hers.text("/purchases/edges/0/node/user/name"), "Asha");
    assert_eq!(looks(&app, "user.looked_up").await, 1);
    app.clock.advance(TimeDelta::days(6));
    for (status, count) in [("ACTIVE", 0), ("EXPIRED", 4), ("REFUNDED", 0)] {
        let page = support.run_with(query, json!({ "status": status })).await;
        assert_eq!(page.number("/purchases/totalCount"), count, "{status}");
    }
    app.execute("UPDATE purchases SET status = 'refunded' WHERE id = 1").await;
    let page = support.run_with(query, json!({ "status": "REFUNDED" })).await;
    assert_eq!(page.number("/purchases/totalCount"), 1);
    assert_eq!(support.fail(query, json!({ "userId": course.id })).await.0, "BAD_USER_INPUT");
}

async fn a_sign_in_reads_its_own_account(app: Arc<TestApp>) {
    app.learner("Asha").await;
    let login =
        "mutation { login(input: { email: \"asha@example.com\", password: \"correct horse battery\" }) {
        user { name cart { totalCount } purchases { totalCount } } } }";
    let before = looks(&app, "user.looked_up").await;
    assert_eq!(app.anonymous().run(login).await.number("/login/user/purchases/totalCount"), 0);
    assert_eq!(looks(&app, "user.looked_up").await, before);
}

/// Searches among 100,000 accounts and prints how long each search takes. Fails if a search takes 5 seconds or more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_accounts_are_searched() {
    for backend in [Backend::Sqlite, Backend::Postgres, Backend::MariaDb] {
        TestApp::run(backend, async |app: Arc<TestApp>| {
            let support = app.staff("Sam", Role::Support).await;
            let email = match backend {
                Backend::MariaDb => "CONCAT('learner', x.n * 1000 + y.n, '@example.com')",
                _ => "'learner' || (x.n * 1000 + y.n) || '@example.com'",
            };
            // MariaDB limits a recursion to 1,000 rows, so the statement combines 100 numbers with 1,000 numbers.
            app.execute(&format!(
                "INSERT INTO users (name, email, password_hash, role, status, created_at) \
                 WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 999) \
                 SELECT 'Asha Rao', {email}, 'none', 'learner', 'active', \
                 (SELECT created_at FROM users LIMIT 1) FROM n x CROSS JOIN n y WHERE x.n < 100"
            ))
            .await;
            let analyze = "ANALYZE TABLE users";
            app.execute(if backend == Backend::MariaDb { analyze } else { "ANALYZE" }).await;
            for (search, least) in [
                ("learner99999@", 1),
                ("LEARNER5000", 10),
                ("nobody@example.com", 0),
                ("Rao", 50),
                ("not there", 0),
            ] {
                let started = std::time::Instant::now();
                let page = "query ($search: String) { users(first: 50, search: $search) { edges { node { email } } } }";
                let page = support.run_with(page, json!({ "search": search })).await;
                let took = started.elapsed();
                assert!(page.list("/users/edges").len() >= least, "{search}: {:#}", page.body);
                println!("{backend:?}: {search:?} in {took:?}");
                assert!(took < std::time::Duration::from_secs(5), "{search}: {took:?}");
            }
        })
        .await;
    }
}
