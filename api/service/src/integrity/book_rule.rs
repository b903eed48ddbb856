//! The form of a rule between rows.

/// A rule between rows. A report names `table` and `column`, and then says that the column "is" `fault`. The query
/// `broken` selects the ids of the rows that break the rule.
pub(super) struct BookRule {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    pub(super) fault: &'static str,
    pub(super) broken: &'static str,
}
