//! Refunds. A refund ends the entitlements to subjects of a purchase at once, and records the money to give back.
//!
//! One transaction ([`transaction`]) makes a refund. It locks the buyer's row, as purchases and starts of sittings do.
//! The primary key of the refunded subjects refuses a second refund of the same subject of a purchase.

mod request;
mod transaction;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::refund::{Column, Entity, Model};
use jishu_entity::{PurchaseId, RefundId, SubjectId, UserId, purchase, refund_line};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::Services;
use super::account::Support;
use super::paper::Papers;
use super::reason;
use crate::database::WritePolicy;
use crate::error::{Error, Refusal};
use crate::failpoint;
use crate::order::OrderTools;

pub(crate) use transaction::refund_rest;
pub use transaction::settle;

/// A request to refund subjects of a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRequest {
    /// The purchase. It can belong to any user.
    pub purchase: PurchaseId,
    /// The subjects to refund. None refunds all subjects of the purchase that were not refunded before.
    pub subjects: Option<Vec<SubjectId>>,
    /// The reason, which the buyer reads.
    pub reason: String,
    /// A key that identifies the request among the refund requests of this purchase. Repeating the request with the
    /// same key returns the first refund.
    pub idempotency_key: Option<Uuid>,
}

/// The outcome of a refund request. Refunding subjects again that were refunded together before is a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundOutcome {
    /// The request created the refund.
    Created,
    /// An earlier request had created the refund.
    Existing,
}

/// The result of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunded {
    /// Whether this request or an earlier one created the refund.
    pub outcome: RefundOutcome,
    /// The refund.
    pub refund: Model,
    /// The purchase after the refund.
    pub purchase: purchase::Model,
}

/// A reason not to refund. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum RefundRefusal {
    /// There is no such purchase.
    #[error("There is no such purchase.")]
    PurchaseNotFound,
    /// The reason is blank, too long, or has characters that a reason cannot have.
    #[error("Give a reason for the refund: {}.", reason::rule())]
    Reason,
    /// The list of subjects is empty.
    #[error("Name at least one subject.")]
    NoSubjects,
    /// These subjects are not part of the purchase.
    #[error("A subject is not part of this purchase. Remove it from the request.")]
    SubjectsNotInPurchase(Vec<SubjectId>),
    /// These subjects were refunded before, and the request is not a repetition of their refund.
    #[error(
        "A subject of this purchase was refunded before. Name only the subjects that are left, if there are any."
    )]
    AlreadyRefunded(Vec<SubjectId>),
    /// The buyer's bank disputes the payment.
    #[error("The bank of the buyer disputes this payment. Wait until the dispute is over.")]
    Disputed,
    /// The idempotency key belongs to another refund of the purchase.
    #[error("This idempotency key was used for another refund. Make a new key for a new refund.")]
    IdempotencyKeyReused,
}

impl Refusal for RefundRefusal {}

/// A refund that [`transaction::run`] carries out.
struct RefundCommand {
    /// The user who is recorded as the requester of the refund: a member of support, or the buyer for a [`Rest`] that
    /// no member of support decided.
    by: UserId,
    buyer: UserId,
    request: RefundRequest,
    /// The client's idempotency key, or a new one. If the response to COMMIT was lost, a retry of the transaction finds
    /// the stored refund by this key.
    key: String,
    request_hash: String,
    papers: Arc<Papers>,
    tools: OrderTools,
}

/// The subjects of a purchase that were not refunded before. They are refunded because their money goes back without a
/// refund request.
pub(crate) struct Rest<'a> {
    /// The member of support who decided that the money goes back. None if the money went back by a chargeback or at
    /// the provider's console.
    pub(crate) by: Option<UserId>,
    pub(crate) buyer: UserId,
    pub(crate) purchase: PurchaseId,
    /// The reason of the refund, which the buyer reads.
    pub(crate) reason: &'a str,
    pub(crate) papers: &'a Arc<Papers>,
    pub(crate) tools: &'a OrderTools,
    pub(crate) now: DateTime<Utc>,
}

