//! Responses that are compressed, and those that never are.

use std::io::Read;

use flate2::read::GzDecoder;
use graphql_parser::schema::{Definition, TypeDefinition, parse_schema};
use jishu_api::graphql::SECRET_FIELDS;
use jishu_tests::{Backend, Client, Registration, TestApp};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use serde_json::{Value, json};

/// The response that a client received.
struct Received {
    is_compressed: bool,
    /// The body as text, after decompression.
    text: String,
    /// Number of bytes of the body as it was sent.
    sent: usize,
}

async fn post(
    app: &TestApp,
    client: &Client,
    accept: &str,
    encoding: Option<&str>,
    body: &Value,
) -> Received {
    let mut request = app.http().post(app.url("/graphql")).header(ACCEPT, accept).json(body);
    if !client.is_anonymous() {
        request = request.bearer_auth(client.token());
    }
    if let Some(encoding) = encoding {
        request = request.header(ACCEPT_ENCODING, encoding);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let is_compressed = header(CONTENT_ENCODING).inspect(|encoding| assert_eq!(encoding, "gzip")).is_some();
    let (vary, length) = (header(VARY).unwrap(), header(CONTENT_LENGTH));
    let bytes = response.bytes().await.unwrap();
    let mut text = String::new();
    if is_compressed {
        GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes.to_vec()).unwrap();
    }
    if accept == "application/json" {
        assert!(vary.contains("accept-encoding"), "{vary}");
        assert_eq!(length, Some(bytes.len().to_string()));
    }
    Received { is_compressed, text, sent: bytes.len() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_response_is_compressed_if_the_client_accepts_that() {
    TestApp::run(Backend::Sqlite, async |app| {
        let course = app.course(&["Physics"]).create(&app).await;
        let asha = app.learner("Asha").await;
        asha.buy(course.subject(0)).await;
        let body = |first| {
            let query =
                "query ($first: Int!) { viewer { mockTestAttempts(first: $first) { edges { cursor node {
                id testNumber status canStart subject { id name } } } } } }";
            json!({ "query": query, "variables": { "first": first } })
        };
        let send = async |first: i32, accept: &str, encoding: Option<&str>| {
            post(&app, &asha, accept, encoding, &body(first)).await
        };
        let plain = send(50, "application/json", None).await;
        assert!(!plain.is_compressed);
        for encoding in ["gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.5"] {
            let compressed = send(50, "application/json", Some(encoding)).await;
            assert!(compressed.is_compressed, "{encoding}");
            assert_eq!(compressed.text, plain.text);
            assert!(compressed.sent < plain.sent / 4, "{} of {}", compressed.sent, plain.sent);
        }
        for encoding in ["br", "identity", "gzip;q=0", "identity;q=0, br"] {
            let received = send(50, "application/json", Some(encoding)).await;
            assert!(!received.is_compressed, "{encoding}");
            assert_eq!(received.text, plain.text);
        }
        assert!(
            !send(1, "application/json", Some("gzip")).await.is_compressed,
            "a small response was compressed"
        );
        assert!(!send(50, "text/event-stream", Some("gzip")).await.is_compressed, "a stream was compressed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_with_tokens_is_never_compressed() {
    TestApp::run(Backend::Sqlite, async |app| {
        let asha = Registration::new("Asha", "asha@example.com", "correct horse battery");
        app.anonymous().register(&asha).await;
        // Repeats a field under 90 aliases, so that the response is large enough for compression.
        let repeated = |field: &str| {
            (0..90).map(|number| format!("f{number}: {field}")).collect::<Vec<_>>().join(" ")
        };
        let login = |fields: &str| {
            let query = format!(
                r#"mutation {{ login(input: {{ email: "asha@example.com", password: "correct horse battery" }}) {{ {fields} }} }}"#
            );
            json!({ "query": query })
        };
        let send = async |body: &Value| {
            post(&app, &app.anonymous(), "application/json", Some("gzip"), body).await
        };
        let with_tokens = send(&login("tokens { accessToken a: accessToken b: accessToken refreshToken }")).await;
        assert!(with_tokens.text.len() > 1_500, "{}", with_tokens.text);
        assert!(!with_tokens.is_compressed);
        let aliased = send(&login("t: tokens { a: accessToken b: accessToken c: accessToken d: accessToken }")).await;
        assert!(aliased.text.len() > 1_500 && !aliased.is_compressed, "{}", aliased.text);
        let fragment = "query F { __typename } fragment T on AuthTokens { r: refreshToken accessToken }";
        let mut body = login("tokens { ...T a: accessTokenExpiresAt } ... on AuthPayload { tokens { ...T } }");
        body["query"] = json!(format!("{} {fragment}", body["query"].as_str().unwrap()).replacen("mutation", "mutation M", 1));
        body["operationName"] = json!("M");
        assert!(!send(&body).await.is_compressed);
        // The response to the same mutation is compressed if it contains no token.
        let without = send(&login(&format!("user {{ {} }}", repeated("email")))).await;
        assert!(without.is_compressed, "{}", without.text);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compression_can_be_switched_off() {
    TestApp::run_with(Backend::Sqlite, &["--compress-above-bytes=0"], async |app| {
        let body = json!({ "query": "{ __schema { types { name description } } }" });
        let received = post(&app, &app.anonymous(), "application/json", Some("gzip"), &body).await;
        assert!(received.text.len() > 1_500 && !received.is_compressed);
    })
    .await;
}

/// Words in the name or the description of a field which suggest that the field returns a secret.
const SUSPICIOUS: [&str; 7] =
    ["token", "secret", "challenge", "recovery code", "otpauth", "authorization", "browserkey"];

#[test]
fn every_field_with_a_secret_is_in_the_list() {
    let sdl = jishu_api::graphql::sdl();
    let document = parse_schema::<&str>(&sdl).expect("the schema parses");
    let mut missing = Vec::new();
    let mut found = Vec::new();
    for definition in &document.definitions {
        let Definition::TypeDefinition(TypeDefinition::Object(object)) = definition else { continue };
        for field in &object.fields {
            if SECRET_FIELDS.contains(&field.name) {
                found.push(field.name);
                continue;
            }
            let type_name = field.field_type.to_string();
            let is_text = ["String", "ID"].contains(&type_name.trim_matches(['[', ']', '!']));
            let text = format!("{} {}", field.name, field.description.as_deref().unwrap_or_default());
            let text = text.to_lowercase();
            let path = format!("{}.{}", object.name, field.name);
            if is_text && SUSPICIOUS.iter().any(|word| text.contains(word)) {
                missing.push(path);
            }
        }
    }
    assert!(
        missing.is_empty(),
        "put these fields into SECRET_FIELDS, or describe them in other words: {missing:?}"
    );
    for name in SECRET_FIELDS {
        assert!(found.contains(name), "no type has the field {name}");
    }
}
