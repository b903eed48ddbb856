//! What a connection is doing, and when it is closed for doing nothing.
//!
//! hyper has one timeout that begins when it waits for a request, which would close a connection that rests
//! between two requests as soon as one whose client sends a head by the letter. So the socket is watched here, for
//! HTTP/1 and HTTP/2 alike; and each answer, of which the socket sees nothing while an HTTP/2 client lets none of it
//! go.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::http::Version;

use super::answering::Answering;

/// An answer may take as long as it would at this pace, and the patience beside.
const BYTES_PER_SECOND: u64 = 10_000;

/// How long a connection may do nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the first byte of a request, or from the connection being made, to the end of the head.
    pub(super) head: Duration,
    /// Between requests, and while its client takes nothing of an answer, or less than the least pace.
    pub(super) idle: Duration,
}

/// What a connection is doing.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Requests whose answers are not sent yet.
    answers: HashMap<u64, Sending>,
    requests: u64,
    /// Since when the head of a request is awaited or arriving.
    head_since: Option<Instant>,
    /// Since when nothing is asked.
    idle_since: Option<Instant>,
    /// Since when the client takes nothing of what is sent. Later by as long as what it took would have lasted at
    /// the least pace.
    stalled_since: Option<Instant>,
    /// There, frames arrive between requests that begin none.
    is_http2: bool,
    is_cut: bool,
}

/// How an answer leaves.
#[derive(Debug, Default)]
struct Sending {
    bytes: u64,
    /// How long the client was waited for.
    waited: Duration,
    /// Since when the client is waited for.
    waiting_since: Option<Instant>,
}

impl Sending {
    /// When its client is too slow.
    fn until(&self, patience: Patience) -> Option<Instant> {
        let allowed = patience.idle + at_least_pace(self.bytes);
        self.waiting_since.map(|since| since + allowed.saturating_sub(self.waited))
    }
}

/// How long so many bytes may take.
fn at_least_pace(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1_000) / BYTES_PER_SECOND)
}

/// What to do about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then.
    Keep(Instant),
    /// It rests between requests, and has done so for long.
    Idle,
    /// One of its answers is not taken. Others may be.
    Untaken,
    /// Its client is too slow.
    Slow,
}

