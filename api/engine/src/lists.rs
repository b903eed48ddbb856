//! The lengths of the lists in a schema. The cost of an item is multiplied by the length of its list.
//!
//! A list of objects is either a page, whose length comes from `first` or `last`, or has a length in
//! [`EngineOptions::lists`](crate::EngineOptions::lists). If the length of a list is unknown, the engine refuses the
//! schema. So nobody can add a list and forget its cost.

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{FieldDefinition, Type};
use apollo_compiler::schema::{Component, ExtendedType};
use apollo_compiler::{Name, Schema};

/// The length of a list that neither `first` nor `last` bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListLength {
    /// The number of items that the cost assumes.
    Items(u32),
    /// The list has as many items as the list that is the value of this argument.
    Argument(&'static str),
}

/// The default and the maximum number of items in a page. A page is the result of a field with the argument `first` or
/// `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSizes {
    /// The number of items if a document gives neither `first` nor `last`.
    pub default: u32,
    /// The maximum number of items. Resolvers must refuse a request for more items.
    pub max: u32,
}

impl PageSizes {
    /// The page sizes that [`page_arguments`](crate::page_arguments) names in descriptions if its options give no other
    /// sizes.
    pub const DEFAULT: Self = Self { default: 50, max: 100 };
}

impl Default for PageSizes {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The lists of objects that are not pages, as `Type.field`, with their lengths.
pub type ListLengths = &'static [(&'static str, ListLength)];

/// The lengths of the lists that are not pages, by type and field.
#[derive(Debug, Default)]
pub(crate) struct LengthIndex {
    by_type: HashMap<&'static str, HashMap<&'static str, ListLength>>,
}

impl LengthIndex {
    /// Indexes the lengths in the options. Fails if a list of objects that is not a page has no length. Fails if the
    /// options give a length to any other field. Also fails if the argument of a length is not a list argument of the
    /// field.
    pub(crate) fn new(
        schema: &Schema,
        possible: &HashMap<Name, Vec<Name>>,
        lists: ListLengths,
    ) -> Result<Self, String> {
        let mut lengths = Self::default();
        for (list, length) in lists {
            let (ty, field) = list.split_once('.').unwrap_or((list, ""));
            lengths.by_type.entry(ty).or_default().insert(field, *length);
        }
        let outside_pages = types_outside_pages(schema, possible);
        let mut bounded = HashSet::new();
        for (ty, field) in fields(schema).filter(|(_, field)| is_list_of_objects(schema, &field.ty)) {
            let is_page = has_page_argument(field)
                || (is_list_of_connection(&field.name) && !outside_pages.contains(ty));
            match lengths.of(ty, &field.name) {
                None if !is_page => {
                    return Err(format!(
                        "the length of the list `{ty}.{}` is unknown: add an argument `first`, or give its length in \
                         `EngineOptions::lists`",
                        field.name
                    ));
                }
                Some(ListLength::Argument(name)) if !has_list_argument(field, name) => {
                    return Err(format!(
                        "`{ty}.{}` has no list argument `{name}`: correct the entry in `EngineOptions::lists`",
                        field.name
                    ));
                }
                Some(_) if !is_page => {
                    bounded.insert(format!("{ty}.{}", field.name));
                }
                _ => {}
            }
        }
        match lists.iter().find(|(list, _)| !bounded.contains(*list)) {
            Some((list, _)) => Err(not_a_list(list)),
            None => Ok(lengths),
        }
    }

    /// Returns the length of the list that this field of a type returns, or None if the options give no length.
    pub(crate) fn of(&self, ty: &str, field: &str) -> Option<ListLength> {
        self.by_type.get(ty)?.get(field).copied()
    }
}

/// Makes the message of the error that the options give a length to a field that is not a list of objects, or is a
/// page.
fn not_a_list(list: &str) -> String {
    format!("`{list}` is not a list of objects, or is a page: remove it from `EngineOptions::lists`")
}

