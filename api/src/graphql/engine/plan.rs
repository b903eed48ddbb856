//! What the engine runs: an operation with its fragments flattened and its repeated fields merged.
//!
//! The engine resolves a field as often as it is written: a mutation written twice, which the specification merges
//! into one, ran twice. Its own walks expand fragments as often as they are spread. So it gets neither.
//! <https://spec.graphql.org/October2021/#CollectFields()>

use std::collections::HashMap;

use apollo_compiler::ast::{self, OperationType as ApolloOperationType};
use apollo_compiler::executable::{
    DirectiveList, ExecutableDocument, Field, Operation, Selection, SelectionSet,
};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Node, Schema};
use async_graphql::parser::types as engine;
use async_graphql::parser::types::OperationType;
use async_graphql::{Name, Pos, Positioned};

use super::cost::{Cost, Counter, MUTATION};
use super::value::literal;

/// What a variable's value decides about the shape of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Given {
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
pub(super) struct Plan {
    pub(super) kind: OperationType,
    pub(super) document: engine::ExecutableDocument,
    pub(super) cost: Cost,
}

impl Plan {
    /// The plan of a validated operation. `given` has an entry for each of its variables.
    pub(super) fn new(
        schema: &Schema,
        document: &ExecutableDocument,
        operation: &Operation,
        given: &HashMap<&str, Given>,
    ) -> Self {
        let kind = match operation.operation_type {
            ApolloOperationType::Query => OperationType::Query,
            ApolloOperationType::Mutation => OperationType::Mutation,
            ApolloOperationType::Subscription => OperationType::Subscription,
        };
        let planner = Planner { schema, document, given };
        let mut counter = Counter::new(schema);
        let selection_set = planner.selection_set(&[&operation.selection_set], &mut counter);
        let mut cost = counter.finish();
        cost.add(1);
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
        Self { kind, document: engine::ExecutableDocument { operations, fragments: HashMap::new() }, cost }
    }
}

struct Planner<'p> {
    schema: &'p Schema,
    document: &'p ExecutableDocument,
    given: &'p HashMap<&'p str, Given>,
}

/// One entry of a selection set in the making.
enum Entry<'p> {
    /// A field, and the selection sets of all places that select it.
    Field(&'p Node<Field>, Vec<&'p SelectionSet>),
    /// What applies to one type of several.
    On(&'p str, Option<SourceSpan>, &'p SelectionSet),
}

impl<'p> Planner<'p> {
    /// Selection sets of the same type as one.
    fn selection_set(&self, sets: &[&'p SelectionSet], counter: &mut Counter<'p>) -> engine::SelectionSet {
        let Some(first) = sets.first() else { return engine::SelectionSet::default() };
        let mut entries = Vec::new();
        let mut by_key = HashMap::new();
        for set in sets {
            self.collect(set, first.ty.as_str(), &mut entries, &mut by_key);
        }
        let mut items = Vec::with_capacity(entries.len());
        for entry in entries {
            let (selection, location) = match entry {
                Entry::Field(field, sets) => {
                    let mut below = counter.below(field);
                    let planned = self.field(field, &sets, &mut below);
                    counter.field(field, below);
                    (engine::Selection::Field(self.at(field.location(), planned)), field.location())
                }
                Entry::On(ty, location, set) => {
                    let mut beside = counter.beside();
                    let selection_set = self.selection_set(&[set], &mut beside);
                    counter.fragment(beside);
                    let condition = engine::TypeCondition { on: self.at(location, Name::new(ty)) };
                    let inline = engine::InlineFragment {
                        type_condition: Some(self.at(location, condition)),
                        directives: Vec::new(),
                        selection_set: self.at(location, selection_set),
                    };
                    (engine::Selection::InlineFragment(self.at(location, inline)), location)
                }
            };
            items.push(self.at(location, selection));
        }
        engine::SelectionSet { items }
    }

    /// Adds what `set` selects on the type `parent`.
    fn collect(
        &self,
        set: &'p SelectionSet,
        parent: &str,
        entries: &mut Vec<Entry<'p>>,
        by_key: &mut HashMap<&'p str, usize>,
    ) {
        for selection in &set.selections {
            if !self.is_included(selection.directives()) {
                continue;
            }
            let (below, location) = match selection {
                Selection::Field(field) => {
                    match by_key.get(field.response_key().as_str()) {
                        Some(index) => {
                            if let Some(Entry::Field(_, sets)) = entries.get_mut(*index) {
                                sets.push(&field.selection_set);
                            }
                        }
                        None => {
                            by_key.insert(field.response_key().as_str(), entries.len());
                            entries.push(Entry::Field(field, vec![&field.selection_set]));
                        }
                    }
                    continue;
                }
                Selection::InlineFragment(inline) => (&inline.selection_set, inline.location()),
                Selection::FragmentSpread(spread) => match spread.fragment_def(self.document) {
                    Some(fragment) => (&fragment.selection_set, spread.location()),
                    None => continue,
                },
            };
            if below.ty == parent || self.schema.is_subtype(&below.ty, parent) {
                // Every object of the type `parent` is one of the fragment's.
                self.collect(below, parent, entries, by_key);
            } else if !self.is_object(parent) {
                entries.push(Entry::On(&below.ty, location, below));
            }
            // Else it never applies: validation refuses that in `Dog { ... on Cat }`, and not in between an interface
            // or a union that both are of.
        }
    }

    fn is_object(&self, name: &str) -> bool {
        matches!(self.schema.types.get(name), Some(ExtendedType::Object(_)))
    }

    fn field(
        &self,
        field: &'p Node<Field>,
        sets: &[&'p SelectionSet],
        below: &mut Counter<'p>,
    ) -> engine::Field {
        let arguments = field.arguments.iter().filter_map(|argument| {
            let value = literal(&argument.value, &|name| self.is_absent(name))?;
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
                Some(ast::Value::Variable(name)) => {
                    self.given.get(name.as_str()).is_some_and(|given| *given == Given::True)
                }
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
