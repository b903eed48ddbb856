//! Cancels orders that nobody has paid.

use std::convert::Infallible;

use jishu_entity::order::{self, OrderReason, OrderState};
use jishu_entity::{OrderId, UserId};
use payment_providers::CancelOutcome;
use sea_orm::{ColumnTrait, DatabaseTransaction, QueryFilter};

use super::reconcile::ask;
use super::work::{OrderTools, OrderWork, Origin};
use crate::Services;
use crate::database::WritePolicy;
use crate::error::{Error, Fault, Refusal};
use crate::failpoint;
use jishu_entity::payment_event::PaymentEventSource;

/// A reason not to cancel an order.
#[derive(Debug, thiserror::Error)]
pub enum CancelRefusal {
    /// There is no such order, or it belongs to another user.
    #[error("There is no such order.")]
    OrderNotFound,
    /// The order is paid, or over.
    #[error("This order can no longer be cancelled. Read its status.")]
    NotPending,
    /// The provider could not be asked.
    #[error("The payment provider did not answer. Send the same request again in a few seconds.")]
    ProviderUnavailable,
}

impl Refusal for CancelRefusal {}

/// Cancels an order of the buyer. Cancelling it again is a success. Razorpay cannot cancel: a payment that comes later is
/// handled as late money.
///
/// # Errors
/// See [`CancelRefusal`].
#[tracing::instrument(level = "debug", name = "order.cancel", skip_all)]
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
                ask(services, &order, PaymentEventSource::Return).await?;
                return Err(CancelRefusal::NotPending.into());
            }
            Err(error) => {
                tracing::warn!(order = %order.id, %error, "the provider could not cancel an order");
                return Err(CancelRefusal::ProviderUnavailable.into());
            }
        }
        failpoint::boundary("order.cancelled-at-provider");
    }
    let end = End { to: OrderState::Cancelled, reason: None, by: Some(buyer) };
    let order = end_pending(services, &order, end).await?;
    if order.state == OrderState::Cancelled { Ok(order) } else { Err(CancelRefusal::NotPending.into()) }
}

/// Cancels an order that the provider never takes.
pub(super) async fn cancel_refused(
    services: &Services,
    order: &order::Model,
    reason: OrderReason,
) -> Result<order::Model, Fault> {
    let end = End { to: OrderState::Cancelled, reason: Some(reason), by: None };
    end_pending(services, order, end).await
}

/// Lets an order expire.
pub(super) async fn expire(services: &Services, order: &order::Model) -> Result<order::Model, Fault> {
    end_pending(services, order, End { to: OrderState::Expired, reason: None, by: None }).await
}

/// The end of an order without a payment.
#[derive(Clone, Copy)]
struct End {
    to: OrderState,
    reason: Option<OrderReason>,
    by: Option<UserId>,
}

struct EndCommand {
    tools: OrderTools,
    order: (OrderId, UserId),
    end: End,
}

/// Ends an order if it still waits for its payment. Returns the order, in whatever state it is.
async fn end_pending(services: &Services, order: &order::Model, end: End) -> Result<order::Model, Fault> {
    let buyer = order.user_id;
    let command = EndCommand { tools: OrderTools::of(services), order: (order.id, buyer), end };
    let policy = WritePolicy::idempotent("order.end");
    let order = services
        .database
        .write_for(buyer, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    services.events.appended(buyer);
    Ok(order)
}

impl EndCommand {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<order::Model, Error<Infallible>> {
        let origin = Origin { by: self.end.by, ..Origin::server() };
        let mut work = OrderWork::open(transaction, &self.tools, self.order, origin).await?;
        if work.order.state == OrderState::Pending {
            work.move_to(self.end.to, self.end.reason).await?;
        }
        Ok(work.finish().await?)
    }
}
