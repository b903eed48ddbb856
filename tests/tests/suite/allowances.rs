//! Extra time and attempts for all cards of a learner, a subject or a course.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use jishu_entity::user::Role;
use jishu_tests::{Backend, Client, TestApp, TestCourse, on_each_database};
use serde_json::{Value, json};

on_each_database!(
    every_scope_extends_open_sittings_and_later_ones,
    the_greatest_time_counts_and_no_deadline_moves_back,
    attempts_reach_existing_cards_and_later_purchases,
    repeating_a_grant_changes_nothing,
    subscribers_see_what_an_allowance_changes,
    allowances_are_listed,
    an_invalid_allowance_is_refused_and_writes_nothing,
    starts_and_grants_at_once_leave_no_sitting_without_its_time,
    all_learners_of_a_subject_get_the_time,
);

const GRANT: &str = "mutation ($input: GrantAllowanceInput!) { grantAllowance(input: $input) {
    allowance { user { name } subject { name } course { name } extraSeconds maxAttempts reason grantedBy { name } grantedAt }
    sittingsExtended sittingsOverdue cardsRaised usersRemaining userErrors { code message path } } }";

/// A course with two subjects, a learner who has bought both of them, and a member of the support staff.
struct World {
    course: TestCourse,
    learner: Client,
    user: String,
    cards: Vec<String>,
    support: Client,
}

impl World {
    async fn new(app: &TestApp) -> Self {
        let course = app.course(&["Physics", "Chemistry"]).cards(3).create(app).await;
        for subject in &course.subject_rows {
            app.bank(*subject, 2).await;
        }
        let learner = app.staff("Asha", Role::Learner).await;
        let cards = app.cards(&learner, &course).await;
        let user = learner.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
        let support = app.staff("Sam", Role::Support).await;
        Self { course, learner, user, cards, support }
    }

    async fn grant(&self, input: Value) -> Value {
        let granted = self.support.run_with(GRANT, json!({ "input": input })).await;
        let granted = granted.at("/grantAllowance").clone();
        assert_eq!(granted["userErrors"], json!([]), "{granted}");
        granted
    }

    /// Starts a sitting of a card, or resumes its open sitting. Returns the seconds from the start of the sitting to
    /// its deadline.
    async fn start(&self, card: &str) -> i64 {
        let started = self.learner.start_session(card).await;
        assert_eq!(started.user_errors, []);
        seconds(&started.session().started_at, &started.session().expires_at)
    }
}

fn seconds(start: &str, end: &str) -> i64 {
    let time = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
    (time(end) - time(start)).num_seconds()
}

const HOUR: i64 = 3_600;

async fn every_scope_extends_open_sittings_and_later_ones(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let (course, user) = (&world.course, &world.user);
    let mut granted = 0;
    for scope in [
        json!({ "userId": user }),
        json!({ "subjectId": course.subjects[0] }),
        json!({ "courseId": course.id }),
        json!({ "userId": user, "subjectId": course.subjects[0] }),
        json!({ "userId": user, "courseId": course.id }),
    ] {
        granted += 100;
        let started = world.learner.start_session(&world.cards[0]).await;
        let mut input = scope.clone();
        input["extraSeconds"] = json!(granted);
        let answer = world.grant(input).await;
        assert_eq!(answer["sittingsExtended"], 1, "{scope}: {answer}");
        assert_eq!(
            world.start(&world.cards[0]).await,
            HOUR + granted,
            "{scope}: the open sitting did not get the time"
        );
        world.learner.submit_session(started.id(), None).await;
        assert_eq!(
            world.start(&world.cards[0]).await,
            HOUR + granted,
            "{scope}: the next sitting did not get the time"
        );
        let started = world.learner.start_session(&world.cards[0]).await;
        world.learner.submit_session(started.id(), None).await;
        // The card's field `extraTimeSeconds` shows the seconds of the allowance.
        let card = "query ($id: ID!) { node(id: $id) { ... on MockTestAttempt { extraTimeSeconds } } }";
        let card = world.learner.run_with(card, json!({ "id": world.cards[0] })).await;
        assert_eq!(card.number("/node/extraTimeSeconds"), granted, "{scope}");
        app.execute("UPDATE mock_test_attempts SET attempts_used = 0, status = 'available'").await;
        app.execute("DELETE FROM topic_totals").await;
        app.execute("DELETE FROM test_answers").await;
        app.execute("DELETE FROM test_sessions").await;
    }
    // The allowances of the first subject do not apply to the second subject. Among the allowances that apply, the
    // learner's allowance in the course (500 seconds) is the greatest. After the allowances with a course are deleted,
    // only the learner's own allowance (100 seconds) is left.
    assert_eq!(world.start(&world.cards[1]).await, HOUR + 500);
    app.execute("DELETE FROM allowances WHERE scope LIKE '%course:%'").await;
    let other = world.learner.start_session(&world.cards[1]).await;
    world.learner.submit_session(other.id(), None).await;
    assert_eq!(world.start(&world.cards[1]).await, HOUR + 100);
}

