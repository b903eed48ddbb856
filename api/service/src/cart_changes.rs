//! Finds the subjects in a cart that have changed since they were added.

use std::collections::BTreeSet;

use jishu_entity::{SubjectId, UserId, cart_item};
use jishu_service_macros::service_call;
use sea_orm::QueryOrder;

use super::Services;
use super::entitlement;
use super::pricing;
use crate::error::Fault;

/// A way in which a subject in a cart has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CartChangeKind {
    /// The owner of the cart owns this subject now.
    Owned,
    /// The subject or its course is no longer sold.
    Archived,
    /// The price of the subject alone is not the price when it was added.
    PriceChanged,
}

/// A subject in a cart that has changed since it was added. Prices are in minor units of the currency of its course.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CartChange {
    /// The subject.
    pub subject_id: SubjectId,
    /// The way in which the subject has changed. A subject is reported once: as owned, otherwise as archived, otherwise
    /// for its price.
    pub kind: CartChangeKind,
    /// The price of the subject alone when it was added. None if it was added before carts recorded prices.
    pub price_when_added: Option<i64>,
    /// The price of the subject alone now.
    pub price: i64,
}

/// Lists the subjects of a cart that have changed since they were added, in the order in which they were added.
///
/// # Errors
/// Fails if the database fails, or has no row for a subject in the cart or for its course.
#[service_call("cart_changes.changes")]
pub async fn changes(services: &Services, owner: UserId) -> Result<Vec<CartChange>, Fault> {
    let items = cart_item::Entity::of(owner)
        .order_by_asc(cart_item::Column::AddedAt)
        .order_by_asc(cart_item::Column::SubjectId)
        .all(services.database.reader())
        .await?;
    let ids = items.iter().map(|item| item.subject_id).collect();
    let owned = entitlement::live(services, owner, ids).await?;
    let owned: BTreeSet<SubjectId> = owned.into_iter().map(|owned| owned.subject_id).collect();
    let now = services.clock.now();
    let mut changes = Vec::new();
    for item in items {
        let subject = services.catalog.subject(item.subject_id).await?;
        let course = services.catalog.course(subject.course_id).await?;
        let price = pricing::price_of(&subject, now);
        let kind = if owned.contains(&subject.id) {
            CartChangeKind::Owned
        } else if !course.sells(subject.id) {
            CartChangeKind::Archived
        } else if item.price.is_some_and(|before| before != price) {
            CartChangeKind::PriceChanged
        } else {
            continue;
        };
        changes.push(CartChange { subject_id: subject.id, kind, price_when_added: item.price, price });
    }
    Ok(changes)
}
