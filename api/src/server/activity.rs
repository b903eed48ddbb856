//! Tracks what a connection is doing, and decides when to close it.
//!
//! hyper has one timeout, which starts when it waits for a request. hyper would close a connection that is idle between
//! two requests as early as a connection whose client sends a request head slowly. So this module watches the socket
//! instead, for HTTP/1 and HTTP/2 alike.
//!
//! This module also watches each response, because of clients that receive slowly over HTTP/2. A client can refuse to
//! receive one response while its connection looks healthy, and the server would keep the response in memory for ever.
//! hyper has no timeout for this. The listener has no TLS, so browsers do not use HTTP/2 here. But proxies do (`h2c`),
//! and any client can start HTTP/2 without a negotiation. Serving only HTTP/1 would make this code unnecessary, but
//! would break those proxies.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::http::Version;

/// The slowest rate at which a client may receive. A response may take its size divided by this rate, plus the idle
/// timeout.
const MIN_BYTES_PER_SECOND: u64 = 10_000;

/// The timeouts that apply to a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionTimeouts {
    /// Maximum time to receive the head of a request. The time starts with the first byte of the head. For the first
    /// request of a connection, the time starts when the connection opens.
    pub(super) head: Duration,
    /// Maximum time without a request. Bytes may also wait for this time until the client receives some of them. And a
    /// response may take this time in addition to the time that its bytes take at the minimum rate.
    pub(super) idle: Duration,
}

/// The activity of one connection, shared by its socket and its responses.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    state: Arc<Mutex<ActivityState>>,
}

#[derive(Debug)]
struct ActivityState {
    /// The responses that are not sent completely, by the number of their request.
    responses: HashMap<u64, ResponseProgress>,
    request_count: u64,
    /// The time since which the head of a request is awaited or arriving. None while a request runs or the connection
    /// is idle.
    head_since: Option<Instant>,
    /// The time since which the connection has had no request. None while a request runs, or while the head of a
    /// request is arriving.
    idle_since: Option<Instant>,
    /// The time since which the socket accepts no bytes, or None if nothing waits to be written. If the socket accepts
    /// some bytes, this time moves forward by the time that these bytes take at the minimum rate.
    stalled_since: Option<Instant>,
    /// Whether the connection uses HTTP/2, where some frames between requests do not start a request.
    is_http2: bool,
    is_aborted: bool,
}

/// The progress of one response.
#[derive(Debug, Default)]
struct ResponseProgress {
    bytes: u64,
    /// The total time spent waiting for the client, without the current wait.
    waited: Duration,
    /// The start of the current wait for the client.
    waiting_since: Option<Instant>,
}

impl ResponseProgress {
    /// Returns the time at which the client counts as too slow for this response. Returns None if the server does not
    /// wait for the client.
    fn deadline(&self, timeouts: ConnectionTimeouts) -> Option<Instant> {
        let allowed = timeouts.idle + time_at_min_rate(self.bytes);
        self.waiting_since.map(|since| since + allowed.saturating_sub(self.waited))
    }
}

/// Returns how long this number of bytes takes at the minimum rate.
fn time_at_min_rate(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1_000) / MIN_BYTES_PER_SECOND)
}

/// The result of checking a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActivityStatus {
    /// The connection is healthy. Check it again at this time.
    Healthy { check_again: Instant },
    /// The connection has had no request for the idle timeout.
    Idle,
    /// The client does not receive one of its responses. The client may still receive other responses on the same
    /// connection.
    ResponseStalled,
    /// The client sends the head of a request too slowly, or its socket accepts bytes too slowly.
    ClientTooSlow,
}

/// A request whose response has not been sent completely. Dropping it reports that the response has ended.
pub(super) struct RequestInFlight {
    pub(super) activity: Activity,
    pub(super) id: u64,
    pub(super) is_http2: bool,
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        self.activity.response_ended(self.id, Instant::now());
    }
}

