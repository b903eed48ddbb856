//! The form of a rule between rows.

/// A rule between rows: the table and the column to report, a text that says what the value of that column is, and the
/// query `broken`, which selects the ids of the rows that break the rule.
pub(super) struct BookRule {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    pub(super) fault: &'static str,
    pub(super) broken: &'static str,
}
