//! Rules of validation for input values that apollo-compiler does not check.
//!
//! - A field of an input object is given only once.
//! - A variable inside a list or an input object has a type that fits at its place.
//!
//! <https://spec.graphql.org/October2021/#sec-Input-Object-Field-Uniqueness>,
//! <https://spec.graphql.org/October2021/#sec-All-Variable-Usages-Are-Allowed>

use std::collections::HashSet;

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::{ExecutableDocument, Operation, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Node, Schema};

use crate::validation_error::ValidationError;

/// Checks all input values in a document that has passed the validation of apollo-compiler. Returns all errors.
pub(crate) fn check(schema: &Schema, document: &ExecutableDocument) -> Vec<ValidationError> {
    let mut errors = Vec::new();
    for operation in document.operations.iter() {
        let mut walk = InputWalk { schema, document, operation, fragments: HashSet::new(), errors };
        for variable in &operation.variables {
            if let Some(default) = &variable.default_value {
                walk.value(Some(&variable.ty), default);
            }
        }
        walk.selections(&operation.selection_set);
        errors = walk.errors;
    }
    errors
}

struct InputWalk<'w> {
    schema: &'w Schema,
    document: &'w ExecutableDocument,
    operation: &'w Operation,
    /// The names of the fragments that were checked so far for this operation. A fragment is checked once for an
    /// operation, however often it is spread.
    fragments: HashSet<&'w str>,
    errors: Vec<ValidationError>,
}

impl<'w> InputWalk<'w> {
    fn selections(&mut self, set: &'w SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    for argument in &field.arguments {
                        let definition = field.definition.argument_by_name(&argument.name);
                        self.value(definition.map(|it| &*it.ty), &argument.value);
                    }
                    self.selections(&field.selection_set);
                }
                Selection::InlineFragment(inline) => self.selections(&inline.selection_set),
                Selection::FragmentSpread(spread) => {
                    if self.fragments.insert(&spread.fragment_name)
                        && let Some(fragment) = spread.fragment_def(self.document)
                    {
                        self.selections(&fragment.selection_set);
                    }
                }
            }
        }
    }

    /// Checks a value: if it is a list or an input object, checks its parts. `ty` is the expected type, or `None`
    /// inside a custom scalar, which accepts any value.
    fn value(&mut self, ty: Option<&Type>, value: &Node<Value>) {
        match &**value {
            Value::List(items) => {
                let item_type = ty.filter(|ty| ty.is_list()).map(Type::item_type);
                for item in items {
                    self.part(item_type, false, item);
                }
            }
            Value::Object(fields) => {
                let input = ty.and_then(|ty| match self.schema.types.get(ty.inner_named_type()) {
                    Some(ExtendedType::InputObject(input)) => Some(input),
                    _ => None,
                });
                let mut names = HashSet::new();
                for (name, value) in fields {
                    if !names.insert(name) {
                        let message = format!("The input field `{name}` is given twice. Give it once.");
                        self.errors.push(ValidationError { message, location: name.location() });
                    }
                    match input.and_then(|input| input.fields.get(name)) {
                        Some(field) => self.part(Some(&field.ty), field.default_value.is_some(), value),
                        None => self.part(None, false, value),
                    }
                }
            }
            _ => {}
        }
    }

    /// Checks a value inside a list or an input object. If the value is a variable, the type of the variable must fit.
    /// apollo-compiler does not check variables inside lists and input objects.
    fn part(&mut self, ty: Option<&Type>, has_default: bool, value: &Node<Value>) {
        let (Value::Variable(name), Some(ty)) = (&**value, ty) else { return self.value(ty, value) };
        let Some(variable) = self.operation.variables.iter().find(|it| it.name == *name) else { return };
        let never_null = has_default || variable.default_value.as_ref().is_some_and(|it| !it.is_null());
        let fits = if ty.is_non_null() && !variable.ty.is_non_null() {
            never_null && variable.ty.is_assignable_to(&ty.clone().nullable())
        } else {
            variable.ty.is_assignable_to(ty)
        };
        if !fits {
            let message = format!(
                "The variable `${name}` of type `{}` cannot be used where `{ty}` is expected.",
                variable.ty
            );
            self.errors.push(ValidationError { message, location: value.location() });
        }
    }
}
