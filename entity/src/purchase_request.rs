//! Requests to purchase that were answered, by the client's idempotency key: what it takes to give the first
//! answer again.

use sea_orm::entity::prelude::*;

use crate::{PurchaseId, PurchaseRequestId, UserId};

/// What the answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum RequestOutcome {
    /// The request made the purchase.
    #[sea_orm(string_value = "created")]
    Created,
    /// All was owned; the purchase is the one that gave the first of the subjects.
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
    /// Who asked.
    pub user_id: UserId,
    /// The client's key, or one made for a request without; unique for a user. A canonical UUID.
    pub idempotency_key: String,
    /// SHA-256 of what was asked for, in hexadecimal.
    pub request_hash: String,
    /// What the answer was.
    pub outcome: RequestOutcome,
    /// The purchase that was answered.
    pub purchase_id: PurchaseId,
    /// When.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The requests of this user.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
