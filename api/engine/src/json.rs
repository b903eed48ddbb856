//! Writes values of async-graphql as JSON.

use async_graphql::Value;

use crate::plain::TakenFragments;

/// Appends a value as JSON, with the same bytes as serde_json. If a binary value is one of `fragments`, it is JSON
/// already and is copied.
pub(crate) fn write_value(value: &Value, fragments: &TakenFragments, json: &mut Vec<u8>) {
    match value {
        Value::Null => json.extend_from_slice(b"null"),
        Value::Boolean(value) => json.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Number(number) => write_json(number, json),
        Value::String(text) => write_json(text, json),
        Value::Enum(name) => write_json(name.as_str(), json),
        Value::Binary(bytes) if fragments.contains(bytes) => json.extend_from_slice(bytes),
        Value::Binary(_) => write_json(value, json),
        Value::List(items) => {
            json.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                write_value(item, fragments, json);
            }
            json.push(b']');
        }
        Value::Object(fields) => {
            json.push(b'{');
            for (index, (key, value)) in fields.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                write_json(key.as_str(), json);
                json.push(b':');
                write_value(value, fragments, json);
            }
            json.push(b'}');
        }
    }
}

/// Appends a value that serde_json can always write: texts, numbers, bytes and errors of GraphQL.
pub(crate) fn write_json(value: &(impl serde::Serialize + ?Sized), json: &mut Vec<u8>) {
    // Writing to a vector cannot fail, and the keys of all maps in these values are texts.
    let _infallible = serde_json::to_writer(json, value);
}
