//! Plans an operation for async-graphql: expands its fragments and merges its repeated fields.
//!
//! async-graphql resolves a field as often as the document contains it. The specification merges repeated fields, so a
//! mutation field that is selected twice must run once. async-graphql also processes a fragment as often as the
//! fragment is spread. A plan has no repeated fields and no named fragments. If a fragment applies only to some objects
//! of a type, the plan has one inline fragment for each object type.
//! <https://spec.graphql.org/October2021/#CollectFields()>

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use apollo_compiler::Node;
use apollo_compiler::ast::{self, OperationType as ApolloOperationType};
use apollo_compiler::executable::{
    DirectiveList, ExecutableDocument, Field, Operation, Selection, SelectionSet,
};
use apollo_compiler::parser::SourceSpan;
use async_graphql::parser::types as planned;
use async_graphql::parser::types::OperationType;
use async_graphql::{Name, Pos, Positioned};

use crate::convert::literal;
use crate::cost::{Cost, CostCounter, MUTATION_FIELD_COST, OPERATION_COST};
use crate::schema_index::{SchemaIndex, TypeMatch};
use crate::validation_error::ValidationError;

/// The part of a variable's value that the shape of a plan depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum VariableState {
    /// The variable has no value, so arguments with this variable are left out.
    Absent,
    /// The value is true. The variable may be the condition of `@skip` or `@include`.
    True,
    /// The value is false. The variable may be the condition of `@skip` or `@include`.
    False,
    /// The value is neither true nor false: it is null, a number, or any other value.
    Other,
}

/// An operation in the form in which async-graphql executes it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) kind: OperationType,
    pub(crate) document: planned::ExecutableDocument,
    pub(crate) cost: Cost,
    /// The number of fields and argument values in the plan.
    pub(crate) size: usize,
    /// Whether the operation selects a field with a secret. False until [`Plan::with_secrets`] finds out.
    pub(crate) has_secrets: bool,
    /// The locations in the document of the selected fields that return lists.
    lists: HashSet<Pos>,
}

/// The reason why an operation cannot be planned.
pub(crate) enum PlanError {
    /// The plan would have more fields and values than allowed.
    TooLarge,
    /// The condition of `@skip` or `@include` is null.
    NullCondition(ValidationError),
}

impl Plan {
    /// Plans an operation of a validated document, with at most `max_size` fields and values. `variables` has the state
    /// of each variable.
    pub(crate) fn new(
        schema_index: &SchemaIndex,
        document: &ExecutableDocument,
        operation: &Operation,
        variables: &HashMap<&str, VariableState>,
        max_size: usize,
    ) -> Result<Self, PlanError> {
        let kind = match operation.operation_type {
            ApolloOperationType::Query => OperationType::Query,
            ApolloOperationType::Mutation => OperationType::Mutation,
            ApolloOperationType::Subscription => OperationType::Subscription,
        };
        let planner = Planner {
            schema_index,
            document,
            variables,
            max_size,
            size: Cell::default(),
            lists: RefCell::default(),
            null_condition: Cell::default(),
        };
        let mut counter = CostCounter::new(schema_index);
        let selection_set = planner.selection_set(&[&operation.selection_set], &mut counter);
        if let Some(error) = planner.null_condition.take() {
            return Err(PlanError::NullCondition(error));
        }
        if planner.is_full() {
            return Err(PlanError::TooLarge);
        }
        let mut cost = counter.finish();
        cost.add(OPERATION_COST);
        if kind == OperationType::Mutation {
            let fields = u64::try_from(selection_set.items.len()).unwrap_or(u64::MAX);
            cost.add(fields.saturating_mul(MUTATION_FIELD_COST));
        }
        let variable_definitions = operation.variables.iter().map(|it| planner.variable(it)).collect();
        let definition = planned::OperationDefinition {
            ty: kind,
            variable_definitions,
            directives: Vec::new(),
            selection_set: Positioned::new(selection_set, Pos::default()),
        };
        let operations = planned::DocumentOperations::Single(Positioned::new(definition, Pos::default()));
        let document = planned::ExecutableDocument { operations, fragments: HashMap::new() };
        let (size, lists) = (planner.size.get(), planner.lists.into_inner());
        Ok(Self { kind, document, cost, size, has_secrets: false, lists })
    }

    /// Sets `has_secrets`: whether the plan selects a field with one of these names at any depth.
    pub(crate) fn with_secrets(mut self, secret_fields: &[&str]) -> Self {
        self.has_secrets = self.root().is_some_and(|root| selects(root, secret_fields));
        self
    }

