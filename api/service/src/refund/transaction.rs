//! The transaction of a refund.
//!
//! Every error is returned to the caller, which rolls the transaction back. No function of this file begins or commits
//! a transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::entitlement::{self, EntitlementEnd};
use jishu_entity::purchase::{self, PurchaseStatus};
use jishu_entity::refund::{self, RefundStatus};
use jishu_entity::{SubjectId, refund_line, refund_repeat};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait,
    DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
};
use serde_json::json;
use uuid::Uuid;

use super::{RefundCommand, RefundOutcome, RefundRefusal, RefundRequest, Refunded, Rest};
use crate::audit::StateChange;
use crate::database::lock_user;
use crate::error::{Error, Fault};
use crate::events::{self, Event};
use crate::order::{OrderWork, Origin};
use crate::session::{EndedEntitlements, close_open_of};
use crate::{expiry, failpoint};

/// Makes a refund in a transaction: locks the buyer, ends the entitlements, closes their open sittings, and records the
/// money to give back. Returns the first refund if the request is repeated.
pub(super) async fn run(
    transaction: &DatabaseTransaction,
    command: &RefundCommand,
) -> Result<Refunded, Error<RefundRefusal>> {
    // The status is ignored, because purchases of deactivated and deleted accounts can be refunded as well.
    lock_user(transaction, command.buyer).await?;
    failpoint::boundary("refund.locked");
    // The clock is read after the lock, so that the entitlements end after everything that was written before the lock.
    let now = command.tools.now();
    let parts = Parts::read(transaction, command).await?;
    let origin = Origin::staff(command.by);
    let order = OrderWork::of_purchase(transaction, &command.tools, parts.purchase.id, origin, now).await?;
    let chosen = match parts.choose(command)? {
        Choice::Refund(chosen) => chosen,
        Choice::Existing(refund) => {
            store_key(transaction, command, &parts, &refund, now).await?;
            return Ok(Refunded { outcome: RefundOutcome::Existing, refund, purchase: parts.purchase });
        }
    };
    failpoint::boundary("refund.key-checked");
    if order.as_ref().is_some_and(OrderWork::is_disputed) {
        return Err(RefundRefusal::Disputed.into());
    }
    let done = carry_out(transaction, command, &parts, &chosen, now).await?;
    let refund = match order {
        // The money goes back through the order. Its payment provider reports later that the refund is settled.
        Some(mut order) => {
            let refund = order.give_back_purchase(done.refund, false).await?;
            order.finish().await?;
            refund
        }
        None => settle(transaction, done.refund, now).await?,
    };
    failpoint::boundary("refund.audited");
    Ok(Refunded { outcome: RefundOutcome::Created, refund, purchase: done.purchase })
}

/// Refunds the subjects of a purchase that were not refunded before, because their money goes back without a refund
/// request. Returns None if no subject is left. The caller must have locked the buyer's row, and must settle the refund
/// or give back its money.
pub(crate) async fn refund_rest(
    transaction: &DatabaseTransaction,
    rest: Rest<'_>,
) -> Result<Option<refund::Model>, Fault> {
    let key = Uuid::new_v4();
    let request = RefundRequest {
        purchase: rest.purchase,
        subjects: None,
        reason: rest.reason.to_owned(),
        idempotency_key: Some(key),
    };
    let command = RefundCommand {
        by: rest.by.unwrap_or(rest.buyer),
        buyer: rest.buyer,
        request_hash: super::request::hash(&request),
        request,
        key: key.to_string(),
        papers: Arc::clone(rest.papers),
        tools: rest.tools.clone(),
    };
    let refused = |error: Error<RefundRefusal>| match error {
        Error::Failed(fault) => fault,
        Error::Refused(refusal) => Fault::Inconsistent(format!("a purchase cannot be refunded: {refusal}")),
    };
    let parts = Parts::read(transaction, &command).await.map_err(refused)?;
    let chosen = match parts.choose(&command) {
        Ok(Choice::Refund(chosen)) => chosen,
        Ok(Choice::Existing(_)) | Err(_) => return Ok(None),
    };
    let done = carry_out(transaction, &command, &parts, &chosen, rest.now).await?;
    Ok(Some(done.refund))
}

