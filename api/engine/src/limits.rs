//! The limits of documents and of their responses.

use std::fmt;

/// The limits of documents and of their responses.
///
/// The defaults are far above the size of the documents that frontends send. The largest measured query of GraphiQL,
/// its introspection, has about 400 tokens, 100 selections and a depth of 15. All limits except `cost`, `event_cost`
/// and `errors` are checked before validation, without expanding fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Maximum number of lexical tokens in a document, including punctuation and comments.
    pub tokens: u32,
    /// Maximum number of fields that are nested in each other, including the fields in fragments.
    pub depth: u32,
    /// Maximum number of fields and fragments in a document. A fragment and its fields count each time the fragment is
    /// spread.
    pub selections: u32,
    /// Maximum number of fields with an alias in a document. The fields of a fragment count each time the fragment is
    /// spread.
    pub aliases: u32,
    /// Maximum number of directives in a document. The directives in a fragment count each time the fragment is spread.
    pub directives: u32,
    /// Maximum number of root fields in an operation.
    pub root_fields: u32,
    /// Maximum cost of a query or a mutation: about the number of objects that the response can have. Ten scalars count
    /// as one object, and so do ten objects of introspection.
    pub cost: u32,
    /// Maximum cost of the response to one event of a subscription. Its default is lower than that of `cost`, because a
    /// subscription has a response for every event, but a server may charge for a subscription only once.
    pub event_cost: u32,
    /// Maximum number of errors in a response. If a resolved operation has more errors, one last error gives the number
    /// of errors that were left out.
    pub errors: u32,
}

impl DocumentLimits {
    /// The limits in the default options of an engine.
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
    /// The limit in [`DocumentLimits::tokens`].
    Tokens,
    /// The maximum number of nested brackets, which protects the stack of the parser.
    Nesting,
    /// The limit in [`DocumentLimits::depth`], or the maximum number of nested fields and fragments together, which
    /// protects the stack.
    Depth,
    /// The limit in [`DocumentLimits::selections`].
    Selections,
    /// The limit in [`DocumentLimits::aliases`].
    Aliases,
    /// The limit in [`DocumentLimits::directives`].
    Directives,
    /// The limit in [`DocumentLimits::root_fields`].
    RootFields,
    /// The maximum number of fields and argument values in a plan. It follows from [`DocumentLimits::selections`] and
    /// [`DocumentLimits::tokens`].
    PlanSize,
    /// The limit in [`DocumentLimits::cost`].
    Cost,
    /// The limit in [`DocumentLimits::event_cost`].
    EventCost,
}

impl Limit {
    /// Returns the name of the limit that clients find in `extensions.limit`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Nesting => "nesting",
            Self::Depth => "depth",
            Self::Selections => "selections",
            Self::Aliases => "aliases",
            Self::Directives => "directives",
            Self::RootFields => "rootFields",
            Self::PlanSize => "planSize",
            Self::Cost => "cost",
            Self::EventCost => "eventCost",
        }
    }
}

/// The error that a document or its response exceeds a limit. The text of the error is for the developers of clients.
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
            Limit::Tokens => write!(f, "The document has more than {maximum} tokens. Split the document."),
            Limit::Nesting => {
                write!(f, "The document nests more than {maximum} brackets. Nest fewer levels.")
            }
            Limit::Depth => {
                write!(
                    f,
                    "The document nests more than {maximum} fields, or too many fragments. Nest fewer levels."
                )
            }
            Limit::Selections => write!(
                f,
                "The document expands to too many fields and fragments: the limit is {maximum}, counting a fragment \
                 each time it is spread. Split the document."
            ),
            Limit::Aliases => in_document(f, maximum, "fields with an alias"),
            Limit::Directives => in_document(f, maximum, "directives"),
            Limit::RootFields => {
                write!(
                    f,
                    "The operation has more than {maximum} root fields. Split the operation into several operations."
                )
            }
            Limit::PlanSize => write!(
                f,
                "The operation expands to more than {maximum} fields and values of arguments. A fragment counts each \
                 time it is spread, and for each type of object that it applies to. Split the operation into several \
                 operations."
            ),
            Limit::Cost => write!(
                f,
                "The response could have more than {maximum} objects. Ask for shorter pages with `first` or `last`, \
                 or nest fewer lists."
            ),
            Limit::EventCost => write!(
                f,
                "The response to one event could have more than {maximum} objects. Select only fields that change, and \
                 read the other fields with a query."
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
