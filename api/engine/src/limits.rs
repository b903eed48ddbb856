//! The limits of documents and responses.

use std::fmt;

/// The limits of documents and responses.
///
/// The defaults are far above what frontends send. The largest measured query of GraphiQL, its introspection, has
/// about 400 tokens, 100 selections and a depth of 15. All limits but `cost`, `event_cost` and
/// `errors` are checked before validation, without expanding fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Maximum number of lexical tokens, including punctuation and comments.
    pub tokens: u32,
    /// Maximum number of nested fields, including those in fragments.
    pub depth: u32,
    /// Maximum number of fields and fragments. A fragment counts each time it is spread.
    pub selections: u32,
    /// Maximum number of fields with an alias. A fragment counts each time it is spread.
    pub aliases: u32,
    /// Maximum number of directives. A fragment counts each time it is spread.
    pub directives: u32,
    /// Maximum number of root fields in an operation.
    pub root_fields: u32,
    /// Maximum number of objects in a response: the lengths of pages times the objects selected in each item. Ten
    /// scalars count as one object, and so do ten objects of introspection.
    pub cost: u32,
    /// The same for the response to one event of a subscription. It is lower because a subscription is charged once
    /// and has a response for every event.
    pub event_cost: u32,
    /// Maximum number of errors in a response. Further errors are only counted.
    pub errors: u32,
}

impl DocumentLimits {
    /// The limits of a server that sets none.
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

impl Default for DocumentLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A limit that a document can exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// [`DocumentLimits::tokens`].
    Tokens,
    /// The number of nested brackets, which protects the parser's stack.
    Nesting,
    /// [`DocumentLimits::depth`].
    Depth,
    /// [`DocumentLimits::selections`].
    Selections,
    /// [`DocumentLimits::aliases`].
    Aliases,
    /// [`DocumentLimits::directives`].
    Directives,
    /// [`DocumentLimits::root_fields`].
    RootFields,
    /// [`DocumentLimits::cost`].
    Cost,
    /// [`DocumentLimits::event_cost`].
    EventCost,
}

impl Limit {
    /// Returns the name that clients find in `extensions.limit`.
    pub(crate) fn name(self) -> &'static str {
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

/// The error that a document exceeds a limit. Its text is for the developer of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitExceeded {
    pub(crate) limit: Limit,
    /// The largest value that the limit allows, for `extensions.maximum`.
    pub(crate) maximum: u32,
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let maximum = self.maximum;
        match self.limit {
            Limit::Tokens => write!(f, "The document has more than {maximum} tokens. Split it."),
            Limit::Nesting => {
                write!(f, "The document nests more than {maximum} brackets. Nest fewer levels.")
            }
            Limit::Depth => {
                write!(f, "The document nests more than {maximum} fields and fragments. Nest fewer levels.")
            }
            Limit::Selections => in_document(f, maximum, "fields and fragments"),
            Limit::Aliases => in_document(f, maximum, "fields with an alias"),
            Limit::Directives => in_document(f, maximum, "directives"),
            Limit::RootFields => {
                write!(
                    f,
                    "The operation has more than {maximum} root fields. Split it into several operations."
                )
            }
            Limit::Cost => write!(
                f,
                "The response could have more than {maximum} objects. Ask for shorter pages with `first` or `last`, \
                 or nest fewer lists."
            ),
            Limit::EventCost => write!(
                f,
                "The response to one event could have more than {maximum} objects. Select only what changes, and read \
                 the rest with a query."
            ),
        }
    }
}

fn in_document(f: &mut fmt::Formatter<'_>, maximum: u32, items: &str) -> fmt::Result {
    write!(
        f,
        "The document has more than {maximum} {items}, counting a fragment each time it is spread. Split the document."
    )
}
