//! What the engine runs: an operation with its fragments flattened and its repeated fields merged.
//!
//! The engine resolves a field as often as it is written: a mutation written twice, which the specification merges
//! into one, ran twice. Its own walks expand fragments as often as they are spread. So it gets neither. Where an
//! object may be of several types, each that a fragment tells apart has a selection of its own.
//! <https://spec.graphql.org/October2021/#CollectFields()>

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use apollo_compiler::Node;
use apollo_compiler::ast::{self, OperationType as ApolloOperationType};
use apollo_compiler::executable::{
    DirectiveList, ExecutableDocument, Field, Operation, Selection, SelectionSet,
};
use apollo_compiler::parser::SourceSpan;
use async_graphql::parser::types as engine;
use async_graphql::parser::types::OperationType;
use async_graphql::{Name, Pos, Positioned};

use crate::cost::{Cost, Counter, MUTATION, OPERATION};
use crate::model::{Applies, Model};
use crate::scalars::Misfit;
use crate::value::literal;

/// What a variable's value decides about the shape of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Given {
    /// It has no value, so that arguments that name it are left out.
    Absent,
    /// It is a boolean, which `@skip` and `@include` may read.
    True,
    /// As above.
    False,
    /// Anything else.
    Other,
}

/// An operation as the engine gets it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) kind: OperationType,
    pub(crate) document: engine::ExecutableDocument,
    pub(crate) cost: Cost,
    /// Fields and values.
    pub(crate) size: usize,
    /// The places of the fields that answer lists.
    lists: HashSet<Pos>,
}

/// Why an operation has no plan.
pub(crate) enum NoPlan {
    /// It has more fields than it may.
    TooLarge,
    /// A condition is null.
    NullCondition(Misfit),
}

impl Plan {
    /// The plan of a validated operation, of at most `largest` fields and values. `given` has an entry for each of
    /// its variables.
    pub(crate) fn new(
        model: &Model,
        document: &ExecutableDocument,
        operation: &Operation,
        given: &HashMap<&str, Given>,
        largest: usize,
    ) -> Result<Self, NoPlan> {
        let kind = match operation.operation_type {
            ApolloOperationType::Query => OperationType::Query,
            ApolloOperationType::Mutation => OperationType::Mutation,
            ApolloOperationType::Subscription => OperationType::Subscription,
        };
        let planner = Planner {
            model,
            document,
            given,
            largest,
            size: Cell::default(),
            lists: RefCell::default(),
            misfit: Cell::default(),
        };
        let mut counter = Counter::new(model);
        let selection_set = planner.selection_set(&[&operation.selection_set], &mut counter);
        if let Some(misfit) = planner.misfit.take() {
            return Err(NoPlan::NullCondition(misfit));
        }
        if planner.is_full() {
            return Err(NoPlan::TooLarge);
        }
        let mut cost = counter.finish();
        cost.add(OPERATION);
        if kind == OperationType::Mutation {
            let fields = u64::try_from(selection_set.items.len()).unwrap_or(u64::MAX);
            cost.add(fields.saturating_mul(MUTATION));
        }
        let variable_definitions = operation.variables.iter().map(|it| planner.variable(it)).collect();
        let definition = engine::OperationDefinition {
            ty: kind,
            variable_definitions,
            directives: Vec::new(),
            selection_set: Positioned::new(selection_set, Pos::default()),
        };
        let operations = engine::DocumentOperations::Single(Positioned::new(definition, Pos::default()));
        let document = engine::ExecutableDocument { operations, fragments: HashMap::new() };
        Ok(Self { kind, document, cost, size: planner.size.get(), lists: planner.lists.into_inner() })
    }

    /// What it selects.
    pub(crate) fn root(&self) -> Option<&engine::SelectionSet> {
        match &self.document.operations {
            engine::DocumentOperations::Single(operation) => Some(&operation.node.selection_set.node),
            engine::DocumentOperations::Multiple(_) => None,
        }
    }

    /// Whether the field at this place answers a list.
    pub(crate) fn is_list(&self, place: Pos) -> bool {
        self.lists.contains(&place)
    }
}

struct Planner<'p> {
    model: &'p Model,
    document: &'p ExecutableDocument,
    given: &'p HashMap<&'p str, Given>,
    largest: usize,
    size: Cell<usize>,
    lists: RefCell<HashSet<Pos>>,
    misfit: Cell<Option<Misfit>>,
}

/// The fields of one selection set, in the order in which they are first selected.
#[derive(Default)]
struct Fields<'p> {
    /// Each with the selection sets of all places that select it.
    entries: Vec<(&'p Node<Field>, Vec<&'p SelectionSet>)>,
    by_key: HashMap<&'p str, usize>,
    /// Whether a fragment was left out that applies to some objects only.
    narrows: bool,
}

