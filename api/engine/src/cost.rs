//! What an operation may cost: how many objects its answer may have.
//!
//! A page costs its length times what is selected below, so that nested pages multiply. Bounding it was first
//! described for GitHub's API: <https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits>.
//!
//! Costs are reckoned in tenths of an object here: a scalar is one, and so is all that introspection answers, which
//! comes from memory.

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::Field;
use apollo_compiler::schema::ExtendedType;
use async_graphql::{Value as ConstValue, Variables};

use crate::lists::{Length, PageSizes, is_of_page, takes_a_page};
use crate::model::Model;

/// An object, in the unit of costs.
const OBJECT: u64 = 10;
const SCALAR: u64 = 1;
/// What a field of the mutation costs beside what it returns.
pub(crate) const MUTATION: u64 = 10 * OBJECT;
/// What every operation costs.
pub(crate) const OPERATION: u64 = OBJECT;

/// How often what is selected below a field is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Times {
    Fixed(u64),
    /// The longer of what `first` and `last` ask for; the default page where neither has a value.
    Page(Vec<Bound>, PageSizes),
    /// As often as a variable's list has items.
    Items(String),
}

/// What asks for the length of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bound {
    Fixed(u64),
    Variable(String),
}

impl Bound {
    fn length(&self, variables: &Variables, sizes: PageSizes) -> Option<u64> {
        match self {
            Self::Fixed(length) => Some(*length),
            Self::Variable(name) => match variables.get(name.as_str())? {
                ConstValue::Number(number) => Some(sizes.bounded(number.as_i64())),
                _ => None,
            },
        }
    }
}

impl Times {
    const ONCE: Self = Self::Fixed(1);

    fn count(&self, variables: &Variables) -> u64 {
        match self {
            Self::Fixed(times) => *times,
            Self::Page(bounds, sizes) => {
                let longest = bounds.iter().filter_map(|bound| bound.length(variables, *sizes)).max();
                longest.unwrap_or(u64::from(sizes.default))
            }
            Self::Items(name) => match variables.get(name.as_str()) {
                Some(ConstValue::List(items)) => length(items.len()),
                _ => 1,
            },
        }
    }
}

impl PageSizes {
    /// Bounds the length that an argument asks for. A resolver refuses more than the maximum, so that no page is
    /// longer.
    fn bounded(self, asked: Option<i64>) -> u64 {
        let asked = asked.and_then(|asked| u64::try_from(asked).ok()).unwrap_or_default();
        asked.min(u64::from(self.max))
    }
}

fn length(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

/// What a selection set leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// What does not depend on variables.
    fixed: u64,
    rest: Vec<(Times, Cost)>,
}

impl Cost {
    /// In objects, for these variables.
    pub(crate) fn objects(&self, variables: &Variables) -> u64 {
        self.count(variables) / OBJECT
    }

    fn count(&self, variables: &Variables) -> u64 {
        self.rest.iter().fold(self.fixed, |sum, (times, below)| {
            sum.saturating_add(times.count(variables).saturating_mul(below.count(variables)))
        })
    }

    pub(crate) fn add(&mut self, cost: u64) {
        self.fixed = self.fixed.saturating_add(cost);
    }

    fn add_below(&mut self, times: Times, below: Self) {
        match times {
            Times::Fixed(times) if below.rest.is_empty() => self.add(times.saturating_mul(below.fixed)),
            Times::ONCE => {
                self.add(below.fixed);
                self.rest.extend(below.rest);
            }
            times => self.rest.push((times, below)),
        }
    }
}

/// Where the fields of a selection set are.
#[derive(Clone, Debug)]
enum Place {
    /// Among the data.
    Data,
    /// In a connection, whose lists are as long as its page.
    Connection(Times),
    /// In introspection.
    Introspection {
        /// Whether all of a kind are answered, so that the average says how long their lists are; else it may be the
        /// one with the longest.
        of_all: bool,
    },
}

/// Adds up the fields of one selection set.
pub(crate) struct Counter<'s> {
    model: &'s Model,
    place: Place,
    cost: Cost,
}

impl<'s> Counter<'s> {
    pub(crate) fn new(model: &'s Model) -> Self {
        Self { model, place: Place::Data, cost: Cost::default() }
    }

