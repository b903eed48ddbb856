//! The catalogue as learners read it: courses, subjects and their prices.

use std::sync::Arc;

use jishu_tests::{TestApp, on_each_database, wait_until};
use serde_json::{Value, json};

on_each_database!(
    courses_are_listed_with_their_subjects,
    courses_are_searched_and_paged,
    a_change_by_sql_is_seen_soon,
    a_new_row_of_the_catalogue_is_found_at_once,
    an_offer_changes_the_price,
);

async fn courses_are_listed_with_their_subjects(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).named("NEET").bundle(150_00).create(&app).await;
    let archived = app.course(&["History"]).named("Gone").create(&app).await;
    app.execute(&format!("UPDATE courses SET archived_at = created_at WHERE id = {}", archived.row)).await;
    app.execute(&format!(
        "UPDATE subjects SET archived_at = created_at WHERE id = {}",
        course.subject_rows[1]
    ))
    .await;
    app.services.catalog.reload().await.unwrap();
    let _ = app.take_statements();
    let answer = app
        .anonymous()
        .run("{ courses { totalCount edges { node { id name description archived bundlePrice { amount currency } validityDays
              subjects { totalCount edges { node { id name course { name } listPrice { amount } price { amount } totalMockTests
              maxAttempts viewerEntitlement { grantedAt } } } } } } } }")
        .await;
    assert_eq!(
        *answer.at("/courses"),
        json!({
            "totalCount": 1,
            "edges": [{ "node": {
                "id": course.id, "name": "NEET", "description": null, "archived": false, "validityDays": null,
                "bundlePrice": { "amount": "150.00", "currency": "INR" },
                "subjects": { "totalCount": 1, "edges": [{ "node": {
                    "id": course.subjects[0], "name": "Physics", "course": { "name": "NEET" },
                    "listPrice": { "amount": "100.00" }, "price": { "amount": "100.00" },
                    "totalMockTests": 50, "maxAttempts": 3, "viewerEntitlement": null,
                } }] },
            } }],
        })
    );
    // An archived subject is not listed, but `node` still returns it to everybody.
    let node = app
        .anonymous()
        .run_with(
            "query ($id: ID!) { node(id: $id) { ... on Subject { name archived } } }",
            json!({ "id": course.subjects[1] }),
        )
        .await;
    assert_eq!(*node.at("/node"), json!({ "name": "Chemistry", "archived": true }));
}

async fn courses_are_searched_and_paged(app: Arc<TestApp>) {
    for name in ["NEET UG", "JEE Main", "JEE Advanced", "CUET"] {
        app.course(&["Physics"]).named(name).create(&app).await;
    }
    let document = "query ($first: Int, $after: String, $last: Int, $before: String, $search: String) {
        courses(first: $first, after: $after, last: $last, before: $before, search: $search) {
          totalCount edges { node { name } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let client = app.anonymous();
    let names = async |variables: Value| {
        let answer = client.run_with(document, variables).await;
        let edges = answer.list("/courses/edges").to_vec();
        let names: Vec<_> =
            edges.iter().map(|edge| edge["node"]["name"].as_str().unwrap().to_owned()).collect();
        (names.join(","), answer.at("/courses/pageInfo").clone())
    };
    assert_eq!(names(json!({ "search": " jee" })).await.0, "JEE Main,JEE Advanced");
    assert_eq!(names(json!({ "search": "%" })).await.0, "");
    let (page, info) = names(json!({ "first": 3 })).await;
    assert_eq!(
        (page.as_str(), &info["hasNextPage"], &info["hasPreviousPage"]),
        ("NEET UG,JEE Main,JEE Advanced", &json!(true), &json!(false))
    );
    let (page, info) = names(json!({ "first": 3, "after": info["endCursor"] })).await;
    assert_eq!(
        (page.as_str(), &info["hasNextPage"], &info["hasPreviousPage"]),
        ("CUET", &json!(false), &json!(true))
    );
    let (page, info) = names(json!({ "last": 2, "before": info["startCursor"] })).await;
    assert_eq!(
        (page.as_str(), &info["hasNextPage"], &info["hasPreviousPage"]),
        ("JEE Main,JEE Advanced", &json!(true), &json!(true))
    );
}

async fn a_change_by_sql_is_seen_soon(app: Arc<TestApp>) {
    app.course(&["Physics"]).named("Before").create(&app).await;
    app.execute("UPDATE courses SET name = 'After'").await;
    wait_until("the new name", async || {
        let answer = app.anonymous().run("{ courses { edges { node { name } } } }").await;
        answer.text("/courses/edges/0/node/name") == "After"
    })
    .await;
}

async fn a_new_row_of_the_catalogue_is_found_at_once(app: Arc<TestApp>) {
    // The statement adds a subject that this node has not yet read into memory, as another node could do.
    let known = app.course(&["Physics"]).create(&app).await;
    let asha = app.learner("Asha").await;
    app.execute(&format!(
        "INSERT INTO subjects (course_id, name, list_price, total_mock_tests, max_attempts, created_at) \
         SELECT course_id, 'Chemistry', list_price, 3, max_attempts, created_at FROM subjects WHERE id = {}",
        known.subject_rows[0]
    ))
    .await;
    let chemistry = app.global("Subject", app.number("SELECT MAX(id) FROM subjects").await);
    let bought = asha
        .run_with(
            "mutation ($input: PurchaseInput!) { purchase(input: $input) { message testCards { edges { node { subject { name } } } } } }",
            json!({ "input": { "courseId": known.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [chemistry] } }),
        )
        .await;
    assert_eq!(bought.text("/purchase/message"), "You bought Chemistry; 3 test cards are ready.");
    assert_eq!(bought.text("/purchase/testCards/edges/2/node/subject/name"), "Chemistry");
}

async fn an_offer_changes_the_price(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).create(&app).await;
    app.execute("UPDATE subjects SET offer_price = 8050").await;
    app.services.catalog.reload().await.unwrap();
    let document =
        "query ($id: ID!) { node(id: $id) { ... on Subject { listPrice { amount } price { amount } } } }";
    let answer = app.anonymous().run_with(document, json!({ "id": course.subjects[0] })).await;
    assert_eq!(
        *answer.at("/node"),
        json!({ "listPrice": { "amount": "100.00" }, "price": { "amount": "80.50" } })
    );
}
