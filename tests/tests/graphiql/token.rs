//! The field for the access token at the top of the page, and the errors of tabs that run without a token or with an
//! empty id.

use jishu_tests::TestApp;

use super::browser::Browser;
use super::{PASSWORD, register};

#[tokio::test]
async fn the_token_comes_from_the_address_or_from_a_sign_in_and_leaves_the_address() {
    let app = TestApp::start().await;
    let base = app.url("/");
    let Some(browser) = Browser::start(&base).await else { return };
    let (email, token) = register(&app.url("/graphql")).await;

    browser
        .visit(async |page| {
            page.goto(&format!("{base}#token={token}&query=%7Bviewer%7Bemail%7D%7D")).await;
            page.execute().await;
            page.response_line(&email).await;
            assert_eq!(page.client.current_url().await.unwrap().as_str(), base);

            page.find(".token-bar button").await.click().await.unwrap();
            assert_eq!(page.token().await, "");

            let login = format!(
                "mutation{{login(input:{{email:{email:?},password:{PASSWORD:?}}}){{tokens{{accessToken}}}}}}"
            );
            page.goto(&format!("{base}#query={}", login.replace('%', "%25"))).await;
            page.query_line("contains(., 'login')").await;
            page.execute().await;
            page.response_line("\"accessToken\"").await;
            assert_ne!(page.token().await, "");

            page.assert_nothing_left(&base).await;
            page.assert_no_complaints().await;
        })
        .await;
}

#[tokio::test]
async fn text_that_is_no_token_is_named_and_not_sent() {
    let app = TestApp::start().await;
    let base = app.url("/");
    let Some(browser) = Browser::start(&base).await else { return };
    let (email, token) = register(&app.url("/graphql")).await;

    browser
        .visit(async |page| {
            page.goto(&format!("{base}#query=%7Bviewer%7Bemail%7D%7D")).await;
            page.find("#access-token").await.send_keys("correct horse.battery.staple").await.unwrap();
            let sentence = "This is not an access token, so it is not sent. Sign in with the SignIn tab.";
            assert_eq!(page.find("#access-token-state").await.text().await.unwrap(), sentence);
            page.find("#access-token[aria-invalid=true]").await;

            // The server would refuse a request with this text as its token, so the page must send none.
            page.execute().await;
            page.response_line("\"viewer\"").await;
            assert!(!page.response().await.contains("\"errors\""));
            let stored = page.script("return JSON.stringify({ ...sessionStorage })").await;
            assert!(
                !stored.as_str().unwrap().contains("battery"),
                "the page stored a text that may be a password: {stored}"
            );

            page.find(".token-bar button").await.click().await.unwrap();
            page.find("#access-token").await.send_keys(&format!("Bearer {token}")).await.unwrap();
            page.find("#access-token[aria-invalid=false]").await;
            let state = page.find("#access-token-state").await.text().await.unwrap();
            assert!(state.starts_with("Sent with every request until "), "{state}");
            page.execute().await;
            page.response_line(&email).await;
            page.assert_no_complaints().await;
        })
        .await;
}

#[tokio::test]
async fn a_tab_with_an_empty_id_shows_an_error_and_throws_none() {
    let app = TestApp::start().await;
    let base = app.url("/");
    let Some(browser) = Browser::start(&base).await else { return };
    let (_, token) = register(&app.url("/graphql")).await;

    browser
        .visit(async |page| {
            page.goto(&base).await;
            page.open_tab("subscription", "LiveTestCards").await;
            page.execute().await;
            page.response_line("\"UNAUTHENTICATED\"").await;

            page.goto(&format!("{base}#token={token}")).await;
            for (kind, name, code) in [
                ("mutation", "Purchase", "COURSE_NOT_FOUND"),
                ("mutation", "StartTest", "MOCK_TEST_ATTEMPT_NOT_FOUND"),
                ("subscription", "TestClock", "BAD_USER_INPUT"),
                ("mutation", "SaveAnswers", "TEST_SESSION_NOT_FOUND"),
                ("mutation", "SubmitTest", "TEST_SESSION_NOT_FOUND"),
            ] {
                page.open_tab(kind, name).await;
                page.execute().await;
                page.response_line(&format!("{code:?}")).await;
                page.find(".graphiql-execute-button[aria-label^='Execute']").await;
            }
            page.assert_no_complaints().await;
        })
        .await;
}
