//! What apollo-compiler lets pass in the values of a document: a field of an input object that is written twice, and
//! a variable inside a list or an input object whose type does not fit there.
//!
//! <https://spec.graphql.org/October2021/#sec-Input-Object-Field-Uniqueness>,
//! <https://spec.graphql.org/October2021/#sec-All-Variable-Usages-Are-Allowed>

use std::collections::HashSet;

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::{ExecutableDocument, Operation, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Node, Schema};

use crate::scalars::Misfit;

/// The values that stand in a document which is valid in all else.
pub(crate) fn check(schema: &Schema, document: &ExecutableDocument) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    for operation in document.operations.iter() {
        let mut walk = Walk { schema, document, operation, fragments: HashSet::new(), misfits };
        for variable in &operation.variables {
            if let Some(default) = &variable.default_value {
                walk.value(Some(&variable.ty), default);
            }
        }
        walk.selections(&operation.selection_set);
        misfits = walk.misfits;
    }
    misfits
}

struct Walk<'w> {
    schema: &'w Schema,
    document: &'w ExecutableDocument,
    operation: &'w Operation,
    /// Those that were walked: what is wrong in one is wrong wherever it is spread.
    fragments: HashSet<&'w str>,
    misfits: Vec<Misfit>,
}

impl<'w> Walk<'w> {
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

    /// A value of this type; None inside a scalar that takes anything.
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
                        let message = format!("the input field `{name}` is written twice");
                        self.misfits.push(Misfit { message, location: name.location() });
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

    /// A value inside another: a variable here was not looked at yet.
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
                "variable `${name}` of type `{}` cannot be used where `{ty}` is expected",
                variable.ty
            );
            self.misfits.push(Misfit { message, location: value.location() });
        }
    }
}