async fn the_greatest_time_counts_and_no_deadline_moves_back(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    assert_eq!(world.start(&world.cards[0]).await, HOUR);
    let card =
        "mutation ($card: ID!) { grantExtraTime(input: { mockTestAttemptId: $card, extraSeconds: 900 }) {
        allowance { extraSeconds } userErrors { code } } }";
    world.support.run_with(card, json!({ "card": world.cards[0] })).await;
    for (given, extended, deadline) in [(600, 0, 900), (1_200, 1, 1_200), (0, 0, 1_200), (1_200, 0, 1_200)] {
        let answer = world.grant(json!({ "userId": world.user, "extraSeconds": given })).await;
        assert_eq!(answer["sittingsExtended"], extended, "{given}");
        assert_eq!(world.start(&world.cards[0]).await, HOUR + deadline, "{given}");
    }
    // An allowance does not move a deadline that has passed.
    app.clock.advance(TimeDelta::seconds(HOUR + 1_200 + 60));
    let before = app.number("SELECT COUNT(*) FROM test_sessions WHERE open_marker = 1").await;
    let answer = world.grant(json!({ "userId": world.user, "extraSeconds": 86_400 })).await;
    assert_eq!(answer["sittingsExtended"], 0);
    // The closing worker may have closed the overdue sitting already, so `sittingsOverdue` may be 0.
    assert!(answer["sittingsOverdue"].as_i64() <= Some(before), "{answer}");
    // An allowance of 0 seconds removes the extra time of sittings that start later.
    world.grant(json!({ "userId": world.user, "extraSeconds": 0 })).await;
    assert_eq!(world.start(&world.cards[1]).await, HOUR);
}

async fn attempts_reach_existing_cards_and_later_purchases(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let exhausted = app.number("SELECT MIN(id) FROM mock_test_attempts").await;
    app.execute(&format!(
        "UPDATE mock_test_attempts SET attempts_used = 3, status = 'exhausted' WHERE id = {exhausted}"
    ))
    .await;
    let subject = json!({ "subjectId": world.course.subjects[0], "maxAttempts": 5 });
    let answer = world.grant(subject.clone()).await;
    assert_eq!((&answer["cardsRaised"], &answer["usersRemaining"]), (&json!(3), &json!(0)));
    let raised = "SELECT COUNT(*) FROM mock_test_attempts WHERE max_attempts = 5";
    assert_eq!(app.number(raised).await, 3, "exactly the 3 cards of this subject must get the attempts");
    let status = "SELECT COUNT(*) FROM mock_test_attempts WHERE status = 'completed'";
    assert_eq!(app.number(status).await, 1, "the exhausted card must become `completed`");

    // The cards that another learner buys later get the attempts, too.
    let binod = app.learner("Binod").await;
    app.cards(&binod, &world.course).await;
    assert_eq!(app.number(raised).await, 6);
    // A grant of fewer attempts takes no attempts from existing cards.
    let fewer = json!({ "subjectId": world.course.subjects[0], "maxAttempts": 1 });
    assert_eq!(world.grant(fewer).await["cardsRaised"], 0);
    assert_eq!(app.number(raised).await, 6);
    assert_eq!(app.number("SELECT MIN(max_attempts) FROM mock_test_attempts").await, 3);
    // A grant without `maxAttempts` does not change the cards. It replaces the earlier allowance of the subject.
    let time_only = json!({ "subjectId": world.course.subjects[0], "extraSeconds": 60 });
    assert_eq!(world.grant(time_only).await["allowance"]["maxAttempts"], Value::Null);
    // An allowance of one learner in a course raises the maximum attempts of all cards of the learner in that course.
    let answer =
        world.grant(json!({ "userId": world.user, "courseId": world.course.id, "maxAttempts": 9 })).await;
    assert_eq!(answer["cardsRaised"], 6);
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts WHERE max_attempts = 9").await, 6);
}