/// A refund that is not settled yet, and its purchase.
struct CarriedOut {
    refund: refund::Model,
    purchase: purchase::Model,
}

/// Ends the chosen entitlements, records the refund, and appends the audit events. Marks the purchase as refunded if no
/// subject is left.
async fn carry_out(
    transaction: &DatabaseTransaction,
    command: &RefundCommand,
    parts: &Parts,
    chosen: &[entitlement::Model],
    now: DateTime<Utc>,
) -> Result<CarriedOut, Fault> {
    let of = (command.buyer, command.request.purchase);
    let has_lapsed = expiry::end_lapsed_of(transaction, &command.papers, of, now).await?;
    end(transaction, command, chosen, now).await?;
    let refund = record(transaction, command, &parts.purchase, chosen, now).await?;
    let before = parts.state();
    let purchase = mark_if_refunded(transaction, parts, chosen).await?;
    failpoint::boundary("refund.recorded");
    if has_lapsed {
        expiry::append_event(transaction, purchase.id, now).await?;
    }
    let refunded = parts.refunded_amount() + refund.amount;
    let change = StateChange::between(before, state(&purchase, refunded));
    let event = Event::PurchaseRefunded(purchase.id);
    events::append_change(transaction, now, Some(command.by), event, &change).await?;
    Ok(CarriedOut { refund, purchase })
}

/// A purchase with its entitlements and refunds.
struct Parts {
    purchase: purchase::Model,
    entitlements: Vec<entitlement::Model>,
    /// The refunds of the purchase, oldest first.
    refunds: Vec<refund::Model>,
    lines: Vec<refund_line::Model>,
    /// The stored requests that found an earlier refund of the purchase.
    repeats: Vec<refund_repeat::Model>,
}

/// The entitlements that a request refunds, or the earlier refund that it repeats.
enum Choice {
    Refund(Vec<entitlement::Model>),
    Existing(refund::Model),
}

impl Parts {
    async fn read(
        transaction: &DatabaseTransaction,
        command: &RefundCommand,
    ) -> Result<Self, Error<RefundRefusal>> {
        let id = command.request.purchase;
        let purchase = purchase::Entity::of(command.buyer).filter(purchase::Column::Id.eq(id));
        let entitlements = entitlement::Entity::of(command.buyer)
            .filter(entitlement::Column::PurchaseId.eq(id))
            .order_by_asc(entitlement::Column::SubjectId);
        let refunds = refund::Entity::of(command.buyer)
            .filter(refund::Column::PurchaseId.eq(id))
            .order_by_asc(refund::Column::Id);
        let lines = refund_line::Entity::find().filter(refund_line::Column::PurchaseId.eq(id));
        let repeats = refund_repeat::Entity::find().filter(refund_repeat::Column::PurchaseId.eq(id));
        Ok(Self {
            purchase: purchase.one(transaction).await?.ok_or(RefundRefusal::PurchaseNotFound)?,
            entitlements: entitlements.all(transaction).await?,
            refunds: refunds.all(transaction).await?,
            lines: lines.all(transaction).await?,
            repeats: repeats.all(transaction).await?,
        })
    }

    /// Finds the refund that an earlier request with this idempotency key made or found, and the digest of that
    /// request.
    fn by_key(&self, key: &str) -> Option<(&refund::Model, &str)> {
        let made = self.refunds.iter().find(|refund| refund.idempotency_key == key);
        made.map(|refund| (refund, refund.request_hash.as_str())).or_else(|| {
            let repeat = self.repeats.iter().find(|repeat| repeat.idempotency_key == key)?;
            let found = self.refunds.iter().find(|refund| refund.id == repeat.refund_id)?;
            Some((found, repeat.request_hash.as_str()))
        })
    }

