//! The values with which response processing computes.

use std::rc::Rc;

use roxmltree::Node;
use rust_decimal::Decimal;

use crate::labels::excerpt;
use crate::number;
use crate::xml::text;

/// The advice at the end of each refusal that is about scoring.
pub(super) const HOW_TO_SCORE: &str = "Give the score 1 if qti-match, or qti-equal with a tolerance, finds the response equal to the \
                   correct one, and 0 otherwise.";

/// A value of an expression or of a variable.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    /// A value that depends on something that is not understood, with the reason for the author.
    Unknown(Rc<str>),
    Boolean(bool),
    Number(Decimal),
    /// A text or an identifier.
    Text(String),
    /// The values of a container, whose order does not matter.
    Container(Vec<Value>),
}

impl Value {
    pub(super) fn unknown(reason: impl Into<Rc<str>>) -> Self {
        Self::Unknown(reason.into())
    }

    /// Returns the unknown value of an expression that is not understood.
    pub(super) fn not_recognised(node: Node<'_, '_>) -> Self {
        Self::unknown(format!(
            "Its response processing has the element {}, which is not recognised. {HOW_TO_SCORE}",
            excerpt(node.tag_name().name())
        ))
    }

    /// Returns the reason why a value is unknown, or an empty text for a known value.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Unknown(reason) => reason.to_string(),
            _ => String::new(),
        }
    }

    /// Returns a computed number, or an unknown value if the number was too large to compute.
    pub(super) fn of_number(computed: Option<Decimal>) -> Self {
        computed.map_or_else(
            || Self::unknown(format!("Its scoring computes a number that is too large. {HOW_TO_SCORE}")),
            Self::Number,
        )
    }

    /// Reads a value that a file states as text. The value is unknown if it should be a number and is not.
    pub(super) fn read(written: &str, base_type: Option<&str>) -> Self {
        let written = written.trim();
        match base_type {
            Some("float" | "integer") => read_number(written).map_or_else(Self::unknown, Self::Number),
            Some("boolean") => Self::Boolean(is_true(Some(written))),
            _ => Self::Text(written.to_owned()),
        }
    }

    /// Reads the text of a node as a value.
    pub(super) fn of_node(node: Node<'_, '_>, base_type: Option<&str>) -> Self {
        Self::read(&text(node), base_type)
    }

    /// Combines values into one value of this cardinality. The result is `Null` if there are no values.
    pub(super) fn of_cardinality(mut values: Vec<Self>, cardinality: Option<&str>) -> Self {
        match (values.len(), cardinality) {
            (0, _) => Self::Null,
            (1, None | Some("single")) => values.remove(0),
            _ => Self::Container(values),
        }
    }

    /// Returns the values of a container. A single value counts as a container of one value, and `Null` as an empty
    /// container.
    pub(super) fn parts(&self) -> &[Self] {
        match self {
            Self::Null => &[],
            Self::Container(values) => values,
            single => std::slice::from_ref(single),
        }
    }

    /// Returns whether two values are equal. The order in containers does not matter. A number equals its text, because
    /// some authors confuse the two types.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let same = |one: &Self, other: &Self| match (one, other) {
            (Self::Number(number), Self::Text(text)) | (Self::Text(text), Self::Number(number)) => {
                number::exact(text) == Some(*number)
            }
            (one, other) => one == other,
        };
        let (one, other) = (self.parts(), other.parts());
        let count = |all: &[Self], value: &Self| all.iter().filter(|found| same(found, value)).count();
        one.len() == other.len() && one.iter().all(|value| count(one, value) == count(other, value))
    }
}

/// Returns whether the value of an attribute is `true` or `1`. A missing attribute is not true.
pub(super) fn is_true(attribute: Option<&str>) -> bool {
    matches!(attribute.map(str::trim), Some("true" | "1"))
}

/// Reads a number, or returns a message for the author.
pub(super) fn read_number(text: &str) -> Result<Decimal, String> {
    number::exact(text).ok_or_else(|| {
        format!(
            "\"{}\" is not a number of at most 28 digits. Write a number such as 5 or 0.25.",
            excerpt(text)
        )
    })
}
