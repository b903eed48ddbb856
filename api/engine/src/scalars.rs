//! Values of the schema's own scalars, checked before anything runs.
//!
//! To apollo-compiler any value fits such a scalar, and the engine reads it when the field is resolved, which in a
//! mutation is after the fields before it have run.

use std::collections::HashMap;

use apollo_compiler::ast::{self, Type};
use apollo_compiler::executable::{ExecutableDocument, Operation, Selection, SelectionSet};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Node, Schema};
use async_graphql::{InputType, Pos, ScalarType, Value as ConstValue, Variables};
use async_graphql_value::Value;

use crate::value::literal;

/// Says why a value does not fit.
type Check = fn(ConstValue) -> Result<(), String>;

/// How to check the values of scalars that the specification does not know.
#[derive(Clone, Debug, Default)]
pub struct Scalars(HashMap<&'static str, Check>);

/// A value that does not fit its scalar.
pub(crate) struct Misfit {
    pub(crate) message: String,
    pub(crate) location: Option<SourceSpan>,
}

impl Scalars {
    /// Adds the scalar that the schema calls `name`.
    #[must_use]
    pub fn with<S: ScalarType + InputType>(mut self, name: &'static str) -> Self {
        self.0.insert(name, |value| match <S as ScalarType>::parse(value) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.into_server_error(Pos::default()).message),
        });
        self
    }

    /// The values that stand in an executable document.
    pub(crate) fn check_document(&self, schema: &Schema, document: &ExecutableDocument) -> Vec<Misfit> {
        let mut walk = Walk { scalars: self, schema, misfits: Vec::new() };
        if !self.0.is_empty() {
            for operation in document.operations.iter() {
                for variable in &operation.variables {
                    if let Some(default) = &variable.default_value {
                        walk.value(&variable.ty, default);
                    }
                }
                walk.selections(&operation.selection_set);
            }
            for fragment in document.fragments.values() {
                walk.selections(&fragment.selection_set);
            }
        }
        walk.misfits
    }

    /// The coerced variables of an operation.
    pub(crate) fn check_variables(
        &self,
        schema: &Schema,
        operation: &Operation,
        variables: &Variables,
    ) -> Result<(), Misfit> {
        if self.0.is_empty() {
            return Ok(());
        }
        for definition in &operation.variables {
            let Some(value) = variables.get(definition.name.as_str()) else { continue };
            self.check_value(schema, &definition.ty, value).map_err(|reason| Misfit {
                message: format!("The variable `${}` does not fit: {reason}", definition.name),
                location: definition.location(),
            })?;
        }
        Ok(())
    }

    fn check_value(&self, schema: &Schema, ty: &Type, value: &ConstValue) -> Result<(), String> {
        match (value, schema.types.get(ty.inner_named_type())) {
            (ConstValue::Null, _) => Ok(()),
            (ConstValue::List(items), _) if ty.is_list() => {
                items.iter().try_for_each(|item| self.check_value(schema, ty.item_type(), item))
            }
            (ConstValue::Object(fields), Some(ExtendedType::InputObject(object))) => {
                fields.iter().try_for_each(|(name, value)| match object.fields.get(name.as_str()) {
                    Some(field) => self.check_value(schema, &field.ty, value),
                    None => Ok(()),
                })
            }
            (value, Some(ExtendedType::Scalar(scalar))) => match self.0.get(scalar.name.as_str()) {
                Some(check) => check(value.clone()),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

struct Walk<'w> {
    scalars: &'w Scalars,
    schema: &'w Schema,
    misfits: Vec<Misfit>,
}

impl Walk<'_> {
    fn selections(&mut self, set: &SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    for argument in &field.arguments {
                        if let Some(definition) = field.definition.argument_by_name(&argument.name) {
                            self.value(&definition.ty, &argument.value);
                        }
                    }
                    self.selections(&field.selection_set);
                }
                Selection::InlineFragment(inline) => self.selections(&inline.selection_set),
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    /// Variables are checked with their values.
    fn value(&mut self, ty: &Type, value: &Node<ast::Value>) {
        match (&**value, self.schema.types.get(ty.inner_named_type())) {
            (ast::Value::Null | ast::Value::Variable(_), _) => {}
            (ast::Value::List(items), _) if ty.is_list() => {
                for item in items {
                    self.value(ty.item_type(), item);
                }
            }
            (ast::Value::Object(fields), Some(ExtendedType::InputObject(object))) => {
                for (name, value) in fields {
                    if let Some(field) = object.fields.get(name) {
                        self.value(&field.ty, value);
                    }
                }
            }
            (written, Some(ExtendedType::Scalar(scalar))) => {
                let Some(check) = self.scalars.0.get(scalar.name.as_str()) else { return };
                let Some(constant) = literal(written, &|_| false).and_then(Value::into_const) else {
                    return;
                };
                if let Err(message) = check(constant) {
                    self.misfits.push(Misfit { message, location: value.location() });
                }
            }
            _ => {}
        }
    }
}
