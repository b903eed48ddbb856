//! Values, from apollo-compiler's form into the engine's.

use apollo_compiler::ast;
use apollo_compiler::response::JsonValue;
use async_graphql::{Name, Number, Value as ConstValue};
use async_graphql_value::Value;

/// A value as the document has it. `absent` tells which variables have no value: a list has null there, an object
/// leaves the field out. None where the value itself is such a variable.
/// <https://spec.graphql.org/October2021/#sec-Coercing-Field-Arguments>
pub(super) fn literal(value: &ast::Value, absent: &impl Fn(&str) -> bool) -> Option<Value> {
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

/// Digits beyond every number type stay text, which no numeric argument takes.
fn number(digits: &str) -> Value {
    digits.parse::<Number>().map_or_else(|_| Value::String(digits.to_owned()), Value::Number)
}

/// A variable's coerced value.
pub(super) fn variable(value: JsonValue) -> ConstValue {
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
