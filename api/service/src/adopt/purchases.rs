//! Carries purchases with their entitlements, cards, sittings and answers. A carried purchase grants the subjects of
//! its cards that can be carried. If none of its cards can be carried, the purchase grants the subjects in its list of
//! subjects.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use jishu_entity::entitlement::EntitlementEnd;
use jishu_entity::mock_test_attempt::{self, CardStatus};
use jishu_entity::purchase::PurchaseStatus;
use jishu_entity::{CourseId, MockTestAttemptId, PurchaseId, SubjectId, UserId, entitlement, purchase};
use sea_orm::ActiveValue::Set;

use super::batch::{Batch, EndedEntitlement, Fate};
use super::cards::{self, OldCard};
use super::courses::OLD_DEFAULTS;
use super::load::{CarriedRows, LiveEntitlement, OldPurchases};
use super::old::{CARDS, OldRow, PURCHASES};
use super::state::AdoptState;
use super::witness::PurchaseFacts;
use crate::apportion::apportion;

/// The reason of a row that is not carried because the purchase, card or sitting to which it belongs is not carried.
pub(super) const PARENT_LEFT: &str =
    "This row was not carried, because its purchase, card or sitting was not carried.";

/// The cards of a purchase, by subject and test number.
type CardGroups = BTreeMap<(i64, i32), Vec<OldCard>>;

/// A batch of purchases that is being made.
pub(super) struct PurchaseBatch<'a> {
    pub(super) state: &'a mut AdoptState,
    pub(super) batch: Batch,
    pub(super) old: OldPurchases,
    carried: CarriedRows,
}

impl<'a> PurchaseBatch<'a> {
    pub(super) fn new(state: &'a mut AdoptState, old: OldPurchases, carried: CarriedRows) -> Self {
        Self { state, batch: Batch::default(), old, carried }
    }

    /// Makes the batch from the old purchases, and updates the counts and sums in the state of the adoption.
    pub(super) fn make(mut self) -> Batch {
        for row in std::mem::take(&mut self.old.purchases) {
            let id = row.id();
            let cards = self.old.cards.remove(&id).unwrap_or_default();
            self.state.counts(&PURCHASES).read += 1;
            self.state.counts(&CARDS).read += i64::try_from(cards.len()).unwrap_or_default();
            let cost = row.decimal("cost").unwrap_or_default();
            let mut money = self.state.money();
            money.read += cost;
            let is_carried = self.carry(&row, cards);
            match is_carried {
                true => money.carried += cost,
                false => money.not_carried += cost,
            }
            self.state.set_money(money);
            self.state.after = id;
        }
        self.batch
    }

    /// Carries a purchase with its cards. Returns whether the purchase was carried.
    fn carry(&mut self, row: &OldRow, cards: Vec<OldCard>) -> bool {
        let facts = match PurchaseFacts::read(row, &self.carried, &self.state.options.currency) {
            Ok(facts) => facts,
            Err(reason) => {
                self.batch.refuse(self.state, (&PURCHASES, row.id()), reason);
                cards.iter().for_each(|card| self.refuse_card(card, PARENT_LEFT));
                return false;
            }
        };
        let had_cards = !cards.is_empty();
        let date = facts.date.or_else(|| cards.iter().filter_map(OldCard::any_date).min());
        let date = date.unwrap_or_else(|| {
            let reason = "The date of this purchase is not known, so it has the time of the adoption.";
            self.batch.note(self.state, (&PURCHASES, facts.id), reason);
            self.state.started()
        });
        let groups = self.group(&facts, cards);
        let of_cards: BTreeSet<i64> = groups.keys().map(|(subject, _)| *subject).collect();
        let subjects = if of_cards.is_empty() { facts.declared.clone() } else { of_cards };
        if subjects.is_empty() {
            let reason = "This purchase was not carried: neither its cards nor its list of subjects tells which \
                          subjects it gave.";
            self.batch.refuse(self.state, (&PURCHASES, facts.id), reason);
            return false;
        }
        self.compare(&facts, &subjects, had_cards);
        self.state.counts(&PURCHASES).carried += 1;
        let entitled_at = self.batch.entitlements.len();
        let latest_use = self.add_cards(&facts, groups, date);
        let ended_at = facts.has_ended.then(|| latest_use.unwrap_or(date).max(date));
        self.add_purchase(&facts, &subjects, date, ended_at);
        debug_assert!(self.batch.entitlements.len() > entitled_at);
        true
    }

