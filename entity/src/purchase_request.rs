//! Purchase requests that succeeded, by their idempotency keys. If a client repeats a key, it gets the recorded
//! response again. Refused requests are not recorded.

use sea_orm::entity::prelude::*;

use crate::{PurchaseId, PurchaseRequestId, UserId};

/// The outcome of a purchase request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum RequestOutcome {
    /// The request made the purchase.
    #[sea_orm(string_value = "created")]
    Created,
    /// The user already owned all subjects. `purchase_id` is the purchase that granted the first of these subjects.
    #[sea_orm(string_value = "existing")]
    Existing,
}

/// A row of `purchase_requests`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "purchase_requests")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: PurchaseRequestId,
    /// The buyer, or the user who got a complimentary purchase.
    pub user_id: UserId,
    /// The client's idempotency key, or a new key if the client sent none. For the purchase of an order, the
    /// `reference` of the order. It is a canonical UUID, unique for each user.
    pub idempotency_key: String,
    /// The SHA-256 hash of the content of the request, in hexadecimal.
    pub request_hash: String,
    /// The outcome of the request.
    pub outcome: RequestOutcome,
    /// The purchase that the response contains.
    pub purchase_id: PurchaseId,
    /// The time of the request.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Finds the requests of this user.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
