//! Response bodies that are sent in small pieces and report each piece to the connection's
//! [`Activity`](super::activity::Activity).
//!
//! An HTTP/2 client controls how much of a response it receives. If it accepts nothing, hyper writes nothing to the
//! socket. The only sign that the client accepts nothing is that hyper does not ask for the next piece of the body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::Response;
use http_body::{Body as _, Frame, SizeHint};

use super::activity::RequestInFlight;

/// The size of a piece, which is the default size of an HTTP/2 frame.
const PIECE_BYTES: usize = 16 * 1024;

/// The size of the last piece over HTTP/2. hyper takes a whole piece as soon as the client accepts one byte of the
/// piece. With a small last piece, the end of the body shows that the client accepted nearly all of the body.
const LAST_PIECE_BYTES: usize = 1024;

/// Keeps a request in flight until hyper has taken the whole body of its response, or has dropped it.
pub(super) fn keep_until_sent(request: RequestInFlight, response: Response<Body>) -> Response<Body> {
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| Body::new(TrackedBody { body, unsent: Bytes::new(), request }))
}

struct TrackedBody {
    body: Body,
    /// The part of the latest frame that hyper has not taken yet.
    unsent: Bytes,
    request: RequestInFlight,
}

impl TrackedBody {
    fn next_piece(&mut self) -> Bytes {
        let length = self.unsent.len();
        let is_last_frame = self.request.is_http2 && self.body.is_end_stream();
        let kept_for_last = if is_last_frame { LAST_PIECE_BYTES } else { 0 };
        let piece = if length > kept_for_last { (length - kept_for_last).min(PIECE_BYTES) } else { length };
        self.unsent.split_to(piece)
    }
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let RequestInFlight { activity, id, .. } = &self.request;
        activity.piece_requested(*id, Instant::now());
        if self.unsent.is_empty() {
            let polled = Pin::new(&mut self.body).poll_frame(cx);
            if polled.is_pending() {
                self.request.activity.client_waits(self.request.id);
            }
            match ready!(polled) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.unsent = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return Poll::Ready(other),
            }
        }
        let piece = self.next_piece();
        self.request.activity.piece_sent(self.request.id, piece.len(), Instant::now());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.unsent.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let unsent = self.unsent.len() as u64;
        let of_body = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(unsent));
        }
        hint.set_lower(of_body.lower().saturating_add(unsent));
        hint
    }
}
