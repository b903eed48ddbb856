//! What a document may ask for.

/// The bounds of a document, far above what frontends send: the largest measured query of GraphiQL, its
/// introspection, has about 400 tokens, 100 selections and a depth of 15.
///
/// All but `cost` are known before the document is validated; none of them is found by walking what fragments
/// expand to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lexical tokens, comments and punctuation included.
    pub tokens: usize,
    /// How deeply fields nest, fragments followed.
    pub depth: usize,
    /// Fields and fragments, each counted as often as fragments repeat it.
    pub selections: usize,
    /// Fields with an alias, counted in the same way.
    pub aliases: usize,
    /// Directives, counted in the same way.
    pub directives: usize,
    /// Fields of the query, mutation or subscription itself.
    pub root_fields: usize,
    /// Objects that the answer may have: `first` and `last` times what is selected below.
    pub cost: u64,
    /// Errors in an answer; further ones are only counted.
    pub errors: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tokens: 10_000,
            depth: 20,
            selections: 2_000,
            aliases: 100,
            directives: 100,
            root_fields: 50,
            cost: 25_000,
            errors: 50,
        }
    }
}

/// Which bound a document is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Its name, as `extensions.limit` has it.
    pub limit: &'static str,
    /// Its value, as `extensions.maximum` has it.
    pub maximum: u64,
}

impl Exceeded {
    pub(super) fn new(limit: &'static str, maximum: usize) -> Self {
        Self { limit, maximum: u64::try_from(maximum).unwrap_or(u64::MAX) }
    }

    /// For the developer of a client.
    #[must_use]
    pub fn message(self) -> String {
        let Self { limit, maximum } = self;
        let (what, advice) = match limit {
            "tokens" => ("tokens", "Split the document."),
            "nesting" => ("levels of brackets", "Ask for less depth."),
            "depth" => ("levels of fields", "Ask for less depth."),
            "aliases" => ("fields with an alias", "Split the operation."),
            "directives" => ("directives", "Split the operation."),
            "rootFields" => ("fields at its root", "Split the operation."),
            "cost" => (
                "objects in its answer",
                "Ask for shorter pages with `first` or `last`, or nest fewer lists.",
            ),
            _ => ("selections", "Split the operation."),
        };
        format!(
            "The document may have at most {maximum} {what}, fragments counted wherever they are spread. {advice}"
        )
    }
}
