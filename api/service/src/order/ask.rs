//! Asks the provider about an order.

use jishu_entity::order;
use jishu_entity::payment_event::PaymentEventSource;
use sea_orm::EntityTrait;

use super::record::record;
use super::report::Report;
use super::work::Origin;
use crate::Services;
use crate::error::Fault;

/// Asks the provider about an order, and records the reports of the provider. If the provider does not respond, the
/// order stays as it is.
pub(super) async fn ask(
    services: &Services,
    order: &order::Model,
    source: PaymentEventSource,
) -> Result<order::Model, Fault> {
    Ok(ask_provider(services, order, source).await?.unwrap_or_else(|| order.clone()))
}

/// Asks the provider about an order. Returns the order as it is then, or None if the provider did not respond.
pub(super) async fn ask_provider(
    services: &Services,
    order: &order::Model,
    source: PaymentEventSource,
) -> Result<Option<order::Model>, Fault> {
    let gateway = services.payments.as_deref().and_then(|payments| payments.gateway_of(order.provider));
    let (Some(gateway), Some(reference)) = (gateway, &order.provider_reference) else { return Ok(None) };
    let reports = match gateway.fetch(reference).await {
        Ok(reports) => reports,
        Err(error) => {
            tracing::warn!(order = %order.id, %error, "the provider did not tell about an order");
            return Ok(None);
        }
    };
    let mut latest = None;
    for report in reports {
        let origin = Origin { source, event_id: None, by: None };
        latest = record(services, order.provider, Report::Payment(report), origin).await?.or(latest);
    }
    match latest {
        Some(latest) if latest.id == order.id => Ok(Some(latest)),
        _ => Ok(order::Entity::find_by_id(order.id).one(services.database.reader()).await?),
    }
}
