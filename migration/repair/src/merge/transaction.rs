//! Merges a batch of groups inside one transaction.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Value};
use serde::Serialize;

use super::moves::moves;
use crate::error::RepairError;
use crate::inspect::{CardGroup, CardSelection, TableState, ids_as_parameters, load};
use crate::names::{REASON_CARD_MERGED, REASON_SETS_TOGETHER};
use crate::plan::{AvailableColumns, GroupPlan, MergeStatements, SittingMove, plan_group};
use crate::sql::execute;

/// A group of cards after its merge, or a card without duplicates after its correction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MergedGroup {
    /// The purchase of the cards.
    pub purchase_id: String,
    /// The subject of the cards.
    pub subject_id: String,
    /// The test number of the cards.
    pub test_number: String,
    /// The id of the card that stays.
    pub survivor_id: i64,
    /// The ids of the cards that were merged into the survivor. Empty for a card without duplicates.
    pub merged_ids: Vec<i64>,
    /// The number of attempts used of the card that stays. Null if it is unknown, or if cards do not count attempts.
    pub attempts_used: Option<i64>,
}

impl MergedGroup {
    fn of(group: CardGroup, plan: GroupPlan) -> Self {
        Self {
            purchase_id: group.key.purchase_id,
            subject_id: group.key.subject_id,
            test_number: group.key.test_number,
            survivor_id: plan.survivor,
            merged_ids: plan.merged,
            attempts_used: plan.used,
        }
    }
}

/// A transaction that merges a batch of groups.
pub(crate) struct MergeTransaction<'t, C> {
    /// The open transaction.
    pub(crate) connection: &'t C,
    /// The structure of the tables.
    pub(crate) state: &'t TableState,
    /// The number of the run.
    pub(crate) run: i64,
}

