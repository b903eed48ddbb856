//! The subjects of orders, each with the price that the buyer agreed to.

use sea_orm::entity::prelude::*;

use crate::{OrderId, SubjectId};

/// A row of `order_lines`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order_lines")]
pub struct Model {
    /// The order to which the line belongs.
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: OrderId,
    /// The subject that is bought.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject_id: SubjectId,
    /// The list price of the subject when the order was made, in minor units.
    pub list_price: i64,
    /// The price of the subject in this order, in minor units. It includes the tax.
    pub price: i64,
    /// The part of `price` that is tax, in minor units.
    pub tax: i64,
    /// The number of test cards of the subject when the order was made.
    pub test_cards: i32,
}

impl ActiveModelBehavior for ActiveModel {}
