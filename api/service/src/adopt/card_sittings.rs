//! Carries the sittings of the cards of a purchase, and records what cannot be carried.

use chrono::{DateTime, Utc};

use super::batch::Fate;
use super::cards::OldCard;
use super::old::{ANSWERS, CARDS, SITTINGS};
use super::purchases::{PARENT_LEFT, PurchaseBatch};
use super::sittings::{self, PaperSlot, SittingPlan};

impl PurchaseBatch<'_> {
    /// Plans each sitting of an old card that can be carried, and records those that cannot. `fallback` is the time of
    /// a sitting whose time is not known.
    pub(super) fn plan_sittings(&mut self, card: &OldCard, fallback: DateTime<Utc>) -> Vec<SittingPlan> {
        let mut plans = Vec::new();
        for sitting in self.old.sittings.remove(&card.id).unwrap_or_default() {
            let answers = self.old.answers.remove(&sitting.id).unwrap_or_default();
            let is_of_subject = |slot: &PaperSlot| Some(slot.subject) == card.subject;
            let paper = self.old.papers.get(&card.id);
            let paper = paper.filter(|paper| paper.slots.iter().all(is_of_subject));
            let questions = card.question_count(paper.map_or(0, |paper| paper.slots.len()));
            let plan = match sitting.user {
                Some(user) if Some(user) != card.user => {
                    Err("This sitting was not carried: it belongs to another account than its card."
                        .to_owned())
                }
                _ => sittings::plan(&sitting, questions, paper, &answers, fallback),
            };
            let count = i64::try_from(answers.len()).unwrap_or_default();
            self.state.counts(&SITTINGS).read += 1;
            self.state.counts(&ANSWERS).read += count;
            match plan {
                Ok(plan) => {
                    self.state.counts(&SITTINGS).carried += 1;
                    match &plan.answers {
                        Some(_) => self.state.counts(&ANSWERS).carried += count,
                        None => self.state.counts(&ANSWERS).not_carried += count,
                    }
                    plans.push(plan);
                }
                Err(reason) => {
                    self.batch.refuse(self.state, (&SITTINGS, sitting.id), reason);
                    self.refuse_answers(sitting.id, count);
                }
            }
        }
        plans
    }

    pub(super) fn refuse_card(&mut self, card: &OldCard, reason: &str) {
        self.batch.refuse(self.state, (&CARDS, card.id), reason);
        for sitting in self.old.sittings.remove(&card.id).unwrap_or_default() {
            let answers = self.old.answers.remove(&sitting.id).unwrap_or_default();
            self.state.counts(&SITTINGS).read += 1;
            self.batch.refuse(self.state, (&SITTINGS, sitting.id), PARENT_LEFT);
            let count = i64::try_from(answers.len()).unwrap_or_default();
            self.state.counts(&ANSWERS).read += count;
            self.refuse_answers(sitting.id, count);
        }
    }

    /// Counts the answers of a sitting as not carried, and adds one entry about all of them to the ledger.
    fn refuse_answers(&mut self, sitting: i64, count: i64) {
        if count > 0 {
            self.state.counts(&ANSWERS).not_carried += count;
            let reason = format!(
                "The answers of this sitting were not carried ({count}), because the sitting itself was not carried."
            );
            self.batch.record(self.state, (&ANSWERS, sitting), Fate::NotCarried, None, reason);
        }
    }
}
