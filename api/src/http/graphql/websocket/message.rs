//! The messages of the protocol graphql-transport-ws.

use std::error::Error;

use async_graphql::ServerError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::http::graphql::request::RequestBody;
use graphql_engine::{ExecutedResponse, GraphqlRequest};

/// A message from a client.
#[derive(Debug)]
pub(super) enum ClientMessage {
    Init(Map<String, Value>),
    Ping(Map<String, Value>),
    Pong,
    Subscribe { id: String, call: Box<GraphqlRequest> },
    Complete { id: String },
}

impl ClientMessage {
    /// Reads a message. The error is a close reason for the developer of the client.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut message: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| format!("Not a JSON object: {error}"))?;
        let kind = message.remove("type");
        match kind.as_ref().and_then(Value::as_str) {
            Some("connection_init") => Ok(Self::Init(payload(&mut message)?.unwrap_or_default())),
            Some("ping") => Ok(Self::Ping(payload(&mut message)?.unwrap_or_default())),
            Some("pong") => payload(&mut message).map(|_| Self::Pong),
            Some("complete") => Ok(Self::Complete { id: id(&mut message)? }),
            Some("subscribe") => {
                let id = id(&mut message)?;
                let operation = payload(&mut message)?.ok_or("`payload` is missing")?;
                let call = call(operation)?;
                Ok(Self::Subscribe { id, call: Box::new(call) })
            }
            Some(_) => Err("Unknown message type".to_owned()),
            None => Err("`type` is missing".to_owned()),
        }
    }
}

fn id(message: &mut Map<String, Value>) -> Result<String, String> {
    match message.remove("id") {
        Some(Value::String(id)) if !id.is_empty() => Ok(id),
        _ => Err("`id` must be a non-empty string".to_owned()),
    }
}

fn payload(message: &mut Map<String, Value>) -> Result<Option<Map<String, Value>>, String> {
    match message.remove("payload") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(payload)) => Ok(Some(payload)),
        Some(_) => Err("`payload` must be an object".to_owned()),
    }
}

fn call(operation: Map<String, Value>) -> Result<GraphqlRequest, String> {
    let body = RequestBody::deserialize(Value::Object(operation))
        .map_err(|error| format!("Invalid `payload`: {error}"))?;
    let call = GraphqlRequest::from(body);
    if call.names_a_document() {
        Ok(call)
    } else {
        Err("`payload` names no document: send `query` or `documentId`".to_owned())
    }
}

/// A message from the server.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerMessage<'m> {
    ConnectionAck,
    Pong {
        #[serde(skip_serializing_if = "Map::is_empty")]
        payload: Map<String, Value>,
    },
    Error {
        id: &'m str,
        payload: &'m [ServerError],
    },
    Complete {
        id: &'m str,
    },
}

impl ServerMessage<'_> {
    pub(super) fn write(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// Writes the message `next` for the operation with this id. Its payload is the response.
pub(super) fn write_next(
    id: &str,
    response: &ExecutedResponse,
) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut json = br#"{"type":"next","id":"#.to_vec();
    serde_json::to_writer(&mut json, id)?;
    json.extend_from_slice(br#","payload":"#);
    response.write_json(&mut json);
    json.push(b'}');
    Ok(String::from_utf8(json)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_message_is_refused() {
        for text in [
            "",
            "{",
            "[]",
            "\"ping\"",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"start"}"#,
            r#"{"type":"next","id":"1","payload":{}}"#,
            r#"{"type":"connection_init","payload":"token"}"#,
            r#"{"type":"ping","payload":[]}"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"complete","id":""}"#,
            r#"{"type":"subscribe","id":1,"payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"1","payload":{}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":1}}"#,
            r#"{"type":"subscribe","id":"1","payload":["{a}"]}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":"x"}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","operationName":1}}"#,
        ] {
            assert!(ClientMessage::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn valid_messages_are_read() {
        let subscribe = r#"{"id":"a","type":"subscribe","payload":{"query":"{a}","operationName":null,"variables":{"b":1}}}"#;
        let Ok(ClientMessage::Subscribe { id, call }) = ClientMessage::read(subscribe) else {
            panic!("not read")
        };
        assert_eq!((id.as_str(), call.query.as_deref()), ("a", Some("{a}")));
        assert_eq!(call.variables.len(), 1);
        assert!(matches!(ClientMessage::read(r#"{"type":"connection_init"}"#), Ok(ClientMessage::Init(_))));
        assert!(matches!(
            ClientMessage::read(r#"{"type":"connection_init","payload":null}"#),
            Ok(ClientMessage::Init(_))
        ));
        assert!(matches!(
            ClientMessage::read(r#"{"type":"pong","payload":{"a":1}}"#),
            Ok(ClientMessage::Pong)
        ));
    }

    #[test]
    fn messages_are_written() {
        let written = |message: ServerMessage<'_>| message.write().unwrap_or_default();
        assert_eq!(written(ServerMessage::ConnectionAck), r#"{"type":"connection_ack"}"#);
        assert_eq!(written(ServerMessage::Pong { payload: Map::new() }), r#"{"type":"pong"}"#);
        assert_eq!(written(ServerMessage::Complete { id: "1" }), r#"{"type":"complete","id":"1"}"#);
        let response = ExecutedResponse::from_errors(vec![ServerError::new("Too late.", None)]);
        assert_eq!(
            write_next("a\"b", &response).unwrap_or_default(),
            r#"{"type":"next","id":"a\"b","payload":{"data":null,"errors":[{"message":"Too late."}]}}"#
        );
    }
}
