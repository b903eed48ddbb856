//! Converts values from the types of apollo-compiler to those of async-graphql.

use std::borrow::Cow;

use apollo_compiler::ast;
use apollo_compiler::response::{JsonMap, JsonValue};
use async_graphql::{Name, Number, Value as ConstValue};
use async_graphql_value::Value;

/// Converts a value in a document. `absent` returns whether a variable has no value. A variable without a value becomes
/// null in a list. In an input object, the field with such a variable is left out. Returns `None` if `value` itself is
/// a variable without a value.
/// <https://spec.graphql.org/October2021/#sec-Coercing-Field-Arguments>
pub(crate) fn literal(value: &ast::Value, absent: &impl Fn(&str) -> bool) -> Option<Value> {
    Some(match value {
        ast::Value::Null => Value::Null,
        ast::Value::Variable(name) if absent(name) => return None,
        ast::Value::Variable(name) => Value::Variable(Name::new(name)),
        ast::Value::Enum(name) => Value::Enum(Name::new(name)),
        ast::Value::String(text) => Value::String(text.clone()),
        ast::Value::Boolean(value) => Value::Boolean(*value),
        ast::Value::Int(digits) => number(digits.as_str()),
        ast::Value::Float(digits) => number(digits.as_str()),
        ast::Value::List(items) => {
            Value::List(items.iter().map(|item| literal(item, absent).unwrap_or(Value::Null)).collect())
        }
        ast::Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter_map(|(name, value)| Some((Name::new(name), literal(value, absent)?)))
                .collect(),
        ),
    })
}

/// Converts the digits of a number. A number that is too large for every number type becomes a string, which no numeric
/// argument accepts.
fn number(digits: &str) -> Value {
    digits.parse::<Number>().map_or_else(|_| Value::String(digits.to_owned()), Value::Number)
}

/// Converts the coerced value of a variable.
pub(crate) fn variable(value: JsonValue) -> ConstValue {
    match value {
        JsonValue::Null => ConstValue::Null,
        JsonValue::Bool(value) => ConstValue::Boolean(value),
        JsonValue::Number(number) => ConstValue::Number(number),
        JsonValue::String(text) => ConstValue::String(text.as_str().to_owned()),
        JsonValue::Array(items) => ConstValue::List(items.into_iter().map(variable).collect()),
        JsonValue::Object(fields) => ConstValue::Object(
            fields.into_iter().map(|(name, value)| (Name::new(name.as_str()), variable(value))).collect(),
        ),
    }
}

/// Replaces floats without a fraction, such as `1.0`, by integers, such as `1`. JSON and JavaScript do not distinguish
/// the two, so an argument of the type `Int` must accept both.
pub(crate) fn with_whole_numbers(values: &JsonMap) -> Cow<'_, JsonMap> {
    if !values.values().any(has_whole_float) {
        return Cow::Borrowed(values);
    }
    let mut values = values.clone();
    values.values_mut().for_each(make_whole);
    Cow::Owned(values)
}

fn has_whole_float(value: &JsonValue) -> bool {
    match value {
        JsonValue::Number(number) => whole(number).is_some(),
        JsonValue::Array(items) => items.iter().any(has_whole_float),
        JsonValue::Object(fields) => fields.values().any(has_whole_float),
        _ => false,
    }
}

fn make_whole(value: &mut JsonValue) {
    match value {
        JsonValue::Number(number) => {
            if let Some(whole) = whole(number) {
                *number = whole;
            }
        }
        JsonValue::Array(items) => items.iter_mut().for_each(make_whole),
        JsonValue::Object(fields) => fields.values_mut().for_each(make_whole),
        _ => {}
    }
}

/// Converts a float to the integer with the same value. Returns `None` if the number is an integer already, has a
/// fraction, or is so large that floats cannot represent every integer of its size.
fn whole(number: &Number) -> Option<Number> {
    const MAX_EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;
    let float = number
        .as_f64()
        .filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() <= MAX_EXACT_FLOAT)?;
    format!("{float:.0}").parse::<i64>().ok().map(Number::from)
}
