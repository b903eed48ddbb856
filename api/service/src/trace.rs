//! Traces: makes their spans, and passes their context on in the header `traceparent` of W3C.
//! <https://www.w3.org/TR/trace-context/>
//!
//! A server that sends traces installs a tracer with [`switch_on`]. This crate does not know how a trace is sent.

use std::sync::OnceLock;
use std::time::Duration;

use tracing::Span;

use crate::metrics::StatementName;

/// The name of the header that contains the context of a trace.
pub const TRACEPARENT: &str = "traceparent";

/// The tracing target of all spans that are part of traces.
pub const TRACE_TARGET: &str = "jishu::trace";

/// A statement of the database that has ended.
#[derive(Clone, Copy, Debug)]
pub struct EndedStatement<'s> {
    /// The verb of the statement and its first table.
    pub name: StatementName,
    /// The text of the statement, without the values of its parameters.
    pub text: &'s str,
    /// The time that the statement took.
    pub elapsed: Duration,
    /// Whether the statement failed.
    pub failed: bool,
}

/// The functions and the sampling ratio with which this process traces.
#[derive(Clone, Copy, Debug)]
pub struct TraceHooks {
    /// Returns the value of the header `traceparent` for the current span. None if the span is not part of a trace.
    pub traceparent: fn() -> Option<String>,
    /// The share of possible traces that are recorded, from 0 to 1.
    pub ratio: f64,
    /// Adds a statement of the database to the trace of the current span. Does nothing if the span is not part of a
    /// trace.
    pub add_statement: fn(EndedStatement<'_>),
}

static HOOKS: OnceLock<TraceHooks> = OnceLock::new();

/// Switches traces on for this process. A second call has no effect.
pub fn switch_on(hooks: TraceHooks) {
    let _ = HOOKS.set(hooks);
}

/// Returns whether traces are switched on for this process.
#[must_use]
pub fn is_on() -> bool {
    HOOKS.get().is_some()
}

/// Makes the first span of a new trace if chance selects this work for a trace. Otherwise returns a disabled span, so
/// that other work costs no spans.
pub fn first_span(make: impl FnOnce() -> Span) -> Span {
    let is_sampled = HOOKS.get().is_some_and(|hooks| rand::random::<f64>() < hooks.ratio);
    if is_sampled { make() } else { Span::none() }
}

/// Makes a span in the current trace. Returns a disabled span if the current span is not part of a trace.
pub fn span(make: impl FnOnce() -> Span) -> Span {
    if is_on() && is_in_trace() { make() } else { Span::none() }
}

/// Returns whether the current span is part of a trace.
fn is_in_trace() -> bool {
    tracing::dispatcher::get_default(|dispatch| {
        dispatch.current_span().metadata().is_some_and(|metadata| metadata.target() == TRACE_TARGET)
    })
}

/// Adds a statement to the trace of the current span. Does nothing if the span is not part of a trace.
pub(crate) fn add_statement(statement: EndedStatement<'_>) {
    if let Some(hooks) = HOOKS.get() {
        (hooks.add_statement)(statement);
    }
}

/// Returns the value of the header `traceparent` for a request that the server sends now. None if the current work is
/// not part of a trace.
#[must_use]
pub fn traceparent() -> Option<String> {
    HOOKS.get().and_then(|hooks| (hooks.traceparent)())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_does_not_trace_makes_no_spans() {
        assert!(first_span(|| unreachable!("the process does not trace")).is_disabled());
        assert!(span(|| unreachable!("the process does not trace")).is_disabled());
    }
}
