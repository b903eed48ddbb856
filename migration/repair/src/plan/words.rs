//! Sentences that say how many rows a merge changes.

use super::settle::{Facts, Settled, settle};
use crate::inspect::{Group, TableState};

/// The numbers of rows of each kind that a merge changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Groups that change in any way.
    pub(super) groups: usize,
    duplicates: usize,
    tests: usize,
    single: usize,
    moved: usize,
    renumbered: usize,
    pub(super) closed: usize,
    sets: usize,
    questions: i64,
    together: usize,
    raised: usize,
    scores: usize,
}

impl Tally {
    pub(super) fn of(state: &TableState, groups: &[Group]) -> Self {
        let facts = Facts::of(state);
        let mut tally = Self::default();
        for settled in groups.iter().filter_map(|group| settle(group, facts)) {
            tally.add(&settled);
        }
        tally
    }

    fn add(&mut self, settled: &Settled) {
        if settled.is_nothing() {
            return;
        }
        self.groups += 1;
        if settled.merged.is_empty() {
            self.single += 1;
        } else {
            self.tests += 1;
            self.duplicates += settled.merged.len() + 1;
        }
        for (_, from, to) in settled.moves() {
            self.moved += usize::from(from.card != to.card);
            self.renumbered += usize::from(from.number != to.number);
        }
        self.closed += settled.closed.len();
        self.sets += settled.aside.len();
        self.questions += settled.aside.iter().map(|(_, questions)| questions).sum::<i64>();
        self.together += settled.together.len();
        self.raised += usize::from(settled.raised);
        self.scores += usize::from(settled.latest.is_some() || settled.first.is_some());
    }

    pub(super) fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        let mut say = |count: usize, sentence: String| {
            if count > 0 {
                sentences.push(sentence);
            }
        };
        say(
            self.tests,
            format!(
                "{} of {} will become {}.",
                some(self.duplicates, "duplicate card"),
                some(self.tests, "test"),
                some(self.tests, "card")
            ),
        );
        say(
            self.single,
            format!("{} will be computed again from the sittings.", some(self.single, "other card")),
        );
        say(self.moved, format!("{} will move to the card that stays.", some(self.moved, "sitting")));
        say(
            self.renumbered,
            format!("{} will get a new number, in order of time.", some(self.renumbered, "sitting")),
        );
        say(
            self.closed,
            format!(
                "{} will be closed as abandoned, because a later sitting of the card is open.",
                some(self.closed, "open sitting")
            ),
        );
        let questions = usize::try_from(self.questions).unwrap_or_default();
        say(
            self.sets,
            format!(
                "{} will be kept aside: {} will stay in the table without a card.",
                some(self.sets, "question set"),
                some(questions, "question")
            ),
        );
        say(
            self.together,
            format!(
                "{} will stand beside another one on its card, because a question cannot be without a card. \
                 `jishu check` names these cards. Decide by hand which set stays.",
                some(self.together, "question set")
            ),
        );
        say(
            self.raised,
            format!(
                "{} will get a higher limit, because more attempts were used than allowed.",
                some(self.raised, "card")
            ),
        );
        say(
            self.scores,
            format!(
                "{} will take the first or latest score from the right sitting.",
                some(self.scores, "card")
            ),
        );
        if !sentences.is_empty() {
            sentences.push("Each change is logged. `jishu repair --undo` undoes the repair.".to_owned());
        }
        sentences
    }
}

fn some(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
