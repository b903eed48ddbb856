//! Orders: each row is a price that a buyer agreed to pay for subjects, with the state of its payment.

use sea_orm::entity::prelude::*;

use crate::purchase::PurchaseType;
use crate::{CourseId, OrderId, PurchaseId, UserId};

/// The way in which an order is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum OrderProvider {
    /// The buyer pays at Razorpay.
    #[sea_orm(string_value = "razorpay")]
    Razorpay,
    /// The buyer pays at Stripe.
    #[sea_orm(string_value = "stripe")]
    Stripe,
    /// The buyer pays in cash or by a transfer, and support confirms the payment.
    #[sea_orm(string_value = "manual")]
    Manual,
    /// The buyer pays nothing, because the price of the order is 0.
    #[sea_orm(string_value = "free")]
    Free,
}

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum OrderState {
    /// The order waits for its payment.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// The order is paid, and the subjects are not granted yet.
    #[sea_orm(string_value = "paid")]
    Paid,
    /// The order made a purchase. Some subjects of the order may have been left out, or refunded later.
    #[sea_orm(string_value = "granted")]
    Granted,
    /// Nobody paid the order in time.
    #[sea_orm(string_value = "expired")]
    Expired,
    /// The buyer cancelled the unpaid order, or the payment provider cancelled or refused the order.
    #[sea_orm(string_value = "cancelled")]
    Cancelled,
    /// All money of the order goes back, and at least one refund is not settled yet.
    #[sea_orm(string_value = "refunding")]
    Refunding,
    /// All money of the order went back.
    #[sea_orm(string_value = "refunded")]
    Refunded,
    /// A member of support must decide what happens with the money.
    #[sea_orm(string_value = "needs_attention")]
    NeedsAttention,
}

/// The reason why an order is in its state, or why money of the order goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))")]
pub enum OrderReason {
    /// The money came after the order had expired or had been cancelled. Only an order in the state `Paid` has this
    /// reason: the server still tries to grant its subjects.
    #[sea_orm(string_value = "late")]
    Late,
    /// The account of the buyer is deactivated or deleted.
    #[sea_orm(string_value = "buyer_inactive")]
    BuyerInactive,
    /// The buyer already owned all or some of the subjects when the order was to be granted.
    #[sea_orm(string_value = "already_owned")]
    AlreadyOwned,
    /// All or some of the subjects are no longer sold.
    #[sea_orm(string_value = "archived")]
    Archived,
    /// The money came late. By then the subjects could no longer be bought in the same way at the price of the order.
    #[sea_orm(string_value = "price_changed")]
    PriceChanged,
    /// The payment has another amount or currency than the order.
    #[sea_orm(string_value = "amount_mismatch")]
    AmountMismatch,
    /// The order no longer waited for a payment when this payment came, usually because another payment had paid it.
    #[sea_orm(string_value = "paid_twice")]
    PaidTwice,
    /// Support refunded the purchase that the order made, or a part of it. Or support decided that money goes back.
    #[sea_orm(string_value = "refund_requested")]
    RefundRequested,
    /// Somebody refunded the payment, or a part of it, at the provider's console.
    #[sea_orm(string_value = "console_refund")]
    ConsoleRefund,
    /// The buyer's bank decided a dispute for the buyer, and took the money back.
    #[sea_orm(string_value = "charged_back")]
    ChargedBack,
    /// A dispute was closed, and the provider does not report who won.
    #[sea_orm(string_value = "dispute_closed")]
    DisputeClosed,
    /// A refund failed or could not be sent to the provider, and the server does not try again.
    #[sea_orm(string_value = "refund_failed")]
    RefundFailed,
    /// A member of support must give the money back by hand.
    #[sea_orm(string_value = "refund_by_hand")]
    RefundByHand,
    /// The provider reported that the payment was cancelled, or the provider refused the order.
    #[sea_orm(string_value = "provider_cancelled")]
    ProviderCancelled,
}

/// A row of `orders`.
///
/// UNIQUE (user_id, idempotency_key), UNIQUE (provider, provider_reference), UNIQUE (purchase_id).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "orders")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: OrderId,
    /// The buyer who made the order.
    pub user_id: UserId,
    /// The course of all subjects of the order.
    pub course_id: CourseId,
    /// The way in which the buyer chose the subjects of the order.
    pub purchase_type: PurchaseType,
    /// The number on the receipt. It is also the reference that the provider gets for the order.
    #[sea_orm(unique)]
    pub receipt_number: String,
    /// The idempotency key of the order at the provider and of its purchase: a canonical UUID that never changes.
    #[sea_orm(unique)]
    pub reference: String,
    /// The client's idempotency key, or a new key if the client sent none. It is a canonical UUID.
    pub idempotency_key: String,
    /// The SHA-256 digest of the request that made the order.
    pub request_hash: String,
    /// The way in which the order is paid.
    pub provider: OrderProvider,
    /// The provider's id of the order. Null until the server knows it. If support confirmed the payment, the receipt
    /// number.
    pub provider_reference: Option<String>,
    /// The payment that paid the order: the provider's id of the payment, or the reference that support gave. Null if
    /// no payment paid the order.
    pub payment_reference: Option<String>,
    /// The amount to pay, in minor units. It includes the tax.
    pub amount: i64,
    /// The sum of the list prices of the subjects, in minor units.
    pub subtotal: i64,
    /// The part of `amount` that is tax, in minor units.
    pub tax: i64,
    /// The name of the tax, such as GST.
    pub tax_label: String,
    /// The rate of the tax, in hundredths of a per cent.
    pub tax_basis_points: i32,
    /// Whether the prices of the catalogue included the tax.
    pub is_tax_included: bool,
    /// The currency of the amounts, as an ISO 4217 code.
    pub currency: String,
    /// The state of the order.
    pub state: OrderState,
    /// The reason why the order is in its state. Null if the state needs no reason.
    pub reason: Option<OrderReason>,
    /// The purchase that the order made. Null until the subjects are granted.
    #[sea_orm(unique)]
    pub purchase_id: Option<PurchaseId>,
    /// The time when the order was made.
    pub created_at: DateTimeUtc,
    /// The time until which the order can be paid at its price.
    pub expires_at: DateTimeUtc,
    /// The time when the order first reached the state `Paid`. Null until then.
    pub paid_at: Option<DateTimeUtc>,
    /// The time when the state changed last.
    pub changed_at: DateTimeUtc,
    /// The time when the server learned of the open dispute about the payment. Null if there is no open dispute.
    pub disputed_at: Option<DateTimeUtc>,
    /// The time from which a node may claim the order for its next check: the planned time of the check, or the end of
    /// a lease. Null if no check is needed.
    pub due_at: Option<DateTimeUtc>,
    /// The number of checks since the pauses between checks last began anew. The pauses begin anew when the state
    /// changes, when the provider has made its order, and when a refund begins while no check is planned. A node claims
    /// the order by adding 1.
    pub checks: i32,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Finds the orders of this user.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
