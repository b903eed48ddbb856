//! The schema, with tables that planning and costs use.

use std::collections::HashMap;

use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema};

use crate::lists::{LengthIndex, ListLengths, PageSizes};

/// Whether a fragment applies to all, some or none of the objects of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeMatch {
    Always,
    Sometimes,
    Never,
}

/// The lengths that the lists of one field of introspection have in this schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IntrospectionLength {
    /// The average length over all objects that have the list, rounded up.
    pub(crate) average: u64,
    pub(crate) longest: u64,
}

impl IntrospectionLength {
    fn of(sizes: impl Iterator<Item = usize>) -> Self {
        let (mut sum, mut count, mut longest) = (0_u64, 0_u64, 0);
        for size in sizes {
            let size = u64::try_from(size).unwrap_or(u64::MAX);
            sum = sum.saturating_add(size);
            count += 1;
            longest = longest.max(size);
        }
        Self { average: sum.div_ceil(count.max(1)), longest }
    }
}

/// The schema, with tables that planning and costs use.
#[derive(Debug)]
pub(crate) struct SchemaIndex {
    pub(crate) schema: Valid<Schema>,
    /// The possible object types of each object type, interface and union. An object type has itself.
    possible: HashMap<Name, Vec<Name>>,
    /// The lengths of the lists of introspection, by the name of the field.
    introspection: HashMap<&'static str, IntrospectionLength>,
    /// The lengths of the lists outside introspection that are not pages.
    pub(crate) lengths: LengthIndex,
    pub(crate) page_sizes: PageSizes,
}

impl SchemaIndex {
    /// Builds the tables. Fails if `lists` does not give the length of exactly those lists of objects that are not
    /// pages.
    pub(crate) fn new(
        schema: Valid<Schema>,
        lists: ListLengths,
        page_sizes: PageSizes,
    ) -> Result<Self, String> {
        let mut possible = HashMap::new();
        for (name, implementers) in schema.implementers_map() {
            possible.insert(name, implementers.objects.into_iter().collect());
        }
        for (name, ty) in &schema.types {
            match ty {
                ExtendedType::Object(_) => {
                    possible.insert(name.clone(), vec![name.clone()]);
                }
                ExtendedType::Union(union) => {
                    possible.insert(name.clone(), union.members.iter().map(|it| it.name.clone()).collect());
                }
                _ => {}
            }
        }
        let introspection = introspection_lists(&schema, &possible);
        let lengths = LengthIndex::new(&schema, &possible, lists)?;
        Ok(Self { schema, possible, introspection, lengths, page_sizes })
    }

    /// Returns the possible object types of an object type, an interface or a union, and no types for an unknown name.
    pub(crate) fn possible_types(&self, ty: &str) -> &[Name] {
        self.possible.get(ty).map_or(&[], Vec::as_slice)
    }

    /// Returns whether a fragment on the type `condition` applies to objects of the type `parent`. If `parent` is an
    /// abstract type other than `condition`, the result is never `Always`, even if the fragment applies to all objects
    /// of `parent`. On an abstract type, async-graphql resolves only the fields that the type itself declares.
    pub(crate) fn applies(&self, condition: &str, parent: &str) -> TypeMatch {
        if condition == parent {
            return TypeMatch::Always;
        }
        let selected = self.possible_types(condition);
        let is_object = matches!(self.schema.types.get(parent), Some(ExtendedType::Object(_)));
        match self.possible_types(parent).iter().any(|object| selected.contains(object)) {
            false => TypeMatch::Never,
            true if is_object => TypeMatch::Always,
            true => TypeMatch::Sometimes,
        }
    }

    /// Returns the lengths of a list of introspection by the name of its field, or `None` for another field.
    pub(crate) fn introspection_list(&self, list: &str) -> Option<IntrospectionLength> {
        self.introspection.get(list).copied()
    }
}

/// Counts the lengths of the lists of introspection in a schema.
fn introspection_lists(
    schema: &Schema,
    possible: &HashMap<Name, Vec<Name>>,
) -> HashMap<&'static str, IntrospectionLength> {
    let types = || schema.types.values();
    let fields = |ty: &ExtendedType| match ty {
        ExtendedType::Object(object) => object.fields.values().map(|it| it.arguments.len()).collect(),
        ExtendedType::Interface(interface) => {
            interface.fields.values().map(|it| it.arguments.len()).collect()
        }
        _ => Vec::new(),
    };
    let arguments = types()
        .flat_map(fields)
        .chain(schema.directive_definitions.values().map(|directive| directive.arguments.len()));
    HashMap::from([
        ("types", IntrospectionLength::of([schema.types.len()].into_iter())),
        ("directives", IntrospectionLength::of([schema.directive_definitions.len()].into_iter())),
        ("fields", IntrospectionLength::of(types().map(|ty| fields(ty).len()))),
        ("args", IntrospectionLength::of(arguments)),
        (
            "inputFields",
            IntrospectionLength::of(types().map(|ty| match ty {
                ExtendedType::InputObject(input) => input.fields.len(),
                _ => 0,
            })),
        ),
        (
            "enumValues",
            IntrospectionLength::of(types().map(|ty| match ty {
                ExtendedType::Enum(values) => values.values.len(),
                _ => 0,
            })),
        ),
        (
            "interfaces",
            IntrospectionLength::of(types().map(|ty| match ty {
                ExtendedType::Object(object) => object.implements_interfaces.len(),
                ExtendedType::Interface(interface) => interface.implements_interfaces.len(),
                _ => 0,
            })),
        ),
        (
            "possibleTypes",
            IntrospectionLength::of(types().map(|ty| match ty {
                ExtendedType::Interface(_) | ExtendedType::Union(_) => {
                    possible.get(ty.name()).map_or(0, Vec::len)
                }
                _ => 0,
            })),
        ),
    ])
}
