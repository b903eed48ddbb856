//! Passes the context of a trace on to other systems, in the header `traceparent` of W3C.
//! <https://www.w3.org/TR/trace-context/>
//!
//! The server sets where the context comes from if it traces. This crate does not know how a trace is sent.

use std::sync::OnceLock;

/// The name of the header.
pub const TRACEPARENT: &str = "traceparent";

/// The target of the spans that are part of traces, besides those of the functions of this crate.
pub const TRACE_TARGET: &str = "jishu::trace";

/// The target of the events that report statements. Each becomes a span of its own.
pub const STATEMENT_TARGET: &str = "jishu::statement";

/// A function that returns the header for the current span.
pub type TraceSource = fn() -> Option<String>;

static SOURCE: OnceLock<TraceSource> = OnceLock::new();

/// Sets where the header comes from. Only the first call has an effect.
pub fn set_source(source: TraceSource) {
    let _ = SOURCE.set(source);
}

/// Returns whether the server traces.
#[must_use]
pub fn is_on() -> bool {
    SOURCE.get().is_some()
}

/// Returns the header for a request that is sent now. None if the server does not trace.
#[must_use]
pub fn traceparent() -> Option<String> {
    SOURCE.get().and_then(|source| source())
}
