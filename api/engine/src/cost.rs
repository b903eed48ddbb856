//! Computes the cost of an operation: about the largest number of objects that its response can have.
//!
//! The cost of a page is its length times the cost of one item, so that nested pages multiply. GitHub's API has a
//! similar limit: <https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits>.
//!
//! This module counts in tenths of an object. A scalar costs one tenth. An object of introspection costs one tenth too,
//! because the server makes it from memory.

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::Field;
use apollo_compiler::schema::ExtendedType;
use async_graphql::{Value as ConstValue, Variables};

use crate::lists::{ListLength, PageSizes, has_page_argument, is_list_of_connection};
use crate::schema_index::SchemaIndex;

/// The cost of an object, in tenths of an object, like all costs in this module.
const OBJECT_COST: u64 = 10;
const SCALAR_COST: u64 = 1;
/// The cost of a root field of a mutation, in addition to the cost of its result.
pub(crate) const MUTATION_FIELD_COST: u64 = 10 * OBJECT_COST;
/// The cost of an operation, in addition to the cost of its fields.
pub(crate) const OPERATION_COST: u64 = OBJECT_COST;

/// The number of times that the response repeats the selection set of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Repetition {
    Fixed(u64),
    /// The length of a page: the greater value of `first` and `last`, or the default page size if neither has a value.
    Page(Vec<PageArgument>, PageSizes),
    /// The number of items in the list that is the value of this variable. 1 if the value is not a list.
    ItemsOfVariable(String),
}

/// The value of `first` or `last` in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PageArgument {
    Fixed(u64),
    Variable(String),
}

impl PageArgument {
    /// Returns the length of the page that the argument asks for, at most the maximum. Returns `None` if the argument
    /// has no value.
    fn length(&self, variables: &Variables, sizes: PageSizes) -> Option<u64> {
        match self {
            Self::Fixed(length) => Some(*length),
            Self::Variable(name) => match variables.get(name.as_str())? {
                ConstValue::Number(number) => Some(sizes.max_length(number.as_i64())),
                _ => None,
            },
        }
    }
}

impl Repetition {
    const ONCE: Self = Self::Fixed(1);

    /// Returns the number of repetitions for these values of variables.
    fn count(&self, variables: &Variables) -> u64 {
        match self {
            Self::Fixed(count) => *count,
            Self::Page(arguments, sizes) => {
                let longest =
                    arguments.iter().filter_map(|argument| argument.length(variables, *sizes)).max();
                longest.unwrap_or(u64::from(sizes.default))
            }
            Self::ItemsOfVariable(name) => match variables.get(name.as_str()) {
                Some(ConstValue::List(items)) => length(items.len()),
                _ => 1,
            },
        }
    }
}

impl PageSizes {
    /// Returns the number of items that a page can have if `first` or `last` has this value: 0 for a negative value,
    /// and at most the maximum. Resolvers refuse a value above the maximum, so no page is longer.
    fn max_length(self, value: Option<i64>) -> u64 {
        let length = value.and_then(|value| u64::try_from(value).ok()).unwrap_or_default();
        length.min(u64::from(self.max))
    }
}

fn length(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

/// The cost of a selection set. It is computed once for a plan. [`Cost::objects`] then applies it to the values of the
/// variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// The part of the cost that does not depend on variables, in tenths of an object.
    fixed: u64,
    /// The costs of selection sets that the response repeats, each with the number of repetitions, which can depend on
    /// variables.
    repeated: Vec<(Repetition, Cost)>,
}

impl Cost {
    /// Returns the cost in objects for these values of variables, rounded down.
    pub(crate) fn objects(&self, variables: &Variables) -> u64 {
        self.count(variables) / OBJECT_COST
    }

    /// Returns the cost for these values of variables. The unit is a tenth of an object.
    fn count(&self, variables: &Variables) -> u64 {
        self.repeated.iter().fold(self.fixed, |sum, (repetition, below)| {
            sum.saturating_add(repetition.count(variables).saturating_mul(below.count(variables)))
        })
    }

    /// Adds a fixed cost in tenths of an object.
    pub(crate) fn add(&mut self, cost: u64) {
        self.fixed = self.fixed.saturating_add(cost);
    }

    /// Adds the cost of a selection set that the response repeats.
    fn add_below(&mut self, repetition: Repetition, below: Self) {
        match repetition {
            Repetition::Fixed(count) if below.repeated.is_empty() => {
                self.add(count.saturating_mul(below.fixed));
            }
            Repetition::ONCE => {
                self.add(below.fixed);
                self.repeated.extend(below.repeated);
            }
            repetition => self.repeated.push((repetition, below)),
        }
    }
}

/// The kind of object whose fields a selection set selects. The kind decides how the lengths of lists are found.
#[derive(Clone, Debug)]
enum Region {
    /// An object that is neither a connection nor an object of introspection.
    Data,
    /// A connection, with the length of its page.
    Connection(Repetition),
    /// An object of introspection.
    Introspection {
        /// Whether the response has all objects of this kind. If true, each list counts with its average length. If
        /// false, each list counts with the length of the longest one, because the response may contain only the object
        /// that has the longest list.
        of_all: bool,
    },
}

/// Adds up the costs of the fields of one selection set.
pub(crate) struct CostCounter<'s> {
    schema_index: &'s SchemaIndex,
    region: Region,
    cost: Cost,
}

