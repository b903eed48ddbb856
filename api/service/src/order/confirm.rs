//! `confirmPayment`: checks a payment when the buyer returns from the provider's form.

use jishu_entity::order::{self, OrderProvider, OrderState};
use jishu_entity::payment_event::PaymentEventSource;
use jishu_entity::{OrderId, UserId};
use jishu_service_macros::service_call;
use payment_providers::{ClientReturn, ReturnError};
use sea_orm::{ColumnTrait, QueryFilter};

use super::fetch::fetch_and_record;
use crate::Services;
use crate::error::{Error, Refusal};

/// The values that a buyer brings back from the provider.
#[derive(Clone, Debug)]
pub struct PaymentReturn {
    /// The id of the order.
    pub order: OrderId,
    /// The provider's id of the payment.
    pub payment: String,
    /// The provider's signature. Stripe gives none.
    pub signature: Option<String>,
}

/// A reason not to check a payment.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmRefusal {
    /// The order does not exist, or it belongs to another user.
    #[error("There is no such order.")]
    OrderNotFound,
    /// The signature does not belong to this order and payment, or the provider has not made the order yet.
    #[error(
        "The signature does not prove a payment of this order. Read the status of the order again in a minute."
    )]
    NotVerified,
    /// Support confirms the payment of this order by hand, so a buyer cannot confirm it.
    #[error("Support confirms the payment of this order by hand. Read the status of the order later.")]
    Manual,
}

impl Refusal for ConfirmRefusal {}

/// Verifies the values that a buyer brings back, then asks the provider for the payments of the order and records them.
/// The returned values alone never make an order paid. If the provider does not report them, the order stays as it is,
/// and the reconciler asks again. Returns the order without a check if it is in a state other than pending, expired,
/// cancelled or paid, or if this node is not configured for its provider.
///
/// # Errors
/// See [`ConfirmRefusal`].
#[service_call("order.confirm")]
pub async fn confirm(
    services: &Services,
    buyer: UserId,
    returned: PaymentReturn,
) -> Result<order::Model, Error<ConfirmRefusal>> {
    let order = order::Entity::of(buyer).filter(order::Column::Id.eq(returned.order));
    let order = order.one(services.database.reader()).await?.ok_or(ConfirmRefusal::OrderNotFound)?;
    if order.provider == OrderProvider::Manual {
        return Err(ConfirmRefusal::Manual.into());
    }
    let waits = matches!(
        order.state,
        OrderState::Pending | OrderState::Expired | OrderState::Cancelled | OrderState::Paid
    );
    let gateway = services.payments.as_deref().and_then(|payments| payments.gateway_of(order.provider));
    let (true, Some(gateway)) = (waits, gateway) else { return Ok(order) };
    let Some(reference) = order.provider_reference.clone() else {
        return Err(ConfirmRefusal::NotVerified.into());
    };
    let verified = gateway.verify_return(&ClientReturn {
        provider_order: reference,
        payment: returned.payment,
        signature: returned.signature.unwrap_or_default(),
    });
    match verified {
        // Stripe signs no return. The reports of the provider, which are read next, decide.
        Ok(()) | Err(ReturnError::NotSigned) => {}
        Err(ReturnError::BadSignature) => return Err(ConfirmRefusal::NotVerified.into()),
    }
    Ok(fetch_and_record(services, &order, PaymentEventSource::Return).await?)
}
