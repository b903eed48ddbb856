//! Grants a paid order: one transaction makes the purchase and moves the order. Gives back the money of subjects that
//! cannot be granted.

use std::convert::Infallible;

use jishu_entity::order::{self, OrderReason, OrderState};
use jishu_entity::{OrderId, UserId};
use sea_orm::ActiveValue::Set;
use sea_orm::DatabaseTransaction;

use super::refunds::GiveBack;
use super::work::{OrderTools, OrderWork, Origin};
use crate::Services;
use crate::database::WritePolicy;
use crate::error::{Error, Fault};
use crate::{failpoint, purchase};

/// Grants an order if it is in the state `Paid`, and gives back the money of subjects that cannot be granted. In
/// another state, changes nothing. Returns the order as it is then.
pub(super) async fn fulfil(
    services: &Services,
    (order, buyer): (OrderId, UserId),
) -> Result<order::Model, Fault> {
    let command = FulfilCommand { tools: OrderTools::of(services), order: (order, buyer) };
    let policy = WritePolicy::idempotent("order.grant").retry_taken_keys();
    let (order, is_granted) = services
        .database
        .write_for(buyer, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    failpoint::boundary("order.granted");
    services.events.appended(buyer);
    services.outbox.wake();
    if let Some(metrics) = services.metrics.business().filter(|_| is_granted) {
        metrics.grant_order();
    }
    tracing::info!(order = %order.id, user = %buyer, state = ?order.state, "the server tried to grant a paid order");
    Ok(order)
}

struct FulfilCommand {
    tools: OrderTools,
    order: (OrderId, UserId),
}

impl FulfilCommand {
    /// Returns the order, and whether this call granted it.
    async fn run(
        &self,
        transaction: &DatabaseTransaction,
    ) -> Result<(order::Model, bool), Error<Infallible>> {
        let mut work = OrderWork::open(transaction, &self.tools, self.order, Origin::server()).await?;
        let was_paid = work.order.state == OrderState::Paid;
        if was_paid {
            let is_late = work.order.reason == Some(OrderReason::Late);
            work.grant_or_give_back(is_late).await?;
        }
        let order = work.finish().await?;
        let is_granted = was_paid && order.state == OrderState::Granted;
        Ok((order, is_granted))
    }
}

impl OrderWork<'_> {
    /// Makes a purchase of the subjects of a paid order that can be granted. Requests a refund for the price of the
    /// other subjects.
    pub(super) async fn grant_or_give_back(&mut self, is_late: bool) -> Result<(), Fault> {
        let plan = self.plan(is_late).await?;
        let reason = plan.reason;
        match plan.paid {
            Some(paid) => {
                let papers = &self.tools.papers;
                let made = purchase::create_paid(self.transaction, paid, papers, self.now).await?;
                self.update(order::ActiveModel { purchase_id: Set(Some(made.id)), ..Default::default() })
                    .await?;
                self.move_to(OrderState::Granted, reason).await?;
            }
            None => self.move_to(OrderState::Refunding, reason).await?,
        }
        if plan.rest > 0 {
            let payment = self.order.payment_reference.clone().unwrap_or_default();
            let currency = self.order.currency.clone();
            self.give_back(GiveBack {
                payment: &payment,
                amount: plan.rest,
                currency: &currency,
                reason: reason.unwrap_or(OrderReason::Archived),
                refund: None,
            })
            .await?;
        }
        Ok(())
    }
}
