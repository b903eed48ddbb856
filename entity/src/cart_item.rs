//! The cart: subjects that a user has set aside to buy.

use sea_orm::entity::prelude::*;

use crate::{SubjectId, UserId};

/// A row of `cart_items`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "cart_items")]
pub struct Model {
    /// Whose cart.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// What is in it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject_id: SubjectId,
    /// When it was put there.
    pub added_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The cart of this user.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
