//! The plan for one group of cards.

use super::score_source::ScoreSource;
use crate::inspect::TableState;

/// The optional columns and tables of the old system that exist in this database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AvailableColumns<'s> {
    /// The structure of the tables, for the spelling of statuses.
    pub(super) state: &'s TableState,
    /// Whether cards have `attempts_used`.
    pub(super) used: bool,
    /// Whether cards have `max_attempts`.
    pub(super) allowed: bool,
    /// Whether cards have a status.
    pub(super) status: bool,
    /// Whether cards have `questions_generated`.
    pub(super) generated: bool,
    /// Whether sittings have a status, which shows whether they are open.
    pub(super) sitting_status: bool,
    /// Whether sittings have attempt numbers.
    pub(super) sitting_numbers: bool,
    /// Whether the table of questions exists.
    pub(super) questions: bool,
    /// Whether a question may be without a card.
    pub(super) detachable_questions: bool,
}

impl<'s> AvailableColumns<'s> {
    /// Finds the optional columns and tables that exist.
    pub(crate) fn of(state: &'s TableState) -> Self {
        let sittings = state.sittings();
        let questions = state.questions();
        let sitting_has = |name: &str| sittings.as_ref().is_some_and(|sittings| sittings.has(name));
        Self {
            state,
            used: state.has("attempts_used"),
            allowed: state.has("max_attempts"),
            status: state.has("status"),
            generated: state.has("questions_generated"),
            sitting_status: sitting_has("status"),
            sitting_numbers: sitting_has("attempt_number"),
            detachable_questions: questions.as_ref().is_some_and(|questions| questions.nullable),
            questions: questions.is_some(),
        }
    }
}

/// The card of a sitting, and the sitting's attempt number on that card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AttemptNumber {
    pub(crate) card: i64,
    pub(crate) number: Option<i64>,
}

/// A sitting with its present and its new card and attempt number. The sitting may keep both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SittingMove {
    pub(crate) sitting: i64,
    pub(crate) from: AttemptNumber,
    pub(crate) to: AttemptNumber,
}

/// The set of questions of a card that no longer refers to the card after the merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DetachedSet {
    pub(crate) card: i64,
    /// The number of questions in the set.
    pub(crate) questions: i64,
}

/// The plan for one group: which cards are merged, and which values the survivor gets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GroupPlan {
    /// The id of the card that stays.
    pub(crate) survivor: i64,
    /// The ids of the cards that are merged into the survivor. Empty for a card without duplicates.
    pub(crate) merged: Vec<i64>,
    /// All sittings of the group, in order of time.
    pub(crate) sittings: Vec<SittingMove>,
    /// The ids of the open sittings that are closed, because a later sitting is open.
    pub(crate) closed_sittings: Vec<i64>,
    /// The sets of questions that no longer refer to a card after the merge.
    pub(crate) detached_sets: Vec<DetachedSet>,
    /// The merged cards whose questions move to a survivor with another set, because a question cannot be without a
    /// card.
    pub(crate) shared_sets: Vec<i64>,
    /// The merged card whose set of questions stays. `None` if the survivor's own set stays.
    pub(crate) paper: Option<i64>,
    /// Whether the repair sets the survivor's `questions_generated`, because the questions that stay exist although
    /// `questions_generated` of their card denies this.
    pub(crate) mark_generated: bool,
    /// The survivor's new number of attempts used. `None` if it is unknown.
    pub(crate) used: Option<i64>,
    /// The survivor's new number of attempts allowed. `None` if it is unknown.
    pub(crate) allowed: Option<i64>,
    /// The survivor's new status. `None` if cards have no column for it, or if it is null.
    pub(crate) status: Option<String>,
    /// Whether `used`, `allowed` or `status` differ from the survivor's present values.
    pub(crate) counts_change: bool,
    /// Whether `allowed` is higher than the limit of each card, because more attempts were used or a sitting is open.
    pub(crate) limit_raised: bool,
    /// The source of the survivor's latest score. `None` if the survivor keeps its latest score.
    pub(crate) latest: Option<ScoreSource>,
    /// The source of the survivor's first score. `None` if the survivor keeps its first score.
    pub(crate) first: Option<ScoreSource>,
}

impl GroupPlan {
    /// Returns whether the plan changes no card and no sitting.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.merged.is_empty()
            && self.closed_sittings.is_empty()
            && self.moves().next().is_none()
            && !self.changes_survivor()
    }

    /// Returns whether a column of the survivor changes.
    pub(crate) fn changes_survivor(&self) -> bool {
        self.counts_change
            || self.mark_generated
            || self.paper.is_some()
            || self.latest.is_some()
            || self.first.is_some()
    }

    /// Returns the sittings that get another card or another attempt number.
    pub(crate) fn moves(&self) -> impl Iterator<Item = &SittingMove> {
        self.sittings.iter().filter(|sitting| sitting.from != sitting.to)
    }
}