    /// Returns the selection set with the root fields.
    pub(crate) fn root(&self) -> Option<&planned::SelectionSet> {
        match &self.document.operations {
            planned::DocumentOperations::Single(operation) => Some(&operation.node.selection_set.node),
            planned::DocumentOperations::Multiple(_) => None,
        }
    }

    /// Returns whether the field at this location returns a list.
    pub(crate) fn is_list(&self, location: Pos) -> bool {
        self.lists.contains(&location)
    }
}

fn selects(selection: &planned::SelectionSet, names: &[&str]) -> bool {
    selection.items.iter().any(|item| match &item.node {
        planned::Selection::Field(field) => {
            names.contains(&field.node.name.node.as_str()) || selects(&field.node.selection_set.node, names)
        }
        planned::Selection::InlineFragment(inline) => selects(&inline.node.selection_set.node, names),
        // A plan has no fragments with names. If it had one, the fragment could select a secret.
        planned::Selection::FragmentSpread(_) => true,
    })
}

struct Planner<'p> {
    schema_index: &'p SchemaIndex,
    document: &'p ExecutableDocument,
    variables: &'p HashMap<&'p str, VariableState>,
    max_size: usize,
    size: Cell<usize>,
    lists: RefCell<HashSet<Pos>>,
    null_condition: Cell<Option<ValidationError>>,
}

/// The merged fields of a selection set, in the order in which the document first selects each of them.
#[derive(Default)]
struct Fields<'p> {
    /// Each field as it first occurs, with the selection sets of all its occurrences.
    entries: Vec<(&'p Node<Field>, Vec<&'p SelectionSet>)>,
    by_key: HashMap<&'p str, usize>,
    /// Whether a fragment was left out because it applies only to some objects of the type.
    depends_on_type: bool,
}

