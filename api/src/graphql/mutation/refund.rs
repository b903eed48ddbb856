//! The mutation `refundPurchase`.

use async_graphql::{Context, Enum, ID, InputObject, Object};
use graphql_engine::guarded_fields;
use jishu_entity::PurchaseId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::scalar::Uuid;
use crate::graphql::types::{ErrorCode, Purchase, Refund, UserError, user_errors};
use jishu_service::account::Support;
use jishu_service::refund::{self, RefundRefusal, RefundRequest, Refunded};

/// A purchase, or some of its subjects, to refund.
#[derive(InputObject)]
struct RefundPurchaseInput {
    /// The id of the purchase. It can belong to any user.
    purchase_id: ID,
    /// The ids of the subjects to refund. If not given, all subjects of the purchase that were not refunded before.
    subject_ids: Option<Vec<ID>>,
    /// The reason for the refund: 1 to 1000 characters. The buyer can read the reason.
    reason: String,
    /// A key that the client makes for each refund. Repeating the request with the same key returns the same refund.
    /// Using the key for a different request to refund this purchase is an error.
    idempotency_key: Option<Uuid>,
}

/// The outcome of a refund. Both values are successes.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "refund::RefundOutcome")]
enum RefundOutcome {
    /// The request made the refund.
    Created,
    /// The subjects were refunded before, and `refund` is the earlier refund. Nothing was refunded again.
    Existing,
}

/// The response to `refundPurchase`: a refund, or the reason to refuse.
struct RefundPayload {
    outcome: Result<Refunded, UserError>,
}

/// The response to `refundPurchase`.
#[Object]
impl RefundPayload {
    /// The outcome of the request. Null if the request was refused.
    async fn outcome(&self) -> Option<RefundOutcome> {
        self.outcome.as_ref().ok().map(|refunded| refunded.outcome.into())
    }

    /// The refund that the request made or found. Null if the request was refused.
    async fn refund(&self) -> Option<Refund> {
        self.outcome.as_ref().ok().map(|refunded| refunded.refund.clone().into())
    }

    /// The purchase after the refund. Null if the request was refused.
    async fn purchase(&self) -> Option<Purchase> {
        self.outcome.as_ref().ok().map(|refunded| refunded.purchase.clone().into())
    }

    /// The reasons why nothing was refunded. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

#[derive(Default)]
pub(super) struct RefundMutation;

#[guarded_fields(requires_role)]
#[Object]
impl RefundMutation {
    /// Refunds a purchase of any user, or some of its subjects. Only for SUPPORT and ADMIN. The access ends at once,
    /// and open sittings are closed and scored. The test cards stay readable. The user can buy the subjects again, and
    /// then gets new test cards. Repeated and concurrent requests refund a subject only once. If the buyer paid at a
    /// payment provider, the money goes back through the provider, and the refund is REQUESTED until it is SETTLED or
    /// FAILED. Otherwise the refund is SETTLED at once, and support gives the money back by hand.
    async fn refund_purchase(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
        #[graphql(desc = "The purchase, and the reason.")] input: RefundPurchaseInput,
    ) -> ApiResult<RefundPayload> {
        let outcome = match request(input) {
            Ok(request) => {
                refused_or(refund::refund(ctx.services()?, support, request).await)?.map_err(UserError::from)
            }
            Err(error) => Err(error),
        };
        Ok(RefundPayload { outcome })
    }
}

/// Turns the input into a request to the service. Fails with a user error if an id does not have the form of a global
/// id of its type.
fn request(input: RefundPurchaseInput) -> Result<RefundRequest, UserError> {
    let purchase = PurchaseId::parse(&input.purchase_id).ok_or(RefundRefusal::PurchaseNotFound)?;
    let subjects = match input.subject_ids {
        Some(ids) => Some(UserError::parse_subjects(&ids, &["input", "subjectIds"])?),
        None => None,
    };
    let idempotency_key = input.idempotency_key.map(|Uuid(key)| key);
    Ok(RefundRequest { purchase, subjects, reason: input.reason, idempotency_key })
}

impl From<RefundRefusal> for UserError {
    fn from(refusal: RefundRefusal) -> Self {
        const SUBJECTS: &[&str] = &["input", "subjectIds"];
        let message = match &refusal {
            RefundRefusal::NoSubjects => {
                format!("{refusal} Or leave out `subjectIds` to refund the whole purchase.")
            }
            RefundRefusal::SubjectsNotInPurchase(_) => {
                format!("{refusal} Take the ids from `purchase.lines`.")
            }
            RefundRefusal::AlreadyRefunded(_) => {
                format!("{refusal} `purchase.lines` shows which subjects were refunded.")
            }
            refusal => refusal.to_string(),
        };
        match refusal {
            RefundRefusal::PurchaseNotFound => {
                Self::field(ErrorCode::PurchaseNotFound, message, &["input", "purchaseId"])
            }
            RefundRefusal::Reason => Self::field(ErrorCode::ReasonInvalid, message, &["input", "reason"]),
            RefundRefusal::NoSubjects => Self::field(ErrorCode::SubjectCountMismatch, message, SUBJECTS),
            RefundRefusal::SubjectsNotInPurchase(ids) => {
                Self::subjects(ErrorCode::SubjectNotInPurchase, message, SUBJECTS, &ids)
            }
            RefundRefusal::AlreadyRefunded(ids) => {
                Self::subjects(ErrorCode::AlreadyRefunded, message, SUBJECTS, &ids)
            }
            RefundRefusal::Disputed => {
                Self::field(ErrorCode::OrderDisputed, message, &["input", "purchaseId"])
            }
            RefundRefusal::IdempotencyKeyReused => {
                Self::field(ErrorCode::IdempotencyKeyReused, message, &["input", "idempotencyKey"])
            }
        }
    }
}
