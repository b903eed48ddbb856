//! An answer on its way out, in pieces, so that it can be told how its client takes it.
//!
//! On HTTP/2 a client says how much it takes, and where it says nothing the socket is never written to: all that can
//! be seen is that nobody comes for the next piece.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::Response;
use http_body::{Body as _, Frame, SizeHint};

use super::connection::Activity;

/// As much as an HTTP/2 frame holds by default.
const PIECE_BYTES: usize = 16 * 1024;

/// On HTTP/2 a piece is handed over as a whole when its client takes a byte of it, so the last one is small: a body is
/// not over before nearly all of it was taken.
const LAST_PIECE_BYTES: usize = 1024;

/// A request is being answered while this lives.
pub(super) struct Answering {
    activity: Activity,
    id: u64,
    is_http2: bool,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.activity.answered(self.id, Instant::now());
    }
}

impl Answering {
    pub(super) fn new(activity: Activity, id: u64, is_http2: bool) -> Self {
        Self { activity, id, is_http2 }
    }

    /// Lives until the body of the answer has been handed over.
    pub(super) fn until_sent(self, response: Response<Body>) -> Response<Body> {
        if response.body().is_end_stream() {
            return response;
        }
        response.map(|body| Body::new(AnsweringBody { body, rest: Bytes::new(), answering: self }))
    }
}

struct AnsweringBody {
    body: Body,
    /// Of the last frame of the body.
    rest: Bytes,
    answering: Answering,
}

impl AnsweringBody {
    fn piece(&mut self) -> Bytes {
        let length = self.rest.len();
        let last = if self.answering.is_http2 && self.body.is_end_stream() { LAST_PIECE_BYTES } else { 0 };
        let piece = if length > last { (length - last).min(PIECE_BYTES) } else { length };
        self.rest.split_to(piece)
    }
}

impl http_body::Body for AnsweringBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Answering { activity, id, .. } = &self.answering;
        activity.taken(*id, Instant::now());
        if self.rest.is_empty() {
            let polled = Pin::new(&mut self.body).poll_frame(cx);
            if polled.is_pending() {
                self.answering.activity.took_all(self.answering.id);
            }
            match ready!(polled) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return Poll::Ready(other),
            }
        }
        let piece = self.piece();
        self.answering.activity.given(self.answering.id, piece.len(), Instant::now());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let of_body = self.body.size_hint();
        let mut hint = SizeHint::new();
        // In this order: a lower bound above the upper one would be refused.
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(of_body.lower().saturating_add(rest));
        hint
    }
}
