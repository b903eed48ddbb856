//! Refunds: each row is a request to give money back for subjects of a purchase.

use sea_orm::entity::prelude::*;

use crate::{PurchaseId, RefundId, UserId};

/// The status of a refund of a purchase, or of a refund of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum RefundStatus {
    /// The money is not back yet: the server must still send the refund, or the provider must still settle it.
    #[sea_orm(string_value = "requested")]
    Requested,
    /// The money was given back.
    #[sea_orm(string_value = "settled")]
    Settled,
    /// The server did not give the money back with this refund, and does not try again by itself. For an order with the
    /// provider MANUAL, the server never tries, because support gives the money back by hand. If the order needs
    /// attention, support must decide about it. Otherwise, the money of the refund paid for the order, or went back in
    /// another way. Access that the refund ended does not come back.
    #[sea_orm(string_value = "failed")]
    Failed,
}

/// A row of `refunds`.
///
/// UNIQUE (purchase_id, idempotency_key).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refunds")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: RefundId,
    /// The purchase of which all or some subjects are refunded.
    pub purchase_id: PurchaseId,
    /// The buyer who gets the money back.
    pub user_id: UserId,
    /// The client's idempotency key, or a new key if the client sent none. It is a canonical UUID.
    pub idempotency_key: String,
    /// The SHA-256 digest of the content of the refund request.
    pub request_hash: String,
    /// The amount to give back, in minor units. It includes the tax.
    pub amount: i64,
    /// The part of `amount` that is tax, in minor units. Null if the purchase recorded no tax.
    pub tax: Option<i64>,
    /// The currency, as an ISO 4217 code.
    pub currency: String,
    /// The reason for the refund. Support wrote the reason, or the server did if the money went back by a chargeback or
    /// at the provider's console.
    pub reason: String,
    /// The status of the refund.
    pub status: RefundStatus,
    /// The member of support who requested the refund. It is the buyer if the money went back by a chargeback or at the
    /// provider's console.
    pub requested_by: UserId,
    /// The time of the refund request, or the time when the server learned that the money had gone back without a
    /// request. If the access to the subjects had not ended earlier, the access ended at this time.
    pub requested_at: DateTimeUtc,
    /// The time when the money was given back. Null until then.
    pub settled_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Finds the refunds of this buyer.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
