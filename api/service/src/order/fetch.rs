//! Asks the payment provider which payments an order has, and records them.

use jishu_entity::order;
use jishu_entity::payment_event::PaymentEventSource;
use sea_orm::EntityTrait;

use super::record::record;
use super::report::Report;
use super::work::Origin;
use crate::Services;
use crate::error::Fault;

/// Asks the payment provider which payments an order has, and records them. Returns the order as stored afterwards, or
/// the given order in the cases in which [`try_fetch_and_record`] returns None.
pub(super) async fn fetch_and_record(
    services: &Services,
    order: &order::Model,
    source: PaymentEventSource,
) -> Result<order::Model, Fault> {
    Ok(try_fetch_and_record(services, order, source).await?.unwrap_or_else(|| order.clone()))
}

/// Asks the payment provider which payments an order has, and records them. Returns the order as stored afterwards.
/// Returns None if the provider did not report the payments, whatever its error was, or is not configured on this node.
/// Also returns None if the provider's id of the order is not recorded yet.
pub(super) async fn try_fetch_and_record(
    services: &Services,
    order: &order::Model,
    source: PaymentEventSource,
) -> Result<Option<order::Model>, Fault> {
    let gateway = services.payments.as_deref().and_then(|payments| payments.gateway_of(order.provider));
    let (Some(gateway), Some(reference)) = (gateway, &order.provider_reference) else { return Ok(None) };
    let reports = match gateway.fetch(reference).await {
        Ok(reports) => reports,
        Err(error) => {
            tracing::warn!(order = %order.id, %error, "the payment provider did not report the payments of an order");
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
