//! Turns each report of a statement into a span of its own.
//!
//! A statement is reported after it has run, with its duration. So its span cannot be made by entering and leaving it.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Maximum length of the text of a statement in a span, in bytes. A statement that writes many rows repeats itself.
const MAX_TEXT_BYTES: usize = 1_000;

/// Adds statements to the traces of their spans.
pub(super) struct StatementLayer {
    tracer: SdkTracer,
    /// The subscriber that this layer is a part of.
    dispatch: OnceLock<WeakDispatch>,
}

impl StatementLayer {
    pub(super) fn new(tracer: SdkTracer) -> Self {
        Self { tracer, dispatch: OnceLock::new() }
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for StatementLayer {
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        let _ = self.dispatch.set(subscriber.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let (Some(span), Some(dispatch)) =
            (context.event_span(event), self.dispatch.get().and_then(WeakDispatch::upgrade))
        else {
            return;
        };
        let Some(parent) = get_otel_context(&span.id(), &dispatch) else { return };
        if !parent.span().span_context().is_sampled() {
            return;
        }
        let mut report = StatementReport::default();
        event.record(&mut report);
        // OpenTelemetry takes the times of all other spans from the system, too.
        let ended_at = SystemTime::now();
        let builder = self
            .tracer
            .span_builder(format!("{} {}", report.verb, report.table))
            .with_kind(SpanKind::Client)
            .with_start_time(ended_at - Duration::from_nanos(report.nanoseconds))
            .with_attributes([
                KeyValue::new("db.operation.name", report.verb),
                KeyValue::new("db.collection.name", report.table),
                KeyValue::new("db.query.text", report.text),
            ]);
        let mut statement = builder.start_with_context(&self.tracer, &parent);
        if report.failed {
            statement.set_status(Status::error("the statement failed"));
        }
        statement.end_with_timestamp(ended_at);
    }
}

/// The fields of a report.
#[derive(Default)]
struct StatementReport {
    nanoseconds: u64,
    failed: bool,
    verb: String,
    table: String,
    text: String,
}

impl Visit for StatementReport {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "nanoseconds" {
            self.nanoseconds = value;
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "failed" {
            self.failed = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "verb" => self.verb = value.to_owned(),
            "table" => self.table = value.to_owned(),
            "text" => self.text = without_literals(value),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// Replaces texts and numbers in a statement by `?`, and shortens it. Our statements pass values beside their text; this
/// makes sure of it.
fn without_literals(sql: &str) -> String {
    let mut written = String::with_capacity(sql.len().min(MAX_TEXT_BYTES) + 8);
    let mut rest = sql.chars().peekable();
    let mut is_in_word = false;
    while let Some(char) = rest.next() {
        if written.len() >= MAX_TEXT_BYTES {
            written.push('…');
            break;
        }
        match char {
            '\'' => {
                skip_text(&mut rest);
                written.push('?');
                is_in_word = false;
            }
            char if char.is_ascii_digit() && !is_in_word => {
                while rest.next_if(|char| char.is_ascii_alphanumeric() || *char == '.').is_some() {}
                written.push('?');
            }
            char => {
                // `$1` is a parameter, and a name may contain digits.
                is_in_word = char.is_alphanumeric() || matches!(char, '_' | '$');
                written.push(char);
            }
        }
    }
    written
}

/// Skips a text in quotes. Two quotes stand for one.
fn skip_text(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(char) = rest.next() {
        if char == '\'' && rest.next_if_eq(&'\'').is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_a_text_are_hidden_and_parameters_stay() {
        for (sql, shown) in [
            ("SELECT a1, \"b_2\" FROM t WHERE id = $12", "SELECT a1, \"b_2\" FROM t WHERE id = $12"),
            (
                "SELECT 1, -2.50 FROM t WHERE a = 'it''s secret' AND b = ?",
                "SELECT ?, -? FROM t WHERE a = ? AND b = ?",
            ),
            ("x IN (17,18) LIMIT 50", "x IN (?,?) LIMIT ?"),
            ("'unterminated", "?"),
            ("0xAB + 1e5", "? + ?"),
        ] {
            assert_eq!(without_literals(sql), shown);
        }
        assert!(without_literals(&"(?), ".repeat(10_000)).len() <= MAX_TEXT_BYTES + 8);
    }
}
