//! Complimentary purchases: who granted a purchase without a payment, and why.

use sea_orm::entity::prelude::*;

use crate::{PurchaseId, UserId};

/// A row of `purchase_grants`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "purchase_grants")]
pub struct Model {
    /// The purchase that was granted.
    #[sea_orm(primary_key, auto_increment = false)]
    pub purchase_id: PurchaseId,
    /// The member of support who granted the purchase. Null if an operator granted it on the command line.
    pub granted_by: Option<UserId>,
    /// The reason why the purchase was granted.
    pub reason: String,
}

impl ActiveModelBehavior for ActiveModel {}
