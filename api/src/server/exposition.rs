//! The listener for Prometheus, which serves only `/metrics`.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt;

use jishu_service::metrics::{ExpositionFormat, Metrics};

/// Maximum time that a scraper may take to send the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The time for which a connection may stay open. Then the scraper opens another connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
/// Maximum number of open connections. Further connections wait in the queue of the system.
const MAX_CONNECTIONS: usize = 16;
/// The pause after the server could not accept a connection. Without the pause, the next attempt would probably fail
/// too.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);

const PROMETHEUS_TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Serves the metrics until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, metrics: Metrics) {
    let router = Router::new().route("/metrics", get(scrape)).with_state(metrics);
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection for metrics could not be accepted; the server will retry");
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            router.clone().oneshot(request.map(Body::new))
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        connections.spawn(tokio::time::timeout(CONNECTION_TIMEOUT, connection));
    }
}

async fn scrape(State(metrics): State<Metrics>, headers: HeaderMap) -> Response {
    let (format, content_type) = match accepts_open_metrics(&headers) {
        true => (ExpositionFormat::OpenMetrics, OPEN_METRICS),
        false => (ExpositionFormat::PrometheusText, PROMETHEUS_TEXT),
    };
    match metrics.encode(format) {
        Ok(text) => ([(header::CONTENT_TYPE, content_type)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Returns whether a scraper prefers OpenMetrics. Prometheus names OpenMetrics first in `Accept`, and the older text
/// format after it.
fn accepts_open_metrics(headers: &HeaderMap) -> bool {
    let best = crate::http::preferred(headers, &["text/plain", "application/openmetrics-text"]);
    best == Some("application/openmetrics-text")
}