async fn repeating_a_grant_changes_nothing(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    world.start(&world.cards[0]).await;
    let input =
        json!({ "userId": world.user, "extraSeconds": 600, "maxAttempts": 4, "reason": " Dyslexia " });
    let first = world.grant(input.clone()).await;
    assert_eq!((&first["sittingsExtended"], &first["cardsRaised"]), (&json!(1), &json!(6)));
    assert_eq!(first["allowance"]["reason"], "Dyslexia");
    assert_eq!(first["allowance"]["user"]["name"], "Asha");
    let before = app.row_counts().await;
    let all = (0..8).map(|_| world.grant(input.clone()));
    for again in join_all(all).await {
        assert_eq!((&again["sittingsExtended"], &again["cardsRaised"]), (&json!(0), &json!(0)));
        assert_eq!(again["allowance"], first["allowance"]);
    }
    assert_eq!(app.row_counts().await, before);
    let event = "SELECT COUNT(*) FROM audit_events e JOIN users u ON u.id = e.actor_id WHERE u.name = 'Sam' \
                 AND e.action = 'allowance.granted' AND e.state_after LIKE '%600%' AND e.state_before IS NULL";
    assert_eq!(app.number(event).await, 1);
    let leaks = "SELECT COUNT(*) FROM audit_events WHERE state_after LIKE '%Dyslexia%'";
    assert_eq!(app.number(leaks).await, 0, "the audit trail contains the reason of an allowance");
}

async fn subscribers_see_what_an_allowance_changes(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    world.start(&world.cards[0]).await;
    let mut socket = app.socket_of(world.learner.token()).await;
    socket
        .subscribe(
            "changes",
            "subscription { mockTestAttemptChanged { subject { name } testNumber maxAttempts } }",
        )
        .await;
    app.watched_by(1).await;
    let subject = json!({ "subjectId": world.course.subjects[0], "maxAttempts": 7 });
    world.grant(subject).await;
    for number in 1..=3 {
        let event = socket.hear().await;
        let card = &event["payload"]["data"]["mockTestAttemptChanged"];
        assert_eq!((&card["testNumber"], &card["maxAttempts"]), (&json!(number), &json!(7)), "{event}");
    }
    world.grant(json!({ "userId": world.user, "extraSeconds": 60 })).await;
    let event = socket.hear().await;
    assert_eq!(
        event["payload"]["data"]["mockTestAttemptChanged"]["testNumber"], 1,
        "the event is not about the card with the open sitting"
    );
    socket.hang_up();
}

async fn allowances_are_listed(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let (course, user) = (&world.course, &world.user);
    for scope in [
        json!({ "userId": user }),
        json!({ "subjectId": course.subjects[0] }),
        json!({ "userId": user, "courseId": course.id }),
    ] {
        let mut input = scope;
        input["extraSeconds"] = json!(60);
        world.grant(input).await;
    }
    let query = "query ($userId: ID, $subjectId: ID, $courseId: ID) {
        allowances(userId: $userId, subjectId: $subjectId, courseId: $courseId) { totalCount edges { node {
        user { name email } subject { name } course { name } extraSeconds } } } }";
    let all = world.support.run_with(query, json!({})).await;
    assert_eq!(all.number("/allowances/totalCount"), 3);
    assert_eq!(
        all.text("/allowances/edges/0/node/course/name"),
        "Course",
        "the newest allowance is not the first"
    );
    for (filter, count) in [
        (json!({ "userId": user }), 2),
        (json!({ "subjectId": course.subjects[0] }), 1),
        (json!({ "courseId": course.id }), 1),
        (json!({ "userId": user, "subjectId": course.subjects[0] }), 0),
    ] {
        let found = world.support.run_with(query, filter.clone()).await;
        assert_eq!(found.number("/allowances/totalCount"), count, "{filter}");
    }
    assert_eq!(world.learner.fail(query, json!({})).await.0, "FORBIDDEN");
}

