//! The reconciler checks orders that are due. It asks the payment provider about them, and continues work that a crash
//! interrupted.
//!
//! Every node runs a reconciler for all orders. A node claims an order with a lease, so that no other node checks the
//! order at the same time. One statement both compares the number of checks of the order and sets the time of its next
//! check. So only one node can claim the order.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use jishu_entity::order::{self, Column, OrderReason, OrderState};
use jishu_entity::outbox_message::{self, OutboxState};
use jishu_entity::payment_event::PaymentEventSource;
use jishu_entity::refund::RefundStatus;
use jishu_entity::{OrderId, PaymentRefundId, UserId, payment_refund};
use jishu_service_macros::service_call;
use payment_providers::CancelOutcome;
use rand::seq::SliceRandom;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::channel::read_refunds;
use super::end::expire;
use super::fetch::try_fetch_and_record;
use super::fulfil::fulfil;
use super::open;
use super::state::next_check;
use super::work::{OrderTools, OrderWork, Origin};
use crate::Services;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault};

/// Pause before the next search for orders that are due. There is no pause after a search that found the maximum number
/// of orders, if all checks of these orders succeeded.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of orders that one search finds.
const ORDERS_PER_SEARCH: u64 = 32;
/// Maximum number of orders that a node checks at the same time.
const MAX_CONCURRENT_CHECKS: usize = 4;
/// The duration of a lease. It spares the provider most repeated calls, but correctness does not depend on it.
///
/// A check that calls a slow provider several times can take longer. Then a second node checks the order at the same
/// time, which does no harm. Every transaction locks the buyer's row and decides from the stored state, and facts are
/// stored once. The provider ignores or refuses a second capture or cancellation. If both nodes make the order at
/// Razorpay, the reference that is recorded first stays, and buyers get the parameters of this reference only. The
/// first node cannot overwrite the next check that the second node has planned, because each claim has its own number
/// of checks.
const LEASE: TimeDelta = TimeDelta::minutes(1);

/// Checks the orders that are due, until the task is dropped.
#[service_call]
pub async fn keep_reconciling(services: Services) {
    loop {
        match reconcile(&services).await {
            // The node checked as many orders as one search may find, so more orders may be due. If a check failed, the
            // node waits before it searches again, because the failure may repeat.
            Ok(checked) if checked as u64 >= ORDERS_PER_SEARCH => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the search for orders that are due failed; the server will retry");
            }
        }
        tokio::time::sleep(SEARCH_INTERVAL).await;
    }
}

/// Checks the orders that are due, at most 32 of them. Returns how many of them this node claimed and checked without
/// an error. Returns 0 if the server takes no payments.
///
/// # Errors
/// Fails if the search fails. If the check of an order fails, it is logged, and the order is due again later.
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
    // Shuffle, so that nodes that search at the same time begin with different orders.
    due.shuffle(&mut rand::rng());
    let checks: Vec<bool> = stream::iter(due)
        .map(async |order| {
            let id = order.id;
            claim_and_check(services, order).await.unwrap_or_else(|error| {
                tracing::warn!(order = %id, %error, "the check of an order failed; the server will retry");
                false
            })
        })
        .buffer_unordered(MAX_CONCURRENT_CHECKS)
        .collect()
        .await;
    Ok(checks.into_iter().filter(|was_checked| *was_checked).count())
}

/// Claims and checks one order, then sets the time of its next check. Returns false if the order could not be claimed,
/// because another node has claimed it or its state has changed.
async fn claim_and_check(services: &Services, order: order::Model) -> Result<bool, Fault> {
    let Some(order) = claim(services, order).await? else { return Ok(false) };
    let checked = check(services, &order).await;
    schedule(services, &order).await?;
    checked.map(|()| true)
}

async fn check(services: &Services, order: &order::Model) -> Result<(), Fault> {
    match order.state {
        OrderState::Pending => check_pending(services, order).await,
        OrderState::Paid => fulfil(services, (order.id, order.user_id)).await.map(drop),
        OrderState::Expired | OrderState::Cancelled => {
            try_fetch_and_record(services, order, PaymentEventSource::Reconciler).await.map(drop)
        }
        OrderState::Granted | OrderState::Refunding | OrderState::Refunded | OrderState::NeedsAttention => {
            check_refunds(services, order).await
        }
    }
}

