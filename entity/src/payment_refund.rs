//! Payment refunds: money of orders that goes back to the payment it came from.

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
    /// The order whose money goes back.
    pub order_id: OrderId,
    /// The refund of the purchase for which the money goes back. Null if the money goes back for another reason: it
    /// bought nothing, support settled the balance, or a part was refunded at the provider's console.
    #[sea_orm(unique)]
    pub refund_id: Option<RefundId>,
    /// The provider of the order's payment.
    pub provider: OrderProvider,
    /// The payment whose money goes back, by the same id as in `payment_events`.
    pub payment: String,
    /// The reference of the refund: a canonical UUID. It is new for each try, unless the provider never responded to
    /// the last try. The server sends this UUID to the provider with the try. The provider does not know the reference
    /// of a refund by hand or from its console. If a refund from the console replaces the refund that the server
    /// requested, the reference is new, too.
    #[sea_orm(unique)]
    pub reference: String,
    /// The provider's id of the refund. If the last try was refused at once, or the provider cannot process the amount,
    /// it is `refused:` and the reference. Null until the server knows the id.
    pub provider_refund: Option<String>,
    /// The amount that goes back, in minor units.
    pub amount: i64,
    /// The currency, as an ISO 4217 code.
    pub currency: String,
    /// The reason why the money goes back.
    pub reason: OrderReason,
    /// The status of the payment refund.
    pub status: RefundStatus,
    /// The number of tries, from 1. If support retries the refund, the count begins at 1 again. A refund from the
    /// provider's console has the maximum at once, so that the server does not retry the refund by itself. So has a
    /// refund that was given up, and whose money goes back after all.
    pub tries: i32,
    /// The `message_id` of the outbox message that makes the current try. Null if no message makes a try.
    pub message_id: Option<String>,
    /// The code of the latest failure, from the provider or from the server, such as `by_hand` or `undelivered`. Null
    /// if no try failed since the refund began, or since support began it again. It is `granted` if support granted the
    /// order with the money of this refund after the refund was given up. It is `returned_otherwise` if the money left
    /// the payment in another way.
    pub failure: Option<String>,
    /// The time when the payment refund was requested. For a refund at the provider's console, the time when the server
    /// learned of the refund.
    pub requested_at: DateTimeUtc,
    /// The time when the money went back. Null until then.
    pub settled_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
