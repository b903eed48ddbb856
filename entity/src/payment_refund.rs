//! Payment refunds: money of orders that goes back the way it came.

use sea_orm::entity::prelude::*;

use crate::order::{OrderProvider, OrderReason};
use crate::refund::RefundStatus;
use crate::{OrderId, PaymentRefundId, RefundId};

/// A row of `payment_refunds`.
///
/// UNIQUE (provider, provider_refund), UNIQUE (refund_id).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_refunds")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: PaymentRefundId,
    /// The order.
    pub order_id: OrderId,
    /// The refund of the purchase. Null if the money never bought anything.
    #[sea_orm(unique)]
    pub refund_id: Option<RefundId>,
    /// The provider.
    pub provider: OrderProvider,
    /// The provider's id of the payment.
    pub payment: String,
    /// The reference that the provider gets. A canonical UUID, and a new one for each try.
    #[sea_orm(unique)]
    pub reference: String,
    /// The provider's id of the refund. Null until it is known.
    pub provider_refund: Option<String>,
    /// The amount, in minor units.
    pub amount: i64,
    /// The currency, as an ISO 4217 code.
    pub currency: String,
    /// The reason.
    pub reason: OrderReason,
    /// The state.
    pub status: RefundStatus,
    /// The number of tries.
    pub tries: i32,
    /// The message of the outbox that carries the current try. Null if none does.
    pub message_id: Option<String>,
    /// The provider's code of the latest failure.
    pub failure: Option<String>,
    /// The time of the request.
    pub requested_at: DateTimeUtc,
    /// The time when the money went back.
    pub settled_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
