//! Sends traces to a collector, with OTLP over HTTP.

use std::collections::HashMap;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use tokio::runtime::Handle;
use url::Url;

use crate::config::ObserveConfig;

/// Maximum size of a response of the collector, in bytes. A correct response has only a few bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// Sends the requests of the exporter on the runtime of the server, because the thread that exports has no runtime of
/// its own.
#[derive(Debug)]
struct CollectorClient {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        // The spawned task fails if the runtime ends before the request does.
        self.runtime.spawn(send(client, request)).await?
    }
}

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (parts, body) = request.into_parts();
    let sent = client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
    let mut received = sent.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = received.chunk().await? {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err("the response of the collector is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = received.status();
    *response.headers_mut() = std::mem::take(received.headers_mut());
    Ok(response)
}

/// Makes the exporter of traces. It connects to the collector when the first traces are sent.
///
/// # Errors
/// Fails if the HTTP client or the exporter cannot be built.
pub(super) fn exporter(config: &ObserveConfig, endpoint: &Url) -> Result<SpanExporter, String> {
    let unusable = |error: &dyn std::fmt::Display| format!("traces cannot be sent to {endpoint}: {error}");
    let timeout = config.otlp_timeout();
    let client = reqwest::Client::builder()
        .connect_timeout(timeout)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent("jishu")
        .build()
        .map_err(|error| unusable(&error))?;
    let mut address = endpoint.clone();
    address.set_path(&format!("{}/v1/traces", endpoint.path().trim_end_matches('/')));
    let headers: HashMap<_, _> =
        config.otlp_headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect();
    SpanExporter::builder()
        .with_http()
        .with_http_client(CollectorClient { client, runtime: Handle::current() })
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(address)
        .with_timeout(timeout)
        .with_headers(headers)
        .build()
        .map_err(|error| unusable(&error))
}