    /// Decides which entitlements a request refunds, or which earlier refund it repeats. Refuses a request that can
    /// neither refund entitlements nor repeat a refund.
    fn choose(&self, command: &RefundCommand) -> Result<Choice, RefundRefusal> {
        if let Some((first, request_hash)) = self.by_key(&command.key) {
            return if request_hash == command.request_hash {
                Ok(Choice::Existing(first.clone()))
            } else {
                Err(RefundRefusal::IdempotencyKeyReused)
            };
        }
        let sold: BTreeSet<SubjectId> = self.entitlements.iter().map(|right| right.subject_id).collect();
        let refunded = self.refunded_subjects();
        let wanted: BTreeSet<SubjectId> = match &command.request.subjects {
            Some(subjects) => subjects.iter().copied().collect(),
            None => sold.difference(&refunded).copied().collect(),
        };
        let foreign: Vec<_> = wanted.difference(&sold).copied().collect();
        if !foreign.is_empty() {
            return Err(RefundRefusal::SubjectsNotInPurchase(foreign));
        }
        if wanted.is_empty() {
            // All subjects were refunded before. If the older system refunded the purchase, there may be no row of a
            // refund.
            let last = self.refunds.last().cloned();
            return last
                .map(Choice::Existing)
                .ok_or(RefundRefusal::AlreadyRefunded(sold.into_iter().collect()));
        }
        let again: Vec<_> = wanted.intersection(&refunded).copied().collect();
        if again.is_empty() {
            let chosen = self.entitlements.iter().filter(|right| wanted.contains(&right.subject_id));
            return Ok(Choice::Refund(chosen.cloned().collect()));
        }
        let of_wanted = |refund: &&refund::Model| {
            let lines = self.lines.iter().filter(|line| line.refund_id == refund.id);
            lines.map(|line| line.subject_id).collect::<BTreeSet<_>>() == wanted
        };
        let same = self.refunds.iter().find(of_wanted).cloned();
        same.map(Choice::Existing).ok_or(RefundRefusal::AlreadyRefunded(again))
    }

    /// Returns the subjects of the purchase that were refunded before. If the older system refunded the purchase,
    /// returns all its subjects.
    fn refunded_subjects(&self) -> BTreeSet<SubjectId> {
        let by_old_system = self.purchase.status == PurchaseStatus::Refunded && self.lines.is_empty();
        let old = self.entitlements.iter().filter(|_| by_old_system).map(|right| right.subject_id);
        self.lines.iter().map(|line| line.subject_id).chain(old).collect()
    }

    fn refunded_amount(&self) -> i64 {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }

    /// Returns the status of the purchase and its refunded amount, for the audit event.
    fn state(&self) -> serde_json::Value {
        state(&self.purchase, self.refunded_amount())
    }
}

/// Returns the status of a purchase and the refunded amount as JSON, for the audit event.
fn state(purchase: &purchase::Model, refunded: i64) -> serde_json::Value {
    let status = match purchase.status {
        PurchaseStatus::Active => "active",
        PurchaseStatus::Refunded => "refunded",
    };
    json!({ "status": status, "refunded": refunded })
}

/// Stores the idempotency key of a request that found an earlier refund, so that the key can never make another refund.
/// Does nothing if the client sent no key, or sent the same key before.
async fn store_key(
    transaction: &DatabaseTransaction,
    command: &RefundCommand,
    parts: &Parts,
    refund: &refund::Model,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    if command.request.idempotency_key.is_none() || parts.by_key(&command.key).is_some() {
        return Ok(());
    }
    let repeat = refund_repeat::ActiveModel {
        purchase_id: Set(parts.purchase.id),
        idempotency_key: Set(command.key.clone()),
        request_hash: Set(command.request_hash.clone()),
        refund_id: Set(refund.id),
        requested_at: Set(now),
    };
    repeat.insert(transaction).await?;
    Ok(())
}

