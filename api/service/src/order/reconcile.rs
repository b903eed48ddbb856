//! The reconciler: it looks at orders that wait for something, asks the provider, and goes on where a crash has stopped.
//!
//! Every node does this for all orders. A node claims an order with a lease: one statement compares the number of looks and
//! sets the next one, as the outbox does.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use jishu_entity::order::{self, Column, OrderReason, OrderState};
use jishu_entity::outbox_message::{self, OutboxState};
use jishu_entity::payment_event::PaymentEventSource;
use jishu_entity::refund::RefundStatus;
use jishu_entity::{OrderId, UserId, payment_refund};
use jishu_service_macros::service_call;
use payment_providers::CancelOutcome;
use rand::seq::SliceRandom;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::ask::ask_provider;
use super::channel::read_refunds;
use super::end::expire;
use super::fulfil::fulfil;
use super::open;
use super::state::next_look;
use super::work::{OrderTools, OrderWork, Origin};
use crate::Services;
use crate::database::WritePolicy;
use crate::error::{Error, Fault};

/// Interval between two searches.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of orders in one search.
const ORDERS_PER_SEARCH: u64 = 32;
/// Maximum number of orders that a node looks at, at the same time.
const MAX_CONCURRENT_LOOKS: usize = 4;
/// The duration of a lease. A look asks the provider a few times, and each call ends after some seconds.
const LEASE: TimeDelta = TimeDelta::minutes(1);

/// Looks at orders until the task is dropped.
#[service_call]
pub async fn keep_reconciling(services: Services) {
    loop {
        match reconcile(&services).await {
            // There may be more.
            Ok(looked_at) if looked_at as u64 >= ORDERS_PER_SEARCH => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the search for orders to look at failed; the server will retry");
            }
        }
        tokio::time::sleep(SEARCH_INTERVAL).await;
    }
}

/// Looks at the orders that are due. Returns the number of orders that this node claimed.
///
/// # Errors
/// Fails if the search fails. An order at which a look fails is due again later.
#[service_call("order.reconcile")]
pub async fn reconcile(services: &Services) -> Result<usize, Fault> {
    if services.payments.is_none() {
        return Ok(0);
    }
    let mut due = order::Entity::find()
        .filter(Column::DueAt.lte(services.clock.now()))
        .order_by_asc(Column::DueAt)
        .order_by_asc(Column::Id)
        .limit(ORDERS_PER_SEARCH)
        .all(services.database.reader())
        .await?;
    // Shuffle, so nodes that search at the same time look at different orders first.
    due.shuffle(&mut rand::rng());
    let looks: Vec<bool> = stream::iter(due)
        .map(async |order| {
            let id = order.id;
            look_at(services, order).await.unwrap_or_else(|error| {
                tracing::warn!(order = %id, %error, "a look at an order failed; the server will retry");
                true
            })
        })
        .buffer_unordered(MAX_CONCURRENT_LOOKS)
        .collect()
        .await;
    Ok(looks.into_iter().filter(|was_claimed| *was_claimed).count())
}

/// Looks at one order. Returns false if another node has claimed it.
async fn look_at(services: &Services, order: order::Model) -> Result<bool, Fault> {
    let Some(order) = claim(services, order).await? else { return Ok(false) };
    let looked = look(services, &order).await;
    schedule(services, &order).await?;
    looked.map(|()| true)
}

async fn look(services: &Services, order: &order::Model) -> Result<(), Fault> {
    match order.state {
        OrderState::Pending => look_at_pending(services, order).await,
        OrderState::Paid => fulfil(services, (order.id, order.user_id)).await.map(drop),
        OrderState::Expired | OrderState::Cancelled => {
            ask_provider(services, order, PaymentEventSource::Reconciler).await.map(drop)
        }
        OrderState::Granted | OrderState::Refunding | OrderState::Refunded | OrderState::NeedsAttention => {
            look_at_refunds(services, order).await
        }
    }
}

/// Asks about the payment of an order. When its time is over and nobody paid, the order expires.
async fn look_at_pending(services: &Services, order: &order::Model) -> Result<(), Fault> {
    let payments = services.payments.as_deref();
    let gateway = payments.and_then(|payments| payments.gateway_of(order.provider));
    let is_over = services.clock.now() >= order.expires_at;
    let (Some(payments), Some(gateway)) = (payments, gateway) else {
        // Support confirms the payment, or the server is configured for another provider by now.
        return if is_over { expire(services, order).await.map(drop) } else { Ok(()) };
    };
    let Some(reference) = &order.provider_reference else {
        // The request that stored the order has not made it at the provider. Nobody can have paid it.
        if is_over {
            return expire(services, order).await.map(drop);
        }
        return open::open(services, payments, order.clone(), false).await.map(drop);
    };
    let Some(asked) = ask_provider(services, order, PaymentEventSource::Reconciler).await? else {
        return Ok(());
    };
    if asked.state != OrderState::Pending || !is_over {
        return Ok(());
    }
    match gateway.cancel(reference).await {
        Ok(CancelOutcome::Cancelled | CancelOutcome::StaysPayable) => expire(services, order).await.map(drop),
        Ok(CancelOutcome::TooLate) => {
            ask_provider(services, order, PaymentEventSource::Reconciler).await.map(drop)
        }
        Err(error) => {
            tracing::warn!(order = %order.id, %error, "the provider could not cancel an expired order");
            Ok(())
        }
    }
}

