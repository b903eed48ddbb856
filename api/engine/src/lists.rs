//! How long the lists of a schema are: what is below one costs that often what it costs.
//!
//! A list of objects is a page, where `first` or `last` says how long it is, or it is told here. No engine is made over a
//! schema with a list of which nothing is known, so that a new one cannot pass for a short one.

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{FieldDefinition, Type};
use apollo_compiler::schema::{Component, ExtendedType};
use apollo_compiler::{Name, Schema};

/// How long a list is that neither `first` nor `last` bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// As many items are reckoned with.
    Items(u32),
    /// As many as this argument has.
    Argument(&'static str),
}

/// The number of items in a page: of a field that takes `first` or `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSizes {
    /// The number of items where neither argument is given.
    pub default: u32,
    /// The maximum number of items. Resolvers must refuse a request for more.
    pub max: u32,
}

impl Default for PageSizes {
    fn default() -> Self {
        Self { default: 50, max: 100 }
    }
}

/// The lists of objects that are no pages, as `Type.field`.
pub type Lists = &'static [(&'static str, Length)];

/// The same, by type and by field.
#[derive(Debug, Default)]
pub(crate) struct Lengths(HashMap<&'static str, HashMap<&'static str, Length>>);

impl Lengths {
    /// What is wrong where a list has no length, or a length is of no list.
    pub(crate) fn new(
        schema: &Schema,
        possible: &HashMap<Name, Vec<Name>>,
        lists: Lists,
    ) -> Result<Self, String> {
        let mut lengths = Self::default();
        for (list, length) in lists {
            let (ty, field) = list.split_once('.').unwrap_or((list, ""));
            lengths.0.entry(ty).or_default().insert(field, *length);
        }
        let apart = outside_of_pages(schema, possible);
        let mut bounded = HashSet::new();
        for (ty, field) in fields(schema).filter(|(_, field)| is_list_of_objects(schema, &field.ty)) {
            let is_page = takes_a_page(field) || (is_of_page(&field.name) && !apart.contains(ty));
            match lengths.of(ty, &field.name) {
                None if !is_page => {
                    return Err(format!(
                        "nothing says how long the list `{ty}.{}` is: give it `first`, or its length",
                        field.name
                    ));
                }
                Some(Length::Argument(name)) if !has_list(field, name) => {
                    return Err(format!("`{ty}.{}` has no argument `{name}` that is a list", field.name));
                }
                Some(_) if !is_page => {
                    bounded.insert(format!("{ty}.{}", field.name));
                }
                _ => {}
            }
        }
        match lists.iter().find(|(list, _)| !bounded.contains(*list)) {
            Some((list, _)) => Err(format!("`{list}` has a length, and is no list of objects or is a page")),
            None => Ok(lengths),
        }
    }

    pub(crate) fn of(&self, ty: &str, field: &str) -> Option<Length> {
        self.0.get(ty)?.get(field).copied()
    }
}

/// Whether a field says how long a page is: of what is below it, or of itself where it is a list.
pub(crate) fn takes_a_page(field: &FieldDefinition) -> bool {
    field.arguments.iter().any(|argument| argument.name == "first" || argument.name == "last")
}

/// Whether a list of a connection is as long as its page. <https://relay.dev/graphql/connections.htm#sec-Connection-Types>
pub(crate) fn is_of_page(field: &str) -> bool {
    field == "edges" || field == "nodes"
}

fn has_list(field: &FieldDefinition, argument: &str) -> bool {
    field.argument_by_name(argument).is_some_and(|argument| argument.ty.is_list())
}

fn is_list_of_objects(schema: &Schema, ty: &Type) -> bool {
    ty.is_list() && schema.types.get(ty.inner_named_type()).is_some_and(|ty| !ty.is_leaf())
}

