//! The report of an inspection, for people and for programs.

mod key_problems;
mod key_state;
mod notes;
mod problem;
mod row_problems;

use std::fmt;

use serde::Serialize;

use crate::inspect::Inspection;
use crate::names::CARD_TABLE;

pub use key_state::KeyState;
pub use problem::ReportedProblem;

/// The report of an inspection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InspectionReport {
    /// Whether the inspection found no problems.
    pub ok: bool,
    /// The kind of database: `sqlite`, `postgres` or `mysql`.
    pub database: &'static str,
    /// Which of the old key and the new key the table of cards has.
    pub state: KeyState,
    /// The number of cards.
    pub cards: i64,
    /// The number of cards that repairs have merged into other cards. The log of merged cards lists them.
    pub merged_cards: i64,
    /// The problems.
    pub problems: Vec<ReportedProblem>,
    /// Observations that are not problems.
    pub notes: Vec<String>,
}

impl Inspection {
    /// Returns the problems and the notes.
    #[must_use]
    pub fn report(&self) -> InspectionReport {
        let mut list = problem::ProblemList::default();
        key_problems::key_problems(&mut list, &self.state);
        row_problems::row_problems(&mut list, &self.figures);
        InspectionReport {
            ok: list.problems.is_empty(),
            database: self.state.dialect().name(),
            state: self.key_state(),
            cards: self.figures.cards,
            merged_cards: self.figures.merged_cards,
            problems: list.problems,
            notes: notes::notes(self),
        }
    }
}

impl fmt::Display for InspectionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{CARD_TABLE} on {}: {} cards, {}", self.database, self.cards, self.state)?;
        for problem in &self.problems {
            let by_hand = if problem.repairable { "" } else { " [`jishu repair` does not correct this]" };
            writeln!(f, "  {} ({}): {}{by_hand}", problem.code, problem.count, problem.message)?;
            for sample in &problem.samples {
                writeln!(f, "      {sample}")?;
            }
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        Ok(())
    }
}
