//! Cancels or expires orders that nobody has paid.

use std::convert::Infallible;

use jishu_entity::order::{self, OrderReason, OrderState};
use jishu_entity::{OrderId, UserId};
use sea_orm::DatabaseTransaction;

use super::work::{OrderTools, OrderWork, Origin};
use crate::Services;
use crate::database::WritePolicy;
use crate::error::{Error, Fault};

/// Cancels an order that the provider refuses, if it still waits for its payment. Returns the order as it is then.
pub(super) async fn cancel_refused(
    services: &Services,
    order: &order::Model,
    reason: OrderReason,
) -> Result<order::Model, Fault> {
    let end = End { to: OrderState::Cancelled, reason: Some(reason), by: None };
    end_pending(services, order, end).await
}

/// Marks an order as expired, if it still waits for its payment. Returns the order as it is then.
pub(super) async fn expire(services: &Services, order: &order::Model) -> Result<order::Model, Fault> {
    end_pending(services, order, End { to: OrderState::Expired, reason: None, by: None }).await
}

/// The state in which an unpaid order ends, the reason, and the user who ended it (None for the server).
#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) to: OrderState,
    pub(super) reason: Option<OrderReason>,
    pub(super) by: Option<UserId>,
}

struct EndOrderCommand {
    tools: OrderTools,
    order: (OrderId, UserId),
    end: End,
}

/// Ends an order if it still waits for its payment. Otherwise changes nothing. Returns the order as it is then.
pub(super) async fn end_pending(
    services: &Services,
    order: &order::Model,
    end: End,
) -> Result<order::Model, Fault> {
    let buyer = order.user_id;
    let command = EndOrderCommand { tools: OrderTools::of(services), order: (order.id, buyer), end };
    let policy = WritePolicy::idempotent("order.end");
    let order = services
        .database
        .write_for(buyer, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    services.events.appended(buyer);
    Ok(order)
}

impl EndOrderCommand {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<order::Model, Error<Infallible>> {
        let origin = Origin { by: self.end.by, ..Origin::server() };
        let mut work = OrderWork::open(transaction, &self.tools, self.order, origin).await?;
        if work.order.state == OrderState::Pending {
            work.move_to(self.end.to, self.end.reason).await?;
        }
        Ok(work.finish().await?)
    }
}
