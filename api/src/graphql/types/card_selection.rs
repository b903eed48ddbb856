//! Finds out which fields of test cards a document selects, before a page of cards is read.

use async_graphql::Context;

use jishu_service::card::CardColumns;

/// The fields of test cards that a document selects, as far as they decide what a page of cards must read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CardSelection {
    /// Whether a selected field may need the columns with the results of sittings.
    needs_results: bool,
    /// Whether `canStart` is selected.
    pub(super) can_start: bool,
    /// Whether `extraTimeSeconds` or `extraSeconds` is selected.
    pub(super) extra_seconds: bool,
    /// Whether `paper` is selected.
    pub(super) paper: bool,
    /// Whether `grade` is selected.
    pub(super) grade: bool,
}

impl CardSelection {
    /// Collects the fields that the document selects below `edges.node` of the current field, a connection of cards.
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
            // These fields do not need the results of sittings. Any other field may need them.
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

    /// Returns whether a selected field needs values that the rows of the cards do not contain.
    pub(super) fn needs_values(self) -> bool {
        self.can_start || self.extra_seconds || self.paper || self.grade
    }

    /// Returns the columns of the cards that the selected fields need.
    pub(super) fn columns(self) -> CardColumns {
        if self.needs_results { CardColumns::All } else { CardColumns::WithoutResults }
    }
}