/// The types of which an object is answered by something else than a field that takes a page.
fn outside_of_pages<'s>(schema: &'s Schema, possible: &'s HashMap<Name, Vec<Name>>) -> HashSet<&'s Name> {
    let returned = fields(schema).filter(|(_, field)| field.ty.is_list() || !takes_a_page(field));
    let returned = returned.map(|(_, field)| field.ty.inner_named_type());
    let roots = &schema.schema_definition;
    let roots = [&roots.query, &roots.mutation, &roots.subscription].into_iter().flatten();
    let declared = returned.chain(roots.map(|root| &root.name));
    declared.flat_map(|ty| possible.get(ty).into_iter().flatten().chain([ty])).collect()
}

/// Those of introspection are counted from the schema.
fn fields(schema: &Schema) -> impl Iterator<Item = (&Name, &Component<FieldDefinition>)> {
    let types = schema.types.iter().filter(|(name, _)| !name.starts_with("__"));
    types.flat_map(|(name, ty)| {
        let fields = match ty {
            ExtendedType::Object(object) => Some(&object.fields),
            ExtendedType::Interface(interface) => Some(&interface.fields),
            _ => None,
        };
        fields.into_iter().flat_map(IntoIterator::into_iter).map(move |(_, field)| (name, field))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    const SDL: &str = "
        type Query {
          item: Item
          items(first: Int, after: ID): ItemConnection
          latest(last: Int): [Item!]!
          nodes(ids: [ID!]!, id: ID): [Node]!
        }
        interface Node { id: ID! }
        type Item implements Node { id: ID!, tags: [String!]! }
        type ItemConnection { edges: [ItemEdge!]!, nodes: [Item] }
        type ItemEdge { node: Item }";
    const NODES: (&str, Length) = ("Query.nodes", Length::Argument("ids"));

    fn refused(added: &str, lists: Lists) -> Option<String> {
        let schema = Schema::parse_and_validate(format!("{SDL} {added}"), "schema.graphql").unwrap();
        Model::new(schema, lists, PageSizes::default()).err()
    }

    #[test]
    fn pages_and_lists_that_are_told_are_bounded() {
        assert_eq!(refused("", &[NODES]), None);
        let parts = "extend type Item { parts: [Item]! }";
        assert_eq!(refused(parts, &[NODES, ("Item.parts", Length::Items(3))]), None);
    }

    #[test]
    fn a_list_of_which_nothing_is_known_is_refused() {
        let unknown = |list| {
            Some(format!("nothing says how long the list `{list}` is: give it `first`, or its length"))
        };
        assert_eq!(refused("", &[]), unknown("Query.nodes"));
        for (added, list) in [
            ("extend type Item { parts(after: ID): [[Item]!]! }", "Item.parts"),
            (
                "extend interface Node { parts: [Item] } extend type Item { parts(first: Int): [Item] }",
                "Node.parts",
            ),
            // A connection without a page, or in a list; and a list of it that is not the page.
            ("extend type Item { all: ItemConnection }", "ItemConnection.edges"),
            ("extend type Query { pages(first: Int): [ItemConnection] }", "ItemConnection.edges"),
            ("extend type Item { any: Any } union Any = ItemConnection", "ItemConnection.edges"),
            ("extend type ItemConnection { others: [Item] }", "ItemConnection.others"),
            ("extend type Query { edges: [Item] }", "Query.edges"),
        ] {
            assert_eq!(refused(added, &[NODES]), unknown(list), "{added}");
        }
    }

    #[test]
    fn a_length_of_no_list_is_refused() {
        for list in ["Query.item", "Query.gone", "Item.tags", "ItemConnection.edges", "Query.latest", "nodes"]
        {
            let lists = Vec::leak(vec![NODES, (list, Length::Items(3))]);
            let expected = format!("`{list}` has a length, and is no list of objects or is a page");
            assert_eq!(refused("", lists), Some(expected));
        }
        let expected = Some("`Query.nodes` has no argument `id` that is a list".to_owned());
        assert_eq!(refused("", &[("Query.nodes", Length::Argument("id"))]), expected);
    }
}