/// Returns whether a field has the argument `first` or `last`. If the field returns a list, that list is the page. If
/// it returns a connection, the lists of the connection are the page.
pub(crate) fn has_page_argument(field: &FieldDefinition) -> bool {
    field.arguments.iter().any(|argument| argument.name == "first" || argument.name == "last")
}

/// Returns whether a field of a connection is a list with one entry for each item of the page.
/// <https://relay.dev/graphql/connections.htm#sec-Connection-Types>
pub(crate) fn is_list_of_connection(field: &str) -> bool {
    field == "edges" || field == "nodes"
}

fn has_list_argument(field: &FieldDefinition, argument: &str) -> bool {
    field.argument_by_name(argument).is_some_and(|argument| argument.ty.is_list())
}

fn is_list_of_objects(schema: &Schema, ty: &Type) -> bool {
    ty.is_list() && schema.types.get(ty.inner_named_type()).is_some_and(|ty| !ty.is_leaf())
}

/// Returns the root types, and the types that some field returns in a list or without the argument `first` or `last`.
/// The `edges` of such a type can have any length.
fn types_outside_pages<'s>(schema: &'s Schema, possible: &'s HashMap<Name, Vec<Name>>) -> HashSet<&'s Name> {
    let returned = fields(schema).filter(|(_, field)| field.ty.is_list() || !has_page_argument(field));
    let returned = returned.map(|(_, field)| field.ty.inner_named_type());
    let roots = &schema.schema_definition;
    let roots = [&roots.query, &roots.mutation, &roots.subscription].into_iter().flatten();
    let declared = returned.chain(roots.map(|root| &root.name));
    declared.flat_map(|ty| possible.get(ty).into_iter().flatten().chain([ty])).collect()
}

/// Returns the fields of all object types and interfaces except the types of introspection. The lengths of the lists of
/// introspection are counted in the schema itself.
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
    use crate::schema_index::SchemaIndex;

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
    const NODES: (&str, ListLength) = ("Query.nodes", ListLength::Argument("ids"));

    fn refused(added: &str, lists: ListLengths) -> Option<String> {
        let schema = Schema::parse_and_validate(format!("{SDL} {added}"), "schema.graphql").unwrap();
        SchemaIndex::new(schema, lists, PageSizes::default()).err()
    }

    #[test]
    fn pages_and_lists_with_a_length_are_accepted() {
        assert_eq!(refused("", &[NODES]), None);
        let parts = "extend type Item { parts: [Item]! }";
        assert_eq!(refused(parts, &[NODES, ("Item.parts", ListLength::Items(3))]), None);
    }

    #[test]
    fn a_list_of_unknown_length_is_refused() {
        let unknown = |list| {
            Some(format!(
                "the length of the list `{list}` is unknown: add an argument `first`, or give its length in \
                 `EngineOptions::lists`"
            ))
        };
        assert_eq!(refused("", &[]), unknown("Query.nodes"));
        for (added, list) in [
            ("extend type Item { parts(after: ID): [[Item]!]! }", "Item.parts"),
            (
                "extend interface Node { parts: [Item] } extend type Item { parts(first: Int): [Item] }",
                "Node.parts",
            ),
            // In the next three schemas, a field returns a connection without `first` and `last`, in a list, or in a
            // union. In the last two schemas, a list is not the page of a connection.
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
    fn a_length_for_anything_but_a_list_is_refused() {
        for list in ["Query.item", "Query.gone", "Item.tags", "ItemConnection.edges", "Query.latest", "nodes"]
        {
            let lists = Vec::leak(vec![NODES, (list, ListLength::Items(3))]);
            let expected = format!(
                "`{list}` is not a list of objects, or is a page: remove it from `EngineOptions::lists`"
            );
            assert_eq!(refused("", lists), Some(expected));
        }
        let expected = "`Query.nodes` has no list argument `id`: correct the entry in `EngineOptions::lists`";
        assert_eq!(refused("", &[("Query.nodes", ListLength::Argument("id"))]).as_deref(), Some(expected));
    }
}
