//! Texts that are kept as finished JSON.

use std::borrow::Cow;

use async_graphql::async_trait::async_trait;
use async_graphql::parser::types::{Field, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, OutputType, Positioned, ServerResult, Value};
use bytes::Bytes;

use super::{NotAtHand, PlainJson, PlainOutput};
use crate::json::write_json;

/// A text that is kept as finished JSON, because many responses contain it. A plain field (see
/// [`plain_fields`](crate::plain_fields)) only copies the bytes of the JSON. Clones share the bytes.
///
/// In the schema, a `RenderedText` has the type `String`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedText(Bytes);

impl RenderedText {
    /// Makes the finished JSON of a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut json = Vec::with_capacity(text.len() + 2);
        write_json(text, &mut json);
        json.shrink_to_fit();
        Self(json.into())
    }

    /// Returns the number of bytes that the JSON of the text has.
    #[must_use]
    pub fn json_bytes(&self) -> usize {
        self.0.len()
    }
}

impl PlainOutput for RenderedText {
    type Selection = ();

    fn compile(_: &SelectionSet) -> Option<()> {
        Some(())
    }

    fn write(&self, (): &(), json: &mut PlainJson) -> Result<(), NotAtHand> {
        json.extend_from_slice(&self.0);
        Ok(())
    }
}

#[async_trait]
impl OutputType for RenderedText {
    fn type_name() -> Cow<'static, str> {
        <String as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <String as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        // The bytes are the JSON of a text, so reading them cannot fail.
        Ok(Value::String(serde_json::from_slice(&self.0).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_like_a_string() {
        for text in ["", "plain", "\"quoted\" \\ \n\u{1}", "μ = 0,3 \u{2028} 🙂"] {
            let (mut rendered, mut string) = (PlainJson::default(), PlainJson::default());
            RenderedText::new(text).write(&(), &mut rendered).unwrap();
            text.to_owned().write(&(), &mut string).unwrap();
            assert_eq!(*rendered, *string);
            assert_eq!(serde_json::from_slice::<String>(&rendered).unwrap(), text);
        }
    }
}
