//! The statuses of orders, their reasons, and the ways to pay.

use async_graphql::Enum;
use graphql_engine::PlainEnum;
use jishu_entity::order;

/// The status of an order.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "order::OrderState")]
pub(in crate::graphql) enum OrderStatus {
    /// The order waits for its payment until `expiresAt`.
    Pending,
    /// The money arrived. The test cards follow within moments.
    Paid,
    /// The order is paid, and `purchase` has its test cards.
    Granted,
    /// Nobody paid in time. If the money comes later, the order goes on to PAID.
    Expired,
    /// The buyer cancelled the order. If money comes all the same, the order goes on to PAID.
    Cancelled,
    /// All money of the order is on its way back.
    Refunding,
    /// All money of the order went back.
    Refunded,
    /// Support must decide. `statusReason` tells why.
    NeedsAttention,
}

/// The reason of the status of an order, or of a refund of its money.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "order::OrderReason")]
pub(in crate::graphql) enum OrderStatusReason {
    /// The money came after the order had expired or was cancelled.
    Late,
    /// The account of the buyer is deactivated.
    BuyerInactive,
    /// The buyer owned the subjects before the money came.
    AlreadyOwned,
    /// The subjects are no longer sold.
    Archived,
    /// The money came late, and the subjects cost more by then.
    PriceChanged,
    /// The payment has another amount or currency than the order.
    AmountMismatch,
    /// The order was paid before.
    PaidTwice,
    /// Support refunded the purchase.
    RefundRequested,
    /// The payment was refunded at the payment provider.
    ConsoleRefund,
    /// The buyer's bank took the money back.
    ChargedBack,
    /// A dispute ended, and the payment provider does not tell how.
    DisputeClosed,
    /// A refund failed, and no further try is made.
    RefundFailed,
    /// Support must give the money back by hand.
    RefundByHand,
    /// The payment provider cancelled the payment.
    ProviderCancelled,
}

/// The way in which an order is paid.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "order::OrderProvider")]
pub(in crate::graphql) enum OrderProvider {
    /// The buyer pays at Razorpay.
    Razorpay,
    /// The buyer pays at Stripe.
    Stripe,
    /// The buyer pays in cash or by a transfer, and support confirms the payment.
    Manual,
    /// Nobody pays, because the price is 0.
    Free,
}