impl<'p> Planner<'p> {
    /// Plans several selection sets on the same type as one selection set, and adds its cost to `counter`.
    fn selection_set(
        &self,
        sets: &[&'p SelectionSet],
        counter: &mut CostCounter<'p>,
    ) -> planned::SelectionSet {
        let Some(first) = sets.first() else { return planned::SelectionSet::default() };
        let fields = self.collect_all(sets, &first.ty);
        if !fields.depends_on_type {
            return self.fields(&first.ty, fields, counter);
        }
        let mut items = Vec::new();
        for object in self.schema_index.possible_types(&first.ty) {
            let mut beside = counter.beside();
            let selection_set = self.fields(object, self.collect_all(sets, object), &mut beside);
            counter.fragment(beside);
            if selection_set.items.is_empty() {
                continue;
            }
            let condition = planned::TypeCondition { on: without_location(Name::new(object)) };
            let inline = planned::InlineFragment {
                type_condition: Some(without_location(condition)),
                directives: Vec::new(),
                selection_set: without_location(selection_set),
            };
            items.push(without_location(planned::Selection::InlineFragment(without_location(inline))));
        }
        planned::SelectionSet { items }
    }

    /// Plans the merged fields of the type `parent`, and adds their costs to `counter`. Stops when the plan is too
    /// large.
    fn fields(
        &self,
        parent: &str,
        fields: Fields<'p>,
        counter: &mut CostCounter<'p>,
    ) -> planned::SelectionSet {
        let mut items = Vec::with_capacity(fields.entries.len());
        for (field, sets) in fields.entries {
            self.size.set(self.size.get() + 1);
            if self.is_full() {
                break;
            }
            let mut below = counter.below(field);
            let planned = self.at(field.location(), self.field(field, &sets, &mut below));
            counter.field(parent, field, below);
            if field.ty().is_list() {
                self.lists.borrow_mut().insert(planned.pos);
            }
            let pos = planned.pos;
            items.push(Positioned::new(planned::Selection::Field(planned), pos));
        }
        planned::SelectionSet { items }
    }

    fn is_full(&self) -> bool {
        self.size.get() > self.max_size
    }

    /// Merges the fields that `sets` select on objects of the type `parent`.
    fn collect_all(&self, sets: &[&'p SelectionSet], parent: &str) -> Fields<'p> {
        let mut fields = Fields::default();
        for set in sets {
            self.collect(set, parent, &mut fields);
        }
        fields
    }

    /// Adds the fields that `set` selects on objects of the type `parent`.
    fn collect(&self, set: &'p SelectionSet, parent: &str, fields: &mut Fields<'p>) {
        for selection in &set.selections {
            if !self.is_included(selection.directives()) {
                continue;
            }
            let below = match selection {
                Selection::Field(field) => {
                    let next = fields.entries.len();
                    let index = *fields.by_key.entry(field.response_key().as_str()).or_insert(next);
                    match fields.entries.get_mut(index) {
                        Some((_, sets)) => sets.push(&field.selection_set),
                        None => fields.entries.push((field, vec![&field.selection_set])),
                    }
                    continue;
                }
                Selection::InlineFragment(inline) => &inline.selection_set,
                Selection::FragmentSpread(spread) => match spread.fragment_def(self.document) {
                    Some(fragment) => &fragment.selection_set,
                    None => continue,
                },
            };
            match self.schema_index.applies(&below.ty, parent) {
                TypeMatch::Always => self.collect(below, parent, fields),
                TypeMatch::Sometimes => fields.depends_on_type = true,
                // Validation refuses `... on Cat` directly in a selection on `Dog`, but accepts `... on Cat` inside a
                // fragment on an interface that both types implement.
                TypeMatch::Never => {}
            }
        }
    }

    /// Plans a field with the arguments of its first occurrence. All occurrences have the same arguments, because the
    /// document is valid. Adds the costs of the fields below to `below`.
    fn field(
        &self,
        field: &'p Node<Field>,
        sets: &[&'p SelectionSet],
        below: &mut CostCounter<'p>,
    ) -> planned::Field {
        let arguments = field.arguments.iter().filter_map(|argument| {
            let value = literal(&argument.value, &|name| self.is_absent(name))?;
            self.size.set(self.size.get() + value_count(&argument.value));
            let location = argument.value.location();
            Some((self.at(argument.name.location(), Name::new(&argument.name)), self.at(location, value)))
        });
        planned::Field {
            alias: field.alias.as_ref().map(|alias| self.at(alias.location(), Name::new(alias))),
            name: self.at(field.name.location(), Name::new(&field.name)),
            arguments: arguments.collect(),
            directives: Vec::new(),
            selection_set: self.at(field.location(), self.selection_set(sets, below)),
        }
    }

    /// Evaluates `@skip` and `@include` of a selection. Other directives have no effect. If a condition is null, notes
    /// the error and includes the selection.
    fn is_included(&self, directives: &DirectiveList) -> bool {
        directives.iter().all(|directive| {
            let included_if = match directive.name.as_str() {
                "skip" => false,
                "include" => true,
                _ => return true,
            };
            let condition = match directive.specified_argument_by_name("if").map(|value| &**value) {
                Some(ast::Value::Boolean(value)) => *value,
                Some(ast::Value::Variable(name)) => match self.variables.get(name.as_str()) {
                    Some(VariableState::True) => true,
                    Some(VariableState::False) => false,
                    _ => {
                        let message = format!(
                            "The variable `${name}` of `@{}` is null. Give it true or false.",
                            directive.name
                        );
                        self.null_condition
                            .set(Some(ValidationError { message, location: directive.location() }));
                        return true;
                    }
                },
                _ => return true,
            };
            condition == included_if
        })
    }

    fn is_absent(&self, variable: &str) -> bool {
        self.variables.get(variable).is_none_or(|state| *state == VariableState::Absent)
    }

    /// Plans the declaration of a variable, without its default: the coerced values contain the default already.
    fn variable(
        &self,
        definition: &Node<ast::VariableDefinition>,
    ) -> Positioned<planned::VariableDefinition> {
        let location = definition.location();
        // `Type::new` can read every type that apollo-compiler prints, so the fallback is never used.
        let var_type = planned::Type::new(&definition.ty.to_string())
            .unwrap_or(planned::Type { base: planned::BaseType::Named(Name::new("String")), nullable: true });
        let planned = planned::VariableDefinition {
            name: self.at(definition.name.location(), Name::new(&definition.name)),
            var_type: self.at(location, var_type),
            directives: Vec::new(),
            default_value: None,
        };
        self.at(location, planned)
    }

    /// Adds to a node its location in the document, or 0:0 if its location is not known.
    fn at<T>(&self, location: Option<SourceSpan>, node: T) -> Positioned<T> {
        let start = location.and_then(|location| location.line_column(&self.document.sources));
        let pos = start.map_or_else(Pos::default, |start| Pos { line: start.line, column: start.column });
        Positioned::new(node, pos)
    }
}

/// Makes a node that has no location, because the document does not contain it.
fn without_location<T>(node: T) -> Positioned<T> {
    Positioned::new(node, Pos::default())
}

/// Counts the values in a value: itself, and all items of lists and fields of input objects in it.
fn value_count(value: &ast::Value) -> usize {
    match value {
        ast::Value::List(items) => 1 + items.iter().map(|item| value_count(item)).sum::<usize>(),
        ast::Value::Object(fields) => 1 + fields.iter().map(|(_, value)| value_count(value)).sum::<usize>(),
        _ => 1,
    }
}