    /// The counter of what is below a field, for [`Counter::field`] to take back.
    pub(crate) fn below(&self, field: &Field) -> Self {
        let place = match (&self.place, field.name.as_str()) {
            (_, "__schema" | "__type") => Place::Introspection { of_all: false },
            (Place::Introspection { .. }, "types") => Place::Introspection { of_all: true },
            (Place::Introspection { of_all }, "fields" | "args" | "inputFields" | "enumValues") => {
                Place::Introspection { of_all: *of_all }
            }
            (Place::Introspection { .. }, _) => Place::Introspection { of_all: false },
            _ if field.ty().is_list() => Place::Data,
            _ => self.page_of(field).map_or(Place::Data, Place::Connection),
        };
        Self { model: self.model, place, cost: Cost::default() }
    }

    /// The counter of a fragment in the same selection set, for [`Counter::fragment`] to take back.
    pub(crate) fn beside(&self) -> Self {
        Self { model: self.model, place: self.place.clone(), cost: Cost::default() }
    }

    /// A fragment's fields count with those of its parent.
    pub(crate) fn fragment(&mut self, beside: Self) {
        self.cost.add_below(Times::ONCE, beside.cost);
    }

    /// Adds a field of `parent` with what is below it.
    pub(crate) fn field(&mut self, parent: &str, field: &Field, below: Self) {
        let leaf = field.inner_type_def(&self.model.schema).is_none_or(ExtendedType::is_leaf);
        if leaf {
            // It takes a statement to count.
            let counts = field.name == "totalCount";
            self.cost.add(if counts { OBJECT } else { SCALAR });
            return;
        }
        let times = match field.ty() {
            Type::Named(_) | Type::NonNullNamed(_) => Times::ONCE,
            Type::List(_) | Type::NonNullList(_) => self.times_of_list(parent, field),
        };
        let mut cost = below.cost;
        cost.add(if matches!(below.place, Place::Introspection { .. }) { SCALAR } else { OBJECT });
        self.cost.add_below(times, cost);
    }

    pub(crate) fn finish(self) -> Cost {
        self.cost
    }

    fn times_of_list(&self, parent: &str, field: &Field) -> Times {
        match &self.place {
            Place::Connection(page) if is_of_page(&field.name) => page.clone(),
            Place::Introspection { of_all } => {
                let size = self.model.introspected(&field.name);
                size.map_or_else(
                    || self.longest(),
                    |size| Times::Fixed(if *of_all { size.average } else { size.longest }),
                )
            }
            Place::Connection(_) | Place::Data => {
                self.page_of(field).unwrap_or_else(|| match self.model.lengths.of(parent, &field.name) {
                    Some(Length::Items(items)) => Times::Fixed(items.into()),
                    Some(Length::Argument(name)) => {
                        field.argument_by_name(name).map_or_else(|_| self.longest(), |value| items(value))
                    }
                    None => self.longest(),
                })
            }
        }
    }

    /// Returns the longest page, for a list that the model does not know. It knows every list of its schema.
    fn longest(&self) -> Times {
        Times::Fixed(u64::from(self.model.page_sizes.max))
    }

    /// Returns the length of the page that a field's `first` or `last` asks for. The field is the page itself where
    /// it is a list, or else a connection.
    fn page_of(&self, field: &Field) -> Option<Times> {
        if !takes_a_page(&field.definition) {
            return None;
        }
        let sizes = self.model.page_sizes;
        let bounds = ["first", "last"].iter().filter_map(|name| field.argument_by_name(name).ok());
        let bounds: Vec<Bound> = bounds
            .filter_map(|value| match &**value {
                Value::Int(digits) => Some(Bound::Fixed(sizes.bounded(digits.as_str().parse().ok()))),
                Value::Variable(name) => Some(Bound::Variable(name.to_string())),
                _ => None,
            })
            .collect();
        let is_fixed = bounds.iter().all(|bound| matches!(bound, Bound::Fixed(_)));
        let times = Times::Page(bounds, sizes);
        Some(if is_fixed { Times::Fixed(times.count(&Variables::default())) } else { times })
    }
}

/// A list that is asked for by a list, such as `nodes(ids:)`, is as long; one value stands for a list of one.
fn items(value: &Value) -> Times {
    match value {
        Value::List(items) => Times::Fixed(length(items.len())),
        Value::Variable(name) => Times::Items(name.to_string()),
        _ => Times::ONCE,
    }
}
