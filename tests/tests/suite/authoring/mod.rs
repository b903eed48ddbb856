//! Authors create, change, archive, restore and list courses and subjects.

mod prices;
mod values;

use std::sync::Arc;

use futures_util::future::join_all;
use jishu_entity::user::Role;
use jishu_tests::{Client, TestApp, on_each_database, only_error, rows, wait_until};
use serde_json::{Value, json};

on_each_database!(
    a_course_is_created_sold_changed_and_archived,
    a_change_is_audited_with_the_values_before_and_after,
    of_two_edits_side_by_side_the_second_is_refused_with_the_current_state,
    of_64_edits_at_once_one_wins_each_version,
    a_code_is_unique_also_among_64_at_once,
    a_row_without_a_code_gets_one_once,
    every_node_shows_a_change_soon,
    authors_list_archived_courses_and_subjects,
);

async fn author(app: &TestApp) -> Client {
    app.staff("Author", Role::Author).await
}

async fn versions(app: &TestApp) -> Vec<Vec<String>> {
    rows(app.connection(), "SELECT id, version FROM courses ORDER BY id").await
}

/// Returns the actions of all audit events about courses and subjects, oldest first.
async fn actions(app: &TestApp) -> Vec<String> {
    let events = "SELECT action FROM audit_events WHERE target_type IN ('courses', 'subjects') ORDER BY id";
    rows(app.connection(), events).await.into_iter().flatten().collect()
}