/// Asks about refunds that are under way. Gives up those whose message is dead.
async fn look_at_refunds(services: &Services, order: &order::Model) -> Result<(), Fault> {
    let open = payment_refund::Entity::find()
        .filter(payment_refund::Column::OrderId.eq(order.id))
        .filter(payment_refund::Column::Status.eq(RefundStatus::Requested))
        .all(services.database.reader())
        .await?;
    let payments = services.payments.as_deref();
    let gateway = payments.and_then(|payments| payments.gateway_of(order.provider));
    for row in open {
        if row.provider_refund.is_none() && is_dead(services, &row).await? {
            give_up(services, order, &row).await?;
        } else if let Some(gateway) = gateway
            && row.provider_refund.is_some()
        {
            read_refunds(services, gateway, &row).await?;
        }
    }
    Ok(())
}

/// Tells whether the message that carries a refund is delivered no more.
async fn is_dead(services: &Services, row: &payment_refund::Model) -> Result<bool, DbErr> {
    let Some(message) = &row.message_id else { return Ok(true) };
    let alive = outbox_message::Entity::find()
        .filter(outbox_message::Column::MessageId.eq(message.as_str()))
        .filter(outbox_message::Column::State.ne(OutboxState::Dead));
    Ok(alive.count(services.database.reader()).await? == 0)
}

struct GiveUpCommand {
    tools: OrderTools,
    order: (OrderId, UserId),
    reference: String,
}

async fn give_up(
    services: &Services,
    order: &order::Model,
    row: &payment_refund::Model,
) -> Result<(), Fault> {
    let command = GiveUpCommand {
        tools: OrderTools::of(services),
        order: (order.id, order.user_id),
        reference: row.reference.clone(),
    };
    let policy = WritePolicy::idempotent("order.refund-given-up");
    services
        .database
        .write_for(order.user_id, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    services.events.appended(order.user_id);
    services.outbox.wake();
    Ok(())
}

impl GiveUpCommand {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<(), Error<Infallible>> {
        let mut work = OrderWork::open(transaction, &self.tools, self.order, Origin::server()).await?;
        let waits = |row: &payment_refund::Model| {
            row.reference == self.reference
                && row.status == RefundStatus::Requested
                && row.provider_refund.is_none()
        };
        if let Some(row) = work.refunds().await?.into_iter().find(waits) {
            work.give_up(row, "undelivered", OrderReason::RefundFailed).await?;
        }
        work.finish().await?;
        Ok(())
    }
}

/// A statement about the next look at an order.
struct LookUpdate {
    order: order::Model,
    due_at: Option<DateTime<Utc>>,
    checks: i32,
}

/// Claims an order. Returns it with its new number of looks, or None if another node has claimed it or it has moved.
async fn claim(services: &Services, order: order::Model) -> Result<Option<order::Model>, Fault> {
    let due_at = services.clock.now() + LEASE;
    let checks = order.checks + 1;
    let look = LookUpdate { order: order.clone(), due_at: Some(due_at), checks };
    Ok(write_look(services, look).await?.then_some(order::Model { due_at: Some(due_at), checks, ..order }))
}

/// Sets the time of the next look, unless the order has moved or another node has claimed it.
async fn schedule(services: &Services, order: &order::Model) -> Result<(), Fault> {
    let has_open_refunds = payment_refund::Entity::find()
        .filter(payment_refund::Column::OrderId.eq(order.id))
        .filter(payment_refund::Column::Status.eq(RefundStatus::Requested))
        .count(services.database.reader())
        .await?
        > 0;
    let due_at = next_look(order, order.checks, has_open_refunds, services.clock.now());
    let look = LookUpdate { order: order.clone(), due_at, checks: order.checks };
    write_look(services, look).await.map(drop)
}

async fn write_look(services: &Services, look: LookUpdate) -> Result<bool, Fault> {
    let policy = WritePolicy::idempotent("order.look");
    let written = services
        .database
        .write(policy, look, |transaction, look| {
            Box::pin(async move {
                let written = order::Entity::update_many()
                    .col_expr(Column::DueAt, Expr::value(look.due_at))
                    .col_expr(Column::Checks, Expr::value(look.checks))
                    .filter(Column::Id.eq(look.order.id))
                    .filter(Column::State.eq(look.order.state))
                    .filter(Column::Checks.eq(look.order.checks))
                    .filter(Expr::col(Column::DueAt).eq(look.order.due_at))
                    .exec(transaction)
                    .await?;
                Ok::<_, Error<Infallible>>(written.rows_affected == 1)
            })
        })
        .await?;
    Ok(written)
}