impl Activity {
    /// Of a connection that was just made.
    pub(super) fn new(now: Instant) -> Self {
        let state = State {
            answers: HashMap::new(),
            requests: 0,
            head_since: Some(now),
            idle_since: None,
            stalled_since: None,
            is_http2: false,
            is_cut: false,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head of a request has arrived.
    pub(super) fn request(&self, version: Version) -> Answering {
        let mut state = self.state();
        state.requests += 1;
        let id = state.requests;
        state.answers.insert(id, Sending::default());
        state.head_since = None;
        state.idle_since = None;
        state.is_http2 = version == Version::HTTP_2;
        Answering::new(self.clone(), id, state.is_http2)
    }

    /// The answer to a request has been handed over, or given up.
    pub(super) fn answered(&self, id: u64, now: Instant) {
        let mut state = self.state();
        state.answers.remove(&id);
        if state.answers.is_empty() {
            state.idle_since = Some(now);
        }
    }

    /// Somebody comes for the next piece of an answer.
    pub(super) fn taken(&self, id: u64, now: Instant) {
        if let Some(sending) = self.state().answers.get_mut(&id)
            && let Some(since) = sending.waiting_since.take()
        {
            sending.waited += now - since;
        }
    }

    /// A piece of an answer was given.
    pub(super) fn given(&self, id: u64, bytes: usize, now: Instant) {
        if let Some(sending) = self.state().answers.get_mut(&id) {
            sending.bytes = sending.bytes.saturating_add(bytes as u64);
            sending.waiting_since = Some(now);
        }
    }

    /// The client is the one who waits: for the next event of a stream.
    pub(super) fn took_all(&self, id: u64) {
        if let Some(sending) = self.state().answers.get_mut(&id) {
            *sending = Sending::default();
        }
    }

    pub(super) fn judge(&self, patience: Patience, now: Instant) -> Verdict {
        let state = self.state();
        let head = state.head_since.map(|since| since + patience.head);
        let stalled = state.stalled_since.map(|since| since + patience.idle);
        // The last of an answer may still leave.
        let idle = state.idle_since.filter(|_| stalled.is_none()).map(|since| since + patience.idle);
        let untaken = state.answers.values().filter_map(|sending| sending.until(patience)).min();
        let is_over = |limit: Option<Instant>| limit.is_some_and(|limit| now >= limit);
        if is_over(head) || is_over(stalled) {
            return Verdict::Slow;
        }
        if is_over(untaken) {
            return Verdict::Untaken;
        }
        if is_over(idle) {
            return Verdict::Idle;
        }
        // What begins after this look cannot be over before the shorter limit has passed.
        let limits = [Some(now + patience.head.min(patience.idle)), head, stalled, untaken, idle];
        Verdict::Keep(limits.into_iter().flatten().min().unwrap_or(now))
    }

    /// Whether something was taken on that is not finished, a request or an answer that still leaves, and not
    /// because its client has taken nothing for so long.
    pub(super) fn is_busy(&self, stall: Duration, now: Instant) -> bool {
        let state = self.state();
        let is_recent = |since: Option<Instant>| since.is_none_or(|since| now < since + stall);
        match state.stalled_since {
            Some(_) => is_recent(state.stalled_since),
            None => state.answers.values().any(|sending| is_recent(sending.waiting_since)),
        }
    }

    /// The connection is closed, whatever it is doing.
    pub(super) fn cut(&self) {
        let mut state = self.state();
        state.is_cut = state.stalled_since.is_some() || !state.answers.is_empty();
    }

    /// Whether it was closed while an answer was leaving.
    pub(super) fn is_cut(&self) -> bool {
        self.state().is_cut
    }

    pub(super) fn received(&self) {
        let mut state = self.state();
        if state.answers.is_empty() && state.head_since.is_none() && !state.is_http2 {
            state.head_since = Some(Instant::now());
            state.idle_since = None;
        }
    }

    /// The socket was written to.
    pub(super) fn wrote(&self, written: &Poll<io::Result<usize>>, now: Instant) {
        let mut state = self.state();
        match (written, state.stalled_since) {
            (Poll::Pending, None) => state.stalled_since = Some(now),
            (Poll::Ready(Ok(bytes)), Some(since)) => {
                state.stalled_since = Some(now.min(since + at_least_pace(*bytes as u64)));
            }
            _ => {}
        }
    }

    /// All that there was has been written.
    pub(super) fn flushed(&self) {
        let mut state = self.state();
        if state.stalled_since.take().is_some() && state.answers.is_empty() && state.idle_since.is_some() {
            state.idle_since = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(75) };
    const STALL: Duration = Duration::from_secs(3);

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
        assert!(activity.is_busy(STALL, after(start, 1_000)));
        activity.wrote(&Poll::Pending, start);
        assert_eq!(activity.judge(PATIENCE, after(start, 76)), Verdict::Slow, "the client takes nothing");
        assert!(!activity.is_busy(STALL, after(start, 4)));
        activity.flushed();
        assert!(matches!(activity.judge(PATIENCE, after(start, 76)), Verdict::Keep(_)));
        drop(answering);
        assert!(!activity.is_busy(STALL, start));
    }

    #[test]
    fn little_is_no_pace() {
        let start = Instant::now();
        let activity = Activity::new(start);
        let _answering = activity.request(Version::HTTP_11);
        activity.wrote(&Poll::Pending, start);
        for seconds in 1..=70 {
            activity.wrote(&Poll::Ready(Ok(1_000)), after(start, seconds));
        }
        assert!(matches!(activity.judge(PATIENCE, after(start, 81)), Verdict::Keep(_)), "70 kB are 7 s");
        assert_eq!(activity.judge(PATIENCE, after(start, 82)), Verdict::Slow);
        activity.wrote(&Poll::Ready(Ok(10_000_000)), after(start, 82));
        assert!(matches!(activity.judge(PATIENCE, after(start, 156)), Verdict::Keep(_)));
    }

    #[test]
    fn an_answer_has_the_patience_and_the_time_that_it_needs() {
        let start = Instant::now();
        let activity = Activity::new(start);
        drop(activity.request(Version::HTTP_2));
        let _answering = activity.request(Version::HTTP_2);
        let id = 2;
        // A piece of 10 kB each 3 s: each should take 1 s, so that the patience is over after 39 of them.
        let mut now = start;
        while matches!(activity.judge(PATIENCE, now), Verdict::Keep(_)) {
            now = after(now, 3);
            activity.taken(id, now);
            activity.given(id, 10_000, now);
        }
        assert_eq!(now, after(start, 3 * 39));
        assert_eq!(activity.judge(PATIENCE, now), Verdict::Untaken);
        // A stream of events that has said everything waits for nobody.
        activity.took_all(id);
        assert!(matches!(activity.judge(PATIENCE, after(now, 1_000)), Verdict::Keep(_)));
        activity.given(id, 10, now);
        assert!(!activity.is_busy(STALL, after(now, 4)));
        assert_eq!(activity.judge(PATIENCE, after(now, 76)), Verdict::Untaken);
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
