//! Refunds of payments that the server gave up. Support sends them again, unless their money was used in another way.

use jishu_entity::order::{OrderProvider, OrderReason};
use jishu_entity::payment_event::PaymentEventKind;
use jishu_entity::payment_refund;
use jishu_entity::refund::RefundStatus;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr, IntoActiveModel};

use super::refunds::{Renewal, new_reference};
use super::work::OrderWork;
use crate::error::Fault;
use crate::refund as purchase_refund;

/// The failure of a payment refund that was given up, and whose money then paid for the order. The server must not send
/// this money back any more.
const USED_FOR_GRANT: &str = "granted";
/// The failure of a payment refund that was given up, and whose money left the payment in another way, such as by a
/// chargeback. The server must not send this money back any more.
const RETURNED_OTHERWISE: &str = "returned_otherwise";
/// The failure of a payment refund that was not sent before the bank took the money of the payment back.
const CHARGED_BACK: &str = "charged_back";

/// Tells whether a payment refund was given up, so that support must decide about its money.
pub(super) fn is_given_up(row: &payment_refund::Model) -> bool {
    row.status == RefundStatus::Failed && use_of_money(row).is_none()
}

/// Returns the failure that says how the money of a payment refund was used after the refund was given up. None if the
/// money was not used.
pub(super) fn use_of_money(row: &payment_refund::Model) -> Option<&'static str> {
    let failure = row.failure.as_deref()?;
    [USED_FOR_GRANT, RETURNED_OTHERWISE].into_iter().find(|used| *used == failure)
}

impl OrderWork<'_> {
    /// Begins a given-up refund anew, as its first try. Sends the refund again if the order was paid at a provider and
    /// `by_hand` is false. Otherwise settles the refund at once. `by_hand` means that support gave the money back in
    /// another way.
    ///
    /// If the payment has less money left than the amount of the refund, the money left it in another way. Then nothing
    /// is sent, and the amount is not counted.
    ///
    /// If the provider never responded to the last try, it may have sent the money, or may still send it. So the new
    /// try keeps the reference, under which the provider refunds only once. A refund by hand gets a new reference: if
    /// the provider sends the money too, its report then differs from the refund by hand.
    pub(super) async fn retry_refund(
        &mut self,
        row: payment_refund::Model,
        by_hand: bool,
    ) -> Result<(), Fault> {
        if row.currency == self.order.currency && self.money_of(&row.payment).await? < row.amount {
            let returned = self.mark_used(row, RETURNED_OTHERWISE).await?;
            return self.settle_if_returned(&returned).await;
        }
        self.append_refund_fact(PaymentEventKind::RefundRequested, &row).await?;
        let reference = match &row.provider_refund {
            None if !by_hand => row.reference.clone(),
            _ => new_reference(),
        };
        let row = self.renew(row, Renewal { reference, tries: 1, failure: None }).await?;
        if by_hand || self.order.provider == OrderProvider::Manual {
            self.settle_refund(row).await?;
        } else {
            self.send(row).await?;
        }
        Ok(())
    }

    /// Records that the money of the given-up refunds in the currency of the order now pays for the order, so that the
    /// server does not send it back.
    pub(super) async fn use_given_up_refunds(&mut self) -> Result<(), Fault> {
        for row in self.refunds().await? {
            if is_given_up(&row) && row.currency == self.order.currency {
                self.mark_used(row, USED_FOR_GRANT).await?;
            }
        }
        Ok(())
    }

    /// Gives up the refunds of a charged-back payment that were not sent yet, until the money of the payment is no longer
    /// negative. The bank has taken their money back, so the outbox must not send them.
    pub(super) async fn give_up_unsent(&mut self, payment: &str) -> Result<(), Fault> {
        for row in self.refunds().await? {
            let is_unsent = row.status == RefundStatus::Requested && row.provider_refund.is_none();
            let takes_money = row.payment == payment && row.currency == self.order.currency;
            if is_unsent && takes_money && self.money_of(payment).await? < 0 {
                self.give_up(row, CHARGED_BACK, OrderReason::ChargedBack).await?;
            }
        }
        Ok(())
    }

    /// Returns the money of a payment that did not go back and is not on its way back, in minor units. Returns 0 if the
    /// order has no such payment in its currency.
    async fn money_of(&self, payment: &str) -> Result<i64, DbErr> {
        let payments = self.money_of_payments().await?;
        Ok(payments.into_iter().find(|(of, _)| of == payment).map_or(0, |(_, money)| money))
    }

    /// Settles the refund of a purchase that caused this payment refund, if the money of the payment refund left the
    /// payment in another way. Counts no money.
    pub(super) async fn settle_if_returned(&self, row: &payment_refund::Model) -> Result<(), Fault> {
        if use_of_money(row) == Some(RETURNED_OTHERWISE)
            && let Some(refund) = self.refund_of(row).await?
        {
            purchase_refund::settle(self.transaction, refund, self.now).await?;
        }
        Ok(())
    }

    /// Notifies support that a dispute about the order has ended, so that support can decide about its given-up
    /// refunds. Does nothing if the order has no such refunds, or if another dispute is still open.
    pub(super) async fn tell_of_given_up_refunds(&self) -> Result<(), Fault> {
        if self.is_disputed() || !self.refunds().await?.iter().any(is_given_up) {
            return Ok(());
        }
        self.tell_support("a dispute about an order ended, and support must decide about its failed refunds")
            .await
    }

    /// Sets the failure of a given-up refund to the use of its money, so that the server does not send it again.
    async fn mark_used(
        &self,
        row: payment_refund::Model,
        used: &'static str,
    ) -> Result<payment_refund::Model, DbErr> {
        let mut marked = row.into_active_model();
        marked.failure = Set(Some(used.to_owned()));
        marked.update(self.transaction).await
    }
}
