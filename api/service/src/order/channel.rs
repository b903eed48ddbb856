//! The outbox channel that sends refunds to the payment provider.

use std::sync::Arc;

use async_trait::async_trait;
use jishu_entity::payment_event::{PaymentEventSource, REFUSED_OBJECT};
use jishu_entity::refund::RefundStatus;
use jishu_entity::{order, payment_refund};
use payment_providers::{Amount, PaymentProvider, ProviderError, RefundReport, RefundState};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::record::record;
use super::refunds::RefundMessage;
use super::report::Report;
use super::work::Origin;
use crate::Services;
use crate::error::Fault;
use crate::failpoint;
use crate::outbox::{Channel, Delivery, DeliveryFailure};

/// The channel that sends refunds to the payment provider. Before it sends a refund, it records all refunds that the
/// provider lists for the payment. So a repeated delivery does not refund twice.
pub struct RefundChannel {
    services: Services,
}

impl RefundChannel {
    /// Makes the channel for refunds.
    #[must_use]
    pub fn new(services: Services) -> Self {
        Self { services }
    }

    /// Reads the payment refund with this reference, if it must still be sent. Returns None if the refund does not
    /// exist, if its status is not `Requested`, or if the provider has already given it an id. Fails while a bank
    /// disputes the order, because the bank may take the money that the refund would send back.
    async fn waiting(&self, reference: &str) -> Result<Option<payment_refund::Model>, DeliveryFailure> {
        let rows = payment_refund::Entity::find().filter(payment_refund::Column::Reference.eq(reference));
        let row = rows.one(self.services.database.reader()).await;
        let row = row.map_err(|_| DeliveryFailure::passing("the database could not be read"))?;
        let is_unsent = |row: &payment_refund::Model| {
            row.status == RefundStatus::Requested && row.provider_refund.is_none()
        };
        let Some(row) = row.filter(is_unsent) else { return Ok(None) };
        let order = order::Entity::find_by_id(row.order_id).one(self.services.database.reader()).await;
        let order = order.map_err(|_| DeliveryFailure::passing("the database could not be read"))?;
        match order.and_then(|order| order.disputed_at) {
            Some(_) => Err(DeliveryFailure::passing("a bank disputes a payment of the order")),
            None => Ok(Some(row)),
        }
    }

    async fn record(&self, row: &payment_refund::Model, report: RefundReport) -> Result<(), DeliveryFailure> {
        let recorded = record(&self.services, row.provider, Report::Refund(report), Origin::server()).await;
        recorded.map(drop).map_err(|error: Fault| {
            tracing::warn!(%error, "a report of the payment provider about a refund could not be recorded");
            DeliveryFailure::passing("the provider's report about the refund could not be recorded")
        })
    }

    async fn send(
        &self,
        gateway: &Arc<dyn PaymentProvider>,
        row: payment_refund::Model,
    ) -> Result<(), DeliveryFailure> {
        let listed = gateway.refunds(&row.payment).await.map_err(|error| passing(&error))?;
        failpoint::boundary("order.refunds-listed");
        for report in listed {
            self.record(&row, report).await?;
        }
        let Some(row) = self.waiting(&row.reference).await? else { return Ok(()) };
        let money = Amount::new(row.amount, &row.currency);
        match gateway.refund(&row.payment, &money, &row.reference).await {
            Ok(report) => {
                failpoint::boundary("order.refund-sent");
                self.record(&row, report).await
            }
            Err(ProviderError::Refused { code, .. }) => self.record(&row, refused(&row, code)).await,
            Err(ProviderError::Amount(error)) => {
                tracing::warn!(
                    refund = %row.reference,
                    payment = %row.payment,
                    %error,
                    "a refund was not sent, and is recorded as failed: the payment provider cannot process its amount"
                );
                self.record(&row, refused(&row, "amount".to_owned())).await
            }
            Err(error) => Err(passing(&error)),
        }
    }
}

/// Makes the report of a refund that failed at once, because the request was refused or the provider cannot process the
/// amount. The provider gave this refund no id, so the report gets an id that is made from the reference.
fn refused(row: &payment_refund::Model, code: String) -> RefundReport {
    RefundReport {
        refund: format!("{REFUSED_OBJECT}{}", row.reference),
        payment: row.payment.clone(),
        state: RefundState::Failed,
        money: Amount::new(row.amount, &row.currency),
        reference: Some(row.reference.clone()),
        failure: Some(code),
        account: None,
        created_at: None,
    }
}

fn passing(error: &ProviderError) -> DeliveryFailure {
    DeliveryFailure::passing(error.to_string())
}

#[async_trait]
impl Channel for RefundChannel {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryFailure> {
        let content: RefundMessage = serde_json::from_str(&delivery.payload)
            .map_err(|_| DeliveryFailure::lasting("the content of the refund message is malformed"))?;
        let Some(row) = self.waiting(&content.reference).await? else { return Ok(()) };
        let payments = self.services.payments.as_deref();
        let gateway = payments.and_then(|payments| payments.gateway_of(row.provider));
        let gateway = gateway
            .ok_or_else(|| DeliveryFailure::passing("this node does not use the provider of the refund"))?;
        self.send(gateway, row).await
    }
}

/// Asks the provider for all refunds of a payment, and records them for the reconciler. If the provider does not
/// list them, logs a warning and changes nothing.
pub(super) async fn read_refunds(
    services: &Services,
    gateway: &Arc<dyn PaymentProvider>,
    row: &payment_refund::Model,
) -> Result<(), Fault> {
    let listed = match gateway.refunds(&row.payment).await {
        Ok(listed) => listed,
        Err(error) => {
            tracing::warn!(
                refund = %row.reference,
                payment = %row.payment,
                %error,
                "the payment provider did not list the refunds of a payment; the server will retry"
            );
            return Ok(());
        }
    };
    let origin = Origin { source: PaymentEventSource::Reconciler, event_id: None, by: None };
    for report in listed {
        record(services, row.provider, Report::Refund(report), origin.clone()).await?;
    }
    Ok(())
}
