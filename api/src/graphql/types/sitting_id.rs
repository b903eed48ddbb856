//! The ids of questions and options in a sitting.

use std::borrow::Cow;
use std::io::{Cursor, Write};

use async_graphql::async_trait::async_trait;
use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, ID, OutputType, Positioned, ServerResult, Value};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graphql_engine::{NotAtHand, PlainJson, PlainOutput, SelectionSet};
use jishu_entity::TestSessionId;

/// The size in bytes of the buffer for an id before it is encoded. Every id is shorter.
const MAX_ID_BYTES: usize = 96;

/// The id of a question or of an option in a sitting. Client caches need an id that is unique among all objects. The id
/// reveals nothing about the author's order of the options.
///
/// The response to the start of a sitting has hundreds of ids. So an id is encoded only when it is written, and
/// directly into the JSON of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SittingId {
    session: TestSessionId,
    slot: i32,
    /// The position at which the sitting shows the option, counted from 0. None in the id of a question.
    place: Option<usize>,
}

impl SittingId {
    pub(super) fn of_question(session: TestSessionId, slot: i32) -> Self {
        Self { session, slot, place: None }
    }

    pub(super) fn of_option(session: TestSessionId, slot: i32, place: usize) -> Self {
        Self { session, slot, place: Some(place) }
    }

    /// Returns the id in the encoded form that clients get and send.
    pub(super) fn encoded(self) -> ID {
        let mut text = Vec::new();
        self.encode(&mut text);
        // Base64 is ASCII, so the conversion never fails.
        ID(String::from_utf8(text).unwrap_or_default())
    }

    /// Appends the encoded id to `text`.
    fn encode(self, text: &mut Vec<u8>) {
        let Self { session, slot, place } = self;
        let mut raw = Cursor::new([0; MAX_ID_BYTES]);
        let written = match place {
            None => write!(raw, "SessionQuestion:{session}:{slot}"),
            Some(place) => write!(raw, "Option:{session}:{slot}:{place}"),
        };
        debug_assert!(written.is_ok(), "an id fits");
        let length = usize::try_from(raw.position()).unwrap_or(MAX_ID_BYTES);
        let start = text.len();
        // Base64 has four characters for every three bytes, so this length is enough.
        text.resize(start + length.div_ceil(3) * 4, 0);
        let encoded = URL_SAFE_NO_PAD.encode_slice(&raw.get_ref()[..length], &mut text[start..]);
        text.truncate(start + encoded.unwrap_or_default());
    }
}

impl PlainOutput for SittingId {
    type Selection = ();

    fn compile(_: &SelectionSet) -> Option<()> {
        Some(())
    }

    fn write(&self, (): &(), json: &mut PlainJson) -> Result<(), NotAtHand> {
        json.push(b'"');
        self.encode(json);
        json.push(b'"');
        Ok(())
    }
}

#[async_trait]
impl OutputType for SittingId {
    fn type_name() -> Cow<'static, str> {
        <ID as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <ID as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(Value::String(self.encoded().0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_base64_of_its_text() {
        for (id, text) in [
            (SittingId::of_question(TestSessionId(1), 2), "SessionQuestion:1:2".to_owned()),
            (SittingId::of_option(TestSessionId(1), 1, 0), "Option:1:1:0".to_owned()),
            (
                SittingId::of_option(TestSessionId(i64::MIN), i32::MIN, usize::MAX),
                format!("Option:{}:{}:{}", i64::MIN, i32::MIN, usize::MAX),
            ),
        ] {
            let expected = URL_SAFE_NO_PAD.encode(text);
            assert_eq!(id.encoded().0, expected);
            let mut json = PlainJson::default();
            json.push(b'[');
            id.write(&(), &mut json).unwrap();
            assert_eq!(*json, format!("[\"{expected}\"").into_bytes());
        }
    }
}
