//! The HTTP layer: methods, bodies, documents that do not validate, access tokens, health checks, public keys and
//! request ids.

use chrono::TimeDelta;
use jishu_entity::UserId;
use jishu_entity::user::Role;
use jishu_service::auth::{AccessTokens, KeyRing, Viewer};
use jishu_service::clock::Clock;
use jishu_tests::{Backend, TestApp};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

const VIEWER: Viewer = Viewer { user_id: UserId(1), role: Role::Learner, session_id: uuid::Uuid::nil() };

async fn on_sqlite(test: impl AsyncFnOnce(&TestApp)) {
    TestApp::run(Backend::Sqlite, async |app| test(&app).await).await;
}

async fn code(response: reqwest::Response) -> (StatusCode, String, String) {
    let status = response.status();
    let body: Value = response.json().await.expect("JSON");
    let error = &body["errors"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (status, text(&error["extensions"]["code"]), text(&error["message"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_no_request_are_refused() {
    on_sqlite(async |app| {
        let post = |content_type: &'static str, body: String| {
            app.http().post(app.url("/graphql")).header("content-type", content_type).body(body).send()
        };
        for (content_type, body, status) in [
            ("application/json", "{".to_owned(), StatusCode::BAD_REQUEST),
            ("application/json", "[]".to_owned(), StatusCode::BAD_REQUEST),
            ("application/json", "{}".to_owned(), StatusCode::BAD_REQUEST),
            ("application/json", json!([{ "query": "{ __typename }" }]).to_string(), StatusCode::BAD_REQUEST),
            ("application/json", json!({ "query": " " }).to_string(), StatusCode::BAD_REQUEST),
            (
                "application/json",
                json!({ "query": "{ __typename }", "variables": 1 }).to_string(),
                StatusCode::BAD_REQUEST,
            ),
            (
                "text/plain",
                json!({ "query": "{ __typename }" }).to_string(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            (
                "application/x-www-form-urlencoded",
                "query={__typename}".to_owned(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            ("application/json", json!(["{ __typename }"]).to_string(), StatusCode::BAD_REQUEST),
            (
                "application/json; charset=latin1",
                json!({ "query": "{ __typename }" }).to_string(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            ("application/json", " ".repeat(1024 * 1024 + 1), StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            let shown = format!("{content_type} {body:.60}");
            let (got, code, message) = code(post(content_type, body).await.unwrap()).await;
            assert_eq!((got, code.as_str()), (status, "BAD_REQUEST"), "{shown}: {message}");
            assert!(!message.is_empty());
        }
        let good = post("application/json; charset=utf-8", json!({ "query": "{ __typename }" }).to_string())
            .await
            .unwrap();
        assert_eq!(good.status(), StatusCode::OK);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_reads_and_never_writes() {
    on_sqlite(async |app| {
        let get = |query: &'static str| app.http().get(app.url("/graphql")).query(&[("query", query)]).send();
        let read: Value = get("{ __typename }").await.unwrap().json().await.unwrap();
        assert_eq!(read, json!({ "data": { "__typename": "Query" } }));
        let before = app.row_counts().await;
        let mutation = r#"mutation { register(input: { name: "A", email: "a@example.com", password: "correct horse" }) { user { id } } }"#;
        let response = get(mutation).await.unwrap();
        assert_eq!(response.headers()["allow"], "POST");
        assert_eq!(code(response).await.0, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(app.row_counts().await, before);
        let put = app.http().put(app.url("/graphql")).send().await.unwrap();
        assert_eq!(code(put).await.0, StatusCode::METHOD_NOT_ALLOWED);
        let deep = app.http().get(app.url("/graphql")).query(&[("query", "{a".repeat(400))]).send().await.unwrap();
        assert_eq!(code(deep).await.0, StatusCode::BAD_REQUEST);
        let empty = app.http().get(app.url("/graphql")).send().await.unwrap();
        assert_eq!(code(empty).await.0, StatusCode::BAD_REQUEST);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_do_not_validate_say_so() {
    on_sqlite(async |app| {
        for (document, variables) in [
            ("{ viewer { shoeSize } }", Value::Null),
            ("{", Value::Null),
            ("query ($id: ID!) { node(id: $id) { id } }", Value::Null),
            ("mutation { purchase(input: {}) { outcome } }", Value::Null),
        ] {
            let (code, message) = app.anonymous().fail(document, variables).await;
            assert_eq!(code, "GRAPHQL_VALIDATION_FAILED", "{document}: {message}");
        }
    })
    .await;
}

/// Reads the server's own signing keys. With these keys, a test signs tokens that are wrong in one part only.
fn keys(app: &TestApp) -> KeyRing {
    KeyRing::from_pem_file(&app.key_file()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_do_not_verify_are_refused_and_say_what_to_do() {
    on_sqlite(async |app| {
        let learner = app.learner("Asha").await;
        let course = app.course(&["Physics"]).create(app).await;
        let now = app.clock.now();
        let ttl = Duration::from_secs(900);
        let token = |issuer: &str, audience: &str, at| {
            AccessTokens::new(keys(app), issuer, audience, ttl).issue(VIEWER, at).unwrap().token
        };
        let good = token("jishu", "jishu", now);
        let [header, claims, signature] = [0, 1, 2].map(|part| good.split('.').nth(part).unwrap());
        // The header of this token is {"alg":"none","typ":"at+jwt"}, which asks the server not to check a signature.
        let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{claims}.");
        let foreign = AccessTokens::new(KeyRing::generate().unwrap(), "jishu", "jishu", ttl).issue(VIEWER, now).unwrap().token;
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("{header}.{claims}.{flipped}{}", &signature[1..]);
        let refresh = "jrt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
        let cases = [
            ("expired", token("jishu", "jishu", now - TimeDelta::seconds(900)), "expired"),
            ("early", token("jishu", "jishu", now + TimeDelta::seconds(60)), "not valid yet"),
            ("none", none, "malformed"),
            ("forged", forged, "signature"),
            ("foreign key", foreign, "key"),
            ("foreign issuer", token("other", "jishu", now), "issuer"),
            ("foreign audience", token("jishu", "other", now), "audience"),
            ("refresh token", refresh, "refresh token"),
            ("garbage", "garbage".to_owned(), "malformed"),
            ("long", "x".repeat(5_000), "longer"),
        ];
        let before = app.row_counts().await;
        let input = json!({ "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": course.subjects });
        let body = json!({
            "query": "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome } }", "variables": { "input": input },
        });
        let send = |authorization: String| {
            app.http().post(app.url("/graphql")).header("authorization", authorization).json(&body).send()
        };
        for (name, token, expected) in cases {
            let response = send(format!("Bearer {token}")).await.unwrap();
            let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
            assert_eq!(challenge, r#"Bearer realm="jishu", error="invalid_token""#);
            let (status, code, message) = code(response).await;
            assert_eq!((status, code.as_str()), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"), "{name}");
            assert!(message.contains(expected), "{name}: {message}");
        }
        for wrong in ["Basic YTpi".to_owned(), "Bearer".to_owned(), learner.token().to_owned()] {
            assert_eq!(code(send(wrong).await.unwrap()).await.0, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(app.row_counts().await, before);
        let accepted: Value = send(format!("bearer {}", learner.token())).await.unwrap().json().await.unwrap();
        assert_eq!(accepted["data"]["purchase"]["outcome"], "CREATED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_keys_and_request_ids() {
    on_sqlite(async |app| {
        let get = |path: &str| app.http().get(app.url(path)).send();
        assert_eq!(get("/health/live").await.unwrap().text().await.unwrap(), "live\n");
        assert_eq!(get("/health/ready").await.unwrap().text().await.unwrap(), "ready\n");
        let keys: Value = get("/.well-known/jwks.json").await.unwrap().json().await.unwrap();
        assert_eq!((&keys["keys"][0]["alg"], &keys["keys"][0]["crv"]), (&json!("EdDSA"), &json!("Ed25519")));
        assert!(keys["keys"][0].get("d").is_none(), "the private key is published");
        let given =
            app.http().get(app.url("/health/live")).header("x-request-id", "abc-1").send().await.unwrap();
        assert_eq!(given.headers()["x-request-id"], "abc-1");
        let forged =
            app.http().get(app.url("/health/live")).header("x-request-id", "a b").send().await.unwrap();
        assert_ne!(forged.headers()["x-request-id"], "a b");
    })
    .await;
}