/// Refunds a purchase of any user, or some of its subjects, and ends the access to the refunded subjects. If an order
/// made the purchase, the money goes back through this order. Otherwise the refund is settled at once.
///
/// A repeated request is a success, and refunds nothing again: its idempotency key finds the first refund. Without the
/// key, the request finds a refund of exactly the same subjects. A request for all subjects finds the latest refund, if
/// no subject is left.
///
/// # Errors
/// See [`RefundRefusal`]. A refusal means that nothing was written.
#[service_call("refund.refund")]
pub async fn refund(
    services: &Services,
    by: Support,
    request: RefundRequest,
) -> Result<Refunded, Error<RefundRefusal>> {
    let reason = reason::checked(&request.reason).ok_or(RefundRefusal::Reason)?;
    let request = RefundRequest { reason, ..request };
    if request.subjects.as_ref().is_some_and(Vec::is_empty) {
        return Err(RefundRefusal::NoSubjects.into());
    }
    let buyer: Option<UserId> = purchase::Entity::find_by_id(request.purchase)
        .select_only()
        .column(purchase::Column::UserId)
        .into_tuple()
        .one(services.database.reader())
        .await?;
    let buyer = buyer.ok_or(RefundRefusal::PurchaseNotFound)?;
    let command = RefundCommand {
        by: by.id(),
        buyer,
        key: request.idempotency_key.unwrap_or_else(Uuid::new_v4).to_string(),
        request_hash: request::hash(&request),
        request,
        papers: Arc::clone(&services.papers),
        tools: OrderTools::of(services),
    };
    let policy = WritePolicy::idempotent("refund").retry_taken_keys();
    let refunded = services
        .database
        .write_for(buyer, policy, command, |transaction, command| {
            Box::pin(transaction::run(transaction, command))
        })
        .await?;
    failpoint::boundary("refund.committed");
    if refunded.outcome == RefundOutcome::Created {
        if let Some(metrics) = services.metrics.business() {
            metrics.refund();
        }
        services.events.appended(buyer);
        services.outbox.wake();
        let Model { id, purchase_id, .. } = refunded.refund;
        tracing::info!(user = %by.id(), refund = %id, purchase = %purchase_id, "a purchase was refunded");
    }
    Ok(refunded)
}

/// Finds the refunds with these ids. Leaves out refunds of other buyers.
///
/// # Errors
/// Returns the database's error.
#[service_call("refund.by_ids")]
pub async fn by_ids(services: &Services, owner: UserId, ids: Vec<RefundId>) -> Result<Vec<Model>, DbErr> {
    Entity::of(owner).filter(Column::Id.is_in(ids)).all(services.database.reader()).await
}

/// Finds the refunds with these ids, whoever the buyers are.
///
/// # Errors
/// Returns the database's error.
#[service_call("refund.by_ids_for_support")]
pub async fn by_ids_for_support(
    services: &Services,
    _: Support,
    ids: Vec<RefundId>,
) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::Id.is_in(ids)).all(services.database.reader()).await
}

/// Reads the refunds of these purchases of a buyer, oldest first.
///
/// # Errors
/// Returns the database's error.
#[service_call("refund.of_purchases")]
pub async fn of_purchases(
    services: &Services,
    owner: UserId,
    purchases: Vec<PurchaseId>,
) -> Result<Vec<Model>, DbErr> {
    Entity::of(owner)
        .filter(Column::PurchaseId.is_in(purchases))
        .order_by_asc(Column::Id)
        .all(services.database.reader())
        .await
}

/// Reads the refunded subjects of those of these purchases that belong to `owner`, sorted by purchase id and subject
/// id.
///
/// # Errors
/// Returns the database's error.
#[service_call("refund.lines_of_purchases")]
pub async fn lines_of_purchases(
    services: &Services,
    owner: UserId,
    purchases: Vec<PurchaseId>,
) -> Result<Vec<refund_line::Model>, DbErr> {
    let of_owner = Query::select()
        .column(Column::Id)
        .from(Entity)
        .and_where(Expr::col(Column::PurchaseId).is_in(purchases.iter().copied()))
        .and_where(Expr::col(Column::UserId).eq(owner))
        .take();
    refund_line::Entity::find()
        .filter(refund_line::Column::PurchaseId.is_in(purchases))
        .filter(refund_line::Column::RefundId.in_subquery(of_owner))
        .order_by_asc(refund_line::Column::PurchaseId)
        .order_by_asc(refund_line::Column::SubjectId)
        .all(services.database.reader())
        .await
}