impl<'p> Planner<'p> {
    /// Selection sets of the same type as one.
    fn selection_set(&self, sets: &[&'p SelectionSet], counter: &mut Counter<'p>) -> engine::SelectionSet {
        let Some(first) = sets.first() else { return engine::SelectionSet::default() };
        let fields = self.collect_all(sets, &first.ty);
        if !fields.narrows {
            return self.fields(&first.ty, fields, counter);
        }
        let mut items = Vec::new();
        for object in self.model.possible_types(&first.ty) {
            let mut beside = counter.beside();
            let selection_set = self.fields(object, self.collect_all(sets, object), &mut beside);
            counter.fragment(beside);
            if selection_set.items.is_empty() {
                continue;
            }
            let condition = engine::TypeCondition { on: nowhere(Name::new(object)) };
            let inline = engine::InlineFragment {
                type_condition: Some(nowhere(condition)),
                directives: Vec::new(),
                selection_set: nowhere(selection_set),
            };
            items.push(nowhere(engine::Selection::InlineFragment(nowhere(inline))));
        }
        engine::SelectionSet { items }
    }

    /// The fields of an object of the type `parent`.
    fn fields(&self, parent: &str, fields: Fields<'p>, counter: &mut Counter<'p>) -> engine::SelectionSet {
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
            items.push(Positioned::new(engine::Selection::Field(planned), pos));
        }
        engine::SelectionSet { items }
    }

    fn is_full(&self) -> bool {
        self.size.get() > self.largest
    }

    fn collect_all(&self, sets: &[&'p SelectionSet], parent: &str) -> Fields<'p> {
        let mut fields = Fields::default();
        for set in sets {
            self.collect(set, parent, &mut fields);
        }
        fields
    }

    /// Adds what `set` selects on objects of the type `parent`.
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
            match self.model.applies(&below.ty, parent) {
                Applies::Always => self.collect(below, parent, fields),
                Applies::Sometimes => fields.narrows = true,
                // Validation refuses that in `Dog { ... on Cat }`, and not in between an interface or a union that
                // both are of.
                Applies::Never => {}
            }
        }
    }

    fn field(
        &self,
        field: &'p Node<Field>,
        sets: &[&'p SelectionSet],
        below: &mut Counter<'p>,
    ) -> engine::Field {
        let arguments = field.arguments.iter().filter_map(|argument| {
            let value = literal(&argument.value, &|name| self.is_absent(name))?;
            self.size.set(self.size.get() + parts(&argument.value));
            let location = argument.value.location();
            Some((self.at(argument.name.location(), Name::new(&argument.name)), self.at(location, value)))
        });
        engine::Field {
            alias: field.alias.as_ref().map(|alias| self.at(alias.location(), Name::new(alias))),
            name: self.at(field.name.location(), Name::new(&field.name)),
            arguments: arguments.collect(),
            directives: Vec::new(),
            selection_set: self.at(field.location(), self.selection_set(sets, below)),
        }
    }

    /// `@skip` and `@include`; the schema has no other directive for selections.
    fn is_included(&self, directives: &DirectiveList) -> bool {
        directives.iter().all(|directive| {
            let included_if = match directive.name.as_str() {
                "skip" => false,
                "include" => true,
                _ => return true,
            };
            let condition = match directive.specified_argument_by_name("if").map(|value| &**value) {
                Some(ast::Value::Boolean(value)) => *value,
                Some(ast::Value::Variable(name)) => match self.given.get(name.as_str()) {
                    Some(Given::True) => true,
                    Some(Given::False) => false,
                    _ => {
                        let message = format!("the variable `${name}` of `@{}` is null", directive.name);
                        self.misfit.set(Some(Misfit { message, location: directive.location() }));
                        return true;
                    }
                },
                _ => return true,
            };
            condition == included_if
        })
    }

    fn is_absent(&self, variable: &str) -> bool {
        self.given.get(variable).is_none_or(|given| *given == Given::Absent)
    }

    /// The type only: a default is among the coerced values.
    fn variable(&self, definition: &Node<ast::VariableDefinition>) -> Positioned<engine::VariableDefinition> {
        let location = definition.location();
        // As `Type::new` reads what apollo-compiler writes, it is always a type.
        let var_type = engine::Type::new(&definition.ty.to_string())
            .unwrap_or(engine::Type { base: engine::BaseType::Named(Name::new("String")), nullable: true });
        let planned = engine::VariableDefinition {
            name: self.at(definition.name.location(), Name::new(&definition.name)),
            var_type: self.at(location, var_type),
            directives: Vec::new(),
            default_value: None,
        };
        self.at(location, planned)
    }

    fn at<T>(&self, location: Option<SourceSpan>, node: T) -> Positioned<T> {
        let start = location.and_then(|location| location.line_column(&self.document.sources));
        let pos = start.map_or_else(Pos::default, |start| Pos { line: start.line, column: start.column });
        Positioned::new(node, pos)
    }
}

/// For what the document does not have.
fn nowhere<T>(node: T) -> Positioned<T> {
    Positioned::new(node, Pos::default())
}

/// How many values a value is made of.
fn parts(value: &ast::Value) -> usize {
    match value {
        ast::Value::List(items) => 1 + items.iter().map(|item| parts(item)).sum::<usize>(),
        ast::Value::Object(fields) => 1 + fields.iter().map(|(_, value)| parts(value)).sum::<usize>(),
        _ => 1,
    }
}
