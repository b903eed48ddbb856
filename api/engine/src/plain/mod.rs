//! Writes objects as JSON at once, if their fields need nothing but the object itself.
//!
//! async-graphql makes a future, a path and a map entry for each field of each object. A field that only reads a value
//! of its object needs none of the three. Such a field is plain. [`Plain`] marks a value, usually a list, whose plain
//! fields are selected often. If a document selects only plain fields below the value, the selection is compiled once,
//! and each object is written directly into the JSON of the response. async-graphql resolves any other selection, with
//! the same result.
//!
//! A type declares its plain fields with [`plain_fields`](crate::plain_fields) above `#[Object]`, or with
//! `#[derive(PlainObject)]` beside `#[derive(SimpleObject)]`.

mod fragments;
mod json;
mod object;
mod output;
mod rendered;
mod scalar;

use std::borrow::Cow;

use async_graphql::async_trait::async_trait;
use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, OutputType, Positioned, ServerResult, Value};

pub(crate) use self::fragments::{Fragments, TakenFragments};
pub use self::json::PlainJson;
pub use self::object::{FieldWriter, ObjectSelection, PlainObject};
pub use self::output::{NotAtHand, PlainOutput};
pub use self::rendered::RenderedText;
#[doc(hidden)]
pub use self::scalar::{write_enum, write_scalar};

/// A value that is written as JSON at once if a document selects only plain fields below it.
///
/// In the schema, `Plain<T>` is the same type as `T`. Wrap a whole list, so that the selection is compiled once for all
/// items of the list: `Plain<Vec<Edge>>`.
#[derive(Clone, Debug, Default)]
pub struct Plain<T>(pub T);

impl<T> From<T> for Plain<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

#[async_trait]
impl<T: OutputType + PlainOutput> OutputType for Plain<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn qualified_type_name() -> String {
        T::qualified_type_name()
    }

    fn introspection_type_name(&self) -> Cow<'static, str> {
        self.0.introspection_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        // The context has no fragments if the schema runs without the engine, or if the options switch plain fields
        // off.
        if let Some(fragments) = ctx.data_opt::<Fragments>()
            && let Some(selection) = T::compile(&ctx.item.node)
        {
            let mut json = PlainJson::default();
            if self.0.write(&selection, &mut json) == Ok(()) {
                return Ok(fragments.keep(json.into_bytes()));
            }
        }
        self.0.resolve(ctx, field).await
    }
}