    /// Groups the cards by subject and test number. Records the cards that cannot be carried, with their sittings and
    /// answers.
    fn group(&mut self, facts: &PurchaseFacts, cards: Vec<OldCard>) -> CardGroups {
        let mut groups = CardGroups::new();
        for card in cards {
            let subject = card.subject.filter(|id| self.carried.subjects.contains_key(id));
            let number = card.number.and_then(|number| i32::try_from(number).ok());
            let number = number.filter(|number| (1..=1_000).contains(number));
            match (subject, number) {
                _ if card.user != Some(facts.user) => {
                    let reason =
                        "This card was not carried: it belongs to another account than its purchase.";
                    self.refuse_card(&card, reason);
                }
                (None, _) => {
                    let reason = "This card was not carried: its subject is missing or was not carried.";
                    self.refuse_card(&card, reason);
                }
                (_, None) => {
                    let reason = "This card was not carried: its test number is missing or not 1 to 1000.";
                    self.refuse_card(&card, reason);
                }
                (Some(subject), Some(number)) => groups.entry((subject, number)).or_default().push(card),
            }
        }
        groups
    }

    /// Adds a remark for each subject that only the cards or only the list of subjects of the purchase name. If the
    /// list has no carried subject, adds no such remark. Also adds a remark if the purchase has no cards.
    fn compare(&mut self, facts: &PurchaseFacts, subjects: &BTreeSet<i64>, had_cards: bool) {
        let row = (&PURCHASES, facts.id);
        if !had_cards {
            self.batch.note(
                self.state,
                row,
                "This purchase has no cards. jishu made cards for its list of subjects.",
            );
        }
        if facts.declared.is_empty() {
            return;
        }
        for missing in facts.declared.difference(subjects) {
            let reason = format!(
                "The list of subjects of this purchase has subject {missing}, but the purchase has no cards of it. So \
                 the subject is not granted. If the learner paid for the subject, grant it."
            );
            self.batch.note(self.state, row, reason);
        }
        for other in subjects.difference(&facts.declared) {
            let reason = format!(
                "This purchase has cards of subject {other}, which is not in its list of subjects. So the subject \
                 is granted."
            );
            self.batch.note(self.state, row, reason);
        }
    }

    /// Adds the cards of a purchase with their sittings. Merges the cards of one test into one card. Returns the latest
    /// time at which a card was used, or None if no use has a known time.
    fn add_cards(
        &mut self,
        facts: &PurchaseFacts,
        groups: CardGroups,
        date: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let mut latest_use = None;
        for ((subject, number), mut cards) in groups {
            cards::survivor_first(&mut cards);
            let mut sittings = Vec::new();
            for card in &cards {
                latest_use = latest_use.max(card.latest_date);
                sittings.extend(self.plan_sittings(card, card.any_date().unwrap_or(date)));
            }
            let survivor = cards[0].id;
            for merged in &cards[1..] {
                self.state.counts(&CARDS).merged += 1;
                let reason = format!("This card was merged into card {survivor}, which is of the same test.");
                self.batch.record(self.state, (&CARDS, merged.id), Fate::Merged, Some(survivor), reason);
            }
            let plan = cards::plan(&cards, sittings);
            for note in &plan.notes {
                self.batch.note(self.state, (&CARDS, survivor), note.as_str());
            }
            self.state.counts(&CARDS).carried += 1;
            self.batch.cards.push(mock_test_attempt::ActiveModel {
                id: Set(MockTestAttemptId(survivor)),
                purchase_id: Set(PurchaseId(facts.id)),
                user_id: Set(UserId(facts.user)),
                subject_id: Set(SubjectId(subject)),
                test_number: Set(number),
                status: Set(plan.status),
                max_attempts: Set(plan.max_attempts),
                attempts_used: Set(plan.used),
                latest_attempt_at: Set(plan.latest_attempt_at),
                latest_score: Set(plan.latest_score),
                latest_percentage: Set(plan.latest_percentage),
                first_score: Set(plan.first_score),
                best_score: Set(plan.best_score),
            });
            for (attempt, sitting) in plan.sittings {
                latest_use = latest_use.max(Some(sitting.submitted_at));
                let card = (MockTestAttemptId(survivor), UserId(facts.user), SubjectId(subject));
                self.add_sitting(card, attempt, &sitting);
            }
        }
        latest_use
    }

    /// Adds a purchase with its entitlements. If the purchase has no carried cards of a subject, makes new cards of the
    /// subject, even if the user has cards of the subject from another purchase.
    fn add_purchase(
        &mut self,
        facts: &PurchaseFacts,
        subjects: &BTreeSet<i64>,
        date: DateTime<Utc>,
        ended_at: Option<DateTime<Utc>>,
    ) {
        let id = PurchaseId(facts.id);
        self.batch.purchases.push(purchase::ActiveModel {
            id: Set(id),
            user_id: Set(UserId(facts.user)),
            course_id: Set(CourseId(facts.course)),
            purchase_type: Set(facts.purchase_type(subjects.len())),
            cost: Set(facts.cost),
            subtotal: Set(None),
            tax: Set(None),
            tax_label: Set(None),
            tax_basis_points: Set(None),
            is_tax_included: Set(None),
            currency: Set(self.state.options.currency.clone()),
            status: Set(PurchaseStatus::Active),
            created_at: Set(date),
            expires_at: Set(ended_at),
        });
        let prices = self.prices(facts.cost, subjects);
        for (subject, price_paid) in subjects.iter().zip(prices) {
            let test_cards = self.count_cards(facts, *subject);
            let ended_at = ended_at.map_or_else(|| self.replaced_at(facts, *subject, date), Some);
            self.batch.entitlements.push(entitlement::ActiveModel {
                purchase_id: Set(id),
                subject_id: Set(SubjectId(*subject)),
                user_id: Set(UserId(facts.user)),
                price_paid: Set(price_paid),
                list_price: Set(None),
                tax: Set(None),
                test_cards: Set(test_cards),
                granted_at: Set(date),
                expires_at: Set(ended_at),
                ended_at: Set(ended_at),
                end_reason: Set(ended_at.map(|_| EntitlementEnd::Expired)),
            });
        }
    }

