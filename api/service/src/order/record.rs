//! Records reports about the money of orders. The webhook, the buyer's return, the reconciler, the outbox and support
//! all use this module. Reports may come in any order, and more than once.

use std::convert::Infallible;

use jishu_entity::order::{self, OrderProvider, OrderReason, OrderState};
use jishu_entity::payment_event::{self, PaymentEventKind};
use jishu_entity::{OrderId, UserId, payment_refund};
use payment_providers::{PaymentReport, PaymentState};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};

use super::fulfil::fulfil;
use super::refunds::GiveBack;
use super::report::Report;
use super::state::waits_for_payment;
use super::unmatched::store_unmatched;
use super::work::{Fact, OrderTools, OrderWork, Origin};
use crate::audit::StateChange;
use crate::database::WritePolicy;
use crate::error::{Error, Fault};
use crate::events::OrderEvent;
use crate::{Services, failpoint};

/// Records a report, and grants the order if the order is paid now. If the report is about an authorized payment of a
/// pending order, captures the payment. Returns the order as it is then. Returns None if the report belongs to no
/// order, or if its ids are malformed. A report about money that belongs to no order is stored as unmatched.
///
/// # Errors
/// Fails if the database fails. Transactions that were committed before the failure stay. The next report or check of
/// the order continues from the stored state.
pub(super) async fn record(
    services: &Services,
    provider: OrderProvider,
    report: Report,
    origin: Origin,
) -> Result<Option<order::Model>, Fault> {
    if !report.has_plain_ids() {
        tracing::warn!(?provider, "a report was ignored, because its ids are malformed");
        return Ok(None);
    }
    let mut found = find_order(services, provider, &report).await?;
    if found.is_none() {
        if !report.must_be_kept() {
            return Ok(None);
        }
        store_unmatched(services, provider, &report, &origin).await?;
        // If an order recorded the payment after the first search, nothing was stored, and the order can be found now.
        // If an order records the payment later, it applies the stored report.
        found = find_order(services, provider, &report).await?;
    }
    let Some((order, buyer)) = found else { return Ok(None) };
    let authorized = match &report {
        Report::Payment(payment) if payment.state == PaymentState::Authorized => Some(payment.clone()),
        _ => None,
    };
    let command = RecordCommand { tools: OrderTools::of(services), order: (order, buyer), report, origin };
    let policy = WritePolicy::idempotent("order.record").retry_taken_keys();
    let order = services
        .database
        .write_for(buyer, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    let order = announce_and_fulfil(services, order).await?;
    match authorized {
        Some(payment) if order.state == OrderState::Pending => {
            Box::pin(capture(services, order, payment)).await.map(Some)
        }
        _ => Ok(Some(order)),
    }
}

/// Continues after a report was recorded: tells the watchers of the buyer and the outbox, and grants the order if it is
/// paid now. Returns the order as it is then.
pub(super) async fn announce_and_fulfil(
    services: &Services,
    order: order::Model,
) -> Result<order::Model, Fault> {
    failpoint::boundary("order.recorded");
    services.events.appended(order.user_id);
    services.outbox.wake();
    match order.state {
        OrderState::Paid => fulfil(services, (order.id, order.user_id)).await,
        _ => Ok(order),
    }
}

/// Captures an authorized payment of a pending order at the provider, and records the capture. The provider captures
/// most payments by itself, but not those that the bank authorized late. Does nothing if amount or currency differ from
/// the amount or currency of the order. If the order is not pending, `record` does not call this function, and the
/// provider gives the authorized money back.
async fn capture(
    services: &Services,
    order: order::Model,
    authorized: PaymentReport,
) -> Result<order::Model, Fault> {
    let gateway = services.payments.as_deref().and_then(|payments| payments.gateway_of(order.provider));
    let is_right =
        authorized.money.amount_minor == order.amount && authorized.money.currency == order.currency;
    let (Some(gateway), Some(payment), true) = (gateway, &authorized.payment, is_right) else {
        return Ok(order);
    };
    match gateway.capture(payment, &authorized.money).await {
        Ok(captured) => {
            failpoint::boundary("order.captured");
            let recorded =
                record(services, order.provider, Report::Payment(captured), Origin::server()).await?;
            Ok(recorded.unwrap_or(order))
        }
        Err(error) => {
            tracing::warn!(
                order = %order.id,
                %error,
                "an authorized payment could not be captured yet; the server will retry while the order is pending"
            );
            Ok(order)
        }
    }
}

struct RecordCommand {
    tools: OrderTools,
    order: (OrderId, UserId),
    report: Report,
    origin: Origin,
}

impl RecordCommand {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<order::Model, Error<Infallible>> {
        let mut work = OrderWork::open(transaction, &self.tools, self.order, self.origin.clone()).await?;
        work.apply(&self.report).await?;
        Ok(work.finish().await?)
    }
}

/// Finds the id and the buyer of the order that a report is about. A payment is found by the provider's id of the order
/// or by the receipt number. A refund or a dispute is found by its reference or its payment. Returns None if no order
/// is found.
async fn find_order(
    services: &Services,
    provider: OrderProvider,
    report: &Report,
) -> Result<Option<(OrderId, UserId)>, DbErr> {
    let reader = services.database.reader();
    let orders = || order::Entity::find().filter(order::Column::Provider.eq(provider));
    if let Report::Payment(payment) = report {
        let by_provider =
            orders().filter(order::Column::ProviderReference.eq(payment.provider_order.as_str()));
        if let Some(order) = by_provider.one(reader).await? {
            return Ok(Some((order.id, order.user_id)));
        }
        let Some(receipt) = &payment.order_reference else { return Ok(None) };
        let by_receipt = orders().filter(order::Column::ReceiptNumber.eq(receipt.as_str()));
        return Ok(by_receipt.one(reader).await?.map(|order| (order.id, order.user_id)));
    }
    let Fact { payment, reference, .. } = report.fact();
    if let Some(reference) = reference {
        let refunds = payment_refund::Entity::find().filter(payment_refund::Column::Reference.eq(reference));
        if let Some(refund) = refunds.one(reader).await? {
            return order_of(reader, refund.order_id).await;
        }
    }
    let captured = payment_event::Entity::find()
        .filter(payment_event::Column::Payment.eq(payment.unwrap_or_default()))
        .filter(payment_event::Column::Provider.eq(provider))
        .filter(payment_event::Column::Kind.eq(PaymentEventKind::Captured))
        .filter(payment_event::Column::OrderId.is_not_null())
        .one(reader)
        .await?;
    match captured.and_then(|event| event.order_id) {
        Some(order) => order_of(reader, order).await,
        None => Ok(None),
    }
}

async fn order_of(reader: &impl ConnectionTrait, id: OrderId) -> Result<Option<(OrderId, UserId)>, DbErr> {
    let order = order::Entity::find_by_id(id).one(reader).await?;
    Ok(order.map(|order| (order.id, order.user_id)))
}

impl OrderWork<'_> {
    /// Records a report, and moves the order if the report changes the order's state.
    pub(super) async fn apply(&mut self, report: &Report) -> Result<(), Fault> {
        match report {
            Report::Payment(payment) => self.apply_payment(payment, report).await,
            Report::Refund(refund) => self.apply_refund(refund).await,
            Report::Dispute(dispute) => self.apply_dispute(dispute, report).await,
        }
    }

    async fn apply_payment(&mut self, payment: &PaymentReport, report: &Report) -> Result<(), Fault> {
        match payment.state {
            PaymentState::Pending => Ok(()),
            // Neither state moves the order. An authorized payment is not captured yet, and a failed payment can
            // succeed later.
            PaymentState::Authorized | PaymentState::Failed => {
                self.append_fact(report.fact()).await?;
                Ok(())
            }
            PaymentState::Cancelled => {
                self.append_fact(report.fact()).await?;
                if self.order.state == OrderState::Pending {
                    self.move_to(OrderState::Cancelled, Some(OrderReason::ProviderCancelled)).await?;
                }
                Ok(())
            }
            PaymentState::Captured => self.apply_capture(payment, report).await,
        }
    }

    /// Records captured money. The first payment of an order that waits makes the order `Paid`, if amount and currency
    /// are right. All other captured money is given back. Then applies the stored reports about this payment that came
    /// earlier than its capture.
    async fn apply_capture(&mut self, report: &PaymentReport, whole: &Report) -> Result<(), Fault> {
        if !self.append_fact(whole.fact()).await? {
            return Ok(());
        }
        let payment = report.payment.as_deref().unwrap_or(&report.provider_order).to_owned();
        let (amount, currency) = (report.money.amount_minor, report.money.currency.as_str());
        let is_right = amount == self.order.amount && currency == self.order.currency;
        let was = self.order.state;
        let waits = waits_for_payment(was);
        if self.order.provider_reference.is_none() && !report.provider_order.is_empty() {
            let reference = Set(Some(report.provider_order.clone()));
            self.update(order::ActiveModel { provider_reference: reference, ..Default::default() }).await?;
        }
        if waits && is_right {
            let reference = Set(Some(payment.clone()));
            self.update(order::ActiveModel { payment_reference: reference, ..Default::default() }).await?;
            let reason = (was != OrderState::Pending).then_some(OrderReason::Late);
            self.move_to(OrderState::Paid, reason).await?;
        } else {
            let reason = if is_right { OrderReason::PaidTwice } else { OrderReason::AmountMismatch };
            if waits {
                self.move_to(OrderState::Paid, Some(reason)).await?;
                self.move_to(OrderState::Refunding, Some(reason)).await?;
            } else if was == OrderState::Refunded {
                self.move_to(OrderState::Refunding, Some(reason)).await?;
            }
            self.note(OrderEvent::ExtraPayment, StateChange::default());
            self.give_back(GiveBack { payment: &payment, amount, currency, reason, refund: None }).await?;
        }
        self.apply_unmatched(&payment).await
    }
}