impl Activity {
    /// Starts tracking a new connection.
    pub(super) fn new(now: Instant) -> Self {
        let state = ActivityState {
            responses: HashMap::new(),
            request_count: 0,
            head_since: Some(now),
            idle_since: None,
            stalled_since: None,
            is_http2: false,
            is_aborted: false,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, ActivityState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the head of a request has arrived.
    pub(super) fn request_started(&self, version: Version) -> RequestInFlight {
        let mut state = self.lock();
        state.request_count += 1;
        let id = state.request_count;
        state.responses.insert(id, ResponseProgress::default());
        state.head_since = None;
        state.idle_since = None;
        state.is_http2 = version == Version::HTTP_2;
        RequestInFlight { activity: self.clone(), id, is_http2: state.is_http2 }
    }

    /// Records that hyper has taken a whole response, or has dropped it. If no other request runs, the connection is
    /// idle from now on.
    pub(super) fn response_ended(&self, id: u64, now: Instant) {
        let mut state = self.lock();
        state.responses.remove(&id);
        if state.responses.is_empty() {
            state.idle_since = Some(now);
        }
    }

    /// Records that hyper asks for the next piece of a response, which ends the current wait for the client.
    pub(super) fn piece_requested(&self, id: u64, now: Instant) {
        if let Some(progress) = self.lock().responses.get_mut(&id)
            && let Some(since) = progress.waiting_since.take()
        {
            progress.waited += now - since;
        }
    }

    /// Records that hyper took a piece of a response, which starts a wait for the client.
    pub(super) fn piece_sent(&self, id: u64, bytes: usize, now: Instant) {
        if let Some(progress) = self.lock().responses.get_mut(&id) {
            progress.bytes = progress.bytes.saturating_add(bytes as u64);
            progress.waiting_since = Some(now);
        }
    }

    /// Records that the client has received everything so far and waits for more, such as the next event of a stream.
    pub(super) fn client_waits(&self, id: u64) {
        if let Some(progress) = self.lock().responses.get_mut(&id) {
            *progress = ResponseProgress::default();
        }
    }

    /// Checks the connection against its timeouts.
    pub(super) fn check(&self, timeouts: ConnectionTimeouts, now: Instant) -> ActivityStatus {
        let state = self.lock();
        let head = state.head_since.map(|since| since + timeouts.head);
        let stalled = state.stalled_since.map(|since| since + timeouts.idle);
        // While the socket accepts no bytes, the end of the last response may still be in its buffer. So the connection
        // is not idle.
        let idle = state.idle_since.filter(|_| stalled.is_none()).map(|since| since + timeouts.idle);
        let response = state.responses.values().filter_map(|progress| progress.deadline(timeouts)).min();
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| now >= deadline);
        if is_over(head) || is_over(stalled) {
            return ActivityStatus::ClientTooSlow;
        }
        if is_over(response) {
            return ActivityStatus::ResponseStalled;
        }
        if is_over(idle) {
            return ActivityStatus::Idle;
        }
        // A wait that starts after this check cannot reach its deadline before the shorter timeout has passed, so the
        // next check comes in time. Only a response that waits for its client again may reach its deadline before the
        // next check. The next check then closes the connection late, by at most the shorter timeout.
        let deadlines = [Some(now + timeouts.head.min(timeouts.idle)), head, stalled, response, idle];
        ActivityStatus::Healthy { check_again: deadlines.into_iter().flatten().min().unwrap_or(now) }
    }

    /// Returns whether a request is running, or the client still receives a response. A response does not count if its
    /// bytes have waited for the client for `stall_timeout`. Nothing counts if the socket has accepted no bytes for
    /// `stall_timeout`.
    pub(super) fn is_busy(&self, stall_timeout: Duration, now: Instant) -> bool {
        let state = self.lock();
        let is_recent = |since: Option<Instant>| since.is_none_or(|since| now < since + stall_timeout);
        match state.stalled_since {
            Some(_) => is_recent(state.stalled_since),
            None => state.responses.values().any(|progress| is_recent(progress.waiting_since)),
        }
    }

    /// Records that the server closes the connection. The connection counts as aborted if a response was not sent
    /// completely.
    pub(super) fn abort(&self) {
        let mut state = self.lock();
        state.is_aborted = state.stalled_since.is_some() || !state.responses.is_empty();
    }

    /// Returns whether the server closed the connection before a response was sent completely.
    pub(super) fn is_aborted(&self) -> bool {
        self.lock().is_aborted
    }

    /// Records that bytes arrived. If an HTTP/1 connection has no request, the bytes start the head of its next
    /// request.
    pub(super) fn bytes_received(&self) {
        let mut state = self.lock();
        if state.responses.is_empty() && state.head_since.is_none() && !state.is_http2 {
            state.head_since = Some(Instant::now());
            state.idle_since = None;
        }
    }

    /// Records the result of a write to the socket.
    pub(super) fn socket_write(&self, written: &Poll<io::Result<usize>>, now: Instant) {
        let mut state = self.lock();
        match (written, state.stalled_since) {
            (Poll::Pending, None) => state.stalled_since = Some(now),
            (Poll::Ready(Ok(bytes)), Some(since)) => {
                state.stalled_since = Some(now.min(since + time_at_min_rate(*bytes as u64)));
            }
            _ => {}
        }
    }

    /// Records that the socket has accepted everything that was written. If the socket was stalled before, the idle
    /// time starts now.
    pub(super) fn socket_flushed(&self) {
        let mut state = self.lock();
        if state.stalled_since.take().is_some() && state.responses.is_empty() && state.idle_since.is_some() {
            state.idle_since = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: ConnectionTimeouts =
        ConnectionTimeouts { head: Duration::from_secs(10), idle: Duration::from_secs(75) };
    const STALL_TIMEOUT: Duration = Duration::from_secs(3);

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_connection_without_a_request_is_too_slow() {
        let start = Instant::now();
        let activity = Activity::new(start);
        assert_eq!(
            activity.check(TIMEOUTS, after(start, 4)),
            ActivityStatus::Healthy { check_again: after(start, 10) }
        );
        activity.bytes_received();
        assert_eq!(activity.check(TIMEOUTS, after(start, 10)), ActivityStatus::ClientTooSlow);
    }

    #[test]
    fn a_connection_between_requests_has_the_longer_idle_timeout() {
        let start = Instant::now();
        let activity = Activity::new(start);
        drop(activity.request_started(Version::HTTP_11));
        assert!(matches!(activity.check(TIMEOUTS, after(start, 74)), ActivityStatus::Healthy { .. }));
        assert_eq!(activity.check(TIMEOUTS, after(start, 76)), ActivityStatus::Idle);
        activity.bytes_received();
        assert_eq!(
            activity.check(TIMEOUTS, after(start, 11)),
            ActivityStatus::ClientTooSlow,
            "the timeout for the next head did not start with its first bytes"
        );
    }

    #[test]
    fn a_connection_with_a_running_request_stays_open() {
        let start = Instant::now();
        let activity = Activity::new(start);
        let request = activity.request_started(Version::HTTP_11);
        activity.bytes_received();
        assert!(matches!(activity.check(TIMEOUTS, after(start, 1_000)), ActivityStatus::Healthy { .. }));
        assert!(activity.is_busy(STALL_TIMEOUT, after(start, 1_000)));
        activity.socket_write(&Poll::Pending, start);
        assert_eq!(
            activity.check(TIMEOUTS, after(start, 76)),
            ActivityStatus::ClientTooSlow,
            "a client that receives nothing was not noticed"
        );
        assert!(!activity.is_busy(STALL_TIMEOUT, after(start, 4)));
        activity.socket_flushed();
        assert!(matches!(activity.check(TIMEOUTS, after(start, 76)), ActivityStatus::Healthy { .. }));
        drop(request);
        assert!(!activity.is_busy(STALL_TIMEOUT, start));
    }

    #[test]
    fn a_client_below_the_minimum_rate_is_too_slow() {
        let start = Instant::now();
        let activity = Activity::new(start);
        let _request = activity.request_started(Version::HTTP_11);
        activity.socket_write(&Poll::Pending, start);
        for seconds in 1..=70 {
            activity.socket_write(&Poll::Ready(Ok(1_000)), after(start, seconds));
        }
        assert!(
            matches!(activity.check(TIMEOUTS, after(start, 81)), ActivityStatus::Healthy { .. }),
            "a client at the minimum rate was closed before its 75 s and the 7 s for 70 kB were over"
        );
        assert_eq!(activity.check(TIMEOUTS, after(start, 82)), ActivityStatus::ClientTooSlow);
        activity.socket_write(&Poll::Ready(Ok(10_000_000)), after(start, 82));
        assert!(matches!(activity.check(TIMEOUTS, after(start, 156)), ActivityStatus::Healthy { .. }));
    }

    #[test]
    fn a_response_may_take_the_idle_timeout_and_the_time_for_its_size() {
        let start = Instant::now();
        let activity = Activity::new(start);
        drop(activity.request_started(Version::HTTP_2));
        let _request = activity.request_started(Version::HTTP_2);
        let id = 2;
        // The client receives 10 kB every 3 s. The minimum rate allows 1 s for each piece, so each piece uses up 2 s of
        // the idle timeout, and 39 pieces use up all of it.
        let mut now = start;
        while matches!(activity.check(TIMEOUTS, now), ActivityStatus::Healthy { .. }) {
            now = after(now, 3);
            activity.piece_requested(id, now);
            activity.piece_sent(id, 10_000, now);
        }
        assert_eq!(now, after(start, 3 * 39));
        assert_eq!(activity.check(TIMEOUTS, now), ActivityStatus::ResponseStalled);
        // A stream that has no new event does not wait for its client.
        activity.client_waits(id);
        assert!(matches!(activity.check(TIMEOUTS, after(now, 1_000)), ActivityStatus::Healthy { .. }));
        activity.piece_sent(id, 10, now);
        assert!(!activity.is_busy(STALL_TIMEOUT, after(now, 4)));
        assert_eq!(activity.check(TIMEOUTS, after(now, 76)), ActivityStatus::ResponseStalled);
    }

    #[test]
    fn http2_frames_between_requests_do_not_start_a_head() {
        let start = Instant::now();
        let activity = Activity::new(start);
        drop(activity.request_started(Version::HTTP_2));
        activity.bytes_received();
        assert!(matches!(activity.check(TIMEOUTS, after(start, 20)), ActivityStatus::Healthy { .. }));
        assert_eq!(activity.check(TIMEOUTS, after(start, 76)), ActivityStatus::Idle);
    }
}
