//! The traces that the real server sends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jishu_service::demo;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::receiver::Receiver;
use super::spans::{Spans, attribute, hex};
use super::{DemoServer, buy_first_course, wait_for};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const UNSAMPLED_TRACE: &str = "0bf7651916cd43dd8448eb211c80319d";
const CALLER: &str = "b7ad6b7169203331";

/// A document with an operation name and an alias that a client chose. Neither may appear in a trace.
const STRANGE: &str =
    "query StrangeName { strangeAlias: courses(first: 1) { edges { node { name } } } viewer { email } }";

/// Sends a request as part of the trace of a caller, with headers whose values must not appear in a trace.
async fn send_traced(server: &DemoServer, token: &str) -> Value {
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let authorization = format!("Bearer {token}");
    let headers = [
        ("traceparent", traceparent.as_str()),
        ("tracestate", "strange=state"),
        ("baggage", "strange=baggage"),
        ("x-request-id", "strange-id"),
        ("user-agent", "strange-agent"),
        ("authorization", authorization.as_str()),
    ];
    server.post(&headers, &json!({ "query": STRANGE, "operationName": "StrangeName" })).await
}

fn flags(receiver: &Receiver) -> [String; 2] {
    [format!("--otlp-endpoint={}", receiver.origin), "--trace-ratio=1".to_owned()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_a_tree_from_the_request_to_its_statements() {
    let receiver = Receiver::start().await;
    let [endpoint, ratio] = flags(&receiver);
    let header = "--otlp-headers=x-collector-token=abc";
    let mut server = DemoServer::start(&[&endpoint, &ratio, header, "--trusted-proxies=127.0.0.1"]).await;
    let learner = server.learner().await;
    buy_first_course(&learner).await;
    let sent = send_traced(&server, learner.token()).await;
    assert_eq!(sent["data"]["viewer"]["email"], demo::LEARNER_EMAIL);
    server.stop();

    let spans = Spans(receiver.spans());
    // The spans of the purchase nest in this order: request, operation, call of the service, transaction, statements.
    let operation = spans
        .only("mutation other", |span| attribute(span, "graphql.root_fields").as_deref() == Some("purchase"));
    let request = spans.only("POST graphql", |span| span.span_id == operation.parent_span_id);
    assert!(request.parent_span_id.is_empty(), "a request without a traced caller has a parent");
    assert_eq!(attribute(request, "http.response.status_code").as_deref(), Some("200"));
    let of_request = spans.below(request);
    of_request.only("plan", |_| true);
    let of_operation = spans.below(operation);
    let call = of_operation.only("purchase.purchase", |_| true);
    let of_call = spans.below(call);
    let transaction = of_call.only("purchase", |_| true);
    let statements = spans.below(transaction);
    let insert = statements.only("insert mock_test_attempts", |_| true);
    let text = attribute(insert, "db.query.text").unwrap();
    assert!(text.starts_with("INSERT INTO") && text.contains("mock_test_attempts"), "{text}");
    assert!(statements.names().contains(&"insert purchases"), "{:?}", statements.names());
    // A statement takes some time, and ends no later than its transaction.
    assert!(insert.start_time_unix_nano < insert.end_time_unix_nano);
    assert!(insert.end_time_unix_nano <= transaction.end_time_unix_nano);

    // The request of the traced caller is a part of the caller's trace.
    let traced = spans.of_trace(TRACE);
    let request = traced.only("POST graphql", |_| true);
    assert_eq!(hex(&request.parent_span_id), CALLER);
    let operation = traced.below(request).0;
    assert!(operation.iter().any(|span| span.name == "query other"), "{:?}", traced.names());
    let line = server
        .log()
        .lines()
        .find(|line| line.contains("strange-id") && line.contains(TRACE))
        .map(str::to_owned);
    assert_eq!(line, None, "a request that logged nothing got a log line");

    // No span contains a text that the client chose, a secret, or a value of a statement.
    let bytes = receiver.text();
    for secret in [
        demo::LEARNER_EMAIL,
        demo::LEARNER_PASSWORD,
        learner.token(),
        learner.token().split('.').nth(1).unwrap(),
        "trange",
        "argon2",
        "/graphql?",
    ] {
        assert!(!bytes.contains(secret), "{secret} is in a span");
    }
    assert!(bytes.contains("service.name"));
    let arrived = receiver.arrived();
    assert!(arrived.iter().all(|arrived| arrived.headers["x-collector-token"] == "abc"));
    assert!(arrived.iter().all(|arrived| arrived.headers["content-type"] == "application/x-protobuf"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_trusted_proxy_names_a_trace() {
    let receiver = Receiver::start().await;
    let [endpoint, ratio] = flags(&receiver);
    let mut server = DemoServer::start(&[&endpoint, &ratio]).await;
    let learner = server.learner().await;
    send_traced(&server, learner.token()).await;
    server.stop();
    let spans = Spans(receiver.spans());
    assert!(spans.of_trace(TRACE).0.is_empty(), "{:?}", spans.names());
    // The request of the untrusted caller was traced in a new trace.
    spans.only("query other", |span| {
        attribute(span, "graphql.root_fields").as_deref() == Some("courses,viewer")
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_have_the_id_of_their_trace() {
    let receiver = Receiver::start().await;
    let [endpoint, ratio] = flags(&receiver);
    let mut server = DemoServer::start(&[&endpoint, &ratio, "--trusted-proxies=127.0.0.1"]).await;
    let login = "mutation { login(input: { email: \"nobody@example.com\", password: \"wrong password\" }) { userErrors { code } } }";
    // The flags 00 of the second caller say that its trace is not sampled.
    for (trace, flags) in [(TRACE, "01"), (UNSAMPLED_TRACE, "00")] {
        let traceparent = format!("00-{trace}-{CALLER}-{flags}");
        server.post(&[("traceparent", traceparent.as_str())], &json!({ "query": login })).await;
    }
    server.stop();
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("sign-in failed"));
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{log}");
    for (line, trace) in lines.iter().zip([TRACE, UNSAMPLED_TRACE]) {
        assert_eq!(line["span"]["trace_id"], trace, "{line}");
        assert_eq!(line["span"]["name"], "request", "the log line has a span other than `request`: {line}");
    }
    let spans = Spans(receiver.spans());
    assert!(!spans.of_trace(TRACE).0.is_empty());
    assert!(spans.of_trace(UNSAMPLED_TRACE).0.is_empty(), "{:?}", spans.names());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_requests_and_deliveries_begin_traces() {
    let receiver = Receiver::start().await;
    let [endpoint, ratio] = flags(&receiver);
    // With this filter, spans that SeaORM makes for log lines lie between an operation and its statements.
    let variables = [("RUST_LOG", "info,sea_orm=trace")];
    let mut server = DemoServer::start_with(&[&endpoint, &ratio, "--mail-folder=mails"], &variables).await;
    let email = demo::LEARNER_EMAIL;
    let reset = format!("mutation {{ requestPasswordReset(email: \"{email}\") {{ requested }} }}");
    server.post(&[], &json!({ "query": reset })).await;
    let mails = server.folder.path().join("mails");
    let _mail = wait_for("the mail is delivered", async || std::fs::read_dir(&mails).ok()?.next()).await;
    server.stop();

    let spans = Spans(receiver.spans());
    let first = spans.0.iter().filter(|span| span.parent_span_id.is_empty());
    let first: BTreeSet<&str> = first.map(|span| span.name.as_str()).collect();
    assert_eq!(first, BTreeSet::from(["POST graphql", "outbox.deliver"]), "{:?}", spans.names());
    assert!(spans.names().contains(&"update outbox"), "{:?}", spans.names());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_by_default_and_with_a_ratio_of_zero() {
    let receiver = Receiver::start().await;
    // jishu ignores these variables of the OpenTelemetry SDK, so they do not switch traces on.
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.origin.as_str()),
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_TRACES_SAMPLER", "always_on"),
    ];
    let mut server = DemoServer::start_with(&[], &variables).await;
    let learner = server.learner().await;
    learner.run("{ viewer { name } }").await;
    server.stop();
    let [endpoint, _] = flags(&receiver);
    let mut server = DemoServer::start(&[&endpoint, "--trace-ratio=0"]).await;
    let learner = server.learner().await;
    learner.run("{ viewer { name } }").await;
    server.stop();
    assert_eq!(receiver.arrived().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_on_a_websocket_are_traces_of_their_own() {
    let receiver = Receiver::start().await;
    let [endpoint, ratio] = flags(&receiver);
    let mut server = DemoServer::start(&[&endpoint, &ratio]).await;
    let learner = server.learner().await;
    let url = format!("{}/graphql", server.origin);
    let mut socket = jishu_tests::Socket::open(jishu_tests::Socket::handshake(&url)).await.unwrap();
    socket.init(json!({ "authorization": format!("Bearer {}", learner.token()) })).await;
    for id in ["1", "2"] {
        socket.subscribe(id, "{ viewer { purchases { totalCount } } }").await;
        assert_eq!(socket.hear().await["type"], "next");
        assert_eq!(socket.hear().await["type"], "complete");
    }
    socket.hang_up();
    server.stop();
    let spans = Spans(receiver.spans());
    let is_of_socket = |span: &&opentelemetry_proto::tonic::trace::v1::Span| {
        attribute(span, "transport").as_deref() == Some("websocket")
    };
    let operations: Vec<_> = spans.0.iter().filter(is_of_socket).collect();
    assert_eq!(operations.len(), 2, "{:?}", spans.names());
    assert!(operations.iter().all(|span| span.parent_span_id.is_empty()));
    assert_ne!(operations[0].trace_id, operations[1].trace_id);
    // The span of the WebSocket handshake ends before the operations begin, and does not contain their spans.
    let handshake = spans.only("GET graphql", |_| true);
    assert_eq!(attribute(handshake, "http.response.status_code").as_deref(), Some("101"));
    assert!(operations.iter().all(|span| span.start_time_unix_nano >= handshake.end_time_unix_nano));
    assert!(!spans.below(handshake).names().contains(&"plan"), "{:?}", spans.names());
    assert!(!spans.below(operations[0]).0.is_empty(), "the operation has no spans below it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_context_is_passed_on_to_the_issuer_and_to_the_payment_provider() {
    let receiver = Receiver::start().await;
    let [endpoint, ratio] = flags(&receiver);
    // The collector also stands in for the issuer and the payment provider. It responds to their paths with the status
    // 404.
    let issuer = format!("--oidc-issuer={}", receiver.origin);
    let provider = format!("--payment-url={}", receiver.origin);
    let redirect = "--oidc-redirect-uris=https://app.example.com/signed-in";
    let oidc = [issuer.as_str(), "--oidc-client-id=jishu", "--oidc-client-secret=secret", redirect];
    let payments = [
        "--payments=razorpay",
        provider.as_str(),
        "--payment-key=rzp_test_a",
        "--payment-secret=secret",
        "--payment-webhook-secret=whsec",
    ];
    let all = [&[endpoint.as_str(), &ratio, "--trusted-proxies=127.0.0.1"][..], &oidc, &payments].concat();
    let mut server = DemoServer::start(&all).await;
    let learner = server.learner().await;
    let courses = learner.run("{ courses(first: 1) { edges { node { id } } } }").await;
    let course = courses.text("/courses/edges/0/node/id").to_owned();
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let authorization = format!("Bearer {}", learner.token());
    let headers = [("traceparent", traceparent.as_str()), ("authorization", authorization.as_str())];
    let begin = "mutation { beginOidcLogin(redirectUri: \"https://app.example.com/signed-in\") { userErrors { code } } }";
    server.post(&headers, &json!({ "query": begin })).await;
    let checkout = "mutation ($input: CheckoutInput!) { checkout(input: $input) { userErrors { code } } }";
    let input = json!({ "selection": { "courseId": course, "purchaseType": "FULL_BUNDLE" } });
    server.post(&headers, &json!({ "query": checkout, "variables": { "input": input } })).await;
    server.stop();
    let spans = Spans(receiver.spans()).of_trace(TRACE);
    let ids: Vec<String> = spans.0.iter().map(|span| hex(&span.span_id)).collect();
    for path in ["/.well-known/openid-configuration", "/v1/orders"] {
        let arrived = receiver.arrived().into_iter().find(|arrived| arrived.path == path);
        let arrived = arrived.unwrap_or_else(|| panic!("nothing arrived at {path}"));
        let sent = arrived.headers["traceparent"].to_str().unwrap().to_owned();
        let parts: Vec<&str> = sent.split('-').collect();
        assert_eq!((parts[0], parts[1], parts[3]), ("00", TRACE, "01"), "{path}");
        assert!(ids.iter().any(|id| id == parts[2]), "{path} names no span of the trace: {sent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_delays_nobody() {
    // This collector accepts connections and reads from them, but never responds.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("--otlp-endpoint=http://{}", listener.local_addr().unwrap());
    let read = Arc::new(Mutex::new(0));
    let count = Arc::clone(&read);
    let hanging = tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            open.spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    *count.lock().await += length;
                }
            });
        }
    });
    let mut server = DemoServer::start(&[&endpoint, "--trace-ratio=1", "--otlp-seconds=2"]).await;
    let learner = server.learner().await;
    let started = Instant::now();
    let mut requests = 0;
    // Five seconds are enough for an export of traces to begin and to time out.
    while started.elapsed() < Duration::from_secs(5) {
        let sent = Instant::now();
        learner.run("{ viewer { name purchases { totalCount } } }").await;
        assert!(sent.elapsed() < Duration::from_secs(1), "a request waited for the collector");
        requests += 1;
    }
    assert!(*read.lock().await > 0, "the server sent nothing to the collector");
    let stopped = server.stop();
    assert!(stopped < Duration::from_secs(6), "the stop took {stopped:?} after {requests} requests");
    assert!(server.log().contains("the collector did not confirm the last traces"), "{}", server.log());
    hanging.abort();
}
