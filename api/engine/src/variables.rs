//! Coerces the values of variables to the types that the operation declares.

use std::collections::HashMap;

use apollo_compiler::executable::{DirectiveList, Operation, SelectionSet};
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::JsonMap;
use async_graphql::{Name, Value, Variables};

use crate::convert;
use crate::custom_scalars::CustomScalars;
use crate::document::{Document, size};
use crate::plan::VariableState;
use crate::rejection::Rejection;
use crate::schema_index::SchemaIndex;

/// Coerces the values that a client sent for the variables of `operation`, and adds the defaults of variables without a
/// value. Rejects the request if a value does not fit its type. The rejection has at most `max_errors` errors.
pub(crate) fn coerce(
    schema_index: &SchemaIndex,
    scalars: &CustomScalars,
    document: &Document,
    operation: &Operation,
    values: &JsonMap,
    max_errors: u32,
) -> Result<Variables, Rejection> {
    let values = &*convert::with_whole_numbers(values);
    let schema = &schema_index.schema;
    let coerced = coerce_variable_values(schema, operation, values).map_err(|_| {
        let mut rejection = rejection(schema_index, document, operation, values);
        rejection.errors.truncate(size(max_errors));
        rejection
    })?;
    let coerced = coerced.into_inner().into_iter();
    let coerced = coerced.map(|(name, item)| (Name::new(name.as_str()), convert::variable(item))).collect();
    let variables = Variables::from_value(Value::Object(coerced));
    scalars
        .check_variables(schema, operation, &variables)
        .map_err(|error| Rejection::invalid(vec![document.error(error.message, error.location)]))?;
    Ok(variables)
}

/// Makes the rejection for values that do not fit. Each variable with one of these values gets an error at the location
/// of its declaration. apollo-compiler itself stops at the first of them, and does not name the variable.
fn rejection(
    schema_index: &SchemaIndex,
    document: &Document,
    operation: &Operation,
    values: &JsonMap,
) -> Rejection {
    let mut errors = Vec::new();
    for variable in &operation.variables {
        let with_one_variable = Operation {
            operation_type: operation.operation_type,
            name: None,
            variables: vec![variable.clone()],
            directives: DirectiveList::new(),
            selection_set: SelectionSet::new(operation.selection_set.ty.clone()),
        };
        if let Err(error) = coerce_variable_values(&schema_index.schema, &with_one_variable, values) {
            let message =
                format!("The value of the variable `${}` is not valid: {}", variable.name, error.message());
            errors.push(document.error(message, variable.location()));
        }
    }
    Rejection::invalid(errors)
}

/// Returns the state of each variable that `operation` declares, by the name of the variable.
pub(crate) fn states<'o>(operation: &'o Operation, variables: &Variables) -> HashMap<&'o str, VariableState> {
    let state = |name: &str| match variables.get(name) {
        None => VariableState::Absent,
        Some(Value::Boolean(true)) => VariableState::True,
        Some(Value::Boolean(false)) => VariableState::False,
        Some(_) => VariableState::Other,
    };
    operation.variables.iter().map(|variable| (variable.name.as_str(), state(&variable.name))).collect()
}
