//! A rule between rows.

/// A rule: the column that breaks it, the fault, and a query for the ids of the rows.
pub(super) struct BookRule {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    pub(super) fault: &'static str,
    pub(super) broken: &'static str,
}
