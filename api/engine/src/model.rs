//! The schema, with what is asked of it for every document.

use std::collections::HashMap;

use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema};

use crate::lists::{Lengths, Lists, PageSizes};

/// Whether a fragment applies to the objects of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applies {
    Always,
    Sometimes,
    Never,
}

/// How many entries a list of introspection has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListSize {
    /// On average over all that have such a list, rounded up.
    pub(crate) average: u64,
    pub(crate) longest: u64,
}

impl ListSize {
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

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) schema: Valid<Schema>,
    /// The object types that a value of a type may have.
    possible: HashMap<Name, Vec<Name>>,
    /// The lists of introspection, by the name of the field.
    introspection: HashMap<&'static str, ListSize>,
    /// All other lists of objects that are no pages.
    pub(crate) lengths: Lengths,
    pub(crate) page_sizes: PageSizes,
}

impl Model {
    /// What is wrong where `lists` does not tell of each list that is no page.
    pub(crate) fn new(schema: Valid<Schema>, lists: Lists, page_sizes: PageSizes) -> Result<Self, String> {
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
        let introspection = list_sizes(&schema, &possible);
        let lengths = Lengths::new(&schema, &possible, lists)?;
        Ok(Self { schema, possible, introspection, lengths, page_sizes })
    }

    pub(crate) fn possible_types(&self, ty: &str) -> &[Name] {
        self.possible.get(ty).map_or(&[], Vec::as_slice)
    }

    /// Whether what is selected on `condition` applies to an object of the type `parent`. For an interface or a union
    /// that is never told for all of its objects: the engine finds on it only the fields that itself declares.
    pub(crate) fn applies(&self, condition: &str, parent: &str) -> Applies {
        if condition == parent {
            return Applies::Always;
        }
        let selected = self.possible_types(condition);
        let is_object = matches!(self.schema.types.get(parent), Some(ExtendedType::Object(_)));
        match self.possible_types(parent).iter().any(|object| selected.contains(object)) {
            false => Applies::Never,
            true if is_object => Applies::Always,
            true => Applies::Sometimes,
        }
    }

    /// None for a list that introspection does not have.
    pub(crate) fn introspected(&self, list: &str) -> Option<ListSize> {
        self.introspection.get(list).copied()
    }
}

fn list_sizes(schema: &Schema, possible: &HashMap<Name, Vec<Name>>) -> HashMap<&'static str, ListSize> {
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
        ("types", ListSize::of([schema.types.len()].into_iter())),
        ("directives", ListSize::of([schema.directive_definitions.len()].into_iter())),
        ("fields", ListSize::of(types().map(|ty| fields(ty).len()))),
        ("args", ListSize::of(arguments)),
        (
            "inputFields",
            ListSize::of(types().map(|ty| match ty {
                ExtendedType::InputObject(input) => input.fields.len(),
                _ => 0,
            })),
        ),
        (
            "enumValues",
            ListSize::of(types().map(|ty| match ty {
                ExtendedType::Enum(values) => values.values.len(),
                _ => 0,
            })),
        ),
        (
            "interfaces",
            ListSize::of(types().map(|ty| match ty {
                ExtendedType::Object(object) => object.implements_interfaces.len(),
                ExtendedType::Interface(interface) => interface.implements_interfaces.len(),
                _ => 0,
            })),
        ),
        (
            "possibleTypes",
            ListSize::of(types().map(|ty| match ty {
                ExtendedType::Interface(_) | ExtendedType::Union(_) => {
                    possible.get(ty.name()).map_or(0, Vec::len)
                }
                _ => 0,
            })),
        ),
    ])
}
