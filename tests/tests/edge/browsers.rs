//! Checks the rules for pages of other origins: the headers for browsers, and the requests that a hostile page can
//! send. Also checks the response to a body that is too large.

use jishu_tests::{Backend, TestApp};
use reqwest::{Method, Response};
use serde_json::{Value, json};

const APP: &str = "https://app.example.com";

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

async fn preflight(app: &TestApp, origin: &str) -> Response {
    app.http()
        .request(Method::OPTIONS, app.url("/graphql"))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
        .send()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_configured_origins_may_ask_and_read() {
    let flags = &["--cors-origins=https://App.example.com/,http://localhost:5173"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        for origin in [APP, "http://localhost:5173"] {
            let answer = preflight(&app, origin).await;
            assert_eq!(answer.status(), 200);
            assert_eq!(header(&answer, "access-control-allow-origin"), Some(origin));
            assert_eq!(header(&answer, "access-control-allow-methods"), Some("GET,POST"));
            let allowed = header(&answer, "access-control-allow-headers").unwrap();
            assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
            assert_eq!(header(&answer, "access-control-max-age"), Some("3600"));
            assert_eq!(header(&answer, "access-control-allow-credentials"), None);
            assert!(header(&answer, "vary").unwrap().contains("origin"));
        }
        for origin in ["https://evil.example", "null", "https://app.example.com.evil.example"] {
            let answer = preflight(&app, origin).await;
            assert_eq!(header(&answer, "access-control-allow-origin"), None, "{origin}");
        }
        // The page of an allowed origin can also read a response with an error.
        for (body, status) in [(json!({ "query": "{ __typename }" }), 200), (json!([]), 400)] {
            let request = app.http().post(app.url("/graphql")).header("origin", APP).json(&body);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), status);
            assert_eq!(header(&answer, "access-control-allow-origin"), Some(APP));
            let exposed = header(&answer, "access-control-expose-headers").unwrap();
            assert!(exposed.contains("retry-after") && exposed.contains("x-request-id"), "{exposed}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_configured_origins_no_other_page_may() {
    TestApp::run(Backend::Sqlite, async |app| {
        let answer = preflight(&app, APP).await;
        assert_eq!(header(&answer, "access-control-allow-origin"), None);
        assert_eq!(answer.status(), 405);
        let request = app.http().post(app.url("/graphql")).header("origin", APP);
        let answer = request.json(&json!({ "query": "{ __typename }" })).send().await.unwrap();
        assert_eq!(header(&answer, "access-control-allow-origin"), None);
    })
    .await;
}

/// Sends the requests that a page of another origin can send without a preflight, as forms, images and links do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_needs_no_preflight_changes_anything() {
    TestApp::run(Backend::Sqlite, async |app| {
        let mutation = r#"mutation { register(input: { name: "A", email: "a@example.com", password: "correct horse" }) { user { id } } }"#;
        let json = json!({ "query": mutation }).to_string();
        let part = format!("--x\r\ncontent-disposition: form-data; name=\"operations\"\r\n\r\n{json}\r\n--x--\r\n");
        let before = app.row_counts().await;
        for (content_type, body) in [
            (Some("text/plain"), json.clone()),
            (Some("text/plain; application/json"), json.clone()),
            (Some("application/x-www-form-urlencoded"), format!("query={mutation}")),
            (Some("multipart/form-data; boundary=x"), part),
            (None, json.clone()),
        ] {
            let mut request = app.http().post(app.url("/graphql")).body(body);
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 415, "{content_type:?}");
        }
        let get = app.http().get(app.url("/graphql")).query(&[("query", mutation)]).send().await.unwrap();
        assert_eq!(get.status(), 405);
        assert_eq!(app.row_counts().await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_response_has_the_headers() {
    TestApp::run(Backend::Sqlite, async |app| {
        for (path, status) in [
            ("/graphql?query={__typename}", 200),
            ("/graphql", 400),
            ("/health/live", 200),
            ("/nothing", 404),
            ("/", 200),
        ] {
            let answer = app.http().get(app.url(path)).header("accept", "*/*").send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"), "{path}");
            assert_eq!(header(&answer, "referrer-policy"), Some("no-referrer"), "{path}");
            assert_eq!(header(&answer, "x-frame-options"), Some("DENY"), "{path}");
            assert_eq!(header(&answer, "strict-transport-security"), None, "{path}");
            assert!(header(&answer, "x-request-id").is_some(), "{path}");
            let policy = header(&answer, "content-security-policy").unwrap();
            assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
            assert_eq!(
                policy.contains("script-src"),
                path == "/",
                "{path}: only the policy of GraphiQL may have `script-src`: {policy}"
            );
            let stored = header(&answer, "cache-control") != Some("no-store");
            assert_eq!(stored, !path.starts_with("/graphql"), "{path}");
        }
    })
    .await;
    let flags = &["--hsts-seconds=31536000"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let answer = app.http().get(app.url("/health/live")).send().await.unwrap();
        assert_eq!(header(&answer, "strict-transport-security"), Some("max-age=31536000"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_refused_with_a_response() {
    TestApp::run(Backend::Sqlite, async |app| {
        for size in [1024 * 1024 + 1, 6 * 1024 * 1024] {
            let request = app.http().post(app.url("/graphql")).header("content-type", "application/json");
            let answer = request.body(" ".repeat(size)).send().await.unwrap();
            assert_eq!(answer.status(), 413);
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["errors"][0]["extensions"]["code"], "BAD_REQUEST");
            let message = body["errors"][0]["message"].as_str().unwrap();
            assert!(
                message.contains("`jishu import questions FILE --course CODE --subject CODE`"),
                "{message}"
            );
        }
    })
    .await;
}
