//! What an operation may cost: how many objects its answer may have.
//!
//! A page costs its length times what is selected below, so that nested pages multiply. Bounding it was first
//! described for GitHub's API: <https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits>.

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::{Argument, Field};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Node, Schema};
use async_graphql::{Value as ConstValue, Variables};

use crate::graphql::pagination::{DEFAULT_PAGE, LONGEST_PAGE};

/// How long a list is taken to be that no argument bounds.
const UNBOUNDED_LIST: u64 = 10;
/// What a field of the mutation costs beside what it returns.
pub(super) const MUTATION: u64 = 10;

/// How often what is selected below a field is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Times {
    Fixed(u64),
    /// As a variable says that asks for a page.
    Page(String),
    /// As often as a variable's list has items.
    Items(String),
}

impl Times {
    const ONCE: Self = Self::Fixed(1);

    fn count(&self, variables: &Variables) -> u64 {
        match self {
            Self::Fixed(times) => *times,
            Self::Page(name) => match variables.get(name.as_str()) {
                Some(ConstValue::Number(number)) => page(number.as_i64()),
                _ => u64::from(DEFAULT_PAGE),
            },
            Self::Items(name) => match variables.get(name.as_str()) {
                Some(ConstValue::List(items)) => length(items.len()),
                _ => 1,
            },
        }
    }
}

/// More than the longest page is refused where the page is read.
fn page(asked: Option<i64>) -> u64 {
    let asked = asked.and_then(|asked| u64::try_from(asked).ok()).unwrap_or_default();
    asked.min(u64::from(LONGEST_PAGE))
}

fn length(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

/// The objects that a selection set leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// What does not depend on variables.
    fixed: u64,
    rest: Vec<(Times, Cost)>,
}

impl Cost {
    /// For these variables.
    pub(super) fn count(&self, variables: &Variables) -> u64 {
        self.rest.iter().fold(self.fixed, |sum, (times, below)| {
            sum.saturating_add(times.count(variables).saturating_mul(below.count(variables)))
        })
    }

    pub(super) fn add(&mut self, objects: u64) {
        self.fixed = self.fixed.saturating_add(objects);
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

/// Adds up the fields of one selection set.
pub(super) struct Counter<'s> {
    schema: &'s Schema,
    /// The page that the connection has whose fields these are.
    page: Option<Times>,
    cost: Cost,
}

impl<'s> Counter<'s> {
    pub(super) fn new(schema: &'s Schema) -> Self {
        Self { schema, page: None, cost: Cost::default() }
    }

    /// The counter of what is below a field, for [`Counter::field`] to take back.
    pub(super) fn below(&self, field: &Field) -> Self {
        Self { schema: self.schema, page: page_of(field), cost: Cost::default() }
    }

    /// A fragment's fields count with those of its parent.
    pub(super) fn fragment(&mut self, below: Self) {
        self.cost.add_below(Times::ONCE, below.cost);
    }

    /// The counter of a fragment in the same selection set.
    pub(super) fn beside(&self) -> Self {
        Self { schema: self.schema, page: self.page.clone(), cost: Cost::default() }
    }

    /// Adds a field with what is below it.
    pub(super) fn field(&mut self, field: &Field, below: Self) {
        // Introspection answers from the schema; how far it nests is checked where it is validated.
        if field.name.starts_with("__") {
            self.cost.add(u64::from(!field.selection_set.is_empty()));
            return;
        }
        let leaf = field.inner_type_def(self.schema).is_none_or(ExtendedType::is_leaf);
        if leaf {
            return;
        }
        let times = match field.ty() {
            Type::Named(_) | Type::NonNullNamed(_) => Times::ONCE,
            Type::List(_) | Type::NonNullList(_) => self.times_of_list(field),
        };
        let mut cost = below.cost;
        cost.add(1);
        self.cost.add_below(times, cost);
    }

    pub(super) fn finish(self) -> Cost {
        self.cost
    }

    fn times_of_list(&self, field: &Field) -> Times {
        if let Some(page) = &self.page {
            return page.clone();
        }
        field.arguments.iter().find_map(items).unwrap_or(Times::Fixed(UNBOUNDED_LIST))
    }
}

/// A field that takes `first` answers a page.
fn page_of(field: &Field) -> Option<Times> {
    if !field.definition.arguments.iter().any(|argument| argument.name == "first") {
        return None;
    }
    let bounds = ["first", "last"].iter().filter_map(|name| field.specified_argument_by_name(name));
    let asked = bounds.into_iter().find_map(|value| match &**value {
        Value::Int(digits) => Some(Times::Fixed(page(digits.as_str().parse().ok()))),
        Value::Variable(name) => Some(Times::Page(name.to_string())),
        _ => None,
    });
    Some(asked.unwrap_or(Times::Fixed(u64::from(DEFAULT_PAGE))))
}

/// A list that is asked for by a list, such as `nodes(ids:)`, is as long.
fn items(argument: &Node<Argument>) -> Option<Times> {
    match &*argument.value {
        Value::List(items) => Some(Times::Fixed(length(items.len()))),
        Value::Variable(name) => Some(Times::Items(name.to_string())),
        _ => None,
    }
}
