//! The mutations with which support handles orders: `markOrderPaid` and `resolveOrder`.

use async_graphql::{Context, Enum, ID, InputObject, Object};
use graphql_engine::guarded_fields;
use jishu_entity::OrderId;

use super::checkout::OrderPayload;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::types::{ErrorCode, Order, UserError, user_errors};
use jishu_service::account::Support;
use jishu_service::order::{
    self, ManualPayment, MarkPaidRefusal, MarkedPaid, ResolveRefusal, ResolveRequest,
};

/// A payment in cash or by a transfer, which support has received.
#[derive(InputObject)]
struct MarkOrderPaidInput {
    /// The id of the order. It can belong to any user.
    order_id: ID,
    /// The reference of the payment, such as the number of a transfer: 1 to 60 printable characters of ASCII. A
    /// reference names one payment, so a repeated request with the same reference does not record the payment again.
    /// If the order was paid before, another reference is refused. If the buyer paid twice, give the second payment
    /// back by hand.
    reference: String,
}

/// The outcome of `markOrderPaid`. Both values are successes.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
enum MarkOrderPaidOutcome {
    /// The request recorded the payment.
    Created,
    /// An earlier request had recorded the payment. This request did not record it again.
    Existing,
}

/// The response to `markOrderPaid`: the order, or the reason to refuse.
struct MarkOrderPaidPayload {
    outcome: Result<MarkedPaid, UserError>,
}

/// The response to `markOrderPaid`.
#[Object]
impl MarkOrderPaidPayload {
    /// The outcome of the request. Null if the request was refused.
    async fn outcome(&self) -> Option<MarkOrderPaidOutcome> {
        self.outcome.as_ref().ok().map(|marked| match marked.is_new {
            true => MarkOrderPaidOutcome::Created,
            false => MarkOrderPaidOutcome::Existing,
        })
    }

    /// The order as it is now. Null if the request was refused.
    async fn order(&self) -> Option<Order> {
        self.outcome.as_ref().ok().map(|marked| marked.order.clone().into())
    }

    /// The reasons why the request was refused. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

/// A decision of support about an order that needs attention.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "order::Resolution")]
enum OrderResolution {
    /// The buyer gets the subjects, or keeps them. If the order has a purchase already, refunds that failed are sent
    /// again. Excess money goes back. If too much money went back before, the platform writes off the missing money.
    /// For an order with the provider MANUAL, money that goes back counts as given back by support.
    Grant,
    /// The access ends, and all remaining money of the order goes back the way it came. For an order with the provider
    /// MANUAL, this means that support has given the money back.
    Refund,
    /// The access ends, and support has given all remaining money of the order back in another way.
    RefundByHand,
}

/// A decision of support about an order, with its reason.
#[derive(InputObject)]
struct ResolveOrderInput {
    /// The id of the order. It can belong to any user.
    order_id: ID,
    /// The decision about the order.
    resolution: OrderResolution,
    /// The reason for the decision: 1 to 1000 characters. The audit trail stores the reason. The data that the buyer
    /// can download from `/me/export` contains the reason too. If the decision refunds a purchase, the buyer can also
    /// query the reason.
    reason: String,
}

#[derive(Default)]
pub(super) struct OrderMutation;

#[guarded_fields(requires_role)]
#[Object]
impl OrderMutation {
    /// Records that an order was paid in cash or by a transfer, and grants the order. If the order cannot be granted,
    /// the status of the order says what happened. Only for SUPPORT and ADMIN. The order must have the provider MANUAL.
    async fn mark_order_paid(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
        #[graphql(desc = "The order, and the reference of the payment.")] input: MarkOrderPaidInput,
    ) -> ApiResult<MarkOrderPaidPayload> {
        let outcome = match OrderId::parse(&input.order_id) {
            Some(id) => {
                let payment = ManualPayment { order: id, reference: input.reference };
                order::mark_paid(ctx.services()?, support, payment).await
            }
            None => Err(MarkPaidRefusal::OrderNotFound.into()),
        };
        Ok(MarkOrderPaidPayload { outcome: refused_or(outcome)?.map_err(UserError::from) })
    }

    /// Carries out a decision about an order with the status NEEDS_ATTENTION. Only for SUPPORT and ADMIN.
    async fn resolve_order(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
        #[graphql(desc = "The order, and the decision.")] input: ResolveOrderInput,
    ) -> ApiResult<OrderPayload> {
        let outcome = match OrderId::parse(&input.order_id) {
            Some(id) => {
                let resolution = input.resolution.into();
                let request = ResolveRequest { order: id, resolution, reason: input.reason };
                order::resolve(ctx.services()?, support, request).await
            }
            None => Err(ResolveRefusal::OrderNotFound.into()),
        };
        Ok(OrderPayload { outcome: refused_or(outcome)?.map_err(UserError::from) })
    }
}

/// Makes the user error for a member of support who gave the id of an order that does not exist.
fn no_such_order(message: &str) -> UserError {
    let message = format!("{message} Take its id from `orders`.");
    UserError::field(ErrorCode::OrderNotFound, message, &["input", "orderId"])
}

impl From<MarkPaidRefusal> for UserError {
    fn from(refusal: MarkPaidRefusal) -> Self {
        const REFERENCE: &[&str] = &["input", "reference"];
        let message = refusal.to_string();
        match refusal {
            MarkPaidRefusal::OrderNotFound => no_such_order(&message),
            MarkPaidRefusal::Reference => Self::field(ErrorCode::PaymentReferenceInvalid, message, REFERENCE),
            MarkPaidRefusal::ReferenceUsed => {
                Self::field(ErrorCode::PaymentReferenceUsed, message, REFERENCE)
            }
            MarkPaidRefusal::AlreadyPaid => {
                Self::field(ErrorCode::OrderNotPending, message, &["input", "orderId"])
            }
            MarkPaidRefusal::NotManual => {
                Self::field(ErrorCode::OrderNotManual, message, &["input", "orderId"])
            }
        }
    }
}

impl From<ResolveRefusal> for UserError {
    fn from(refusal: ResolveRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            ResolveRefusal::OrderNotFound => no_such_order(&message),
            ResolveRefusal::Reason => Self::field(ErrorCode::ReasonInvalid, message, &["input", "reason"]),
            ResolveRefusal::NotNeeded => {
                Self::field(ErrorCode::OrderNeedsNoAttention, message, &["input", "orderId"])
            }
            ResolveRefusal::Disputed => {
                let message =
                    format!("{message} If you gave the money back yourself, choose REFUND_BY_HAND.");
                Self::field(ErrorCode::OrderDisputed, message, &["input", "resolution"])
            }
            ResolveRefusal::NotGrantable(_) => {
                let message = format!("{message} Choose REFUND or REFUND_BY_HAND.");
                Self::field(ErrorCode::OrderNotGrantable, message, &["input", "resolution"])
            }
        }
    }
}
