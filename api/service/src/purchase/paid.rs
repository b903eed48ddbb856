//! The purchase that a paid order makes, at the prices that its buyer agreed to.

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
    /// The subjects with the prices of the order. All of them are granted.
    pub(crate) quote: Quote,
    /// The rows of these subjects.
    pub(crate) subjects: Vec<subject::Model>,
    /// The entitlements of the buyer whose term is over, and that the new ones replace.
    pub(crate) lapsed: Vec<entitlement::Model>,
    /// The reference of the order. It is the idempotency key of the purchase, so the database refuses a second one.
    pub(crate) reference: Uuid,
}

/// Makes the purchase of a paid order. The caller holds the lock on the buyer's row, and has checked that the buyer owns
/// none of the subjects.
///
/// # Errors
/// Returns the database's error.
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
        // The checkout has checked the guardian's consent. It is not checked again for an order that is paid.
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
