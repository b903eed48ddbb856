//! The cart: subjects that a user intends to buy.

use sea_orm::entity::prelude::*;

use crate::{SubjectId, UserId};

/// A row of `cart_items`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "cart_items")]
pub struct Model {
    /// The user to whom the cart belongs.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The subject in the cart.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject_id: SubjectId,
    /// The time when the subject was added to the cart.
    pub added_at: DateTimeUtc,
    /// The price of the single subject when it was added to the cart, in minor units. Null if the price is not known,
    /// as for items that were added before carts recorded prices.
    pub price: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Finds the items in the cart of this user.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
