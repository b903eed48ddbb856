//! The mutations with which buyers make, cancel and pay orders: `checkout`, `cancelOrder` and `confirmPayment`.

use async_graphql::{Context, Enum, ID, InputObject, Object};
use jishu_entity::OrderId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::query::{PurchaseSelection, selection_of};
use crate::graphql::scalar::{Decimal, Uuid};
use crate::graphql::types::{ErrorCode, Order, OrderPayment, Purchase, UserError, user_errors};
use jishu_service::order::{self, CancelRefusal, Checkout, CheckoutRefusal, ConfirmRefusal, PaymentReturn};
use jishu_service::purchase::{PurchaseRefusal, PurchaseRequest};

/// The subjects that a buyer chose, and the price that the buyer saw.
#[derive(InputObject)]
struct CheckoutInput {
    /// The subjects to buy.
    selection: PurchaseSelection,
    /// The total that the buyer saw, with the tax. If the price now differs from it, no order is made, and
    /// `PriceChangedError` contains the new quote. If not given, the price is not compared.
    cost: Option<Decimal>,
    /// A key that the client makes for each order. Repeating the request with the same key returns the same order.
    /// Using the key for a different request is an error. Without a key, a repeated request can make a second order.
    idempotency_key: Option<Uuid>,
}

/// The outcome of a checkout. All values are successes.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "order::CheckoutOutcome")]
enum CheckoutOutcome {
    /// The request made the order.
    Created,
    /// An earlier request with the same idempotency key had made the order.
    Existing,
    /// The user already owns all requested subjects, so there is nothing to pay.
    Owned,
}

/// The response to `checkout`: an order with the values for its payment form, or the reason to refuse.
struct CheckoutPayload {
    outcome: Result<Checkout, UserError>,
}

/// The response to `checkout`.
#[Object]
impl CheckoutPayload {
    /// The outcome of the checkout. Null if the checkout was refused.
    async fn outcome(&self) -> Option<CheckoutOutcome> {
        self.outcome.as_ref().ok().map(|checkout| checkout.outcome.into())
    }

    /// The order that the checkout made or found. Null if the outcome is OWNED, and if the checkout was refused.
    async fn order(&self) -> Option<Order> {
        self.outcome.as_ref().ok()?.order.clone().map(Order::from)
    }

    /// The values with which the frontend opens the payment form of the provider. Null if the buyer cannot pay at a
    /// provider now: the order is not PENDING, its `expiresAt` has passed, or support confirms its payment. Null too if
    /// the outcome is OWNED or the checkout was refused.
    async fn payment(&self) -> Option<OrderPayment> {
        let checkout = self.outcome.as_ref().ok()?;
        let (order, parameters) = (checkout.order.as_ref()?, checkout.payment.clone()?);
        Some(OrderPayment::new(parameters, order.amount, &order.currency))
    }

    /// The purchase that gave the first of the requested subjects, in the order in which the subjects were created.
    /// Null unless the outcome is OWNED.
    async fn owned(&self) -> Option<Purchase> {
        self.outcome.as_ref().ok()?.owned.clone().map(Purchase::from)
    }

    /// The reasons why the checkout was refused. Empty on success. With PAYMENT_PROVIDER_UNAVAILABLE, the server has
    /// stored the order: repeat the request with the same `idempotencyKey`.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

/// The response to `cancelOrder`, `confirmPayment` and `resolveOrder`: the order, or the reason to refuse.
pub(super) struct OrderPayload {
    pub(super) outcome: Result<jishu_entity::order::Model, UserError>,
}

/// The response to `cancelOrder`, `confirmPayment` and `resolveOrder`.
#[Object]
impl OrderPayload {
    /// The order as it is now. Null if the request was refused.
    async fn order(&self) -> Option<Order> {
        self.outcome.as_ref().ok().cloned().map(Order::from)
    }