async fn a_course_is_created_sold_changed_and_archived(app: Arc<TestApp>) {
    let author = author(&app).await;
    let course = author
        .create_course(json!({ "code": "neet-ug", "name": " NEET UG ", "currency": "INR" }))
        .await
        .done();
    assert_eq!((course.version, course.name.as_str(), course.archived), (1, "NEET UG", false));
    let subject = author
        .create_subject(
            json!({ "courseId": course.id, "code": "physics", "name": "Physics", "listPrice": "599" }),
        )
        .await
        .done();
    assert_eq!((subject.list_price.amount.as_str(), subject.total_mock_tests), ("599.00", 50));
    assert_eq!(
        subject.marking_scheme,
        json!({ "correct": "4.00", "wrong": "-1.00", "unanswered": "0.00", "questionsPerTest": 45,
                "timeLimitSeconds": 3600, "maxAttempts": 3, "gradingMethod": "HIGHEST", "review": "AFTER_SITTING" })
    );

    // The new subject is on sale at once.
    let asha = app.learner("Asha").await;
    let single = |subject: &str| json!({ "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [subject] });
    let bought = jishu_tests::purchases::purchase(&asha, single(&subject.id)).await;
    assert_eq!(bought.payload["testCardsCreated"], 50);

    let changed = author
        .update_subject(json!({
            "id": subject.id, "version": 1, "name": "Physics I", "listPrice": "649.50", "totalMockTests": 60,
            "offer": { "price": "499", "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2200-01-01T00:00:00Z" },
            "markingScheme": { "correct": "5", "timeLimitSeconds": 1800, "gradingMethod": "LATEST" },
        }))
        .await
        .done();
    assert_eq!((changed.version, changed.name.as_str(), changed.total_mock_tests), (2, "Physics I", 60));
    assert_eq!((changed.list_price.amount.as_str(), changed.price.amount.as_str()), ("649.50", "499.00"));
    assert_eq!(changed.offer["startsAt"], "2020-01-01T00:00:00.000000Z");
    assert_eq!(changed.marking_scheme["correct"], "5.00");
    assert_eq!(changed.marking_scheme["questionsPerTest"], 45, "a value that was not given has changed");
    // A field that the input leaves out keeps its value. A null removes the value.
    let changed =
        author.update_subject(json!({ "id": subject.id, "version": 2, "name": "Physics" })).await.done();
    assert_eq!(changed.offer["price"]["amount"], "499.00");
    let changed =
        author.update_subject(json!({ "id": subject.id, "version": 3, "offer": null })).await.done();
    assert_eq!((changed.version, &changed.offer), (4, &Value::Null));

    let changed = author
        .update_course(json!({ "id": course.id, "version": 1, "bundlePrice": "1499", "validityDays": 365,
                               "description": "For medicine." }))
        .await
        .done();
    assert_eq!(changed.bundle_price.map(|price| price.amount).as_deref(), Some("1499.00"));
    assert_eq!((changed.validity_days, changed.version), (Some(365), 2));
    let changed = author
        .update_course(json!({ "id": course.id, "version": 2, "bundlePrice": null, "validityDays": null,
                               "description": null }))
        .await
        .done();
    assert_eq!((changed.bundle_price, changed.validity_days, changed.description), (None, None, None));

    // Nobody buys an archived subject or course. Archiving twice changes nothing.
    let binod = app.learner("Binod").await;
    assert!(author.set_subject_archived(&subject.id, true).await.done().archived);
    assert_eq!(author.set_subject_archived(&subject.id, true).await.done().version, 5);
    let quote = "query ($input: PurchaseSelection!) { purchaseQuote(input: $input) { userErrors { code } } }";
    let code = async || {
        let answer = binod.run_with(quote, json!({ "input": single(&subject.id) })).await;
        answer.at("/purchaseQuote/userErrors").pointer("/0/code").cloned().unwrap_or_default()
    };
    assert_eq!(code().await, "SUBJECT_ARCHIVED");
    assert_eq!(author.set_subject_archived(&subject.id, false).await.done().version, 6);
    assert_eq!(code().await, Value::Null);
    author.set_course_archived(&course.id, true).await.done();
    assert_eq!(code().await, "COURSE_ARCHIVED");
    assert!(!author.set_course_archived(&course.id, false).await.done().archived);
    assert_eq!(code().await, Value::Null);

    let hidden = author
        .create_course(json!({ "code": "draft", "name": "Draft", "currency": "INR", "archived": true }))
        .await
        .done();
    assert!(hidden.archived);
    let expected = [
        "course.created",
        "subject.created",
        "subject.updated",
        "subject.updated",
        "subject.updated",
        "course.updated",
        "course.updated",
        "subject.archived",
        "subject.restored",
        "course.archived",
        "course.restored",
        "course.created",
    ];
    assert_eq!(actions(&app).await, expected);
}

async fn a_change_is_audited_with_the_values_before_and_after(app: Arc<TestApp>) {
    let author = author(&app).await;
    let course =
        author.create_course(json!({ "code": "jee", "name": "JEE", "currency": "JPY" })).await.done();
    author.update_course(json!({ "id": course.id, "version": 1, "bundlePrice": "1500" })).await.done();
    let events = rows(
        app.connection(),
        "SELECT actor_id, action, state_before, state_after FROM audit_events WHERE target_type = 'courses' ORDER BY id",
    )
    .await;
    let actor = app.number("SELECT id FROM users").await.to_string();
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!((&events[0][0], events[0][1].as_str()), (&actor, "course.created"));
    assert_eq!(json(&events[0][3])["currency"], "JPY");
    assert_eq!((&events[1][0], events[1][1].as_str()), (&actor, "course.updated"));
    assert_eq!(json(&events[1][2]), json!({ "bundlePrice": null }));
    assert_eq!(json(&events[1][3]), json!({ "bundlePrice": "1500" }));

    // An edit that changes no value writes nothing.
    let before = (app.row_counts().await, versions(&app).await);
    let same = author
        .update_course(json!({ "id": course.id, "version": 2, "name": "JEE", "bundlePrice": "1500.0" }))
        .await
        .done();
    assert_eq!(same.version, 2);
    assert_eq!((app.row_counts().await, versions(&app).await), before);
}

async fn of_two_edits_side_by_side_the_second_is_refused_with_the_current_state(app: Arc<TestApp>) {
    let (one, other) = (author(&app).await, app.staff("Admin", Role::Admin).await);
    let course = one.create_course(json!({ "code": "neet", "name": "NEET", "currency": "INR" })).await.done();
    let subject = one
        .create_subject(
            json!({ "courseId": course.id, "code": "bio", "name": "Biology", "listPrice": "100" }),
        )
        .await
        .done();
    one.update_course(json!({ "id": course.id, "version": 1, "name": "NEET UG" })).await.done();
    one.update_subject(json!({ "id": subject.id, "version": 1, "listPrice": "150" })).await.done();

    let before = app.row_counts().await;
    let stale = other.update_course(json!({ "id": course.id, "version": 1, "name": "NEET PG" })).await;
    assert!(stale.row.is_none());
    let error = only_error(&stale.user_errors);
    assert_eq!((error.code.as_str(), &error.more["__typename"]), ("STALE_EDIT", &json!("StaleEditError")));
    assert_eq!(error.path, ["input", "version"]);
    assert_eq!((&error.more["version"], &error.more["course"]["name"]), (&json!(2), &json!("NEET UG")));
    assert_eq!((&error.more["course"]["version"], &error.more["subject"]), (&json!(2), &Value::Null));

    let stale = other.update_subject(json!({ "id": subject.id, "version": 1, "listPrice": "120" })).await;
    let error = only_error(&stale.user_errors);
    assert_eq!((error.code.as_str(), &error.more["version"]), ("STALE_EDIT", &json!(2)));
    assert_eq!(error.more["subject"]["listPrice"]["amount"], "150.00");
    assert_eq!(app.row_counts().await, before);

    // The edit succeeds with the version that the error contains.
    let renewed = other.update_subject(json!({ "id": subject.id, "version": 2, "listPrice": "120" })).await;
    assert_eq!(renewed.done().version, 3);
}

async fn of_64_edits_at_once_one_wins_each_version(app: Arc<TestApp>) {
    let author = author(&app).await;
    let course =
        author.create_course(json!({ "code": "neet", "name": "NEET", "currency": "INR" })).await.done();
    let subject = author
        .create_subject(
            json!({ "courseId": course.id, "code": "bio", "name": "Biology", "listPrice": "1000" }),
        )
        .await
        .done();
    for version in 1..=3 {
        let courses = (0..64).map(|caller| {
            author.update_course(
                json!({ "id": course.id, "version": version, "name": format!("{version} {caller}") }),
            )
        });
        let subjects = (0..64).map(|caller| {
            let price = (version * 100 + caller).to_string();
            author.update_subject(json!({ "id": subject.id, "version": version, "listPrice": price }))
        });
        let (courses, subjects) = tokio::join!(join_all(courses), join_all(subjects));
        let won = courses.iter().filter_map(|payload| payload.row.as_ref()).collect::<Vec<_>>();
        assert_eq!((won.len(), won[0].version), (1, version + 1));
        let errors = courses.iter().flat_map(|payload| &payload.user_errors);
        assert_eq!(errors.filter(|error| error.code == "STALE_EDIT").count(), 63);
        assert_eq!(subjects.iter().filter(|payload| payload.row.is_some()).count(), 1);
        assert_eq!(
            rows(app.connection(), "SELECT version, name FROM courses").await,
            [[(version + 1).to_string(), won[0].name.clone()]]
        );
    }
    assert_eq!(app.number("SELECT version FROM subjects").await, 4);
    let updates = "SELECT COUNT(*) FROM audit_events WHERE action IN ('course.updated', 'subject.updated')";
    assert_eq!(app.number(updates).await, 6);
}

async fn a_code_is_unique_also_among_64_at_once(app: Arc<TestApp>) {
    let author = author(&app).await;
    let new = |caller: i32| json!({ "code": "neet", "name": format!("NEET {caller}"), "currency": "INR" });
    let made = join_all((0..64).map(|caller| author.create_course(new(caller)))).await;
    let refused = made.iter().flat_map(|payload| payload.refusals()).collect::<Vec<_>>();
    assert_eq!(refused, vec![("CODE_TAKEN", "input.code".to_owned()); 63]);
    let course = made.into_iter().find_map(|payload| payload.row).unwrap();
    assert_eq!(app.number("SELECT COUNT(*) FROM courses").await, 1);

    let new =
        |course: &str| json!({ "courseId": course, "code": "bio", "name": "Biology", "listPrice": "1" });
    let made = join_all((0..64).map(|_| author.create_subject(new(&course.id)))).await;
    assert_eq!(made.iter().filter(|payload| payload.row.is_some()).count(), 1);
    assert_eq!(
        made.iter().filter(|payload| payload.refusals() == [("CODE_TAKEN", "input.code".to_owned())]).count(),
        63
    );
    assert_eq!(app.number("SELECT COUNT(*) FROM audit_events WHERE action LIKE '%.created'").await, 2);
    // Another course may have a subject with the same code.
    let other =
        author.create_course(json!({ "code": "NEET", "name": "Other", "currency": "INR" })).await.done();
    author.create_subject(new(&other.id)).await.done();
}

async fn a_row_without_a_code_gets_one_once(app: Arc<TestApp>) {
    let old = app.course(&["Physics"]).create(&app).await;
    let author = author(&app).await;
    let coded = author.update_course(json!({ "id": old.id, "version": 1, "code": "old" })).await.done();
    assert_eq!((coded.code.as_deref(), coded.version), (Some("old"), 2));
    let refused = author.update_course(json!({ "id": old.id, "version": 2, "code": "new" })).await;
    assert_eq!(refused.refusals(), [("CODE_FIXED", "input.code".to_owned())]);
    let subject = &old.subjects[0];
    author.update_subject(json!({ "id": subject, "version": 1, "code": "physics" })).await.done();
    let refused = author.update_subject(json!({ "id": subject, "version": 2, "code": "physics-2" })).await;
    assert_eq!(refused.refusals(), [("CODE_FIXED", "input.code".to_owned())]);
}

async fn every_node_shows_a_change_soon(app: Arc<TestApp>) {
    let author = author(&app).await;
    let node = app.second_node().await;
    let reader = Client::new(app.http().clone(), node.url("/graphql"), None);
    let course =
        author.create_course(json!({ "code": "neet", "name": "NEET", "currency": "INR" })).await.done();
    let names =
        async || reader.run("{ courses { edges { node { name } } } }").await.at("/courses/edges").clone();
    wait_until("the other node shows the course", async || {
        names().await == json!([{ "node": { "name": "NEET" } }])
    })
    .await;
    // The second node refuses a stale edit, and its error shows the name that the first node stored.
    author.update_course(json!({ "id": course.id, "version": 1, "name": "NEET UG" })).await.done();
    let there = Client::new(app.http().clone(), node.url("/graphql"), Some(author.token().to_owned()));
    let stale = there.update_course(json!({ "id": course.id, "version": 1, "name": "NEET PG" })).await;
    assert_eq!(only_error(&stale.user_errors).more["course"]["name"], "NEET UG");
    author.set_course_archived(&course.id, true).await.done();
    wait_until("the other node shows no course", async || names().await == json!([])).await;
    node.stop().await;
}

async fn authors_list_archived_courses_and_subjects(app: Arc<TestApp>) {
    let author = author(&app).await;
    let course = author
        .create_course(json!({ "code": "draft-1", "name": "Draft", "currency": "INR", "archived": true }))
        .await
        .done();
    author.create_course(json!({ "code": "neet", "name": "NEET", "currency": "INR" })).await.done();
    author
        .create_subject(json!({ "courseId": course.id, "code": "bio", "name": "Biology", "listPrice": "1", "archived": true }))
        .await
        .done();
    let codes = async |arguments: &str| {
        let answer =
            author.run(&format!("{{ catalogueCourses{arguments} {{ edges {{ node {{ code }} }} }} }}")).await;
        let edges = answer.at("/catalogueCourses/edges").as_array().unwrap().clone();
        edges
            .iter()
            .map(|edge| edge["node"]["code"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(codes("").await, "draft-1 neet");
    assert_eq!(codes("(archived: true)").await, "draft-1");
    assert_eq!(codes("(archived: false)").await, "neet");
    assert_eq!(codes("(search: \"RAFT-\")").await, "draft-1");
    let subjects = "query ($id: ID!, $archived: Boolean) { catalogueSubjects(courseId: $id, archived: $archived) { totalCount } }";
    let count = async |archived: Value| {
        let answer = author.run_with(subjects, json!({ "id": course.id, "archived": archived })).await;
        answer.number("/catalogueSubjects/totalCount")
    };
    assert_eq!([count(Value::Null).await, count(json!(true)).await, count(json!(false)).await], [1, 1, 0]);
    let (code, message) = author.fail(subjects, json!({ "id": "x" })).await;
    assert_eq!(code, "BAD_USER_INPUT");
    assert!(message.contains("catalogueCourses"), "{message}");
    // A client that is not signed in sees only the course that is on sale.
    let all = app.anonymous().run("{ courses { totalCount } }").await;
    assert_eq!(all.number("/courses/totalCount"), 1);
}
