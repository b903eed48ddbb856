//! Checks the values of custom scalars before anything runs.
//!
//! apollo-compiler accepts any value for a custom scalar. async-graphql parses the value only when it resolves the
//! field. In a mutation, the fields before that field have already run by then.

use std::collections::HashMap;

use apollo_compiler::ast::{self, Type};
use apollo_compiler::executable::{ExecutableDocument, Operation, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Node, Schema};
use async_graphql::{InputType, Pos, ScalarType, Value as ConstValue, Variables};
use async_graphql_value::Value;

use crate::convert::literal;
use crate::validation_error::ValidationError;

/// A function that parses a value, and returns the reason if the value is not valid.
type Check = fn(ConstValue) -> Result<(), String>;

/// The scalars of a schema that the specification does not define, with a check for each.
#[derive(Clone, Debug, Default)]
pub struct CustomScalars {
    by_name: HashMap<&'static str, Check>,
}

impl CustomScalars {
    /// Adds the scalar `S`, whose name in the schema is `name`.
    #[must_use]
    pub fn with<S: ScalarType + InputType>(mut self, name: &'static str) -> Self {
        self.by_name.insert(name, |value| match <S as ScalarType>::parse(value) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.into_server_error(Pos::default()).message),
        });
        self
    }

    /// Checks the values of custom scalars that are written in a document, and returns all errors.
    pub(crate) fn check_document(
        &self,
        schema: &Schema,
        document: &ExecutableDocument,
    ) -> Vec<ValidationError> {
        let mut walk = ScalarWalk { scalars: self, schema, errors: Vec::new() };
        if !self.by_name.is_empty() {
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
        walk.errors
    }

    /// Checks the values of custom scalars in the coerced values of variables. Returns the first error.
    pub(crate) fn check_variables(
        &self,
        schema: &Schema,
        operation: &Operation,
        variables: &Variables,
    ) -> Result<(), ValidationError> {
        if self.by_name.is_empty() {
            return Ok(());
        }
        for definition in &operation.variables {
            let Some(value) = variables.get(definition.name.as_str()) else { continue };
            self.check_value(schema, &definition.ty, value).map_err(|reason| ValidationError {
                message: format!("The value of the variable `${}` is not valid: {reason}", definition.name),
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
            (value, Some(ExtendedType::Scalar(scalar))) => match self.by_name.get(scalar.name.as_str()) {
                Some(check) => check(value.clone()),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

struct ScalarWalk<'w> {
    scalars: &'w CustomScalars,
    schema: &'w Schema,
    errors: Vec<ValidationError>,
}

impl ScalarWalk<'_> {
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

    /// Checks a value that is written in the document. Skips variables, whose values [`CustomScalars::check_variables`]
    /// checks for each request.
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
                let Some(check) = self.scalars.by_name.get(scalar.name.as_str()) else { return };
                let Some(constant) = literal(written, &|_| false).and_then(Value::into_const) else {
                    return;
                };
                if let Err(message) = check(constant) {
                    self.errors.push(ValidationError { message, location: value.location() });
                }
            }
            _ => {}
        }
    }
}
