//! Records what is reported about the money of orders. The webhook, the return of the buyer and the reconciler all come
//! here, in any order and as often as they like.

use std::convert::Infallible;

use jishu_entity::order::{self, OrderProvider, OrderReason, OrderState};
use jishu_entity::payment_event::{self, PaymentEventKind};
use jishu_entity::{OrderId, UserId, payment_refund};
use payment_providers::{
    DisputeReport, DisputeState, PaymentReport, PaymentState, RefundReport, RefundState,
};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait,
    DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
};

use super::fulfil::fulfil;
use super::refunds::GiveBack;
use super::work::{Fact, OrderTools, OrderWork, Origin};
use crate::audit::StateChange;
use crate::database::WritePolicy;
use crate::error::{Error, Fault};
use crate::events::OrderEvent;
use crate::{Services, audit, failpoint};

/// The action of the audit event of money whose order is unknown.
const UNMATCHED: &str = "payment.unmatched";
/// Maximum number of characters of an id of a provider.
const MAX_ID_CHARS: usize = 120;

/// Something that a provider said, or a member of support.
#[derive(Clone, Debug)]
pub(super) enum Report {
    Payment(PaymentReport),
    Refund(RefundReport),
    Dispute(DisputeReport),
}

/// Records a report, and grants the order if it is paid now. Returns the order, or None if the report belongs to no order.
///
/// # Errors
/// Fails if the database fails. What was committed before stays, and the next report or look goes on from there.
pub(super) async fn record(
    services: &Services,
    provider: OrderProvider,
    report: Report,
    origin: Origin,
) -> Result<Option<order::Model>, Fault> {
    if !report.has_plain_ids() {
        tracing::warn!(?provider, "a report with ids of an unknown form was left out");
        return Ok(None);
    }
    let mut found = find_order(services, provider, &report).await?;
    if found.is_none() {
        if !report.moves_money() {
            return Ok(None);
        }
        store_unmatched(services, provider, &report, &origin).await?;
        // The order may have been recorded meanwhile, and has not seen this report.
        found = find_order(services, provider, &report).await?;
    }
    let Some((order, buyer)) = found else { return Ok(None) };
    let command = RecordCommand { tools: OrderTools::of(services), order: (order, buyer), report, origin };
    let policy = WritePolicy::idempotent("order.record").retry_taken_keys();
    let order = services
        .database
        .write_for(buyer, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    failpoint::boundary("order.recorded");
    services.events.appended(buyer);
    services.outbox.wake();
    match order.state {
        OrderState::Paid => fulfil(services, (order.id, buyer)).await.map(Some),
        _ => Ok(Some(order)),
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

impl Report {
    /// Tells whether the ids are of the form that providers use, so that they fit into their columns.
    fn has_plain_ids(&self) -> bool {
        let ids = match self {
            Self::Payment(payment) => [Some(payment.provider_order.as_str()), payment.payment.as_deref()],
            Self::Refund(refund) => [Some(refund.refund.as_str()), Some(refund.payment.as_str())],
            Self::Dispute(dispute) => [Some(dispute.dispute.as_str()), Some(dispute.payment.as_str())],
        };
        ids.into_iter().flatten().all(|id| {
            id.len() <= MAX_ID_CHARS && id.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        })
    }

    /// Tells whether the report is about money that was taken or went back.
    fn moves_money(&self) -> bool {
        match self {
            Self::Payment(payment) => payment.state == PaymentState::Captured,
            Self::Refund(refund) => refund.state != RefundState::Failed,
            Self::Dispute(_) => true,
        }
    }

    /// Returns the parts of a fact: its kind, its name, the payment, the refund or dispute, the reference and the money.
    fn parts(&self) -> (PaymentEventKind, &str, &str, Option<&str>, Option<&str>, (i64, &str)) {
        match self {
            Self::Payment(report) => {
                let payment = report.payment.as_deref().unwrap_or(&report.provider_order);
                let kind = match report.state {
                    PaymentState::Captured => PaymentEventKind::Captured,
                    PaymentState::Failed => PaymentEventKind::Failed,
                    PaymentState::Cancelled => PaymentEventKind::Cancelled,
                    PaymentState::Pending | PaymentState::Authorized => PaymentEventKind::Authorized,
                };
                let money = (report.money.amount_minor, report.money.currency.as_str());
                (kind, payment, payment, None, report.order_reference.as_deref(), money)
            }
            Self::Refund(report) => {
                let kind = match report.state {
                    RefundState::Pending => PaymentEventKind::RefundRequested,
                    RefundState::Settled => PaymentEventKind::RefundSettled,
                    RefundState::Failed => PaymentEventKind::RefundRefused,
                };
                let money = (report.money.amount_minor, report.money.currency.as_str());
                let refund = report.refund.as_str();
                (kind, refund, &report.payment, Some(refund), report.reference.as_deref(), money)
            }
            Self::Dispute(report) => {
                let kind = match report.state {
                    DisputeState::Open => PaymentEventKind::DisputeOpened,
                    DisputeState::Won => PaymentEventKind::DisputeWon,
                    DisputeState::Lost => PaymentEventKind::ChargedBack,
                    DisputeState::Closed => PaymentEventKind::DisputeClosed,
                };
                let money = (report.money.amount_minor, report.money.currency.as_str());
                let dispute = report.dispute.as_str();
                (kind, dispute, &report.payment, Some(dispute), None, money)
            }
        }
    }

    /// Makes the fact that an order records.
    pub(super) fn fact(&self) -> Fact<'_> {
        let (kind, name, payment, object, reference, money) = self.parts();
        Fact { kind, name: name.to_owned(), payment: Some(payment), object, reference, money: Some(money) }
    }
}

/// Finds the order of a report, with its buyer.
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
    let (_, _, payment, _, reference, _) = report.parts();
    if let Some(reference) = reference {
        let refunds = payment_refund::Entity::find().filter(payment_refund::Column::Reference.eq(reference));
        if let Some(refund) = refunds.one(reader).await? {
            return order_of(reader, refund.order_id).await;
        }
    }
    let captured = payment_event::Entity::find()
        .filter(payment_event::Column::Payment.eq(payment))
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

/// A report that no order can record.
struct Unmatched {
    provider: OrderProvider,
    report: Report,
    origin: Origin,
    now: chrono::DateTime<chrono::Utc>,
}

/// The beginning of the names of facts whose order is unknown.
const UNMATCHED_PREFIX: &str = "unmatched:";

/// Stores a report that no order can record, and tells about it.
async fn store_unmatched(
    services: &Services,
    provider: OrderProvider,
    report: &Report,
    origin: &Origin,
) -> Result<(), Fault> {
    let (now, origin) = (services.clock.now(), origin.clone());
    let unmatched = Unmatched { provider, report: report.clone(), origin, now };
    let policy = WritePolicy::idempotent("order.unmatched").retry_taken_keys();
    let is_new = services
        .database
        .write(policy, unmatched, |transaction, unmatched| Box::pin(unmatched.run(transaction)))
        .await?;
    if is_new {
        tracing::warn!(?provider, "a provider reported money that belongs to no known order");
    }
    Ok(())
}

impl Unmatched {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<bool, Error<Infallible>> {
        let (kind, name, payment, object, reference, (amount, currency)) = self.report.parts();
        let fact = format!("{UNMATCHED_PREFIX}{}:{name}", kind.to_value());
        let known = payment_event::Entity::find()
            .filter(payment_event::Column::Provider.eq(self.provider))
            .filter(payment_event::Column::Fact.eq(fact.as_str()))
            .count(transaction)
            .await?;
        if known > 0 {
            return Ok(false);
        }
        let row = payment_event::ActiveModel {
            id: NotSet,
            order_id: Set(None),
            provider: Set(self.provider),
            fact: Set(fact),
            event_id: Set(self.origin.event_id.clone()),
            kind: Set(kind),
            payment: Set(Some(payment.to_owned())),
            object: Set(object.map(str::to_owned)),
            reference: Set(reference.map(|text| text.chars().take(64).collect())),
            amount: Set(Some(amount.max(0))),
            currency: Set(Some(currency.chars().take(3).collect())),
            source: Set(self.origin.source),
            recorded_at: Set(self.now),
        };
        let row = row.insert(transaction).await?;
        audit::append(transaction, self.now, None, UNMATCHED, ("payment_events", row.id.0)).await?;
        Ok(true)
    }
}

impl OrderWork<'_> {
    /// Records a report and moves the order.
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
            // A failed payment can succeed later, so neither moves the order.
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

    /// Records captured money. The first payment of the right amount pays the order. All other money goes back.
    async fn apply_capture(&mut self, report: &PaymentReport, whole: &Report) -> Result<(), Fault> {
        if !self.append_fact(whole.fact()).await? {
            return Ok(());
        }
        let payment = report.payment.as_deref().unwrap_or(&report.provider_order).to_owned();
        let (amount, currency) = (report.money.amount_minor, report.money.currency.as_str());
        let is_right = amount == self.order.amount && currency == self.order.currency;
        let was = self.order.state;
        let waits = matches!(was, OrderState::Pending | OrderState::Expired | OrderState::Cancelled);
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

    /// Applies the reports about a payment that came before the payment itself.
    async fn apply_unmatched(&mut self, payment: &str) -> Result<(), Fault> {
        let earlier = payment_event::Entity::find()
            .filter(payment_event::Column::Provider.eq(self.order.provider))
            .filter(payment_event::Column::Payment.eq(payment))
            .filter(payment_event::Column::OrderId.is_null())
            .order_by_asc(payment_event::Column::Id)
            .all(self.transaction)
            .await?;
        for event in earlier {
            if let Some(report) = report_of(event) {
                // The reports are of refunds and disputes, so this does not come back here.
                Box::pin(self.apply(&report)).await?;
            }
        }
        Ok(())
    }
}

/// Makes a report again from a stored event about a refund or a dispute.
fn report_of(event: payment_event::Model) -> Option<Report> {
    let (payment, object) = (event.payment?, event.object?);
    let money = payment_providers::Money::new(event.amount?, &event.currency?);
    let refund = |state| {
        Report::Refund(RefundReport {
            refund: object.clone(),
            payment: payment.clone(),
            state,
            money: money.clone(),
            reference: event.reference.clone(),
            failure: None,
            account: None,
            created_at: None,
        })
    };
    let dispute = |state| {
        Report::Dispute(DisputeReport {
            dispute: object.clone(),
            payment: payment.clone(),
            state,
            money: money.clone(),
            reason: None,
            respond_by: None,
            account: None,
        })
    };
    match event.kind {
        PaymentEventKind::RefundRequested => Some(refund(RefundState::Pending)),
        PaymentEventKind::RefundSettled => Some(refund(RefundState::Settled)),
        PaymentEventKind::DisputeOpened => Some(dispute(DisputeState::Open)),
        PaymentEventKind::DisputeWon => Some(dispute(DisputeState::Won)),
        PaymentEventKind::ChargedBack => Some(dispute(DisputeState::Lost)),
        PaymentEventKind::DisputeClosed => Some(dispute(DisputeState::Closed)),
        _ => None,
    }
}
