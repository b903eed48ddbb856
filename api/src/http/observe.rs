//! Counts and times each request, and makes it the first span of a trace or a part of the trace of its caller.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::trace::TraceContextExt;
use tracing::{Instrument, Span, field};

use super::client_address::TrustedPeer;
use super::protection::{Panicked, catch_panic};
use crate::telemetry::context;
use jishu_service::metrics::{HttpRoute, Metrics, PanicPlace};
use jishu_service::trace::{self, TRACE_TARGET};

/// The span around the log lines of a request. A traced request has this span among its extensions. A WebSocket lasts
/// longer than its request, so its work runs in this span and not in the span of the trace.
#[derive(Clone, Debug)]
pub(super) struct LogSpan(pub(super) Span);

/// Counts and times a request until the head of its response is ready. A panic counts as a response with status 500.
pub(super) async fn observe(State(metrics): State<Metrics>, mut request: Request, next: Next) -> Response {
    let (route, started) = (route(&request), Instant::now());
    let span = if trace::is_on() { span(&request, route) } else { Span::none() };
    if !span.is_disabled() {
        request.extensions_mut().insert(LogSpan(Span::current()));
    }
    let response = catch_panic(request, next).instrument(span.clone()).await;
    if response.extensions().get::<Panicked>().is_some() {
        metrics.panicked(PanicPlace::Request);
    }
    let status = response.status();
    if let Some(metrics) = metrics.requests() {
        metrics.http_request(route, status.as_u16(), started.elapsed());
    }
    record_status(&span, status);
    response
}

fn record_status(span: &Span, status: StatusCode) {
    if !span.is_disabled() {
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }
}

/// Makes the span of a request. Returns a disabled span if the request is not sampled, or if its route is a health
/// check, the public keys, or none of the routes with a name.
fn span(request: &axum::http::Request<Body>, route: HttpRoute) -> Span {
    if matches!(route, HttpRoute::Health | HttpRoute::Keys | HttpRoute::Other) {
        return Span::none();
    }
    let of_logs = Span::current();
    let trusted = request.extensions().get::<TrustedPeer>();
    let caller = trusted.and_then(|_| context::context_of_caller(request.headers()));
    let make = || request_span(request.method(), route);
    let span = match &caller {
        Some(caller) if caller.span().span_context().is_sampled() => make(),
        Some(_) => Span::none(),
        None => trace::first_span(make),
    };
    // The id of the caller's trace is in the log even if the caller decided against sampling.
    let mut id = caller.as_ref().and_then(context::id_in);
    if !span.is_disabled() {
        match caller {
            Some(caller) => context::continue_trace(&span, caller),
            None => context::begin_trace(&span),
        }
        id = id.or_else(|| context::trace_id(&span));
    }
    if let Some(id) = id {
        of_logs.record("trace_id", id);
    }
    span
}

fn request_span(method: &Method, route: HttpRoute) -> Span {
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        Method::HEAD => "HEAD",
        // A client can send any word as a method.
        _ => "_OTHER",
    };
    tracing::debug_span!(
        target: TRACE_TARGET,
        "request",
        otel.name = format_args!("{method} {}", route.as_str()),
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.route = route.as_str(),
        http.response.status_code = field::Empty,
    )
}

/// Returns the route of a request. Paths without a name of their own, such as GraphiQL and unknown paths, count as
/// other.
fn route(request: &Request) -> HttpRoute {
    match request.extensions().get::<MatchedPath>().map(MatchedPath::as_str) {
        Some("/graphql") => HttpRoute::Graphql,
        Some("/me/export") => HttpRoute::Export,
        Some("/.well-known/jwks.json") => HttpRoute::Keys,
        Some(path) if path.starts_with("/media/") => HttpRoute::Media,
        Some(path) if path.starts_with("/health/") => HttpRoute::Health,
        Some(path) if path.starts_with("/webhooks/payments/") => HttpRoute::PaymentWebhook,
        _ => HttpRoute::Other,
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;
    use jishu_service::metrics::ExpositionFormat;

    async fn panics() -> StatusCode {
        panic!("the test wants this panic")
    }

    #[tokio::test]
    async fn a_panic_counts_as_a_failed_request() {
        let metrics = Metrics::on();
        let routes: Router =
            Router::new().route("/graphql", get(panics)).layer(from_fn_with_state(metrics.clone(), observe));
        let request = Request::builder().uri("/graphql").body(Body::empty()).unwrap();
        let response = routes.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let text = metrics.encode(ExpositionFormat::PrometheusText).unwrap();
        for sample in [
            "jishu_http_request_seconds_count{route=\"graphql\",status=\"5xx\"} 1",
            "jishu_panics_total{place=\"request\"} 1",
            "jishu_panics_total{place=\"background_task\"} 0",
        ] {
            assert!(text.lines().any(|line| line == sample), "{text}");
        }
    }
}
