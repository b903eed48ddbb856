//! Refund requests that found an earlier refund, by the idempotency key of support. The key can never ask for another
//! refund. The key of the request that made a refund is in its own row.

use sea_orm::entity::prelude::*;

use crate::{PurchaseId, RefundId};

/// A row of `refund_repeats`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refund_repeats")]
pub struct Model {
    /// The purchase.
    #[sea_orm(primary_key, auto_increment = false)]
    pub purchase_id: PurchaseId,
    /// The client's idempotency key. It is a canonical UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub idempotency_key: String,
    /// The SHA-256 digest of the request.
    pub request_hash: String,
    /// The refund that the request found.
    pub refund_id: RefundId,
    /// The time of the request.
    pub requested_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