impl<'s> CostCounter<'s> {
    pub(crate) fn new(schema_index: &'s SchemaIndex) -> Self {
        Self { schema_index, region: Region::Data, cost: Cost::default() }
    }

    /// Makes a counter for the selection set of a field. When the counter has all fields of that selection set, pass it
    /// to [`CostCounter::field`].
    pub(crate) fn below(&self, field: &Field) -> Self {
        let region = match (&self.region, field.name.as_str()) {
            (_, "__schema" | "__type") => Region::Introspection { of_all: false },
            (Region::Introspection { .. }, "types") => Region::Introspection { of_all: true },
            (Region::Introspection { of_all }, "fields" | "args" | "inputFields" | "enumValues") => {
                Region::Introspection { of_all: *of_all }
            }
            (Region::Introspection { .. }, _) => Region::Introspection { of_all: false },
            _ if field.ty().is_list() => Region::Data,
            _ => self.page_of(field).map_or(Region::Data, Region::Connection),
        };
        Self { schema_index: self.schema_index, region, cost: Cost::default() }
    }

    /// Makes a counter for a fragment in the same selection set. When the counter has all fields of the fragment, pass
    /// it to [`CostCounter::fragment`].
    pub(crate) fn beside(&self) -> Self {
        Self { schema_index: self.schema_index, region: self.region.clone(), cost: Cost::default() }
    }

    /// Adds the cost of a fragment from the counter that [`CostCounter::beside`] made.
    pub(crate) fn fragment(&mut self, beside: Self) {
        self.cost.add_below(Repetition::ONCE, beside.cost);
    }

    /// Adds the cost of a field that belongs to the type `parent`. `below` is the counter of the selection set of the
    /// field.
    pub(crate) fn field(&mut self, parent: &str, field: &Field, below: Self) {
        let leaf = field.inner_type_def(&self.schema_index.schema).is_none_or(ExtendedType::is_leaf);
        if leaf {
            // A server may read a whole list to count its items, so a field `totalCount` costs as much as an object.
            let is_total = field.name == "totalCount";
            self.cost.add(if is_total { OBJECT_COST } else { SCALAR_COST });
            return;
        }
        let repetition = match field.ty() {
            Type::Named(_) | Type::NonNullNamed(_) => Repetition::ONCE,
            Type::List(_) | Type::NonNullList(_) => self.repetition_of_list(parent, field),
        };
        let mut cost = below.cost;
        cost.add(if matches!(below.region, Region::Introspection { .. }) {
            SCALAR_COST
        } else {
            OBJECT_COST
        });
        self.cost.add_below(repetition, cost);
    }

    /// Returns the cost of all fields that were added.
    pub(crate) fn finish(self) -> Cost {
        self.cost
    }

    /// Returns how often the response repeats the selection set of a field that returns a list of objects.
    fn repetition_of_list(&self, parent: &str, field: &Field) -> Repetition {
        match &self.region {
            Region::Connection(page) if is_list_of_connection(&field.name) => page.clone(),
            Region::Introspection { of_all } => {
                let size = self.schema_index.introspection_list(&field.name);
                size.map_or_else(
                    || self.max_page(),
                    |size| Repetition::Fixed(if *of_all { size.average } else { size.longest }),
                )
            }
            Region::Connection(_) | Region::Data => self.page_of(field).unwrap_or_else(|| {
                match self.schema_index.lengths.of(parent, &field.name) {
                    Some(ListLength::Items(items)) => Repetition::Fixed(items.into()),
                    Some(ListLength::Argument(name)) => {
                        field.argument_by_name(name).map_or_else(|_| self.max_page(), |value| items(value))
                    }
                    None => self.max_page(),
                }
            }),
        }
    }

    /// Returns the maximum page size, for a list or an argument of unknown length. [`SchemaIndex::new`] refuses a
    /// schema with a list of unknown length, so this function is rarely needed.
    fn max_page(&self) -> Repetition {
        Repetition::Fixed(u64::from(self.schema_index.page_sizes.max))
    }

    /// Returns the length of the page that a field returns. Returns `None` if the definition of the field has neither
    /// the argument `first` nor `last`.
    fn page_of(&self, field: &Field) -> Option<Repetition> {
        if !has_page_argument(&field.definition) {
            return None;
        }
        let sizes = self.schema_index.page_sizes;
        let values = ["first", "last"].iter().filter_map(|name| field.argument_by_name(name).ok());
        let arguments: Vec<PageArgument> = values
            .filter_map(|value| match &**value {
                Value::Int(digits) => {
                    Some(PageArgument::Fixed(sizes.max_length(digits.as_str().parse().ok())))
                }
                Value::Variable(name) => Some(PageArgument::Variable(name.to_string())),
                _ => None,
            })
            .collect();
        let is_fixed = arguments.iter().all(|argument| matches!(argument, PageArgument::Fixed(_)));
        let page = Repetition::Page(arguments, sizes);
        Some(if is_fixed { Repetition::Fixed(page.count(&Variables::default())) } else { page })
    }
}

/// Returns the number of items in the value of a list argument, such as `ids` of `nodes(ids:)`. A value that is not a
/// list counts as a list with one item.
fn items(value: &Value) -> Repetition {
    match value {
        Value::List(items) => Repetition::Fixed(length(items.len())),
        Value::Variable(name) => Repetition::ItemsOfVariable(name.to_string()),
        _ => Repetition::ONCE,
    }
}