    /// The reasons why the request was refused. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

/// The order, and the values that the payment provider's form gave to the frontend.
#[derive(InputObject)]
struct ConfirmPaymentInput {
    /// The id of the order.
    order_id: ID,
    /// The payment provider's id of the payment: `razorpay_payment_id`, or the id of the PaymentIntent at Stripe.
    payment_id: String,
    /// The signature of the payment: `razorpay_signature`. Leave it out for Stripe, which gives no signature.
    signature: Option<String>,
}

#[derive(Default)]
pub(super) struct CheckoutMutation;

#[Object]
impl CheckoutMutation {
    /// Makes an order for subjects, and returns the values with which the buyer can pay it. The test cards exist when
    /// `Order.status` is GRANTED: `orderChanged` reports that. An order with the price 0 is granted at once. Repeating
    /// the request with the same `idempotencyKey` returns the same order.
    async fn checkout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The subjects to buy.")] input: CheckoutInput,
    ) -> ApiResult<CheckoutPayload> {
        let viewer = ctx.require_viewer()?;
        let outcome = match selection_of(&input.selection, &["input", "selection"]) {
            Ok(selection) => {
                let request = PurchaseRequest {
                    selection,
                    cost: input.cost.map(|Decimal(cost)| cost),
                    idempotency_key: input.idempotency_key.map(|Uuid(key)| key),
                };
                refused_or(order::checkout(ctx.services()?, viewer.user_id, request).await)?
                    .map_err(UserError::from)
            }
            Err(error) => Err(error),
        };
        Ok(CheckoutPayload { outcome })
    }

    /// Cancels an order of the viewer that has the status PENDING. Cancelling a cancelled order again is a success.
    async fn cancel_order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the order.")] order_id: ID,
    ) -> ApiResult<OrderPayload> {
        let viewer = ctx.require_viewer()?;
        let outcome = match OrderId::parse(&order_id) {
            Some(id) => order::cancel(ctx.services()?, viewer.user_id, id).await,
            None => Err(CancelRefusal::OrderNotFound.into()),
        };
        Ok(OrderPayload { outcome: refused_or(outcome)?.map_err(UserError::from) })
    }

    /// Tells the server that the viewer has paid an order. The server verifies the signature, asks the payment
    /// provider, and grants the order if it is paid. Without this mutation, a paid order is granted too, but later.
    async fn confirm_payment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order, and the values that the payment provider's form gave to the frontend.")]
        input: ConfirmPaymentInput,
    ) -> ApiResult<OrderPayload> {
        let viewer = ctx.require_viewer()?;
        let outcome = match OrderId::parse(&input.order_id) {
            Some(id) => {
                let returned =
                    PaymentReturn { order: id, payment: input.payment_id, signature: input.signature };
                order::confirm(ctx.services()?, viewer.user_id, returned).await
            }
            None => Err(ConfirmRefusal::OrderNotFound.into()),
        };
        Ok(OrderPayload { outcome: refused_or(outcome)?.map_err(UserError::from) })
    }
}

impl From<CheckoutRefusal> for UserError {
    fn from(refusal: CheckoutRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            CheckoutRefusal::NotConfigured => {
                Self::field(ErrorCode::PaymentsNotConfigured, format!("{message} Call `purchase`."), &[])
            }
            CheckoutRefusal::Purchase(PurchaseRefusal::Selection(refusal)) => {
                Self::of_selection(refusal, &["input", "selection"])
            }
            CheckoutRefusal::Purchase(refusal) => refusal.into(),
            CheckoutRefusal::TooManyOrders => {
                let message = format!("{message} `viewer.orders` lists them.");
                Self::field(ErrorCode::TooManyOrders, message, &[])
            }
            CheckoutRefusal::ProviderUnavailable => {
                let message = "The order is stored, but it cannot be paid at the payment provider now. Send the same \
                               request with the same `idempotencyKey` again in a few seconds.";
                Self::field(ErrorCode::PaymentProviderUnavailable, message, &[])
            }
            CheckoutRefusal::ProviderRefused => Self::field(ErrorCode::PaymentProviderRefused, message, &[]),
        }
    }
}

/// Makes the user error for a buyer who has no order with the given id. `at` is the path of the argument with this id.
pub(super) fn no_such_order(message: &str, at: &[&str]) -> UserError {
    UserError::field(ErrorCode::OrderNotFound, format!("{message} Take its id from `viewer.orders`."), at)
}

impl From<CancelRefusal> for UserError {
    fn from(refusal: CancelRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            CancelRefusal::OrderNotFound => no_such_order(&message, &["orderId"]),
            CancelRefusal::NotPending => Self::field(ErrorCode::OrderNotPending, message, &["orderId"]),
            CancelRefusal::ProviderUnavailable => {
                Self::field(ErrorCode::PaymentProviderUnavailable, message, &[])
            }
        }
    }
}

impl From<ConfirmRefusal> for UserError {
    fn from(refusal: ConfirmRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            ConfirmRefusal::OrderNotFound => no_such_order(&message, &["input", "orderId"]),
            ConfirmRefusal::NotVerified => {
                Self::field(ErrorCode::PaymentNotVerified, message, &["input", "signature"])
            }
            ConfirmRefusal::Manual => Self::field(ErrorCode::PaymentManual, message, &["input", "orderId"]),
        }
    }
}
