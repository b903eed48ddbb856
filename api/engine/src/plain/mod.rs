//! Writes objects as JSON at once, if their fields need nothing but the object itself.
//!
//! async-graphql makes a future, a path and an entry of a map for each field of each object. A field that only reads a
//! column needs none of them. [`Plain`] marks a value of which such fields are selected often, usually a list. If a
//! document selects only plain fields below it, the selection is compiled once, and each object is written straight into
//! the JSON of the response. Any other selection is resolved by async-graphql, and has the same result.
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

/// A value that is written at once if only plain fields of it are selected.
///
/// In the schema it is the same as the value itself. Wrap a whole list, so that the selection is compiled once for all of
/// its items: `Plain<Vec<Edge>>`.
#[derive(Clone, Debug, Default)]
pub struct Plain<T>(pub T);

impl<T> From<T> for Plain<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

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
        // Without the engine, or if its options switch this off, there are no fragments.
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
