//! The cart: subjects that a user intends to buy.

use sea_orm::entity::prelude::*;

use crate::{SubjectId, UserId};

/// A row of `cart_items`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "cart_items")]
pub struct Model {
    /// The owner of the cart.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The subject in the cart.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject_id: SubjectId,
    /// The time when the subject was added.
    pub added_at: DateTimeUtc,
    /// The price of the subject by itself when it was added, in minor units. Null if it was added before carts
    /// recorded prices.
    pub price: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Finds the cart of this user.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
