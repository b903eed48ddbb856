//! Tests of the GraphiQL page in a browser, and of a page of another origin that shows pictures of the server.
//!
//! The tests need Chromium and its chromedriver. If one of them is missing, or the server was built without the page, a
//! test says so and passes. With `JISHU_BROWSER_TESTS=required`, the test fails instead.

// A test that opens all tabs is one deeply nested future, so the compiler needs a higher limit.
#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod browser;
mod payments;
mod pictures;
mod screens;
mod sitting;
mod staff;
mod token;

use browser::{Browser, post};
use jishu_tests::TestApp;
use serde_json::{Value, json};

#[tokio::test]
async fn a_newcomer_runs_the_first_query_and_then_one_with_a_token() {
    let app = TestApp::start().await;
    let base = app.url("/");
    let Some(browser) = Browser::start(&base).await else { return };
    let (email, token) = register(&app.url("/graphql")).await;

    browser
        .visit(async |page| {
            page.goto(&base).await;
            assert_eq!(page.find("label[for=access-token]").await.text().await.unwrap(), "Access token");

            page.execute().await;
            page.response_line("\"courses\"").await;
            assert!(!page.response().await.contains("\"errors\""));

            page.find("button[aria-label='Show Documentation Explorer']").await.click().await.unwrap();
            page.find(".graphiql-doc-explorer-content .graphiql-doc-explorer-type-name").await;

            page.find("#access-token").await.send_keys(&token).await.unwrap();
            page.goto(&format!("{base}#query=%7B%20viewer%20%7B%20email%20%7D%20%7D")).await;
            page.query_line("contains(., 'viewer')").await;
            page.execute().await;
            page.response_line(&email).await;

            page.find("button[aria-label^='Prettify']").await.click().await.unwrap();
            page.query_line("contains(., 'email') and not(contains(., 'viewer'))").await;

            page.assert_nothing_left(&base).await;
            page.assert_no_complaints().await;
        })
        .await;
}

#[tokio::test]
async fn cards_bought_in_one_window_arrive_at_the_subscription_of_another() {
    let app = TestApp::start().await;
    let course = app.course(&["Physics"]).create(&app).await;
    let base = app.url("/");
    let Some(browser) = Browser::start(&base).await else { return };
    let (_, token) = register(&app.url("/graphql")).await;

    browser
        .visit(async |page| {
            let subscription = "subscription{mockTestAttemptChanged{testNumber,subject{name}}}";
            page.goto(&format!("{base}#token={token}&query={subscription}")).await;
            page.query_line("contains(., 'mockTestAttemptChanged')").await;
            page.execute().await;
            page.find(".graphiql-execute-button[aria-label^='Stop']").await;
            let watching = page.client.window().await.unwrap();

            let shopping = page.client.new_window(true).await.unwrap().handle;
            page.client.switch_to_window(shopping).await.unwrap();
            let purchase = format!(
                "mutation{{purchase(input:{{courseId:{:?},purchaseType:SINGLE_SUBJECT,subjectIds:[{:?}]}})\
                 {{outcome,testCardsCreated}}}}",
                course.id, course.subjects[0]
            );
            page.goto(&format!("{base}#token={token}&query={purchase}")).await;
            page.query_line("contains(., 'purchase')").await;
            page.execute().await;
            page.response_line("\"CREATED\"").await;
            page.assert_no_complaints().await;

            // GraphiQL shows only the latest event of a subscription, here the card with the number 50.
            page.client.switch_to_window(watching).await.unwrap();
            page.response_line("\"Physics\"").await;
            page.response_line("50").await;
            page.find(".graphiql-execute-button[aria-label^='Stop']").await.click().await.unwrap();
            page.find(".graphiql-execute-button[aria-label^='Execute']").await;
            page.assert_nothing_left(&base).await;
            page.assert_no_complaints().await;
        })
        .await;
}

const PASSWORD: &str = "correct horse battery staple";

/// Creates an account over HTTP. Returns its e-mail address and an access token.
async fn register(endpoint: &str) -> (String, String) {
    let email = "asha@example.com";
    let request = json!({
        "query": "mutation ($input: RegisterInput!) { register(input: $input) { tokens { accessToken } } }",
        "variables": { "input": { "name": "Asha", "email": email, "password": PASSWORD } },
    });
    let answer: Value = post(endpoint, &request).await;
    let token = answer["data"]["register"]["tokens"]["accessToken"].as_str();
    (email.to_owned(), token.unwrap_or_else(|| panic!("no token in {answer}")).to_owned())
}
