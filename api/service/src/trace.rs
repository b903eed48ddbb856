//! Traces: which work begins one, and how their context is passed on in the header `traceparent` of W3C.
//! <https://www.w3.org/TR/trace-context/>
//!
//! The server sets up the tracer if it traces. This crate does not know how a trace is sent.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Duration;

use tracing::Span;

use crate::metrics::StatementName;

/// The name of the header.
pub const TRACEPARENT: &str = "traceparent";

/// The target of the spans that are part of traces, besides those of the functions of this crate.
pub const TRACE_TARGET: &str = "jishu::trace";

/// A statement that has ended.
#[derive(Clone, Copy, Debug)]
pub struct EndedStatement<'s> {
    /// Its verb and its first table.
    pub name: StatementName,
    /// Its text, without the values of its parameters.
    pub text: &'s str,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether it failed.
    pub failed: bool,
}

/// How this process traces.
#[derive(Clone, Copy, Debug)]
pub struct Tracer {
    /// Returns the header for the current span.
    pub traceparent: fn() -> Option<String>,
    /// The share of traces that are sampled: 0 to 1.
    pub ratio: f64,
    /// Adds a statement to the trace of the current span. Does nothing if the span is not part of a trace.
    pub add_statement: fn(EndedStatement<'_>),
}

static TRACER: OnceLock<Tracer> = OnceLock::new();

thread_local! {
    /// Whether this thread makes the first span of a trace now.
    static BEGINS: Cell<bool> = const { Cell::new(false) };
}

/// Switches traces on for this process. Only the first call has an effect.
pub fn switch_on(tracer: Tracer) {
    let _ = TRACER.set(tracer);
}

/// Returns whether the server traces.
#[must_use]
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// Makes the first span of a trace. Inside `make`, [`begins`] returns true.
pub fn first_span(make: impl FnOnce() -> Span) -> Span {
    BEGINS.set(true);
    let span = make();
    BEGINS.set(false);
    span
}

/// Makes the first span of a new trace if the trace is sampled, and no span otherwise. So a request that is not sampled
/// costs no spans.
pub fn first_span_if_sampled(make: impl FnOnce() -> Span) -> Span {
    let is_sampled = TRACER.get().is_some_and(|tracer| rand::random::<f64>() < tracer.ratio);
    if is_sampled { first_span(make) } else { Span::none() }
}

/// Returns whether this thread makes the first span of a trace now. Every other span is part of a trace only if a span
/// around it is.
#[must_use]
pub fn begins() -> bool {
    BEGINS.get()
}

/// Adds a statement to the trace of the current span. Does nothing if the span is not part of a trace.
pub(crate) fn add_statement(statement: EndedStatement<'_>) {
    if let Some(tracer) = TRACER.get() {
        (tracer.add_statement)(statement);
    }
}

/// Returns the header for a request that is sent now. None if the current work is not part of a trace.
#[must_use]
pub fn traceparent() -> Option<String> {
    TRACER.get().and_then(|tracer| (tracer.traceparent)())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_making_of_a_first_span_begins_a_trace() {
        assert!(!begins());
        let span = first_span(|| {
            assert!(begins());
            Span::none()
        });
        assert!(span.is_none() && !begins());
        // This process does not trace, so no trace is sampled.
        assert!(first_span_if_sampled(|| unreachable!("nothing is sampled")).is_none());
    }
}
