//! Searches in the spans that a collector has received: by name, by parent and by trace.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

/// A list of spans that a collector has received.
pub(super) struct Spans(pub(super) Vec<Span>);

/// Returns the value of an attribute that is a text or a whole number, as a text. `None` if there is no such attribute.
pub(super) fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns an id in hexadecimal digits.
pub(super) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Spans {
    /// Returns the only span with this name among those that `is_one` accepts.
    pub(super) fn only(&self, name: &str, is_one: impl Fn(&Span) -> bool) -> &Span {
        let found: Vec<_> = self.0.iter().filter(|span| span.name == name && is_one(span)).collect();
        assert_eq!(found.len(), 1, "{name} among {:?}", self.names());
        found[0]
    }

    /// Returns the names of all spans in this list.
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|span| span.name.as_str()).collect()
    }

    /// Returns the spans directly below a span.
    pub(super) fn below(&self, parent: &Span) -> Self {
        let is_below =
            |span: &&Span| span.trace_id == parent.trace_id && span.parent_span_id == parent.span_id;
        Self(self.0.iter().filter(is_below).cloned().collect())
    }

    /// Returns all spans of a trace.
    pub(super) fn of_trace(&self, id: &str) -> Self {
        Self(self.0.iter().filter(|span| hex(&span.trace_id) == id).cloned().collect())
    }
}
