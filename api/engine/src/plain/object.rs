//! Compiled selections of the fields of objects.

use std::sync::Arc;

use async_graphql::OutputType;
use async_graphql::parser::types::{Selection, SelectionSet};

use super::json::PlainJson;
use super::output::{NotAtHand, PlainOutput};
use crate::json::write_json;

/// An object type with plain fields. `#[plain_fields]` and `#[derive(PlainObject)]` implement this trait.
pub trait PlainObject: OutputType + Sized {
    /// Compiles the field with this name in the schema. `selection` is the selection below the field. Returns None if
    /// the field is not plain, or if the selection has a field that is not plain.
    fn compile_field(name: &str, selection: &SelectionSet) -> Option<FieldWriter<Self>>;
}

/// A function that appends the value of a field of an object to the JSON. Fails if the object does not have the value
/// at hand.
type WriteField<T> = dyn Fn(&T, &mut PlainJson) -> Result<(), NotAtHand> + Send + Sync;

/// Writes the value of one field of an object.
pub struct FieldWriter<T>(Box<WriteField<T>>);

impl<T> FieldWriter<T> {
    /// Makes a writer from a function that appends the value of the field to the JSON.
    pub fn new(write: impl Fn(&T, &mut PlainJson) -> Result<(), NotAtHand> + Send + Sync + 'static) -> Self {
        Self(Box::new(write))
    }

    /// Makes a writer that takes the value of the field from `read`. The function `read` returns None if the object
    /// does not have the value at hand. Makes no writer if the selection has a field that is not plain.
    pub fn at_hand<V: PlainOutput + 'static>(
        read: for<'t> fn(&'t T) -> Option<&'t V>,
        selection: &SelectionSet,
    ) -> Option<Self>
    where
        T: 'static,
    {
        let below = V::compile(selection)?;
        Some(Self::new(move |object, json| read(object).ok_or(NotAtHand)?.write(&below, json)))
    }

    /// Makes a writer of a value that several objects share. The JSON of each value is usually made once, and copied
    /// when another object refers to the same value. Makes no writer if the selection has a field that is not plain.
    pub fn shared<V: PlainOutput + Send + Sync + 'static>(
        read: for<'t> fn(&'t T) -> Option<&'t Arc<V>>,
        selection: &SelectionSet,
    ) -> Option<Self>
    where
        T: 'static,
    {
        let below = Box::new(V::compile(selection)?);
        Some(Self::new(move |object, json| {
            let (shared, start) = (read(object).ok_or(NotAtHand)?, json.len());
            if !json.copy_shared(shared, &*below) {
                shared.write(&below, json)?;
                json.keep_shared(shared, &*below, start);
            }
            Ok(())
        }))
    }

    /// Appends the value of the field to the JSON.
    ///
    /// # Errors
    /// Fails if the object does not have the value of the field at hand.
    pub fn write(&self, object: &T, json: &mut PlainJson) -> Result<(), NotAtHand> {
        (self.0)(object, json)
    }
}

/// The selected fields of an object type, compiled, in the order of the document.
pub struct ObjectSelection<T> {
    /// Each field, with the bytes that come before its value: a brace or a comma, the response key and a colon.
    fields: Vec<(Vec<u8>, FieldWriter<T>)>,
}

impl<T: PlainObject> ObjectSelection<T> {
    /// Compiles a selection of a plan, which has no named fragments, no repeated response keys and no directives.
    /// Returns None if the selection has a field that is not plain.
    pub fn compile(selection: &SelectionSet) -> Option<Self> {
        let mut compiled = Self { fields: Vec::with_capacity(selection.items.len()) };
        compiled.add(selection)?;
        Some(compiled)
    }

    fn add(&mut self, selection: &SelectionSet) -> Option<()> {
        for item in &selection.items {
            match &item.node {
                Selection::Field(field) if field.node.directives.is_empty() => {
                    let (name, below) = (field.node.name.node.as_str(), &field.node.selection_set.node);
                    let writer = match name {
                        "__typename" => type_name_writer(),
                        _ => T::compile_field(name, below)?,
                    };
                    let key = field.node.response_key().node.as_str();
                    let mut prefix = vec![if self.fields.is_empty() { b'{' } else { b',' }];
                    write_json(key, &mut prefix);
                    prefix.push(b':');
                    self.fields.push((prefix, writer));
                }
                // For a selection on an abstract type, the planner makes one inline fragment for each possible object
                // type.
                Selection::InlineFragment(inline) if inline.node.directives.is_empty() => {
                    let condition = inline.node.type_condition.as_ref();
                    if condition.is_none_or(|condition| condition.node.on.node.as_str() == T::type_name()) {
                        self.add(&inline.node.selection_set.node)?;
                    }
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// Appends an object with the selected fields to the JSON.
    ///
    /// # Errors
    /// Fails if the object does not have the value of a selected field at hand.
    pub fn write(&self, object: &T, json: &mut PlainJson) -> Result<(), NotAtHand> {
        if self.fields.is_empty() {
            json.push(b'{');
        }
        for (prefix, writer) in &self.fields {
            json.extend_from_slice(prefix);
            writer.write(object, json)?;
        }
        json.push(b'}');
        Ok(())
    }
}

fn type_name_writer<T: PlainObject>() -> FieldWriter<T> {
    let name = T::type_name();
    FieldWriter::new(move |_, json| name.as_ref().write(&(), json))
}
