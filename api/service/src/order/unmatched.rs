//! Stores reports about money that no order can record yet, and applies them when an order records the payment.

use std::convert::Infallible;

use chrono::{DateTime, Utc};
use jishu_entity::order::OrderProvider;
use jishu_entity::payment_event::{self, PaymentEventKind};
use payment_providers::{Amount, DisputeReport, DisputeState, RefundReport, RefundState};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr,
    EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
};

use super::report::Report;
use super::work::{Fact, OrderWork, Origin, fact_name, stored_reference};
use crate::database::WritePolicy;
use crate::error::{Error, Fault};
use crate::{Services, audit};

/// The action of the audit event that records a report about money of an unknown order.
const UNMATCHED: &str = "payment.unmatched";

/// A report whose order is unknown. It is stored as a payment event without an order.
struct Unmatched {
    provider: OrderProvider,
    report: Report,
    origin: Origin,
    now: DateTime<Utc>,
}

/// The prefix of the name of a fact whose order is unknown.
const UNMATCHED_PREFIX: &str = "unmatched:";

/// Stores a report whose order is unknown, appends an audit event, and logs a warning. Does nothing if the report is
/// stored already, or if an order has recorded the payment meanwhile.
pub(super) async fn store_unmatched(
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
        tracing::warn!(
            ?provider,
            "a payment provider reported money of no known order; the report is stored"
        );
    }
    Ok(())
}

impl Unmatched {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<bool, Error<Infallible>> {
        let Fact { kind, name, payment, object, reference, money } = self.report.fact();
        let fact = format!("{UNMATCHED_PREFIX}{}", fact_name(kind, &name));
        let capture = fact_name(PaymentEventKind::Captured, payment.unwrap_or_default());
        let known = payment_event::Entity::find()
            .filter(payment_event::Column::Provider.eq(self.provider))
            .filter(payment_event::Column::Fact.is_in([fact.as_str(), capture.as_str()]))
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
            payment: Set(payment.map(str::to_owned)),
            object: Set(object.map(str::to_owned)),
            reference: Set(stored_reference(reference)),
            amount: Set(money.map(|(amount, _)| amount.max(0))),
            currency: Set(money.map(|(_, currency)| currency.chars().take(3).collect())),
            source: Set(self.origin.source),
            recorded_at: Set(self.now),
        };
        exclude_capture(transaction, &row, capture).await?;
        let row = row.insert(transaction).await?;
        audit::append(transaction, self.now, None, UNMATCHED, ("payment_events", row.id.0)).await?;
        Ok(true)
    }
}

/// Keeps other transactions from recording the capture of a payment until this transaction ends, so that they see the
/// stored report then. Otherwise neither transaction would see the other, and nobody would apply the report.
///
/// Inserts a row with the unique fact of the capture, and deletes it again: the database lets nobody else insert this
/// fact before the end of this transaction. If another transaction has inserted the fact, the insert waits for its end,
/// and fails if that transaction commits.
async fn exclude_capture(
    transaction: &DatabaseTransaction,
    report: &payment_event::ActiveModel,
    capture: String,
) -> Result<(), DbErr> {
    let row = payment_event::ActiveModel { fact: Set(capture), ..report.clone() };
    let row = row.insert(transaction).await?;
    payment_event::Entity::delete_by_id(row.id).exec(transaction).await?;
    Ok(())
}

impl OrderWork<'_> {
    /// Applies the stored reports about refunds and disputes of a payment that arrived before the payment itself.
    pub(super) async fn apply_unmatched(&mut self, payment: &str) -> Result<(), Fault> {
        let earlier = payment_event::Entity::find()
            .filter(payment_event::Column::Provider.eq(self.order.provider))
            .filter(payment_event::Column::Payment.eq(payment))
            .filter(payment_event::Column::OrderId.is_null())
            .order_by_asc(payment_event::Column::Id)
            .all(self.transaction)
            .await?;
        for event in earlier {
            if let Some(report) = report_of(event) {
                // `report_of` makes no payment reports, so `apply` does not call `apply_unmatched` again.
                Box::pin(self.apply(&report)).await?;
            }
        }
        Ok(())
    }
}

/// Rebuilds a report from a stored payment event about a refund or a dispute. Returns None for an event of another
/// kind, or without payment, object or amount.
fn report_of(event: payment_event::Model) -> Option<Report> {
    let (payment, object) = (event.payment?, event.object?);
    let money = Amount::new(event.amount?, &event.currency?);
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
        PaymentEventKind::RefundRefused => Some(refund(RefundState::Failed)),
        PaymentEventKind::DisputeOpened => Some(dispute(DisputeState::Open)),
        PaymentEventKind::DisputeWon => Some(dispute(DisputeState::Won)),
        PaymentEventKind::ChargedBack => Some(dispute(DisputeState::Lost)),
        PaymentEventKind::DisputeClosed => Some(dispute(DisputeState::Closed)),
        _ => None,
    }
}
