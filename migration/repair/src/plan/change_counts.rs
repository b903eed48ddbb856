//! Counts the rows that a merge changes, and describes them in sentences.

use super::group_plan::{AvailableColumns, GroupPlan};
use super::merge_rules::plan_group;
use crate::inspect::{CardGroup, TableState};

/// The numbers of rows of each kind that a merge changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChangeCounts {
    /// Groups of cards in which anything changes.
    pub(super) groups: usize,
    /// Cards of groups whose cards are merged, with the survivors.
    duplicate_cards: usize,
    /// Groups whose cards are merged.
    merged_groups: usize,
    /// Cards without duplicates that change.
    single_cards: usize,
    /// Sittings that get another card.
    moved_sittings: usize,
    /// Sittings that get another attempt number.
    renumbered_sittings: usize,
    /// Open sittings that are closed.
    pub(super) closed_sittings: usize,
    /// Sets of questions that no longer refer to a card.
    detached_sets: usize,
    /// Questions that no longer refer to a card.
    detached_questions: i64,
    /// Sets of questions that move to a card that has another set.
    shared_sets: usize,
    /// Cards whose number of allowed attempts rises.
    raised_limits: usize,
    /// Cards whose values about the first or the latest sitting change.
    changed_scores: usize,
}

impl ChangeCounts {
    /// Plans the changes of these groups, and counts them.
    pub(super) fn of(state: &TableState, groups: &[CardGroup]) -> Self {
        let available = AvailableColumns::of(state);
        let mut counts = Self::default();
        for plan in groups.iter().filter_map(|group| plan_group(group, available)) {
            counts.add(&plan);
        }
        counts
    }

    fn add(&mut self, plan: &GroupPlan) {
        if plan.is_unchanged() {
            return;
        }
        self.groups += 1;
        if plan.merged.is_empty() {
            self.single_cards += 1;
        } else {
            self.merged_groups += 1;
            self.duplicate_cards += plan.merged.len() + 1;
        }
        for sitting in plan.moves() {
            self.moved_sittings += usize::from(sitting.from.card != sitting.to.card);
            self.renumbered_sittings += usize::from(sitting.from.number != sitting.to.number);
        }
        self.closed_sittings += plan.closed_sittings.len();
        self.detached_sets += plan.detached_sets.len();
        self.detached_questions += plan.detached_sets.iter().map(|set| set.questions).sum::<i64>();
        self.shared_sets += plan.shared_sets.len();
        self.raised_limits += usize::from(plan.limit_raised);
        self.changed_scores += usize::from(plan.latest.is_some() || plan.first.is_some());
    }

    /// Describes the changes with one sentence for each kind of change that occurs, and a sentence about the undo.
    /// Returns nothing if nothing changes.
    pub(super) fn sentences(&self) -> Vec<String> {
        let questions = usize::try_from(self.detached_questions).unwrap_or_default();
        let kinds = [
            (
                self.merged_groups,
                format!(
                    "{} of {} will become {}.",
                    counted(self.duplicate_cards, "duplicate card"),
                    counted(self.merged_groups, "test"),
                    counted(self.merged_groups, "card")
                ),
            ),
            (
                self.single_cards,
                format!(
                    "{} will be computed again from the sittings.",
                    counted(self.single_cards, "other card")
                ),
            ),
            (
                self.moved_sittings,
                format!("{} will move to the card that stays.", counted(self.moved_sittings, "sitting")),
            ),
            (
                self.renumbered_sittings,
                format!(
                    "{} will get a new number, in order of time.",
                    counted(self.renumbered_sittings, "sitting")
                ),
            ),
            (
                self.closed_sittings,
                format!(
                    "{} will be closed as abandoned, because a later sitting of the card is open.",
                    counted(self.closed_sittings, "open sitting")
                ),
            ),
            (
                self.detached_sets,
                format!(
                    "{} will be kept aside: {} will stay in the table without a card.",
                    counted(self.detached_sets, "question set"),
                    counted(questions, "question")
                ),
            ),
            (
                self.shared_sets,
                format!(
                    "{} will move to a card that has another set, because every question must have a card. \
                     After the repair, `jishu check` names these cards. Then decide by hand which set stays.",
                    counted(self.shared_sets, "question set")
                ),
            ),
            (
                self.raised_limits,
                format!(
                    "{} will get a higher limit, because more attempts were used than allowed.",
                    counted(self.raised_limits, "card")
                ),
            ),
            (
                self.changed_scores,
                format!(
                    "{} will take the first or latest score from the right sitting.",
                    counted(self.changed_scores, "card")
                ),
            ),
        ];
        let mut sentences: Vec<String> =
            kinds.into_iter().filter(|(count, _)| *count > 0).map(|(_, sentence)| sentence).collect();
        if !sentences.is_empty() {
            sentences.push("Each change is logged. `jishu repair --undo` undoes the repair.".to_owned());
        }
        sentences
    }
}

/// Writes a number with its noun, which gets an `s` unless the number is 1.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
