//! The HTTP server of a fake provider.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use url::form_urlencoded;

use super::faults::{Fault, Faults};

/// A request that arrived at the fake.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// The HTTP method, in upper case.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The parameters of the query.
    pub query: BTreeMap<String, String>,
    /// The headers, with their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl SeenRequest {
    /// Returns the value of a header. `name` must be in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns the fields of the body, read as a form.
    #[must_use]
    pub fn form(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// Returns the body as JSON, or null if the body is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the segments of the path after `/v1/`.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.trim_start_matches("/v1/").trim_end_matches('/').split('/').collect()
    }
}

/// A response of a fake provider.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Value,
}

impl Reply {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body }
    }
}

/// The endpoints of a fake provider.
pub(super) trait Api: Send + Sync + 'static {
    fn answer(&self, request: &SeenRequest) -> Reply;
    /// Returns the body of an error response with the status 429 or 5xx.
    fn error(&self, status: u16) -> Value;
}

/// The recorded requests, oldest first. None if requests are no longer recorded.
type Seen = Arc<Mutex<Option<Vec<SeenRequest>>>>;

/// A running server on loopback. Dropping this value stops the server and closes its connections.
pub(super) struct FakeServer {
    pub(super) address: String,
    pub(super) faults: Arc<Faults>,
    seen: Seen,
    serving: JoinHandle<()>,
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The error with which the service makes hyper close the connection without a response.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the connection is closed on purpose")
    }
}

impl std::error::Error for Closed {}

impl FakeServer {
    pub(super) async fn start(api: Arc<dyn Api>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let faults = Arc::new(Faults::default());
        let seen = Arc::new(Mutex::new(Some(Vec::new())));
        let serving = tokio::spawn(serve(listener, api, faults.clone(), seen.clone()));
        Self { address, faults, seen, serving }
    }

    pub(super) fn seen(&self) -> Vec<SeenRequest> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    pub(super) fn forget_requests(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

async fn serve(listener: TcpListener, api: Arc<dyn Api>, faults: Arc<Faults>, seen: Seen) {
    // The connections end when this task ends and drops the set. So a request with the fault `Hang` ends with the fake.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (api, faults, seen) = (api.clone(), faults.clone(), seen.clone());
        connections.spawn(async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let (api, faults, seen) = (api.clone(), faults.clone(), seen.clone());
                async move {
                    let request = read(request).await;
                    if let Some(seen) = seen.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                        seen.push(request.clone());
                    }
                    respond(api.as_ref(), &request, faults.take(&request)).await
                }
            });
            // The error is ignored, because a fault or the client closed the connection.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn read(request: Request<hyper::body::Incoming>) -> SeenRequest {
    let (parts, body) = request.into_parts();
    let body = to_bytes(Body::new(body), 1 << 20).await.unwrap_or_default().to_vec();
    let text = |headers: &HeaderMap| {
        headers
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect()
    };
    SeenRequest {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect(),
        headers: text(&parts.headers),
        body,
    }
}

async fn respond(
    api: &dyn Api,
    request: &SeenRequest,
    fault: Option<Fault>,
) -> Result<Response<Body>, Closed> {
    let reply = fault.is_none_or(Fault::works).then(|| api.answer(request));
    match fault {
        Some(Fault::Hang | Fault::HangAfterWork) => match std::future::pending::<Infallible>().await {},
        Some(Fault::CloseBeforeWork | Fault::LoseResponse) => Err(Closed),
        Some(Fault::Status(status) | Fault::StatusAfterWork(status)) => {
            Ok(response(Reply::new(status, api.error(status))))
        }
        Some(Fault::TooManyRequests(seconds)) => {
            let mut reply = Reply::new(429, api.error(429));
            reply.headers.push(("retry-after", seconds.to_string()));
            Ok(response(reply))
        }
        Some(Fault::Garbage) => Ok(Response::new(Body::from("<html>Welcome to the captive portal</html>"))),
        Some(Fault::Huge(bytes)) => Ok(Response::new(Body::from(vec![b' '; bytes]))),
        Some(Fault::Slow(pause)) => {
            tokio::time::sleep(pause.min(Duration::from_secs(10))).await;
            reply.map(response).ok_or(Closed)
        }
        None => reply.map(response).ok_or(Closed),
    }
}

fn response(reply: Reply) -> Response<Body> {
    let mut response = Response::builder().status(reply.status).header("content-type", "application/json");
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body.to_string())).expect("a response")
}