    /// Divides the cost of a purchase among its subjects, in proportion to their list prices. If all list prices are 0,
    /// the subjects get equal parts.
    fn prices(&self, cost: i64, subjects: &BTreeSet<i64>) -> Vec<i64> {
        let price = |id| self.carried.subjects.get(id).map_or(0, |subject| subject.list_price);
        let mut weights: Vec<i64> = subjects.iter().map(price).collect();
        if weights.iter().all(|weight| *weight == 0) {
            weights.fill(1);
        }
        apportion(cost, &weights)
    }

    /// Returns the number of cards of this subject in the purchase that was added last. If there are none, makes all
    /// cards of the subject with new ids, and returns their number.
    fn count_cards(&mut self, facts: &PurchaseFacts, subject: i64) -> i32 {
        let is_of = |card: &&mock_test_attempt::ActiveModel| {
            card.purchase_id == Set(PurchaseId(facts.id)) && card.subject_id == Set(SubjectId(subject))
        };
        // The cards of this purchase are at the end of the list, because its cards were added last.
        let own = self.batch.cards.iter().rev();
        let own = own.take_while(|card| card.purchase_id == Set(PurchaseId(facts.id))).filter(is_of).count();
        if own > 0 {
            return i32::try_from(own).unwrap_or(i32::MAX);
        }
        let total =
            self.carried.subjects.get(&subject).map_or(OLD_DEFAULTS.0, |subject| subject.total_mock_tests);
        for number in 1..=total {
            let id = self.state.next_card;
            self.state.next_card += 1;
            self.state.counts(&CARDS).made += 1;
            self.batch.cards.push(mock_test_attempt::ActiveModel {
                id: Set(MockTestAttemptId(id)),
                purchase_id: Set(PurchaseId(facts.id)),
                user_id: Set(UserId(facts.user)),
                subject_id: Set(SubjectId(subject)),
                test_number: Set(number),
                status: Set(CardStatus::Available),
                max_attempts: Set(OLD_DEFAULTS.2),
                attempts_used: Set(0),
                latest_attempt_at: Set(None),
                latest_score: Set(None),
                latest_percentage: Set(None),
                first_score: Set(None),
                best_score: Set(None),
            });
        }
        total
    }

    /// Returns the time at which a later purchase of the same user gave the same subject, so that this entitlement has
    /// ended. If this purchase is the latest so far, ends the entitlement of the previous purchase and returns None.
    fn replaced_at(
        &mut self,
        facts: &PurchaseFacts,
        subject: i64,
        date: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let key = (facts.user, subject);
        let this = LiveEntitlement { purchase: PurchaseId(facts.id), granted_at: date };
        let Some(other) = self.carried.live.get(&key).copied() else {
            self.carried.live.insert(key, this);
            return None;
        };
        let is_later = (date, facts.id) > (other.granted_at, other.purchase.0);
        let (ended, by, at) = match is_later {
            true => (other.purchase.0, facts.id, date),
            false => (facts.id, other.purchase.0, other.granted_at),
        };
        let reason = format!(
            "Purchase {by} gave subject {subject} again, so the entitlement of this purchase has ended."
        );
        self.batch.note(self.state, (&PURCHASES, ended), reason);
        if !is_later {
            return Some(at);
        }
        self.carried.live.insert(key, this);
        let is_other = |row: &&mut entitlement::ActiveModel| {
            row.purchase_id == Set(other.purchase) && row.subject_id == Set(SubjectId(subject))
        };
        match self.batch.entitlements.iter_mut().find(is_other) {
            Some(row) => {
                (row.ended_at, row.expires_at) = (Set(Some(at)), Set(Some(at)));
                row.end_reason = Set(Some(EntitlementEnd::Expired));
            }
            None => {
                let subject = SubjectId(subject);
                self.batch.ended.push(EndedEntitlement { purchase: other.purchase, subject, at });
            }
        }
        None
    }

    /// Returns the ids of the questions in the paper of an old card, in order.
    pub(super) fn slots_of_card(&self, card: i64) -> Vec<i64> {
        self.old
            .papers
            .get(&card)
            .into_iter()
            .flat_map(|paper| &paper.slots)
            .map(|slot| slot.question)
            .collect()
    }
}
