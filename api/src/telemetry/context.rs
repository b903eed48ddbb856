//! The context of a trace: read from requests of trusted callers, and passed on to other systems.

use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetrySpanExt, get_otel_context};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

use jishu_service::trace::{TRACE_TARGET, TRACEPARENT};

/// Reads only the header `traceparent`. The texts in `tracestate` and `baggage` may come from strangers.
struct TraceparentOnly<'h>(&'h HeaderMap);

impl Extractor for TraceparentOnly<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key == TRACEPARENT { self.0.get(TRACEPARENT)?.to_str().ok() } else { None }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

/// Returns the context of the trace that the headers of a request name. Returns None if they name no trace.
pub(crate) fn context_of_caller(headers: &HeaderMap) -> Option<Context> {
    let context =
        TraceContextPropagator::new().extract_with_context(&Context::new(), &TraceparentOnly(headers));
    context.span().span_context().is_valid().then_some(context)
}

/// Makes a span part of the trace of a caller. Call this function before the span is entered.
pub(crate) fn continue_trace(span: &Span, caller: Context) {
    // `set_parent` fails only if the span is not part of any trace.
    let _ = span.set_parent(caller);
}

/// Makes a span the first span of a new trace. Call this function before the span is entered.
pub(crate) fn begin_trace(span: &Span) {
    let _ = span.set_parent(Context::new());
}

/// Returns the id of the trace that a span belongs to. Returns None if the span is not part of a trace.
pub(crate) fn trace_id(span: &Span) -> Option<String> {
    id_in(&span.context())
}

/// Returns the id of the trace of a context. Returns None if the context has no trace.
pub(crate) fn id_in(context: &Context) -> Option<String> {
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.trace_id().to_string())
}

/// Returns the trace context of the current work: that of the nearest enclosing span of a trace. Spans of log lines in
/// between are skipped. Returns None outside of a sampled trace.
pub(super) fn current() -> Option<Context> {
    let found = Span::current().with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let span = registry.span(id)?.scope().find(|span| span.metadata().target() == TRACE_TARGET)?;
        get_otel_context(&span.id(), dispatch)
    });
    found.flatten().filter(|context| context.span().span_context().is_sampled())
}

/// Returns the value of the header `traceparent` for a request that is sent in the current span. Returns None outside
/// of a sampled trace.
pub(super) fn current_traceparent() -> Option<String> {
    let context = current()?;
    let span = context.span();
    let context = span.span_context();
    let flags = context.trace_flags().to_u8();
    Some(format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id()))
}
