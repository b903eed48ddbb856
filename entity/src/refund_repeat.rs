//! Idempotency keys of refund requests that found an earlier refund. Because the key is recorded, it can never make
//! another refund. The key of a request that made a refund is in the row of that refund.

use sea_orm::entity::prelude::*;

use crate::{PurchaseId, RefundId};

/// A row of `refund_repeats`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refund_repeats")]
pub struct Model {
    /// The purchase that the request named.
    #[sea_orm(primary_key, auto_increment = false)]
    pub purchase_id: PurchaseId,
    /// The client's idempotency key. It is a canonical UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub idempotency_key: String,
    /// The SHA-256 digest of the content of the refund request.
    pub request_hash: String,
    /// The earlier refund that the request found.
    pub refund_id: RefundId,
    /// The time of the refund request.
    pub requested_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
