//! Tables of an item that convert values to numbers: the mapping of a response, and the tables of outcomes.

use roxmltree::Node;
use rust_decimal::Decimal;

use super::expression::{as_number, texts_match};
use super::scope::Scope;
use super::value::{Value, is_true};
use crate::labels::excerpt;
use crate::number;
use crate::xml::{child, children};

/// Returns the mapping of a response, or `None` if the response has no mapping with entries.
pub(super) fn mapping<'a, 'i>(declaration: Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    child(declaration, "qti-mapping").filter(|mapping| child(*mapping, "qti-map-entry").is_some())
}

/// Reads the attribute `name` of a mapping or of an entry as marks. Returns `None` if the attribute is missing. If the
/// attribute is not a number, returns an unknown value as the error.
fn marks_in(node: Node<'_, '_>, name: &str) -> Result<Option<Decimal>, Value> {
    let Some(written) = node.attribute(name) else { return Ok(None) };
    number::exact(written).map(Some).ok_or_else(|| {
        let written = excerpt(written);
        Value::unknown(format!("\"{written}\" in its mapping is not a number. Write a number such as 1."))
    })
}

/// Returns the marks that a mapping gives to the answer that is scored. The marks are unknown if a number in the
/// mapping cannot be read.
pub(super) fn mapped(mapping: Node<'_, '_>, scope: &dyn Scope) -> Value {
    marks(mapping, scope).unwrap_or_else(|unknown| unknown)
}

fn marks(mapping: Node<'_, '_>, scope: &dyn Scope) -> Result<Value, Value> {
    let of_others = marks_in(mapping, "default-value")?.unwrap_or_default();
    let mut sum = Some(Decimal::ZERO);
    for part in scope.answer().parts() {
        let mut found = None;
        for entry in children(mapping, "qti-map-entry").take_while(|_| scope.take_step()) {
            let key = entry.attribute("map-key").unwrap_or_default().trim();
            // Read the marks of each entry, so that an invalid number is found whatever the answer is.
            let marks = marks_in(entry, "mapped-value")?.unwrap_or_default();
            let is_same = match part {
                Value::Text(text) => {
                    // The schema of QTI 2.1 has no default for `case-sensitive`, and its reference implementation takes
                    // true. This reader takes true in every version, although the schemas of QTI 2.2 and 3.0 have the
                    // default false.
                    let sensitive = entry.attribute("case-sensitive");
                    texts_match(text, key, sensitive.is_none_or(|value| is_true(Some(value))), false)
                }
                Value::Number(number) => {
                    scope.tell_boundary(&Value::read(key, Some("float")));
                    as_number(key) == number.normalize().to_string()
                }
                other => other.equals(&Value::Text(key.to_owned())),
            };
            if is_same && found.is_none() {
                found = Some(marks);
            }
        }
        sum = sum.and_then(|sum| sum.checked_add(found.unwrap_or(of_others)));
    }
    let most = marks_in(mapping, "upper-bound")?;
    let least = marks_in(mapping, "lower-bound")?;
    let bounded = sum.map(|sum| most.map_or(sum, |most| sum.min(most)));
    Ok(Value::of_number(bounded.map(|sum| least.map_or(sum, |least| sum.max(least)))))
}

/// Looks up a number in the table of an outcome. Returns `None` if the outcome has no table, or if the source or an
/// entry is not a number.
pub(super) fn lookup(declaration: Node<'_, '_>, source: &Value, scope: &dyn Scope) -> Option<Value> {
    let (table, is_exact) = match child(declaration, "qti-match-table") {
        Some(table) => (table, true),
        None => (child(declaration, "qti-interpolation-table")?, false),
    };
    let base_type = declaration.attribute("base-type");
    let number = match source {
        Value::Number(number) => *number,
        Value::Unknown(_) => return Some(source.clone()),
        Value::Null => return Some(Value::Null),
        _ => return None,
    };
    let name = if is_exact { "qti-match-table-entry" } else { "qti-interpolation-table-entry" };
    for entry in children(table, name).take_while(|_| scope.take_step()) {
        let from = number::exact(entry.attribute("source-value")?)?;
        scope.tell_boundary(&Value::Number(from));
        let includes = entry.attribute("include-boundary").is_none_or(|value| is_true(Some(value)));
        if (is_exact || includes) && number == from || !is_exact && number > from {
            return Some(Value::read(entry.attribute("target-value")?, base_type));
        }
    }
    let default = table.attribute("default-value");
    Some(default.map_or(Value::Null, |default| Value::read(default, base_type)))
}