/// Asks the provider whether an order was paid. If the time for its payment is over and nobody has paid it, cancels the
/// order at the provider and marks it as expired. If the provider has not made the order yet, makes it there.
async fn check_pending(services: &Services, order: &order::Model) -> Result<(), Fault> {
    let payments = services.payments.as_deref();
    let gateway = payments.and_then(|payments| payments.gateway_of(order.provider));
    let is_over = services.clock.now() >= order.expires_at;
    let (Some(payments), Some(gateway)) = (payments, gateway) else {
        // Support confirms the payment by hand, or this server uses another provider now. So the order can only expire.
        return if is_over { expire(services, order).await.map(drop) } else { Ok(()) };
    };
    let Some(reference) = &order.provider_reference else {
        // The provider's id of the order was never recorded, so no buyer can have got the parameters to pay it.
        if is_over {
            return expire(services, order).await.map(drop);
        }
        return open::open(services, payments, order.clone(), false).await.map(drop);
    };
    let Some(asked) = try_fetch_and_record(services, order, PaymentEventSource::Reconciler).await? else {
        return Ok(());
    };
    if asked.state != OrderState::Pending || !is_over {
        return Ok(());
    }
    match gateway.cancel(reference).await {
        Ok(CancelOutcome::Cancelled | CancelOutcome::StaysPayable) => expire(services, order).await.map(drop),
        Ok(CancelOutcome::TooLate) => {
            try_fetch_and_record(services, order, PaymentEventSource::Reconciler).await.map(drop)
        }
        Err(error) => {
            tracing::warn!(
                order = %order.id,
                %error,
                "an order whose time to pay is over could not be cancelled at the provider; the server will retry"
            );
            Ok(())
        }
    }
}

/// Asks the provider about those refunds of an order that the provider has accepted and not yet settled. Gives up a
/// refund that was never sent, if its outbox message is dead.
async fn check_refunds(services: &Services, order: &order::Model) -> Result<(), Fault> {
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

/// Tells whether a refund has no outbox message that can still deliver it: no message was written, or the message is
/// dead or deleted.
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
    refund: PaymentRefundId,
    /// The outbox message that cannot deliver the refund. A later try keeps the reference of the refund if the provider
    /// never responded, but has a message of its own.
    message: Option<String>,
}

async fn give_up(
    services: &Services,
    order: &order::Model,
    row: &payment_refund::Model,
) -> Result<(), Fault> {
    let command = GiveUpCommand {
        tools: OrderTools::of(services),
        order: (order.id, order.user_id),
        refund: row.id,
        message: row.message_id.clone(),
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
            row.id == self.refund
                && row.message_id == self.message
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

/// New values for an order: the time of its next check, and the number of its checks. [`Self::write`] writes them only
/// if the order still has the state, the next check and the number of checks that it has in `order`.
struct NextCheck {
    order: order::Model,
    due_at: Option<DateTime<Utc>>,
    checks: i32,
}

/// Claims an order for [`LEASE`]. Returns the order with the new number of checks. Returns None if another node has
/// claimed the order or its state has changed.
async fn claim(services: &Services, order: order::Model) -> Result<Option<order::Model>, Fault> {
    let due_at = services.clock.now() + LEASE;
    let checks = order.checks + 1;
    let next = NextCheck { order: order.clone(), due_at: Some(due_at), checks };
    let claimed = order::Model { due_at: Some(due_at), checks, ..order };
    let policy = WritePolicy::idempotent("order.claim");
    let is_claimed = services
        .database
        .write(policy, next, |transaction, next| {
            Box::pin(async move { Ok::<_, Error<Infallible>>(next.write(transaction).await?) })
        })
        .await?;
    Ok(is_claimed.then_some(claimed))
}

/// Sets the time of the next check of an order. Changes nothing if the state of the order has changed, or if another
/// node or request has set its next check meanwhile.
async fn schedule(services: &Services, order: &order::Model) -> Result<(), Fault> {
    let command = ScheduleCommand { tools: OrderTools::of(services), order: order.clone() };
    let policy = WritePolicy::idempotent("order.check");
    services
        .database
        .write_for(order.user_id, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    Ok(())
}

struct ScheduleCommand {
    tools: OrderTools,
    order: order::Model,
}

impl ScheduleCommand {
    /// Locks the buyer's row before it counts the open refunds of the order. So a refund that begins at the same time
    /// is either counted here, or plans the next check itself.
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<(), Error<Infallible>> {
        lock_user(transaction, self.order.user_id).await?;
        let open = payment_refund::Entity::find()
            .filter(payment_refund::Column::OrderId.eq(self.order.id))
            .filter(payment_refund::Column::Status.eq(RefundStatus::Requested));
        let has_open_refunds = open.count(transaction).await? > 0;
        let due_at = next_check(&self.order, self.order.checks, has_open_refunds, self.tools.now());
        let next = NextCheck { order: self.order.clone(), due_at, checks: self.order.checks };
        next.write(transaction).await?;
        Ok(())
    }
}

impl NextCheck {
    /// Writes the new values. Returns false if the order has changed, and then writes nothing.
    async fn write(&self, transaction: &DatabaseTransaction) -> Result<bool, DbErr> {
        let written = order::Entity::update_many()
            .col_expr(Column::DueAt, Expr::value(self.due_at))
            .col_expr(Column::Checks, Expr::value(self.checks))
            .filter(Column::Id.eq(self.order.id))
            .filter(Column::State.eq(self.order.state))
            .filter(Column::Checks.eq(self.order.checks))
            .filter(Expr::col(Column::DueAt).eq(self.order.due_at))
            .exec(transaction)
            .await?;
        Ok(written.rows_affected == 1)
    }
}
