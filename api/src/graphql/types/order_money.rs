//! The money of orders: the payment form, the refunds, and the payment events.

use async_graphql::{Enum, Object};
use jishu_entity::{payment_event, payment_refund};

use super::order_status::{OrderProvider, OrderStatusReason};
use super::refund::RefundStatus;
use super::{Money, money};
use crate::graphql::scalar::DateTime;
use jishu_service::order::ClientParameters;

/// The values with which a frontend opens the payment form of the provider.
pub(in crate::graphql) struct OrderPayment {
    parameters: ClientParameters,
    amount: i64,
    currency: String,
}

/// The values with which a frontend opens the payment form of the provider.
#[Object]
impl OrderPayment {
    /// The payment provider: RAZORPAY or STRIPE.
    async fn provider(&self) -> OrderProvider {
        match &self.parameters {
            ClientParameters::Razorpay { .. } => OrderProvider::Razorpay,
            ClientParameters::Stripe { .. } => OrderProvider::Stripe,
        }
    }

    /// The public key of the platform at the payment provider.
    async fn public_key(&self) -> &str {
        match &self.parameters {
            ClientParameters::Razorpay { key_id, .. } => key_id,
            ClientParameters::Stripe { publishable_key, .. } => publishable_key,
        }
    }

    /// The id of the order at Razorpay, for Razorpay Checkout. Null if the provider is STRIPE.
    async fn provider_order_id(&self) -> Option<&str> {
        match &self.parameters {
            ClientParameters::Razorpay { order_id, .. } => Some(order_id),
            ClientParameters::Stripe { .. } => None,
        }
    }

    /// The secret of this payment at Stripe, for Stripe Elements. Do not log it. Null if the provider is RAZORPAY.
    async fn client_secret(&self) -> Option<&str> {
        match &self.parameters {
            ClientParameters::Razorpay { .. } => None,
            ClientParameters::Stripe { client_secret, .. } => Some(client_secret),
        }
    }

    /// The amount to pay, with the tax.
    async fn amount(&self) -> Money {
        money(self.amount, &self.currency)
    }
}

impl OrderPayment {
    pub(in crate::graphql) fn new(parameters: ClientParameters, amount: i64, currency: &str) -> Self {
        Self { parameters, amount, currency: currency.to_owned() }
    }
}

pub(in crate::graphql) struct OrderRefund {
    row: payment_refund::Model,
}

/// A refund of a payment of an order: money that goes back to the buyer.
#[Object]
impl OrderRefund {
    /// The amount that goes back to the buyer.
    async fn amount(&self) -> Money {
        money(self.row.amount, &self.row.currency)
    }

    /// The status of the refund of the payment.
    async fn status(&self) -> RefundStatus {
        self.row.status.into()
    }

    /// The reason why the money goes back.
    async fn reason(&self) -> OrderStatusReason {
        self.row.reason.into()
    }

    /// The time at which the refund was requested. If somebody refunded the payment directly at the payment provider,
    /// the time at which the server learned of the refund.
    async fn requested_at(&self) -> DateTime {
        DateTime(self.row.requested_at)
    }

    /// The time at which the status became SETTLED. Null unless the status is SETTLED.
    async fn settled_at(&self) -> Option<DateTime> {
        self.row.settled_at.map(DateTime)
    }
}

impl From<payment_refund::Model> for OrderRefund {
    fn from(row: payment_refund::Model) -> Self {
        Self { row }
    }
}

/// The kind of an event that concerns the money of an order.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "payment_event::PaymentEventKind")]
pub(in crate::graphql) enum PaymentEventKind {
    /// The buyer's bank reserved the money of a payment.
    Authorized,
    /// The money of a payment was taken from the buyer.
    Captured,
    /// An attempt to pay failed. A later attempt can succeed.
    Failed,
    /// The payment provider reported that the payment was cancelled, perhaps by this server. The payment can bring no
    /// money any more.
    Cancelled,
    /// The refund of a payment was requested.
    RefundRequested,
    /// The refund of a payment succeeded: the money went back to the buyer.
    RefundSettled,
    /// A refund failed: the payment provider reported this, or cannot process the amount. The server may send the
    /// refund again.
    RefundRefused,
    /// The server no longer tries to give the money of a refund back. For an order with the provider MANUAL, the server
    /// never tries. Support must decide about the order.
    RefundFailed,
    /// The buyer's bank opened a dispute about a payment. The bank may already have taken the money back.
    DisputeOpened,
    /// A dispute ended, because the bank decided for the platform.
    DisputeWon,
    /// A dispute ended, and the payment provider does not report the decision.
    DisputeClosed,
    /// A dispute ended, because the bank decided for the buyer and took the money back.
    ChargedBack,
    /// Support decided about an order from which too much money had gone back, for instance by a chargeback. The
    /// platform does not expect the missing money any more.
    WrittenOff,
}

/// The way in which the server learned of a payment event.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "payment_event::PaymentEventSource")]
pub(in crate::graphql) enum PaymentEventSource {
    /// The payment provider sent a webhook.
    Webhook,
    /// The buyer called `confirmPayment` or `cancelOrder`, and the server asked the payment provider.
    Return,
    /// The server asked the payment provider in one of its own checks of the order.
    Reconciler,
    /// A member of support reported or caused the event.
    Staff,
    /// The server itself caused the event, or learned of it while it sent a refund or captured a payment.
    Server,
}

pub(in crate::graphql) struct PaymentEvent {
    row: payment_event::Model,
}

/// An event that concerns the money of an order, such as a payment, a refund or a dispute. The server appends events
/// and computes the balance of the order from them. An event never changes, except that the deletion of the buyer's
/// account replaces a reference that support typed with a random reference.
#[Object]
impl PaymentEvent {
    /// The kind of the event.
    async fn kind(&self) -> PaymentEventKind {
        self.row.kind.into()
    }

    /// The amount of money that the event concerns. Null if the event has no amount.
    async fn amount(&self) -> Option<Money> {
        Some(money(self.row.amount?, self.row.currency.as_deref()?))
    }

    /// The payment provider's id of the payment, or the reference that support gave. Null if the event concerns no
    /// payment.
    async fn payment(&self) -> Option<&str> {
        self.row.payment.as_deref()
    }

    /// The payment provider's id of the refund or of the dispute. Null if the event concerns neither, or if the id is
    /// not known. A refund that the provider refused at once has no id.
    async fn provider_object(&self) -> Option<&str> {
        self.row.provider_object()
    }

    /// The way in which the server learned of the event.
    async fn source(&self) -> PaymentEventSource {
        self.row.source.into()
    }

    /// The time at which the server recorded the event.
    async fn recorded_at(&self) -> DateTime {
        DateTime(self.row.recorded_at)
    }
}

impl From<payment_event::Model> for PaymentEvent {
    fn from(row: payment_event::Model) -> Self {
        Self { row }
    }
}
