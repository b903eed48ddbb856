//! Merging groups of cards, a transaction a batch.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Value};
use serde::Serialize;

use super::numbers::moves;
use crate::TOGETHER;
use crate::error::RepairError;
use crate::inspect::groups::{Which, load, locked_ids};
use crate::inspect::{Group, TableState};
use crate::plan::settle::{Facts, Place, Settled, settle};
use crate::plan::{Texts, reason};
use crate::sql::execute;

/// Cards that became one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// Their purchase.
    pub purchase_id: String,
    /// Their subject.
    pub subject_id: String,
    /// Their number.
    pub test_number: String,
    /// The card that stays.
    pub survivor_id: i64,
    /// The cards that are in the log now. Empty for a card that was only corrected.
    pub merged_ids: Vec<i64>,
    /// How often the survivor counts as sat now. Null where the table does not count.
    pub attempts_used: Option<i64>,
}

/// What runs inside one transaction.
pub(crate) struct Batch<'b, C> {
    pub(crate) connection: &'b C,
    pub(crate) state: &'b TableState,
    pub(crate) run: i64,
}

impl<C: ConnectionTrait> Batch<'_, C> {
    /// Merges these groups. Skips groups that are no longer wrong under the lock.
    pub(crate) async fn merge(&self, groups: &[Group]) -> Result<Vec<Merged>, RepairError> {
        let facts = Facts::of(self.state);
        let mut settled = Vec::new();
        for group in self.locked(groups).await? {
            if let Some(found) = settle(&group, facts).filter(|found| !found.is_nothing()) {
                settled.push((group, found));
            }
        }
        let all: Vec<&Settled> = settled.iter().map(|(_, found)| found).collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let texts = Texts::of(self.state, self.run);
        let survivors = numbers_in(all.iter().map(|found| found.survivor));
        let merged = Merging::of(&all);

        execute(self.connection, texts.keep_survivors(&survivors), []).await?;
        if merged.count > 0 {
            let logged = execute(self.connection, texts.log_cards(&merged.ids, &merged.cases), []).await?;
            expect("cards written to the log", logged, merged.count)?;
        }
        self.move_sittings(&texts, &all).await?;
        self.put_aside(&texts, &all).await?;
        if merged.count > 0 {
            self.put_together(&texts, &all, &merged).await?;
            for child in self.state.followers() {
                for text in texts.follow(&child, &merged.ids, &merged.cases, reason::MERGED) {
                    execute(self.connection, text, []).await?;
                }
            }
        }
        self.recompute(&texts, &all).await?;
        if merged.count > 0 {
            let deleted = execute(self.connection, texts.delete_cards(&merged.ids), []).await?;
            expect("cards deleted from the table", deleted, merged.count)?;
        }
        Ok(settled.into_iter().map(|(group, found)| told(group, found)).collect())
    }

    /// Loads the groups under a lock, which keeps other transactions from writing rows that refer to the cards.
    async fn locked(&self, groups: &[Group]) -> Result<Vec<Group>, RepairError> {
        let ids: Vec<i64> = groups.iter().flat_map(|group| &group.cards).map(|card| card.id).collect();
        let (condition, ids) = locked_ids(self.state, &ids);
        let which = Which { condition: &condition, ids, lock: true };
        let loaded = load(self.connection, self.state, &which).await?;
        let mut found = Vec::new();
        for planned in groups {
            let Some(first) = planned.cards.first() else { continue };
            let holds = |group: &&Group| group.cards.iter().any(|card| card.id == first.id);
            let Some(group) = loaded.iter().find(holds) else { continue };
            let is_planned = |id: i64| planned.cards.iter().any(|card| card.id == id);
            found.push(Group {
                key: group.key.clone(),
                cards: group.cards.iter().filter(|card| is_planned(card.id)).cloned().collect(),
                sittings: group.sittings.iter().filter(|one| is_planned(one.card)).cloned().collect(),
            });
        }
        Ok(found)
    }

    async fn move_sittings(&self, texts: &Texts<'_>, all: &[&Settled]) -> Result<(), RepairError> {
        let Some(sittings) = self.state.sittings() else { return Ok(()) };
        let (child, key) = (&sittings.child, sittings.id.as_str());
        let closed: Vec<i64> = all.iter().flat_map(|found| &found.closed).copied().collect();
        if !closed.is_empty() {
            for text in texts.close(child, key, &numbers_in(closed.iter().copied())) {
                let changed = execute(self.connection, text, []).await?;
                expect("open sittings closed", changed, closed.len())?;
            }
        }
        let moved: Vec<&(i64, Place, Place)> = all.iter().flat_map(|found| found.moves()).collect();
        let cards = moved.iter().filter(|(_, from, to)| from.card != to.card);
        self.log_places(texts, &child.column, cards.map(|(id, _, to)| (*id, Some(to.card)))).await?;
        let numbers = moved.iter().filter(|(_, from, to)| from.number != to.number);
        self.log_places(texts, "attempt_number", numbers.map(|(id, _, to)| (*id, to.number))).await?;

        let dialect = self.state.dialect();
        let [card, number, id] = [1, 2, 3].map(|position| dialect.parameter(position));
        let with_number = texts.place(child, key, &id, &card, Some(&number));
        let without = texts.place(child, key, &dialect.parameter(2), &card, None);
        for found in all {
            let rows: Vec<_> = found.places.iter().map(|(_, from, to)| (*from, *to)).collect();
            for (position, place) in moves(&rows) {
                let id = found.places[position].0;
                let changed = match place.number {
                    Some(number) => {
                        let values = [place.card, number, id].map(Value::from);
                        execute(self.connection, with_number.as_str(), values).await?
                    }
                    None => {
                        execute(self.connection, without.as_str(), [place.card, id].map(Value::from)).await?
                    }
                };
                expect("sittings moved", changed, 1)?;
            }
        }
        Ok(())
    }

    async fn log_places(
        &self,
        texts: &Texts<'_>,
        column: &str,
        places: impl Iterator<Item = (i64, Option<i64>)>,
    ) -> Result<(), RepairError> {
        let places: Vec<(i64, i64)> =
            places.filter_map(|(id, value)| value.map(|value| (id, value))).collect();
        let Some(sittings) = self.state.sittings().filter(|_| !places.is_empty()) else { return Ok(()) };
        let ids = numbers_in(places.iter().map(|(id, _)| *id));
        let text = texts.log_places(&sittings.child, &sittings.id, column, &ids, &cases(&places));
        let logged = execute(self.connection, text, []).await?;
        expect("sittings written to the log", logged, places.len())
    }

    async fn put_aside(&self, texts: &Texts<'_>, all: &[&Settled]) -> Result<(), RepairError> {
        let cards: Vec<i64> = all.iter().flat_map(|found| &found.aside).map(|(card, _)| *card).collect();
        let Some(questions) = self.state.questions().filter(|_| !cards.is_empty()) else { return Ok(()) };
        for text in texts.put_aside(&questions, &numbers_in(cards)) {
            execute(self.connection, text, []).await?;
        }
        Ok(())
    }

    /// Moves the sets of questions that come to stand beside others. The log tells them from other questions.
    async fn put_together(
        &self,
        texts: &Texts<'_>,
        all: &[&Settled],
        merged: &Merging,
    ) -> Result<(), RepairError> {
        let cards: Vec<i64> = all.iter().flat_map(|found| &found.together).copied().collect();
        let Some(questions) = self.state.questions().filter(|_| !cards.is_empty()) else { return Ok(()) };
        for text in texts.follow(&questions, &numbers_in(cards), &merged.cases, TOGETHER) {
            execute(self.connection, text, []).await?;
        }
        Ok(())
    }

    async fn recompute(&self, texts: &Texts<'_>, all: &[&Settled]) -> Result<(), RepairError> {
        let mut changed = Vec::new();
        for found in all {
            if let Some(text) = texts.recompute(found) {
                expect("cards computed again", execute(self.connection, text, []).await?, 1)?;
                changed.push(found.survivor);
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let ids = numbers_in(changed);
        for column in self.state.derived() {
            execute(self.connection, texts.log_recomputed(column, &ids), []).await?;
        }
        Ok(())
    }
}

/// The merged cards of a batch, and their survivors.
struct Merging {
    ids: String,
    cases: String,
    count: usize,
}

impl Merging {
    fn of(all: &[&Settled]) -> Self {
        let pairs: Vec<(i64, i64)> =
            all.iter().flat_map(|found| found.merged.iter().map(|card| (*card, found.survivor))).collect();
        Self {
            ids: numbers_in(pairs.iter().map(|(card, _)| *card)),
            cases: cases(&pairs),
            count: pairs.len(),
        }
    }
}

fn told(group: Group, found: Settled) -> Merged {
    let (purchase_id, subject_id, test_number) = group.key;
    Merged {
        purchase_id,
        subject_id,
        test_number,
        survivor_id: found.survivor,
        merged_ids: found.merged,
        attempts_used: found.used,
    }
}

/// Joins numbers with commas.
fn numbers_in(numbers: impl IntoIterator<Item = i64>) -> String {
    numbers.into_iter().map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
}

fn cases(pairs: &[(i64, i64)]) -> String {
    let cases: BTreeMap<i64, i64> = pairs.iter().copied().collect();
    cases.iter().map(|(from, to)| format!("WHEN {from} THEN {to}")).collect::<Vec<_>>().join(" ")
}

fn expect(what: &str, found: u64, wanted: usize) -> Result<(), RepairError> {
    if u64::try_from(wanted) == Ok(found) {
        return Ok(());
    }
    Err(RepairError::Inconsistent(format!("{what}: {found} instead of {wanted}")))
}
