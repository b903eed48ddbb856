//! The subjects of refunds. The primary key refuses a second refund of the same subject of a purchase.

use sea_orm::entity::prelude::*;

use crate::{PurchaseId, RefundId, SubjectId};

/// A row of `refund_lines`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refund_lines")]
pub struct Model {
    /// The purchase of which the subject is refunded.
    #[sea_orm(primary_key, auto_increment = false)]
    pub purchase_id: PurchaseId,
    /// The subject that is refunded.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject_id: SubjectId,
    /// The refund to which the line belongs.
    pub refund_id: RefundId,
    /// The amount that is given back for this subject, in minor units. It includes the tax.
    pub amount: i64,
    /// The part of `amount` that is tax, in minor units. Null if the purchase recorded no tax.
    pub tax: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
