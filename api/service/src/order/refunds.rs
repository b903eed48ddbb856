//! The refunds of payments. A refund is requested, sent through the outbox, and then settled or given up.

use chrono::TimeDelta;
use jishu_entity::order::{OrderProvider, OrderReason, OrderState};
use jishu_entity::outbox_message::OutboxChannel;
use jishu_entity::payment_event::PaymentEventKind;
use jishu_entity::purchase::{self, PurchaseStatus};
use jishu_entity::refund::{self, RefundStatus};
use jishu_entity::{RefundId, payment_refund};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::given_up::{is_given_up, use_of_money};
use super::work::{Fact, OrderWork};
use crate::audit::StateChange;
use crate::error::Fault;
use crate::events::OrderEvent;
use crate::failpoint;
use crate::outbox::NewMessage;
use crate::refund as purchase_refund;

/// Maximum number of tries of one payment refund before support must decide. If the provider refuses or fails a try,
/// the next try is a new refund at the provider. If support retries the refund, the count begins at 1 again.
pub(super) const MAX_REFUND_TRIES: i32 = 3;
/// The pause before the second try of a refund. The pause before the third try is ten times as long.
const FIRST_TRY_PAUSE: TimeDelta = TimeDelta::minutes(1);
/// The time after which the outbox no longer delivers the message of a refund. The message is dead long before that,
/// after some failed deliveries, and then support must decide.
const MESSAGE_LIFETIME: TimeDelta = TimeDelta::days(30);
/// The kind of an outbox message that sends a refund.
pub(super) const MESSAGE_KIND: &str = "refund";

/// The content of an outbox message that sends a refund.
#[derive(Deserialize, Serialize)]
pub(super) struct RefundMessage {
    /// The reference of the payment refund at the time when the message was written.
    pub(super) reference: String,
}

/// A part of a payment that is given back.
pub(super) struct GiveBack<'a> {
    pub(super) payment: &'a str,
    pub(super) amount: i64,
    pub(super) currency: &'a str,
    pub(super) reason: OrderReason,
    /// The refund of a purchase, if that refund is the reason why the money goes back. Otherwise None.
    pub(super) refund: Option<RefundId>,
}

