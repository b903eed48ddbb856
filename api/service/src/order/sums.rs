//! The sums over the money of an order.

use jishu_entity::payment_event::{self, PaymentEventKind};
use jishu_entity::{purchase, refund};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};

use super::work::OrderWork;

/// The amounts that are recorded for an order in its currency, in minor units. A payment in another currency is always
/// given back whole, so it does not count here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) captured: i64,
    /// The sum of the payment refunds that are settled or under way.
    pub(super) refunded: i64,
    pub(super) charged_back: i64,
    /// The sum of the missing money that support has accepted as lost, because too much money had gone back.
    pub(super) written_off: i64,
    /// The price of the order's purchase, without the refunded part. 0 if there is no purchase.
    pub(super) value: i64,
}

impl Sums {
    /// Returns the captured money that is left: it did not pay for the purchase, did not go back and is not on its way
    /// back. If the result is negative, more money went out than came in. Does not count money that was written off.
    pub(super) fn left(self) -> i64 {
        self.captured - self.value - self.refunded - self.charged_back
    }

    /// Returns the captured money that is left, as [`Sums::left`] does, but counts money that was written off. If the
    /// result is negative, more money went out than came in, and support has not accepted this. Money that was written
    /// off only makes up for missing money: nobody has it, so it cannot be given back.
    ///
    /// A write-off says nothing about money that goes out later. After money went out unexpectedly, use [`Sums::left`].
    pub(super) fn balance(self) -> i64 {
        let left = self.left();
        if left >= 0 { left } else { (left + self.written_off).min(0) }
    }
}

impl OrderWork<'_> {
    /// Reads the payment events of the order in its currency, oldest first.
    async fn payment_events(&self) -> Result<Vec<payment_event::Model>, DbErr> {
        payment_event::Entity::find()
            .filter(payment_event::Column::OrderId.eq(self.order.id))
            .filter(payment_event::Column::Currency.eq(self.order.currency.as_str()))
            .order_by_asc(payment_event::Column::Id)
            .all(self.transaction)
            .await
    }

    /// Returns the payments of the order in its currency, oldest first. Each has its money that did not go back and is
    /// not on its way back, in minor units.
    pub(super) async fn money_of_payments(&self) -> Result<Vec<(String, i64)>, DbErr> {
        let mut payments: Vec<(String, i64)> = Vec::new();
        for event in self.payment_events().await? {
            let amount = event.amount.unwrap_or_default();
            let change = match event.kind {
                PaymentEventKind::Captured | PaymentEventKind::RefundFailed => amount,
                PaymentEventKind::RefundRequested | PaymentEventKind::ChargedBack => -amount,
                _ => continue,
            };
            let Some(payment) = event.payment else { continue };
            match payments.iter_mut().find(|(known, _)| *known == payment) {
                Some((_, money)) => *money += change,
                None => payments.push((payment, change)),
            }
        }
        Ok(payments)
    }

    /// Sums the payment events of the order, and reads the value of its purchase.
    pub(super) async fn sums(&self) -> Result<Sums, DbErr> {
        let events = self.payment_events().await?;
        let mut sums = Sums { value: self.value().await?, ..Sums::default() };
        for event in events {
            let amount = event.amount.unwrap_or_default();
            match event.kind {
                PaymentEventKind::Captured => sums.captured += amount,
                PaymentEventKind::RefundRequested => sums.refunded += amount,
                PaymentEventKind::RefundFailed => sums.refunded -= amount,
                PaymentEventKind::ChargedBack => sums.charged_back += amount,
                PaymentEventKind::WrittenOff => sums.written_off += amount,
                PaymentEventKind::Authorized
                | PaymentEventKind::Failed
                | PaymentEventKind::Cancelled
                | PaymentEventKind::RefundSettled
                | PaymentEventKind::RefundRefused
                | PaymentEventKind::DisputeOpened
                | PaymentEventKind::DisputeWon
                | PaymentEventKind::DisputeClosed => {}
            }
        }
        Ok(sums)
    }

    /// Returns the price of the order's purchase without the refunded part, in minor units. 0 if there is no purchase.
    pub(super) async fn value(&self) -> Result<i64, DbErr> {
        let Some(id) = self.order.purchase_id else { return Ok(0) };
        let purchase = purchase::Entity::of(self.order.user_id).filter(purchase::Column::Id.eq(id));
        let cost = purchase.one(self.transaction).await?.map_or(0, |purchase| purchase.cost);
        let refunds = refund::Entity::of(self.order.user_id).filter(refund::Column::PurchaseId.eq(id));
        let refunded: i64 = refunds.all(self.transaction).await?.iter().map(|refund| refund.amount).sum();
        Ok(cost - refunded)
    }
}
