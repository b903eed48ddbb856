//! Enums and custom scalars of a schema, as values of plain fields.

use async_graphql::ScalarType;
use async_graphql::resolver_utils::EnumType;

use crate::json::{write_json, write_value};
use crate::plain::fragments::TakenFragments;

/// Lets plain fields return these custom scalars. Each of the types must implement `async_graphql::ScalarType`.
#[macro_export]
macro_rules! plain_scalar {
    ($($name:ty),+ $(,)?) => {$(
        impl $crate::PlainOutput for $name {
            type Selection = ();

            fn compile(_: &$crate::SelectionSet) -> Option<()> {
                Some(())
            }

            fn write(&self, (): &(), json: &mut $crate::PlainJson) -> Result<(), $crate::NotAtHand> {
                $crate::write_scalar(self, json);
                Ok(())
            }
        }
    )+};
}

/// Appends the name that the value of an enum has in the schema.
#[doc(hidden)]
pub fn write_enum<T: EnumType>(value: &T, json: &mut Vec<u8>) {
    match T::items().iter().find(|item| item.value == *value) {
        Some(item) => write_json(item.name, json),
        // async-graphql would panic in this case. Its derive lists all values, so the case cannot occur.
        None => json.extend_from_slice(b"null"),
    }
}

/// Appends the value of a custom scalar as JSON.
#[doc(hidden)]
pub fn write_scalar<T: ScalarType>(value: &T, json: &mut Vec<u8>) {
    write_value(&value.to_value(), &TakenFragments::default(), json);
}