async fn an_invalid_allowance_is_refused_and_writes_nothing(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let (user, subject, course) = (&world.user, &world.course.subjects[0], &world.course.id);
    let before = app.row_counts().await;
    for (input, code, path) in [
        (json!({ "extraSeconds": 1 }), "ALLOWANCE_SCOPE_INVALID", "input"),
        (
            json!({ "subjectId": subject, "courseId": course, "extraSeconds": 1 }),
            "ALLOWANCE_SCOPE_INVALID",
            "input",
        ),
        (json!({ "userId": user }), "NOTHING_TO_GRANT", "input"),
        (json!({ "userId": user, "extraSeconds": -1 }), "EXTRA_SECONDS_INVALID", "extraSeconds"),
        (json!({ "userId": user, "extraSeconds": 86_401 }), "EXTRA_SECONDS_INVALID", "extraSeconds"),
        (json!({ "userId": user, "maxAttempts": 0 }), "MAX_ATTEMPTS_INVALID", "maxAttempts"),
        (json!({ "userId": user, "maxAttempts": 1_001 }), "MAX_ATTEMPTS_INVALID", "maxAttempts"),
        (json!({ "userId": course, "maxAttempts": 1 }), "USER_NOT_FOUND", "userId"),
        (json!({ "userId": app.global("User", 99), "maxAttempts": 1 }), "USER_NOT_FOUND", "userId"),
        (json!({ "subjectId": user, "maxAttempts": 1 }), "SUBJECT_NOT_FOUND", "subjectId"),
        (
            json!({ "subjectId": app.global("Subject", 99), "maxAttempts": 1 }),
            "SUBJECT_NOT_FOUND",
            "subjectId",
        ),
        (json!({ "courseId": app.global("Course", 99), "maxAttempts": 1 }), "COURSE_NOT_FOUND", "courseId"),
        (
            json!({ "userId": user, "maxAttempts": 1, "reason": "x".repeat(1_001) }),
            "REASON_INVALID",
            "reason",
        ),
    ] {
        let refused = world.support.run_with(GRANT, json!({ "input": input })).await;
        let refused = refused.at("/grantAllowance");
        let error = &refused["userErrors"][0];
        assert_eq!(
            (&error["code"], &refused["allowance"]),
            (&json!(code), &Value::Null),
            "{input}: {refused}"
        );
        assert_eq!(error["path"].as_array().and_then(|path| path.last()), Some(&json!(path)), "{input}");
    }
    assert_eq!(app.row_counts().await, before);
}

async fn starts_and_grants_at_once_leave_no_sitting_without_its_time(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(1).create(&app).await;
    app.bank(course.subject_rows[0], 2).await;
    let support = app.staff("Sam", Role::Support).await;
    let mut learners = Vec::new();
    for number in 0..16 {
        let learner = app.staff(&format!("Learner{number}"), Role::Learner).await;
        let card = app.cards(&learner, &course).await.remove(0);
        learners.push((learner, card));
    }
    let starts = join_all(learners.iter().map(|(learner, card)| learner.start_session(card)));
    let input = json!({ "input": { "subjectId": course.subjects[0], "extraSeconds": 600 } });
    let grants = support.run_with(GRANT, input);
    let (_, granted) = futures_util::join!(starts, grants);
    assert_eq!(*granted.at("/grantAllowance/userErrors"), json!([]));
    for (learner, card) in &learners {
        let started = learner.start_session(card).await;
        let session = started.session();
        assert_eq!(seconds(&session.started_at, &session.expires_at), HOUR + 600);
    }
}

async fn all_learners_of_a_subject_get_the_time(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(2).create(&app).await;
    app.bank(course.subject_rows[0], 2).await;
    let support = app.staff("Sam", Role::Support).await;
    for number in 0..40 {
        let learner = app.staff(&format!("Learner{number}"), Role::Learner).await;
        let card = app.cards(&learner, &course).await.remove(0);
        if number % 2 == 0 {
            learner.start_session(&card).await;
        }
    }
    let input =
        json!({ "input": { "subjectId": course.subjects[0], "extraSeconds": 600, "maxAttempts": 8 } });
    let granted = support.run_with(GRANT, input).await;
    assert_eq!(granted.number("/grantAllowance/sittingsExtended"), 20);
    assert_eq!(granted.number("/grantAllowance/cardsRaised"), 80);
    assert_eq!(granted.number("/grantAllowance/usersRemaining"), 0);
}

/// Grants an allowance to a learner with 200 cards and 4 open sittings. Prints how long the grant takes, and asserts
/// that it runs fewer than 80 statements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_of_two_hundred_cards_is_one_call() {
    for backend in [Backend::Sqlite, Backend::Postgres, Backend::MariaDb] {
        TestApp::run(backend, async |app: Arc<TestApp>| {
            let course = app.course(&["A", "B", "C", "D"]).cards(50).create(&app).await;
            for subject in &course.subject_rows {
                app.bank(*subject, 2).await;
            }
            let learner = app.staff("Asha", Role::Learner).await;
            for card in app.cards(&learner, &course).await {
                learner.start_session(&card).await;
            }
            let user = learner.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
            let support = app.staff("Sam", Role::Support).await;
            let _ = app.take_statements();
            let started = std::time::Instant::now();
            let input = json!({ "input": { "userId": user, "extraSeconds": 600, "maxAttempts": 5 } });
            let granted = support.run_with(GRANT, input).await;
            let (took, statements) = (started.elapsed(), app.take_statements().len());
            assert_eq!(granted.number("/grantAllowance/cardsRaised"), 200);
            assert_eq!(granted.number("/grantAllowance/sittingsExtended"), 4);
            println!("{backend:?}: 200 cards and 4 open sittings in {took:?}, {statements} statements");
            assert!(statements < 80, "{statements} statements");
        })
        .await;
    }
}
