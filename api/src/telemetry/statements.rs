//! Turns each ended database statement into a span of a trace.
//!
//! A statement is reported after it has run, with its duration. So its span cannot be made by entering it before the
//! statement and leaving it afterwards.

use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer};
use opentelemetry_sdk::trace::SdkTracer;

use super::context;
use jishu_service::trace::EndedStatement;

/// Maximum length of the text of a statement in a span, in bytes. The text of a statement that writes many rows repeats
/// itself, so its end can be cut off.
const MAX_TEXT_BYTES: usize = 1_000;

/// The tracer that makes the spans of statements. It is set only if the server sends traces.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Sets the tracer that makes the spans of statements. Only the first call has an effect.
pub(super) fn set_tracer(tracer: SdkTracer) {
    let _ = TRACER.set(tracer);
}

/// Adds the span of a statement to the trace of the current span. Does nothing if the current span is not part of a
/// trace.
pub(super) fn add(statement: EndedStatement<'_>) {
    let Some(tracer) = TRACER.get() else { return };
    let Some(parent) = context::current() else { return };
    let (verb, table) = (statement.name.verb.as_str(), statement.name.table);
    // OpenTelemetry takes the times of all other spans from the system clock, too.
    let ended_at = SystemTime::now();
    let builder = tracer
        .span_builder(format!("{verb} {table}"))
        .with_kind(SpanKind::Client)
        .with_start_time(ended_at - statement.elapsed)
        .with_attributes([
            KeyValue::new("db.operation.name", verb),
            KeyValue::new("db.collection.name", table),
            KeyValue::new("db.query.text", without_literals(statement.text)),
        ]);
    let mut span = builder.start_with_context(tracer, &parent);
    if statement.failed {
        span.set_status(Status::error("the statement failed"));
    }
    span.end_with_timestamp(ended_at);
}

/// Replaces texts and numbers in the text of a statement by `?`, and cuts off its end if it is too long. The server
/// passes values as parameters and not in the text. This function makes sure that no other value gets into a trace.
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
                // The digits of a parameter, such as `$1`, and the digits of a name stay in the text.
                is_in_word = char.is_alphanumeric() || matches!(char, '_' | '$');
                written.push(char);
            }
        }
    }
    written
}

/// Skips the rest of a text in single quotes. Two quotes in a row stand for one quote in the text.
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
