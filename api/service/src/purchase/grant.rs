//! Complimentary purchases, which support or the operator grants. They are purchases at the price 0.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::{PurchaseId, UserId, purchase_grant, user};
use jishu_service_macros::service_call;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::complimentary::PurchaseGrant;
use super::request_hash::RequestHash;
use super::{
    PurchaseCommand, PurchaseRefusal, PurchaseRequest, Receipt, ReceiptOutcome, Selection, transaction,
};
use crate::Services;
use crate::account::Support;
use crate::database::WritePolicy;
use crate::error::{Error, Refusal};
use crate::paper::Papers;
use crate::reason;
use crate::tax::TaxPolicy;

/// A request to grant subjects to a user.
#[derive(Clone, Debug)]
pub struct GrantRequest {
    /// The user who gets the subjects.
    pub user: UserId,
    /// The subjects.
    pub selection: Selection,
    /// The reason, which is stored with the purchase.
    pub reason: String,
    /// A key that identifies the request. Repeating the request with the same key returns the first receipt. If None, a
    /// repetition is a new request.
    pub idempotency_key: Option<Uuid>,
}

/// A reason not to grant a purchase. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum GrantRefusal {
    /// There is no such account.
    #[error("There is no such account.")]
    UserNotFound,
    /// The reason is blank, too long, or has characters that a reason cannot have.
    #[error("Give a reason: {}.", reason::rule())]
    Reason,
    /// The purchase rules refuse the request.
    #[error(transparent)]
    Purchase(#[from] PurchaseRefusal),
}

impl Refusal for GrantRefusal {}

/// Grants subjects to a user, as a purchase at the price 0. Subjects that the user owns are left out. If the user owns
/// all of them, the receipt names an earlier purchase.
///
/// # Errors
/// See [`GrantRefusal`]. A refusal means that nothing was written.
#[service_call("purchase.grant")]
pub async fn grant(
    services: &Services,
    by: Support,
    request: GrantRequest,
) -> Result<Receipt, Error<GrantRefusal>> {
    request.selection.check_shape().map_err(|refusal| GrantRefusal::from(PurchaseRefusal::from(refusal)))?;
    let user = request.user;
    let is_known = user::Entity::find_by_id(user).one(services.database.reader()).await?.is_some();
    if !is_known {
        return Err(GrantRefusal::UserNotFound.into());
    }
    let (tax, papers) = (Arc::clone(&services.tax), Arc::clone(&services.papers));
    let command = command(Some(by.id()), request, tax, papers, services.clock.now())?;
    let policy = WritePolicy::idempotent("grant a purchase");
    let receipt = services
        .database
        .write_for(user, policy, command, |transaction, command| {
            Box::pin(transaction::run(transaction, command))
        })
        .await
        .map_err(|error| error.map(GrantRefusal::from))?;
    services.events.appended(user);
    if let (ReceiptOutcome::Created { .. }, false) = (&receipt.outcome, receipt.replayed) {
        tracing::info!(by = %by.id(), user = %user, purchase = %receipt.purchase.id, "a purchase was granted");
    }
    Ok(receipt)
}

/// Grants subjects in a transaction of the caller, on behalf of the operator.
pub(crate) async fn grant_through(
    transaction: &DatabaseTransaction,
    request: GrantRequest,
    tax: Arc<TaxPolicy>,
    papers: Arc<Papers>,
    now: DateTime<Utc>,
) -> Result<Receipt, Error<GrantRefusal>> {
    let command = command(None, request, tax, papers, now)?;
    transaction::run(transaction, &command).await.map_err(|error| error.map(GrantRefusal::from))
}

fn command(
    by: Option<UserId>,
    request: GrantRequest,
    tax: Arc<TaxPolicy>,
    papers: Arc<Papers>,
    now: DateTime<Utc>,
) -> Result<PurchaseCommand, GrantRefusal> {
    let GrantRequest { user, selection, reason, idempotency_key } = request;
    let reason = reason::checked(&reason).ok_or(GrantRefusal::Reason)?;
    let request = PurchaseRequest { selection, cost: None, idempotency_key };
    Ok(PurchaseCommand {
        buyer: user,
        key: idempotency_key.unwrap_or_else(Uuid::new_v4).to_string(),
        request_hash: RequestHash::of_grant(&request, &reason),
        request,
        grant: Some(PurchaseGrant { by, reason }),
        // A grant costs nothing, so it needs no consent of a guardian. The start of a test checks the consent.
        consent: None,
        requires_payment: false,
        tax,
        papers,
        now,
    })
}

/// Reads the grants of the complimentary purchases among `ids`. Leaves out purchases of other users.
///
/// # Errors
/// Returns the database's error.
#[service_call("purchase.grants")]
pub async fn grants(
    services: &Services,
    owner: UserId,
    ids: Vec<PurchaseId>,
) -> Result<Vec<purchase_grant::Model>, DbErr> {
    let reader = services.database.reader();
    let of_owner = super::by_ids(services, owner, ids).await?;
    let ids: Vec<PurchaseId> = of_owner.into_iter().map(|row| row.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    purchase_grant::Entity::find().filter(purchase_grant::Column::PurchaseId.is_in(ids)).all(reader).await
}
