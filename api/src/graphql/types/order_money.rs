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

    /// The public key of the platform at the provider.
    async fn public_key(&self) -> &str {
        match &self.parameters {
            ClientParameters::Razorpay { key_id, .. } => key_id,
            ClientParameters::Stripe { publishable_key, .. } => publishable_key,
        }
    }

    /// The order at Razorpay, for Razorpay Checkout. Null at Stripe.
    async fn provider_order_id(&self) -> Option<&str> {
        match &self.parameters {
            ClientParameters::Razorpay { order_id, .. } => Some(order_id),
            ClientParameters::Stripe { .. } => None,
        }
    }

    /// The secret of this payment at Stripe, for Stripe Elements. Null at Razorpay. Do not log it.
    async fn client_secret(&self) -> Option<&str> {
        match &self.parameters {
            ClientParameters::Razorpay { .. } => None,
            ClientParameters::Stripe { client_secret, .. } => Some(client_secret),
        }
    }

    /// The amount to pay.
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

/// Money of an order that goes back the way it came.
#[Object]
impl OrderRefund {
    /// The amount.
    async fn amount(&self) -> Money {
        money(self.row.amount, &self.row.currency)
    }

    /// The status of the refund.
    async fn status(&self) -> RefundStatus {
        self.row.status.into()
    }

    /// The reason.
    async fn reason(&self) -> OrderStatusReason {
        self.row.reason.into()
    }

    /// The time of the request.
    async fn requested_at(&self) -> DateTime {
        DateTime(self.row.requested_at)
    }

    /// The time at which the money went back. Null unless the status is SETTLED.
    async fn settled_at(&self) -> Option<DateTime> {
        self.row.settled_at.map(DateTime)
    }
}

impl From<payment_refund::Model> for OrderRefund {
    fn from(row: payment_refund::Model) -> Self {
        Self { row }
    }
}

/// The kind of something that is known about the money of an order.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "payment_event::PaymentEventKind")]
pub(in crate::graphql) enum PaymentEventKind {
    /// The bank reserved the money.
    Authorized,
    /// The money was taken.
    Captured,
    /// An attempt to pay failed. A later one can succeed.
    Failed,
    /// The payment can no longer be made.
    Cancelled,
    /// Money is on its way back.
    RefundRequested,
    /// The money went back.
    RefundSettled,
    /// The provider reported that a refund failed. The server tries again.
    RefundRefused,
    /// The money does not go back: no further try is made.
    RefundFailed,
    /// The buyer's bank opened a dispute about a payment. It may already hold the money.
    DisputeOpened,
    /// The bank decided for the platform.
    DisputeWon,
    /// The dispute ended, and the provider does not tell how.
    DisputeClosed,
    /// The bank took the money back.
    ChargedBack,
    /// Support accepted that this money is missing, and left the access.
    WrittenOff,
}

/// The way in which the server learned of a payment event.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "payment_event::PaymentEventSource")]
pub(in crate::graphql) enum PaymentEventSource {
    /// The provider sent a webhook.
    Webhook,
    /// The buyer came back, and the server asked the provider.
    Return,
    /// The server asked the provider by itself.
    Reconciler,
    /// A member of support reported or caused the event.
    Staff,
    /// The server itself caused the event.
    Server,
}

pub(in crate::graphql) struct PaymentEvent {
    row: payment_event::Model,
}

/// Something that is known about the money of an order. Events are never changed. The sums of their amounts are the money
/// of the order.
#[Object]
impl PaymentEvent {
    /// The event that concerns the money, such as a payment, a refund or a dispute.
    async fn kind(&self) -> PaymentEventKind {
        self.row.kind.into()
    }

    /// The amount. Null if the event has none.
    async fn amount(&self) -> Option<Money> {
        Some(money(self.row.amount?, self.row.currency.as_deref()?))
    }

    /// The provider's id of the payment, or the reference that support gave. Null if no payment caused the event.
    async fn payment(&self) -> Option<&str> {
        self.row.payment.as_deref()
    }

    /// The provider's id of the refund or of the dispute. Null for other events, and if it is unknown.
    async fn provider_object(&self) -> Option<&str> {
        self.row.object.as_deref()
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
