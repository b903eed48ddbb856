//! The stream of changed orders, for subscriptions.

use std::collections::VecDeque;

use futures_util::{Stream, stream};
use jishu_entity::{OrderId, UserId, order};
use jishu_service_macros::service_call;
use sea_orm::DbErr;

use crate::Services;
use crate::events::{Watch, WatchedChange, read_with_retries};

/// Streams orders of a user whenever they change: all orders, or only `order` if it is given. The stream misses no
/// change that is committed after this function returns. Changes of an order that follow each other closely make one
/// item of the stream, with the latest state. The stream ends with an error if the database fails for about a minute.
///
/// # Errors
/// Returns the database's error.
#[service_call("order.changes")]
pub async fn changes(
    services: &Services,
    owner: UserId,
    order: Option<OrderId>,
) -> Result<impl Stream<Item = Result<order::Model, DbErr>> + Send + use<>, DbErr> {
    let watch = services.events.watch(owner, None).await?;
    let changes = OrderChanges { watch, services: services.clone(), owner, order, orders: VecDeque::new() };
    Ok(stream::try_unfold(changes, async |mut changes| {
        let order = changes.next().await?;
        Ok(Some((order, changes)))
    }))
}

struct OrderChanges {
    watch: Watch,
    services: Services,
    owner: UserId,
    order: Option<OrderId>,
    /// Changed orders that were read, and that the stream has not returned yet.
    orders: VecDeque<order::Model>,
}

impl OrderChanges {
    async fn next(&mut self) -> Result<order::Model, DbErr> {
        loop {
            if let Some(order) = self.orders.pop_front() {
                return Ok(order);
            }
            let changed = self.watch.changes().await;
            let ids = changed.into_iter().filter_map(|change| match change {
                WatchedChange::Order(id) => Some(id),
                WatchedChange::Purchase(_) | WatchedChange::Card(_) | WatchedChange::Answers(_) => None,
            });
            let ids: Vec<OrderId> = ids.filter(|id| self.order.is_none_or(|wanted| wanted == *id)).collect();
            if !ids.is_empty() {
                let read = || super::by_ids(&self.services, self.owner, ids.clone());
                self.orders = read_with_retries(read).await?.into();
            }
        }
    }
}
