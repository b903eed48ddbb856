//! Lists, page by page.

mod arguments;
mod order;
mod statements;

use jishu_tests::{Answer, Client, TestApp, TestCourse};
use serde_json::{Value, json};

const PAGE: &str = "
query ($first: Int, $after: String, $last: Int, $before: String, $filter: MockTestAttemptFilter, $orderBy: MockTestAttemptOrder) {
  viewer {
    mockTestAttempts(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy) {
      edges { cursor node { id testNumber subject { name } latestPercentage latestAttemptAt } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      totalCount
    }
  }
}";

async fn page(client: &Client, variables: Value) -> Answer {
    client.run_with(PAGE, variables).await
}

fn ids(answer: &Answer) -> Vec<String> {
    let edges = answer.list("/viewer/mockTestAttempts/edges");
    edges.iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned()).collect()
}

fn flag(answer: &Answer, name: &str) -> bool {
    answer.at("/viewer/mockTestAttempts/pageInfo")[name].as_bool().unwrap()
}

fn cursor(answer: &Answer, name: &str) -> String {
    answer.at("/viewer/mockTestAttempts/pageInfo")[name].as_str().unwrap().to_owned()
}

/// Everything, forward in pages of `size`.
async fn forward(client: &Client, size: i32, arguments: &Value) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), Value::Null);
    loop {
        let mut variables = arguments.clone();
        variables["first"] = size.into();
        variables["after"] = after;
        let answer = page(client, variables).await;
        all.extend(ids(&answer));
        if !flag(&answer, "hasNextPage") {
            return all;
        }
        after = cursor(&answer, "endCursor").into();
    }
}

/// Everything, backward in pages of `size`, in the list's order.
async fn backward(client: &Client, size: i32, arguments: &Value) -> Vec<String> {
    let (mut all, mut before) = (Vec::new(), Value::Null);
    loop {
        let mut variables = arguments.clone();
        variables["last"] = size.into();
        variables["before"] = before;
        let answer = page(client, variables).await;
        all.splice(0..0, ids(&answer));
        if !flag(&answer, "hasPreviousPage") {
            return all;
        }
        before = cursor(&answer, "startCursor").into();
    }
}

async fn purchase(client: &Client, course: &TestCourse, subject: usize) -> Answer {
    client
        .run_with(
            "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome purchase { id } } }",
            json!({ "input": {
                "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [course.subjects[subject]],
            } }),
        )
        .await
}

/// A learner with three subjects of 25 cards, bought last to first.
async fn with_cards(app: &TestApp) -> (Client, TestCourse) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).cards(25).create(app).await;
    let asha = app.learner("Asha").await;
    for subject in [2, 0, 1] {
        purchase(&asha, &course, subject).await;
    }
    // Somebody else's cards between hers.
    purchase(&app.learner("Binod").await, &course, 0).await;
    (asha, course)
}
