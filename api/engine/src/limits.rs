//! What a document may ask for.

use std::fmt;

/// The bounds of a document, far above what frontends send: the largest measured query of GraphiQL, its
/// introspection, has about 400 tokens, 100 selections and a depth of 15.
///
/// All but `cost` are known before the document is validated; none of them is found by walking what fragments
/// expand to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lexical tokens, comments and punctuation included.
    pub tokens: u32,
    /// How deeply fields nest, fragments followed.
    pub depth: u32,
    /// Fields and fragments, each counted as often as fragments repeat it.
    pub selections: u32,
    /// Fields with an alias, counted in the same way.
    pub aliases: u32,
    /// Directives, counted in the same way.
    pub directives: u32,
    /// Fields of the query, mutation or subscription itself.
    pub root_fields: u32,
    /// Objects that the answer may have: `first` and `last` times what is selected below. Ten scalars count as one,
    /// and so do ten objects of introspection.
    pub cost: u32,
    /// The same for each event of a subscription, which is paid for once and answered for every event.
    pub event_cost: u32,
    /// Errors in an answer; further ones are only counted.
    pub errors: u32,
}

impl Limits {
    /// What a server has that is told nothing else.
    pub const DEFAULT: Self = Self {
        tokens: 10_000,
        depth: 20,
        selections: 2_000,
        aliases: 100,
        directives: 100,
        root_fields: 50,
        cost: 25_000,
        event_cost: 500,
        errors: 50,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What of a document is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::tokens`].
    Tokens,
    /// How deeply brackets nest, which is bounded for the parser's sake.
    Nesting,
    /// [`Limits::depth`].
    Depth,
    /// [`Limits::selections`].
    Selections,
    /// [`Limits::aliases`].
    Aliases,
    /// [`Limits::directives`].
    Directives,
    /// [`Limits::root_fields`].
    RootFields,
    /// [`Limits::cost`].
    Cost,
    /// [`Limits::event_cost`].
    EventCost,
}

impl Limit {
    /// Its name in `extensions.limit`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Nesting => "nesting",
            Self::Depth => "depth",
            Self::Selections => "selections",
            Self::Aliases => "aliases",
            Self::Directives => "directives",
            Self::RootFields => "rootFields",
            Self::Cost => "cost",
            Self::EventCost => "eventCost",
        }
    }
}

/// A document that is beyond one of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which one.
    pub limit: Limit,
    /// Its value, as `extensions.maximum` has it.
    pub maximum: u32,
}

/// For the developer of a client.
impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spread = ", fragments counted wherever they are spread";
        let (what, counted, advice) = match self.limit {
            Limit::Tokens => ("tokens", "", "Split the document."),
            Limit::Nesting => ("levels of brackets", "", "Ask for less depth."),
            Limit::Depth => ("levels of fields and fragments", "", "Ask for less depth."),
            Limit::Selections => ("selections", spread, "Split the operation."),
            Limit::Aliases => ("fields with an alias", spread, "Split the operation."),
            Limit::Directives => ("directives", spread, "Split the operation."),
            Limit::RootFields => ("fields at its root", spread, "Split the operation."),
            Limit::Cost => (
                "objects in its answer",
                "",
                "Ask for shorter pages with `first` or `last`, or nest fewer lists.",
            ),
            Limit::EventCost => (
                "objects in the answer to an event",
                "",
                "Ask for what has changed, and read the rest by a query.",
            ),
        };
        write!(f, "The document may have at most {} {what}{counted}. {advice}", self.maximum)
    }
}