impl OrderWork<'_> {
    /// Requests a refund of a payment, and sends it through the outbox. If the order was paid by hand, the refund is
    /// settled at once if a member of support acts, and otherwise left to staff. Mails the buyer, unless the reason is
    /// `RefundRequested`.
    pub(super) async fn give_back(&mut self, give: GiveBack<'_>) -> Result<payment_refund::Model, Fault> {
        let row = payment_refund::ActiveModel {
            id: NotSet,
            order_id: Set(self.order.id),
            refund_id: Set(give.refund),
            provider: Set(self.order.provider),
            payment: Set(give.payment.to_owned()),
            reference: Set(new_reference()),
            provider_refund: Set(None),
            amount: Set(give.amount),
            currency: Set(give.currency.to_owned()),
            reason: Set(give.reason),
            status: Set(RefundStatus::Requested),
            tries: Set(1),
            message_id: Set(None),
            failure: Set(None),
            requested_at: Set(self.now),
            settled_at: Set(None),
        };
        let row = row.insert(self.transaction).await?;
        self.append_refund_fact(PaymentEventKind::RefundRequested, &row).await?;
        failpoint::boundary("order.refund-requested");
        if give.reason != OrderReason::RefundRequested {
            self.tell_buyer().await?;
        }
        self.note(OrderEvent::RefundRequested, change(&row));
        if self.order.provider != OrderProvider::Manual {
            return self.send(row).await;
        }
        if self.origin.by.is_some() {
            // The member of support who requests the refund gives the money back by hand.
            return self.settle_refund(row).await;
        }
        self.give_up(row, "by_hand", OrderReason::RefundByHand).await
    }

    /// Gives back the money of a refund of a purchase, but not more than the balance of the order. If the whole
    /// purchase is refunded, moves the order to `REFUNDING`, and to `REFUNDED` when no payment refund is open.
    /// `by_hand` means that support has given the money back, so the refund is settled at once. Returns the refund of
    /// the purchase as stored afterwards.
    pub(crate) async fn give_back_purchase(
        &mut self,
        refund: refund::Model,
        by_hand: bool,
    ) -> Result<refund::Model, Fault> {
        if self.order.state == OrderState::Granted
            && self.value().await? == 0
            && self.is_all_refunded().await?
        {
            self.move_to(OrderState::Refunding, Some(OrderReason::RefundRequested)).await?;
        }
        // A part of the money may have gone back before, through the provider's console or a chargeback.
        let amount = refund.amount.min(self.sums().await?.balance());
        if amount <= 0 {
            let settled = purchase_refund::settle(self.transaction, refund, self.now).await?;
            self.finish_refunds().await?;
            return Ok(settled);
        }
        let payment = self.order.payment_reference.clone().unwrap_or_default();
        let give = GiveBack {
            payment: &payment,
            amount,
            currency: &refund.currency,
            reason: OrderReason::RefundRequested,
            refund: Some(refund.id),
        };
        let row = self.give_back(give).await?;
        if by_hand {
            self.settle_refund(row).await?;
        }
        self.finish_refunds().await?;
        let refunds = refund::Entity::of(self.order.user_id).filter(refund::Column::Id.eq(refund.id));
        Ok(refunds.one(self.transaction).await?.unwrap_or(refund))
    }

    /// Tells whether the status of the order's purchase is `Refunded`. True if there is no purchase.
    async fn is_all_refunded(&self) -> Result<bool, DbErr> {
        let Some(id) = self.order.purchase_id else { return Ok(true) };
        let purchase = purchase::Entity::of(self.order.user_id).filter(purchase::Column::Id.eq(id));
        let purchase = purchase.one(self.transaction).await?;
        Ok(purchase.is_none_or(|purchase| purchase.status == PurchaseStatus::Refunded))
    }

    /// Writes the outbox message that sends a payment refund to the provider. The first try is sent at once, the second
    /// try after 1 minute, and the third try after 10 minutes.
    pub(super) async fn send(&mut self, row: payment_refund::Model) -> Result<payment_refund::Model, Fault> {
        let content = RefundMessage { reference: row.reference.clone() };
        let payload = serde_json::to_string(&content)
            .map_err(|error| Fault::Inconsistent(format!("a refund cannot be written as JSON: {error}")))?;
        let pause = match row.tries {
            1 => TimeDelta::zero(),
            2 => FIRST_TRY_PAUSE,
            _ => FIRST_TRY_PAUSE * 10,
        };
        let expires_at = self.now + MESSAGE_LIFETIME;
        let channel = (OutboxChannel::Payment, MESSAGE_KIND);
        let message = NewMessage::seal(&self.tools.secrets, channel, &payload, self.now, expires_at)?;
        let message = message.due_at(self.now + pause);
        message.append(self.transaction, Some(self.order.user_id)).await?;
        let mut sent = row.into_active_model();
        sent.message_id = Set(Some(message.id().to_owned()));
        Ok(sent.update(self.transaction).await?)
    }

    /// Records that the money of a payment refund went back. If a refund of a purchase caused the payment refund,
    /// settles that refund too. Changes nothing if the payment refund is settled already.
    pub(super) async fn settle_refund(
        &mut self,
        row: payment_refund::Model,
    ) -> Result<payment_refund::Model, Fault> {
        if row.status == RefundStatus::Settled {
            return Ok(row);
        }
        let row = match row.status {
            RefundStatus::Failed => self.reopen_refund(row).await?,
            RefundStatus::Requested | RefundStatus::Settled => row,
        };
        let mut settled = row.into_active_model();
        settled.status = Set(RefundStatus::Settled);
        settled.settled_at = Set(Some(self.now));
        let settled = settled.update(self.transaction).await?;
        self.append_refund_fact(PaymentEventKind::RefundSettled, &settled).await?;
        if let Some(refund) = self.refund_of(&settled).await? {
            purchase_refund::settle(self.transaction, refund, self.now).await?;
        }
        failpoint::boundary("order.refund-settled");
        self.note(OrderEvent::RefundSettled, change(&settled));
        Ok(settled)
    }

    /// Marks a given-up refund as requested, because the provider reports that its money goes back after all. Giving
    /// the refund up took its amount out of the refunded sum, so this function adds the amount again. If the refund
    /// fails again, the server does not retry it.
    pub(super) async fn reopen_refund(
        &mut self,
        row: payment_refund::Model,
    ) -> Result<payment_refund::Model, Fault> {
        self.append_refund_fact(PaymentEventKind::RefundRequested, &row).await?;
        let mut open = row.into_active_model();
        open.status = Set(RefundStatus::Requested);
        open.tries = Set(MAX_REFUND_TRIES);
        let open = open.update(self.transaction).await?;
        self.set_refund_status(&open, RefundStatus::Requested).await?;
        Ok(open)
    }

    /// Records that the provider refused or failed a try of a refund. Sends the next try, or gives the refund up after
    /// [`MAX_REFUND_TRIES`].
    pub(super) async fn refuse_refund(
        &mut self,
        row: payment_refund::Model,
        failure: &str,
    ) -> Result<(), Fault> {
        if row.tries >= MAX_REFUND_TRIES {
            // If the money was used in another way before the provider reported its way back, that use counts again.
            let failure = use_of_money(&row).unwrap_or(failure);
            let failed = self.give_up(row, failure, OrderReason::RefundFailed).await?;
            return self.settle_if_returned(&failed).await;
        }
        let was_settled = row.status == RefundStatus::Settled;
        let next = Renewal { reference: new_reference(), tries: row.tries + 1, failure: Some(failure) };
        let row = self.renew(row, next).await?;
        if was_settled && self.order.state == OrderState::Refunded {
            self.move_to(OrderState::Refunding, self.order.reason).await?;
        }
        self.send(row).await?;
        Ok(())
    }

    /// Marks a payment refund as failed, so that it is not sent again. Then staff must decide about the order.
    pub(super) async fn give_up(
        &mut self,
        row: payment_refund::Model,
        failure: &str,
        reason: OrderReason,
    ) -> Result<payment_refund::Model, Fault> {
        let mut failed = row.into_active_model();
        failed.status = Set(RefundStatus::Failed);
        failed.settled_at = Set(None);
        failed.failure = Set(Some(failure.to_owned()));
        let failed = failed.update(self.transaction).await?;
        self.append_refund_fact(PaymentEventKind::RefundFailed, &failed).await?;
        self.set_refund_status(&failed, RefundStatus::Failed).await?;
        self.note(OrderEvent::RefundFailed, change(&failed));
        self.need_attention(reason).await?;
        Ok(failed)
    }

    /// Prepares a payment refund for its next try, and marks it as requested. Also marks the refund of the purchase as
    /// requested.
    pub(super) async fn renew(
        &mut self,
        row: payment_refund::Model,
        Renewal { reference, tries, failure }: Renewal<'_>,
    ) -> Result<payment_refund::Model, Fault> {
        let mut next = row.into_active_model();
        next.status = Set(RefundStatus::Requested);
        next.settled_at = Set(None);
        next.reference = Set(reference);
        next.provider_refund = Set(None);
        next.message_id = Set(None);
        next.tries = Set(tries);
        next.failure = Set(failure.map(str::to_owned));
        let next = next.update(self.transaction).await?;
        self.set_refund_status(&next, RefundStatus::Requested).await?;
        Ok(next)
    }

    /// Ends the refunds of the order after money went out that the server did not send. Support must decide if the money
    /// that is left is not 0, even if support wrote off missing money before, or if the purchase has not ended.
    pub(super) async fn finish_refunds_or_ask(&mut self, reason: OrderReason) -> Result<(), Fault> {
        if self.sums().await?.left() == 0 && self.is_all_refunded().await? {
            self.end_refunding().await
        } else {
            self.need_attention(reason).await
        }
    }

    /// Moves the order from `REFUNDING` to `REFUNDED`, if its purchase has ended, and if none of its payment refunds is
    /// under way or given up.
    pub(super) async fn finish_refunds(&mut self) -> Result<(), Fault> {
        if self.order.state == OrderState::Refunding && self.is_all_refunded().await? {
            self.end_refunding().await?;
        }
        Ok(())
    }

    /// Moves the order from `REFUNDING` to `REFUNDED`, if none of its payment refunds is under way or given up. The
    /// purchase of the order must have ended.
    async fn end_refunding(&mut self) -> Result<(), Fault> {
        let is_open = |row: &payment_refund::Model| row.status == RefundStatus::Requested || is_given_up(row);
        if self.order.state == OrderState::Refunding && !self.refunds().await?.iter().any(is_open) {
            self.move_to(OrderState::Refunded, self.order.reason).await?;
        }
        Ok(())
    }

    /// Reads the payment refunds of the order, oldest first.
    pub(super) async fn refunds(&self) -> Result<Vec<payment_refund::Model>, DbErr> {
        payment_refund::Entity::find()
            .filter(payment_refund::Column::OrderId.eq(self.order.id))
            .order_by_asc(payment_refund::Column::Id)
            .all(self.transaction)
            .await
    }

    /// Appends a fact about a payment refund, under a new name each time. So the unique key does not prevent
    /// repetitions: the caller checks the status of the payment refund before.
    pub(super) async fn append_refund_fact(
        &mut self,
        kind: PaymentEventKind,
        row: &payment_refund::Model,
    ) -> Result<(), DbErr> {
        let name = format!("{}:{}", row.id, Uuid::new_v4());
        let fact = Fact {
            kind,
            name,
            payment: Some(&row.payment),
            object: row.provider_refund.as_deref(),
            reference: Some(&row.reference),
            money: Some((row.amount, &row.currency)),
        };
        self.append_fact(fact).await.map(drop)
    }

    /// Reads the refund of a purchase that caused this payment refund. Returns None if no such refund caused it.
    pub(super) async fn refund_of(
        &self,
        row: &payment_refund::Model,
    ) -> Result<Option<refund::Model>, DbErr> {
        let Some(id) = row.refund_id else { return Ok(None) };
        refund::Entity::of(self.order.user_id).filter(refund::Column::Id.eq(id)).one(self.transaction).await
    }

    /// Sets the status of the refund of a purchase that caused this payment refund, and clears the settlement time of
    /// the purchase's refund. Does nothing if no refund of a purchase caused the payment refund, or if that refund has
    /// this status already.
    async fn set_refund_status(
        &self,
        row: &payment_refund::Model,
        status: RefundStatus,
    ) -> Result<(), DbErr> {
        if let Some(refund) = self.refund_of(row).await?.filter(|refund| refund.status != status) {
            let mut changed = refund.into_active_model();
            changed.status = Set(status);
            changed.settled_at = Set(None);
            changed.update(self.transaction).await?;
        }
        Ok(())
    }
}

/// The values of a payment refund for its next try.
pub(super) struct Renewal<'a> {
    pub(super) reference: String,
    pub(super) tries: i32,
    /// The failure of the last try. None if support begins the refund anew.
    pub(super) failure: Option<&'a str>,
}

/// Makes the reference of a new try of a payment refund.
pub(super) fn new_reference() -> String {
    Uuid::new_v4().to_string()
}

/// Returns the values of a payment refund for its audit event.
fn change(row: &payment_refund::Model) -> StateChange {
    StateChange::created(json!({
        "amount": row.amount,
        "currency": row.currency,
        "reason": row.reason.to_value(),
        "refund": row.status.to_value(),
    }))
}