impl<C: ConnectionTrait> MergeTransaction<'_, C> {
    /// Locks these groups, plans them again from the locked rows, and merges them. Skips a group in which nothing is
    /// left to do. Fails if a statement affects an unexpected number of rows.
    pub(crate) async fn merge(&self, groups: &[CardGroup]) -> Result<Vec<MergedGroup>, RepairError> {
        let available = AvailableColumns::of(self.state);
        let mut planned = Vec::new();
        for group in self.locked(groups).await? {
            if let Some(plan) = plan_group(&group, available).filter(|plan| !plan.is_unchanged()) {
                planned.push((group, plan));
            }
        }
        let plans: Vec<&GroupPlan> = planned.iter().map(|(_, plan)| plan).collect();
        if plans.is_empty() {
            return Ok(Vec::new());
        }
        let statements = MergeStatements::of(self.state, self.run);
        let survivors = join_numbers(plans.iter().map(|plan| plan.survivor));
        let merged = MergedCards::of(&plans);

        execute(self.connection, statements.log_survivors(&survivors), []).await?;
        if merged.count > 0 {
            let text = statements.log_cards(&merged.ids, &merged.cases);
            expect_rows("cards written to the log", execute(self.connection, text, []).await?, merged.count)?;
        }
        self.move_sittings(&statements, &plans).await?;
        self.detach_questions(&statements, &plans).await?;
        if merged.count > 0 {
            self.move_shared_sets(&statements, &plans, &merged).await?;
            for child in self.state.followers() {
                for text in statements.move_rows(&child, &merged.ids, &merged.cases, REASON_CARD_MERGED) {
                    execute(self.connection, text, []).await?;
                }
            }
        }
        self.update_survivors(&statements, &plans).await?;
        if merged.count > 0 {
            let deleted = execute(self.connection, statements.delete_cards(&merged.ids), []).await?;
            expect_rows("cards deleted from the table", deleted, merged.count)?;
        }
        Ok(planned.into_iter().map(|(group, plan)| MergedGroup::of(group, plan)).collect())
    }

    /// Locks the planned cards and their sittings, and loads them again. Other transactions then cannot insert rows
    /// that refer to these cards by a foreign key.
    async fn locked(&self, groups: &[CardGroup]) -> Result<Vec<CardGroup>, RepairError> {
        let ids: Vec<i64> = groups.iter().flat_map(|group| &group.cards).map(|card| card.id).collect();
        let (condition, ids) = ids_as_parameters(self.state, &ids);
        let selection = CardSelection { condition: &condition, ids, lock: true };
        let loaded = load(self.connection, self.state, &selection).await?;
        let mut found = Vec::new();
        for planned in groups {
            let Some(first) = planned.cards.first() else { continue };
            let has_first = |group: &&CardGroup| group.cards.iter().any(|card| card.id == first.id);
            let Some(group) = loaded.iter().find(has_first) else { continue };
            let is_planned = |id: i64| planned.cards.iter().any(|card| card.id == id);
            found.push(CardGroup {
                key: group.key.clone(),
                cards: group.cards.iter().filter(|card| is_planned(card.id)).cloned().collect(),
                sittings: group.sittings.iter().filter(|one| is_planned(one.card)).cloned().collect(),
            });
        }
        Ok(found)
    }

    /// Closes surplus open sittings, and moves sittings to their new cards and attempt numbers. Logs each change first.
    async fn move_sittings(
        &self,
        statements: &MergeStatements<'_>,
        plans: &[&GroupPlan],
    ) -> Result<(), RepairError> {
        let Some(sittings) = self.state.sittings() else { return Ok(()) };
        let (child, key) = (&sittings.child, sittings.id.as_str());
        let closed: Vec<i64> = plans.iter().flat_map(|plan| &plan.closed_sittings).copied().collect();
        if !closed.is_empty() {
            for text in statements.close_sittings(child, key, &join_numbers(closed.iter().copied())) {
                let changed = execute(self.connection, text, []).await?;
                expect_rows("open sittings closed", changed, closed.len())?;
            }
        }
        let moved: Vec<&SittingMove> = plans.iter().flat_map(|plan| plan.moves()).collect();
        let cards = moved.iter().filter(|sitting| sitting.from.card != sitting.to.card);
        let cards = cards.map(|sitting| (sitting.sitting, sitting.to.card)).collect();
        self.log_sitting_column(statements, &child.column, cards).await?;
        let numbers = moved.iter().filter(|sitting| sitting.from.number != sitting.to.number);
        let numbers =
            numbers.filter_map(|sitting| sitting.to.number.map(|number| (sitting.sitting, number))).collect();
        self.log_sitting_column(statements, "attempt_number", numbers).await?;

        let dialect = self.state.dialect();
        let [card, number, id] = [1, 2, 3].map(|position| dialect.parameter(position));
        let with_number = statements.set_attempt_number(child, key, &id, &card, Some(&number));
        let without = statements.set_attempt_number(child, key, &dialect.parameter(2), &card, None);
        for plan in plans {
            let rows: Vec<_> = plan.sittings.iter().map(|sitting| (sitting.from, sitting.to)).collect();
            for (position, target) in moves(&rows) {
                let id = plan.sittings[position].sitting;
                let changed = match target.number {
                    Some(number) => {
                        let values = [target.card, number, id].map(Value::from);
                        execute(self.connection, with_number.as_str(), values).await?
                    }
                    None => {
                        let values = [target.card, id].map(Value::from);
                        execute(self.connection, without.as_str(), values).await?
                    }
                };
                expect_rows("sittings moved", changed, 1)?;
            }
        }
        Ok(())
    }

    /// Logs new values of a column of sittings. `values` are pairs of the id of a sitting and its new value.
    async fn log_sitting_column(
        &self,
        statements: &MergeStatements<'_>,
        column: &str,
        values: Vec<(i64, i64)>,
    ) -> Result<(), RepairError> {
        let Some(sittings) = self.state.sittings().filter(|_| !values.is_empty()) else { return Ok(()) };
        let ids = join_numbers(values.iter().map(|(id, _)| *id));
        let text =
            statements.log_sitting_column(&sittings.child, &sittings.id, column, &ids, &when_cases(&values));
        let logged = execute(self.connection, text, []).await?;
        expect_rows("sittings written to the log", logged, values.len())
    }

    /// Sets the card to null in the questions of the sets that do not stay with a card.
    async fn detach_questions(
        &self,
        statements: &MergeStatements<'_>,
        plans: &[&GroupPlan],
    ) -> Result<(), RepairError> {
        let cards: Vec<i64> = plans.iter().flat_map(|plan| &plan.detached_sets).map(|set| set.card).collect();
        let Some(questions) = self.state.questions().filter(|_| !cards.is_empty()) else { return Ok(()) };
        for text in statements.detach_questions(&questions, &join_numbers(cards)) {
            execute(self.connection, text, []).await?;
        }
        Ok(())
    }

    /// Moves sets of questions to survivors that also have another set. The log gives these moves a reason of their
    /// own, by which a later inspection finds the survivors.
    async fn move_shared_sets(
        &self,
        statements: &MergeStatements<'_>,
        plans: &[&GroupPlan],
        merged: &MergedCards,
    ) -> Result<(), RepairError> {
        let cards: Vec<i64> = plans.iter().flat_map(|plan| &plan.shared_sets).copied().collect();
        let Some(questions) = self.state.questions().filter(|_| !cards.is_empty()) else { return Ok(()) };
        let cards = join_numbers(cards);
        for text in statements.move_rows(&questions, &cards, &merged.cases, REASON_SETS_TOGETHER) {
            execute(self.connection, text, []).await?;
        }
        Ok(())
    }

    /// Updates the survivors, and logs their changed values.
    async fn update_survivors(
        &self,
        statements: &MergeStatements<'_>,
        plans: &[&GroupPlan],
    ) -> Result<(), RepairError> {
        let mut changed = Vec::new();
        for plan in plans {
            if let Some(text) = statements.update_survivor(plan) {
                expect_rows("cards updated", execute(self.connection, text, []).await?, 1)?;
                changed.push(plan.survivor);
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let ids = join_numbers(changed);
        for column in self.state.derived_columns() {
            execute(self.connection, statements.log_recomputed(column, &ids), []).await?;
        }
        Ok(())
    }
}

/// The merged cards of a batch, as parts of SQL statements.
struct MergedCards {
    /// The ids, separated by commas.
    ids: String,
    /// The survivor of each card, as `WHEN id THEN survivor`.
    cases: String,
    count: usize,
}

impl MergedCards {
    fn of(plans: &[&GroupPlan]) -> Self {
        let pairs: Vec<(i64, i64)> =
            plans.iter().flat_map(|plan| plan.merged.iter().map(|card| (*card, plan.survivor))).collect();
        Self {
            ids: join_numbers(pairs.iter().map(|(card, _)| *card)),
            cases: when_cases(&pairs),
            count: pairs.len(),
        }
    }
}

/// Joins numbers with commas.
fn join_numbers(numbers: impl IntoIterator<Item = i64>) -> String {
    numbers.into_iter().map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
}

/// Writes pairs as `WHEN a THEN b`.
fn when_cases(pairs: &[(i64, i64)]) -> String {
    let cases: BTreeMap<i64, i64> = pairs.iter().copied().collect();
    cases.iter().map(|(from, to)| format!("WHEN {from} THEN {to}")).collect::<Vec<_>>().join(" ")
}

/// Fails if a statement affected another number of rows than wanted.
fn expect_rows(what: &str, found: u64, wanted: usize) -> Result<(), RepairError> {
    if u64::try_from(wanted) == Ok(found) {
        return Ok(());
    }
    Err(RepairError::Inconsistent(format!("{what}: {found} instead of the planned {wanted}")))
}
