//! Cancels orders that their buyers do not want to pay.

use jishu_entity::order::{self, OrderState};
use jishu_entity::payment_event::PaymentEventSource;
use jishu_entity::{OrderId, UserId};
use jishu_service_macros::service_call;
use payment_providers::CancelOutcome;
use sea_orm::{ColumnTrait, QueryFilter};

use super::end::{End, end_pending};
use super::fetch::fetch_and_record;
use crate::Services;
use crate::error::{Error, Refusal};
use crate::failpoint;

/// A reason not to cancel an order.
#[derive(Debug, thiserror::Error)]
pub enum CancelRefusal {
    /// The order does not exist, or it belongs to another user.
    #[error("There is no such order.")]
    OrderNotFound,
    /// The order no longer waits for its payment, for example because it was paid or has expired.
    #[error("This order can no longer be cancelled. Read its status.")]
    NotPending,
    /// The payment provider did not respond, or did not confirm the cancellation. The stored order is unchanged.
    #[error(
        "The payment provider did not confirm the cancellation, so the order still waits for its payment. Send the \
         same request again in a few seconds."
    )]
    ProviderUnavailable,
}

impl Refusal for CancelRefusal {}

/// Cancels an order of the buyer, first at the payment provider. Cancelling a cancelled order is a success. Razorpay
/// cannot cancel, so the buyer can still pay there. Money that arrives after the cancellation is handled as late money.
/// If the provider says that the order was already paid, records the payment and refuses to cancel.
///
/// # Errors
/// See [`CancelRefusal`].
#[service_call("order.cancel")]
pub async fn cancel(
    services: &Services,
    buyer: UserId,
    id: OrderId,
) -> Result<order::Model, Error<CancelRefusal>> {
    let order = order::Entity::of(buyer).filter(order::Column::Id.eq(id));
    let order = order.one(services.database.reader()).await?.ok_or(CancelRefusal::OrderNotFound)?;
    match order.state {
        OrderState::Cancelled => return Ok(order),
        OrderState::Pending => {}
        _ => return Err(CancelRefusal::NotPending.into()),
    }
    let gateway = services.payments.as_deref().and_then(|payments| payments.gateway_of(order.provider));
    if let (Some(gateway), Some(reference)) = (gateway, &order.provider_reference) {
        match gateway.cancel(reference).await {
            Ok(CancelOutcome::Cancelled | CancelOutcome::StaysPayable) => {}
            Ok(CancelOutcome::TooLate) => {
                fetch_and_record(services, &order, PaymentEventSource::Return).await?;
                return Err(CancelRefusal::NotPending.into());
            }
            Err(error) => {
                tracing::warn!(
                    order = %order.id,
                    %error,
                    "the payment provider did not confirm a cancellation; the order stays pending"
                );
                return Err(CancelRefusal::ProviderUnavailable.into());
            }
        }
        failpoint::boundary("order.cancelled-at-provider");
    }
    let end = End { to: OrderState::Cancelled, reason: None, by: Some(buyer) };
    let order = end_pending(services, &order, end).await?;
    if order.state == OrderState::Cancelled { Ok(order) } else { Err(CancelRefusal::NotPending.into()) }
}
