//! One connection: its socket, what it is doing, and when it is closed for doing nothing.
//!
//! hyper has one timeout that begins when it waits for a request, which would close a connection that rests
//! between two requests as soon as one whose client sends a head by the letter. So the socket is watched here, for
//! HTTP/1 and HTTP/2 alike.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Response, Version};
use http_body::{Body as _, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::places::Place;

/// How long a connection may do nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the first byte of a request, or from the connection being made, to the end of the head.
    pub(super) head: Duration,
    /// Between requests, and while its client takes nothing of an answer.
    pub(super) idle: Duration,
}

/// What a connection is doing.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Requests whose answers are not sent yet.
    answering: usize,
    /// Since when the head of a request is awaited or arriving.
    head_since: Option<Instant>,
    /// Since when nothing is asked.
    idle_since: Option<Instant>,
    /// Since when the client takes nothing of what is sent.
    stalled_since: Option<Instant>,
    /// There, frames arrive between requests that begin none.
    is_http2: bool,
}

/// What to do about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then.
    Keep(Instant),
    /// It rests between requests, and has done so for long.
    Idle,
    /// Its client is too slow.
    Slow,
}

impl Activity {
    /// Of a connection that was just made.
    pub(super) fn new(now: Instant) -> Self {
        let state = State {
            answering: 0,
            head_since: Some(now),
            idle_since: None,
            stalled_since: None,
            is_http2: false,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head of a request has arrived.
    pub(super) fn request(&self, version: Version) -> Answering {
        let mut state = self.state();
        state.answering += 1;
        state.head_since = None;
        state.idle_since = None;
        state.is_http2 = version == Version::HTTP_2;
        drop(state);
        Answering(self.clone())
    }

    pub(super) fn judge(&self, patience: Patience, now: Instant) -> Verdict {
        let state = self.state();
        let is_over = |since: Option<Instant>, limit| since.is_some_and(|since| now >= since + limit);
        if is_over(state.head_since, patience.head) || is_over(state.stalled_since, patience.idle) {
            return Verdict::Slow;
        }
        if is_over(state.idle_since, patience.idle) {
            return Verdict::Idle;
        }
        // What begins after this look cannot be over before the shorter limit has passed.
        let limits = [
            Some(now + patience.head.min(patience.idle)),
            state.head_since.map(|since| since + patience.head),
            state.stalled_since.map(|since| since + patience.idle),
            state.idle_since.map(|since| since + patience.idle),
        ];
        Verdict::Keep(limits.into_iter().flatten().min().unwrap_or(now))
    }

    /// Whether something was taken on that is not finished: a request, or an answer that still leaves.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state();
        state.answering > 0 || state.stalled_since.is_some()
    }

    fn received(&self) {
        let mut state = self.state();
        if state.answering == 0 && state.head_since.is_none() && !state.is_http2 {
            state.head_since = Some(Instant::now());
            state.idle_since = None;
        }
    }

    fn sent(&self, blocked: bool) {
        let mut state = self.state();
        match (blocked, state.stalled_since) {
            (true, None) => state.stalled_since = Some(Instant::now()),
            (false, Some(_)) => state.stalled_since = None,
            _ => {}
        }
    }
}

/// A request is being answered while this lives.
pub(super) struct Answering(Activity);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.answering -= 1;
        if state.answering == 0 {
            state.idle_since = Some(Instant::now());
        }
    }
}

impl Answering {
    /// Lives until the body of the answer has been handed over.
    pub(super) fn until_sent(self, response: Response<Body>) -> Response<Body> {
        if response.body().is_end_stream() {
            return response;
        }
        response.map(|body| Body::new(AnsweringBody { body, _answering: self }))
    }
}

struct AnsweringBody {
    body: Body,
    _answering: Answering,
}

impl http_body::Body for AnsweringBody {
    type Data = axum::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The socket of a connection, also after it became a WebSocket.
pub(super) struct Socket {
    stream: TcpStream,
    activity: Activity,
    /// Its place among the connections that the server has at once.
    _place: Place,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, activity: Activity, place: Place) -> Self {
        Self { stream, activity, _place: place }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if poll.is_ready() && buffer.filled().len() > before {
            self.activity.received();
        }
        poll
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.activity.sent(poll.is_pending());
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.activity.sent(poll.is_pending());
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(75) };

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_connection_that_asks_nothing_is_slow() {
        let start = Instant::now();
        let activity = Activity::new(start);
        assert_eq!(activity.judge(PATIENCE, after(start, 4)), Verdict::Keep(after(start, 10)));
        activity.received();
        assert_eq!(activity.judge(PATIENCE, after(start, 10)), Verdict::Slow);
    }

    #[test]
    fn one_that_rests_between_requests_is_idle_after_longer() {
        let start = Instant::now();
        let activity = Activity::new(start);
        drop(activity.request(Version::HTTP_11));
        assert!(matches!(activity.judge(PATIENCE, after(start, 74)), Verdict::Keep(_)));
        assert_eq!(activity.judge(PATIENCE, after(start, 76)), Verdict::Idle);
        activity.received();
        assert_eq!(activity.judge(PATIENCE, after(start, 11)), Verdict::Slow, "the next head began");
    }

    #[test]
    fn what_is_being_answered_is_left_alone() {
        let start = Instant::now();
        let activity = Activity::new(start);
        let answering = activity.request(Version::HTTP_11);
        activity.received();
        assert!(matches!(activity.judge(PATIENCE, after(start, 1_000)), Verdict::Keep(_)));
        assert!(activity.is_busy());
        activity.sent(true);
        assert_eq!(activity.judge(PATIENCE, after(start, 76)), Verdict::Slow, "the client takes nothing");
        activity.sent(false);
        assert!(matches!(activity.judge(PATIENCE, after(start, 76)), Verdict::Keep(_)));
        drop(answering);
        assert!(!activity.is_busy());
    }

    #[test]
    fn frames_between_requests_are_no_head() {
        let start = Instant::now();
        let activity = Activity::new(start);
        drop(activity.request(Version::HTTP_2));
        activity.received();
        assert!(matches!(activity.judge(PATIENCE, after(start, 20)), Verdict::Keep(_)));
        assert_eq!(activity.judge(PATIENCE, after(start, 76)), Verdict::Idle);
    }
}
