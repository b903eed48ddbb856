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
    /// The money of the order arrived. Within moments, the order leaves this status: its subjects are granted, its
    /// money goes back, or support must decide.
    Paid,
    /// The subjects of the order are granted, and `purchase` has their test cards. If some subjects could not be
    /// granted, `statusReason` says why, and their price goes back.
    Granted,
    /// Nobody paid until `expiresAt`. If the money comes later, the status becomes PAID.
    Expired,
    /// The buyer or the payment provider cancelled the order, or the provider refused it. If the money comes
    /// nevertheless, the status becomes PAID.
    Cancelled,
    /// The order is over, and its money goes back to the buyer, but is not all back yet.
    Refunding,
    /// The order is over, and its money went back to the buyer.
    Refunded,
    /// Support must decide about the order with `resolveOrder`. `statusReason` is the reason.
    NeedsAttention,
}

/// The reason why an order has its status, or why money of an order goes back.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "order::OrderReason")]
pub(in crate::graphql) enum OrderStatusReason {
    /// The money came after the order had expired or had been cancelled. Only an order with the status PAID has this
    /// reason: the server still tries to grant its subjects.
    Late,
    /// The account of the buyer is deactivated or deleted.
    BuyerInactive,
    /// The buyer already owned all or some of the subjects when the order was to be granted.
    AlreadyOwned,
    /// All or some of the subjects are no longer sold.
    Archived,
    /// The money came late. By then the subjects cost more, or the course was no longer sold as a bundle.
    PriceChanged,
    /// The payment has another amount or currency than the order.
    AmountMismatch,
    /// Another payment of the order had already arrived when this payment came.
    PaidTwice,
    /// Support refunded the purchase or a part of it, or decided that money goes back.
    RefundRequested,
    /// Somebody refunded the payment, or a part of it, directly at the payment provider.
    ConsoleRefund,
    /// The buyer's bank took the money back.
    ChargedBack,
    /// A dispute ended, and the payment provider does not report the decision.
    DisputeClosed,
    /// A refund failed or could not be sent to the payment provider, and the server no longer tries it.
    RefundFailed,
    /// Support must give the money back by hand, because the order has the provider MANUAL.
    RefundByHand,
    /// The payment provider reported that the payment was cancelled, or the provider refused the order.
    ProviderCancelled,
}

/// The way in which a buyer pays an order.
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
