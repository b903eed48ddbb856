//! The access log: one line for each request, written after the response was sent or abandoned.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::graphql::RequestId;
use jishu_service::auth::Viewer;
use jishu_service::limit::ClientAddress;

/// The user to whom a response belongs. The response has this value among its extensions.
#[derive(Clone, Copy)]
pub(super) struct ResponseViewer {
    pub(super) viewer: Viewer,
}

/// A line of the access log. The line is written when this value is dropped, even if the client leaves before the
/// response.
pub(super) struct AccessLogLine {
    started: Instant,
    method: Method,
    path: String,
    client: ClientAddress,
    id: RequestId,
    user: Option<Viewer>,
    status: Option<StatusCode>,
    bytes: usize,
}

impl AccessLogLine {
    /// Begins the line of a request that has just arrived.
    pub(super) fn new(request: &Request, client: ClientAddress, id: &RequestId) -> Self {
        Self {
            started: Instant::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            client,
            id: id.clone(),
            user: None,
            status: None,
            bytes: 0,
        }
    }

    /// Adds the status and the user of the response to the line. The line is written when the response has been sent or
    /// dropped.
    pub(super) fn follow(mut self, response: Response) -> Response {
        self.status = Some(response.status());
        self.user = response.extensions().get().map(|ResponseViewer { viewer }| *viewer);
        response.map(|body| Body::new(CountedBody { body, line: self }))
    }
}

impl Drop for AccessLogLine {
    fn drop(&mut self) {
        tracing::info!(
            target: "jishu::access",
            parent: None,
            method = %self.method,
            path = self.path,
            status = self.status.map(|status| status.as_u16()),
            milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            bytes = self.bytes,
            client = %self.client.ip(),
            request_id = &*self.id.0,
            user = self.user.map(|viewer| viewer.user_id.0),
            "request"
        );
    }
}

/// A response body that counts its bytes for the access log as they are sent.
struct CountedBody {
    body: Body,
    line: AccessLogLine,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.line.bytes += data.len();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
