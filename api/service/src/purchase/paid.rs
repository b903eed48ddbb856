//! Makes the purchase of a paid order, at the prices that its buyer agreed to.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::purchase::{self, PurchaseType};
use jishu_entity::{UserId, course, entitlement, subject};
use sea_orm::DatabaseTransaction;
use uuid::Uuid;

use super::request_hash::RequestHash;
use super::selection::ResolvedSelection;
use super::{PurchaseCommand, PurchaseRequest, Selection, transaction};
use crate::error::{Error, Fault};
use crate::paper::Papers;
use crate::pricing::Quote;

/// The subjects that an order grants.
pub(crate) struct PaidSubjects {
    pub(crate) buyer: UserId,
    pub(crate) course: course::Model,
    pub(crate) purchase_type: PurchaseType,
    /// The quote with the subjects to grant, at the prices of the order.
    pub(crate) quote: Quote,
    /// The rows of the subjects to grant.
    pub(crate) subjects: Vec<subject::Model>,
    /// The entitlements of the buyer to these subjects whose term is over. The new entitlements replace them.
    pub(crate) lapsed: Vec<entitlement::Model>,
    /// The reference of the order. It is the idempotency key of the purchase, so the database refuses a second purchase
    /// of the same order.
    pub(crate) reference: Uuid,
}

/// Makes the purchase of a paid order. The caller must have locked the buyer's row, and checked that the buyer owns
/// none of the subjects.
///
/// # Errors
/// Fails if the database fails, or if the purchase is refused.
pub(crate) async fn create_paid(
    transaction: &DatabaseTransaction,
    paid: PaidSubjects,
    papers: &Arc<Papers>,
    now: DateTime<Utc>,
) -> Result<purchase::Model, Fault> {
    let selection = Selection {
        course_id: paid.course.id,
        purchase_type: paid.purchase_type,
        subject_ids: paid.subjects.iter().map(|subject| subject.id).collect(),
    };
    let request = PurchaseRequest { selection, cost: None, idempotency_key: Some(paid.reference) };
    let command = PurchaseCommand {
        buyer: paid.buyer,
        key: paid.reference.to_string(),
        grant: None,
        // The checkout has checked the guardian's consent. A paid order is granted without another check.
        consent: None,
        requires_payment: false,
        request_hash: RequestHash::of(&request),
        request,
        tax: Arc::clone(&paid.quote.tax_policy),
        papers: Arc::clone(papers),
        now,
    };
    let mut resolved = ResolvedSelection {
        course: paid.course,
        wanted: paid.subjects,
        owned: Vec::new(),
        lapsed: paid.lapsed,
        quote: paid.quote,
        may_be_in_cart: true,
        may_have_allowances: true,
    };
    transaction::hold(transaction, &mut resolved).await?;
    match transaction::create(transaction, &command, &resolved).await {
        Ok(receipt) => Ok(receipt.purchase),
        Err(Error::Failed(fault)) => Err(fault),
        Err(Error::Refused(refusal)) => {
            Err(Fault::Inconsistent(format!("the purchase of a paid order was refused: {refusal}")))
        }
    }
}
