//! Values that can be written as JSON without a context.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::parser::types::SelectionSet;
use async_graphql::{ID, OutputType};
use serde_json::Number;

use super::json::PlainJson;
use crate::json::write_json;

/// A value that can be written as JSON without a context.
///
/// [`plain_fields`](crate::plain_fields) and `#[derive(PlainObject)]` implement this trait for objects,
/// `#[derive(PlainEnum)]` for enums, and [`plain_scalar!`](crate::plain_scalar) for custom scalars.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written as plain JSON",
    note = "mark the field with `#[resolved]`, or use `plain_fields`, `PlainObject`, `PlainEnum` or `plain_scalar!` for its type"
)]
pub trait PlainOutput {
    /// A compiled selection of fields. For scalars and enums, which have no fields, this type is `()`.
    type Selection: Send + Sync + 'static;

    /// Compiles the selection below a value of this type. Returns None if the selection has a field that is not plain.
    fn compile(selection: &SelectionSet) -> Option<Self::Selection>;

    /// Appends the value with the selected fields to the JSON. The bytes are the same as if async-graphql had resolved
    /// the fields.
    ///
    /// # Errors
    /// Fails if an object does not have the value of a selected field at hand. async-graphql then resolves the whole
    /// [`Plain`](super::Plain) value.
    fn write(&self, selection: &Self::Selection, json: &mut PlainJson) -> Result<(), NotAtHand>;
}

/// The error that an object does not have the value of a field at hand. async-graphql must then resolve the whole
/// [`Plain`](super::Plain) value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAtHand;

/// Implements [`PlainOutput`] for integer types.
macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl PlainOutput for $integer {
            type Selection = ();

            fn compile(_: &SelectionSet) -> Option<()> {
                Some(())
            }

            fn write(&self, (): &(), json: &mut PlainJson) -> Result<(), NotAtHand> {
                write_json(self, json);
                Ok(())
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

/// Implements [`PlainOutput`] for a type without fields. `$write` appends the value `$value` to `$json`.
macro_rules! leaf {
    ($leaf:ty, $value:ident, $json:ident, $write:expr) => {
        impl PlainOutput for $leaf {
            type Selection = ();

            fn compile(_: &SelectionSet) -> Option<()> {
                Some(())
            }

            fn write(&self, (): &(), $json: &mut PlainJson) -> Result<(), NotAtHand> {
                let $value = self;
                $write;
                Ok(())
            }
        }
    };
}

leaf!(str, text, json, write_json(text, json));
leaf!(String, text, json, write_json(text, json));
leaf!(Cow<'_, str>, text, json, write_json(text, json));
leaf!(ID, id, json, write_json(id.as_str(), json));
leaf!(bool, value, json, json.extend_from_slice(if *value { b"true" } else { b"false" }));
leaf!(f64, value, json, write_float(*value, json));
leaf!(f32, value, json, write_float(f64::from(*value), json));

/// Appends a float, or null if the float is infinite or not a number, as async-graphql does.
fn write_float(value: f64, json: &mut Vec<u8>) {
    match Number::from_f64(value) {
        Some(number) => write_json(&number, json),
        None => json.extend_from_slice(b"null"),
    }
}

/// Implements [`PlainOutput`] for pointer types, which write the value that they point to.
macro_rules! pointer {
    ($($pointer:ty),*) => {$(
        impl<T: PlainOutput + ?Sized> PlainOutput for $pointer {
            type Selection = T::Selection;

            fn compile(selection: &SelectionSet) -> Option<T::Selection> {
                T::compile(selection)
            }

            fn write(&self, selection: &T::Selection, json: &mut PlainJson) -> Result<(), NotAtHand> {
                (**self).write(selection, json)
            }
        }
    )*};
}

pointer!(&T, Box<T>, Arc<T>);

impl<T: PlainOutput> PlainOutput for Option<T> {
    type Selection = T::Selection;

    fn compile(selection: &SelectionSet) -> Option<T::Selection> {
        T::compile(selection)
    }

    fn write(&self, selection: &T::Selection, json: &mut PlainJson) -> Result<(), NotAtHand> {
        match self {
            Some(value) => value.write(selection, json),
            None => {
                json.extend_from_slice(b"null");
                Ok(())
            }
        }
    }
}

impl<T: PlainOutput> PlainOutput for [T] {
    type Selection = T::Selection;

    fn compile(selection: &SelectionSet) -> Option<T::Selection> {
        T::compile(selection)
    }

    fn write(&self, selection: &T::Selection, json: &mut PlainJson) -> Result<(), NotAtHand> {
        json.push(b'[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            item.write(selection, json)?;
        }
        json.push(b']');
        Ok(())
    }
}

impl<T: PlainOutput> PlainOutput for Vec<T> {
    type Selection = T::Selection;

    fn compile(selection: &SelectionSet) -> Option<T::Selection> {
        T::compile(selection)
    }

    fn write(&self, selection: &T::Selection, json: &mut PlainJson) -> Result<(), NotAtHand> {
        self.as_slice().write(selection, json)
    }
}

impl<T: PlainOutput + OutputType> PlainOutput for super::Plain<T> {
    type Selection = T::Selection;

    fn compile(selection: &SelectionSet) -> Option<T::Selection> {
        T::compile(selection)
    }

    fn write(&self, selection: &T::Selection, json: &mut PlainJson) -> Result<(), NotAtHand> {
        self.0.write(selection, json)
    }
}
