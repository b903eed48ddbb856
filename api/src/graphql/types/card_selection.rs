//! The fields of cards that a document selects, known before a page of cards is read.

use async_graphql::Context;

use jishu_service::card::CardColumns;

/// The fields of cards that a page must prepare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CardSelection {
    /// Whether a field may need the results of sittings.
    needs_results: bool,
    /// Whether `canStart` is selected.
    pub(super) can_start: bool,
    /// Whether the extra time is selected.
    pub(super) extra_seconds: bool,
    /// Whether `paper` is selected.
    pub(super) paper: bool,
    /// Whether `grade` is selected.
    pub(super) grade: bool,
}

impl CardSelection {
    /// Collects the selected fields of the cards of a connection.
    pub(super) fn of(ctx: &Context<'_>) -> Self {
        let mut selection = Self::default();
        for node in ctx.look_ahead().field("edges").field("node").selection_fields() {
            for field in node.selection_set() {
                selection.add(field.name());
            }
        }
        selection
    }

    fn add(&mut self, field: &str) {
        match field {
            // These fields need no results. Any other field may.
            "__typename" | "id" | "mockTestAttemptId" | "purchase" | "subject" | "testNumber" | "status"
            | "maxAttempts" | "attemptsUsed" | "remainingAttempts" => {}
            "canStart" => self.can_start = true,
            "extraTimeSeconds" | "extraSeconds" => self.extra_seconds = true,
            "paper" => self.paper = true,
            "grade" => {
                self.grade = true;
                self.needs_results = true;
            }
            _ => self.needs_results = true,
        }
    }

    /// Returns whether a field needs values besides the rows.
    pub(super) fn needs_values(self) -> bool {
        self.can_start || self.extra_seconds || self.paper || self.grade
    }

    /// Returns the columns that the fields need.
    pub(super) fn columns(self) -> CardColumns {
        if self.needs_results { CardColumns::All } else { CardColumns::WithoutResults }
    }
}
