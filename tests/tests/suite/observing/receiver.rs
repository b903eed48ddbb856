//! A small collector of OpenTelemetry traces for tests, which keeps every request that arrives.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request that has arrived at the collector.
#[derive(Clone)]
pub(super) struct Arrived {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The collector. It keeps each request, and responds with the status 200 at `/v1/traces` and 404 elsewhere.
pub(super) struct Receiver {
    pub(super) origin: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(keep).with_state(Arc::clone(&arrived));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, arrived, serving }
    }

    /// Returns all requests that have arrived.
    pub(super) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// Returns the bodies of all requests to `/v1/traces` as one text, in which a test can search for words.
    pub(super) fn text(&self) -> String {
        let bodies = self.arrived().into_iter().filter(|arrived| arrived.path == "/v1/traces");
        bodies.map(|arrived| String::from_utf8_lossy(&arrived.body).into_owned()).collect()
    }

    /// Decodes all spans that have arrived.
    pub(super) fn spans(&self) -> Vec<Span> {
        let of_traces = self.arrived().into_iter().filter(|arrived| arrived.path == "/v1/traces");
        let requests = of_traces.map(|arrived| ExportTraceServiceRequest::decode(arrived.body).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn keep(
    State(kept): State<Arc<Mutex<Vec<Arrived>>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Vec<u8>) {
    let path = uri.path().to_owned();
    let status = if path == "/v1/traces" { StatusCode::OK } else { StatusCode::NOT_FOUND };
    kept.lock().unwrap().push(Arrived { path, headers, body });
    (status, ExportTraceServiceResponse::default().encode_to_vec())
}