/// Ends the chosen entitlements now, and closes the open sittings of their subjects. Entitlements that have ended
/// already stay as they are.
async fn end(
    transaction: &DatabaseTransaction,
    command: &RefundCommand,
    chosen: &[entitlement::Model],
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    let subjects: Vec<SubjectId> = chosen.iter().map(|right| right.subject_id).collect();
    entitlement::Entity::update_many()
        .col_expr(entitlement::Column::EndedAt, Expr::value(now))
        .col_expr(entitlement::Column::EndReason, Expr::value(EntitlementEnd::Refunded))
        .filter(entitlement::Column::UserId.eq(command.buyer))
        .filter(entitlement::Column::PurchaseId.eq(command.request.purchase))
        .filter(entitlement::Column::SubjectId.is_in(subjects.iter().copied()))
        .filter(entitlement::Column::EndedAt.is_null())
        .exec(transaction)
        .await?;
    failpoint::boundary("refund.ended");
    let (owner, purchase) = (command.buyer, command.request.purchase);
    let ended = EndedEntitlements { owner, purchase, subjects, reason: EntitlementEnd::Refunded, at: now };
    close_open_of(transaction, &command.papers, &ended, now).await?;
    failpoint::boundary("refund.sittings-closed");
    Ok(())
}

/// Inserts the refund with one line for each subject.
async fn record(
    transaction: &DatabaseTransaction,
    command: &RefundCommand,
    purchase: &purchase::Model,
    chosen: &[entitlement::Model],
    now: DateTime<Utc>,
) -> Result<refund::Model, DbErr> {
    let refund = refund::ActiveModel {
        id: NotSet,
        purchase_id: Set(purchase.id),
        user_id: Set(command.buyer),
        idempotency_key: Set(command.key.clone()),
        request_hash: Set(command.request_hash.clone()),
        amount: Set(chosen.iter().map(|right| right.price_paid).sum()),
        tax: Set(chosen.iter().map(|right| right.tax).sum()),
        currency: Set(purchase.currency.clone()),
        reason: Set(command.request.reason.clone()),
        status: Set(RefundStatus::Requested),
        requested_by: Set(command.by),
        requested_at: Set(now),
        settled_at: Set(None),
    };
    let refund = refund.insert(transaction).await?;
    let lines = chosen.iter().map(|right| refund_line::ActiveModel {
        purchase_id: Set(right.purchase_id),
        subject_id: Set(right.subject_id),
        refund_id: Set(refund.id),
        amount: Set(right.price_paid),
        tax: Set(right.tax),
    });
    refund_line::Entity::insert_many(lines).exec_without_returning(transaction).await?;
    Ok(refund)
}

/// Marks a refund as settled, because its money was given back. Does not change a refund that is settled already. The
/// caller must have locked the buyer's row.
///
/// # Errors
/// Returns the database's error.
pub async fn settle(
    connection: &impl ConnectionTrait,
    refund: refund::Model,
    now: DateTime<Utc>,
) -> Result<refund::Model, DbErr> {
    if refund.status == RefundStatus::Settled {
        return Ok(refund);
    }
    let mut settled = refund.into_active_model();
    settled.status = Set(RefundStatus::Settled);
    settled.settled_at = Set(Some(now));
    settled.update(connection).await
}

/// Marks the purchase as refunded if all its subjects are refunded. Returns the purchase.
async fn mark_if_refunded(
    transaction: &DatabaseTransaction,
    parts: &Parts,
    chosen: &[entitlement::Model],
) -> Result<purchase::Model, DbErr> {
    let purchase = parts.purchase.clone();
    if parts.lines.len() + chosen.len() < parts.entitlements.len() {
        return Ok(purchase);
    }
    let mut refunded = purchase.into_active_model();
    refunded.status = Set(PurchaseStatus::Refunded);
    refunded.update(transaction).await
}
