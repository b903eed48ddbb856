//! Purchases. A purchase creates its test cards exactly once. A repeated request returns the first receipt.
//!
//! One transaction ([`transaction`]) makes a purchase. It locks the buyer's row, so the purchases of one user run one
//! after the other. Unique indexes protect the same rules in the database: they refuse a second live entitlement, a
//! second use of an idempotency key and a second card of the same number.

mod combined;
mod complimentary;
mod grant;
mod insert;
mod paid;
mod request_hash;
mod selection;
mod stored;
mod transaction;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_service_macros::service_call;

use jishu_entity::{PurchaseId, SubjectId, UserId, entitlement, purchase};
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, DbErr, IntoSimpleExpr, QueryFilter, QueryOrder, Value};
use uuid::Uuid;

pub(crate) use grant::grant_through;
pub use grant::{GrantRefusal, GrantRequest, grant, grants};
pub(crate) use paid::{PaidSubjects, create_paid};
pub(crate) use request_hash::RequestHash;
pub use selection::{MAX_SUBJECTS_PER_REQUEST, Selection, SelectionRefusal};
pub(crate) use selection::{ResolvedSelection, is_sold, owned_and_lapsed, resolve};

use super::Services;
use super::page::{self, Keyset, Page, PageRequest};
use super::paper::Papers;
use super::pricing::Quote;
use super::tax::TaxPolicy;
use crate::database::WritePolicy;
use crate::error::{Error, Refusal};
use crate::failpoint;
use crate::guardian::{ConsentRefusal, ConsentRule};
use crate::metrics::PurchaseResult;

/// A request to purchase.
#[derive(Clone, Debug)]
pub struct PurchaseRequest {
    /// The subjects to buy.
    pub selection: Selection,
    /// The price that the buyer was shown, in major units. The purchase is refused if it differs from the present
    /// price. If None, it is not compared.
    pub cost: Option<Decimal>,
    /// A key that identifies the request. Repeating the request with the same key returns the first receipt. If None, a
    /// repetition is a new request.
    pub idempotency_key: Option<Uuid>,
}

/// The outcome of a purchase. Buying subjects that the buyer already owns is a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// The request created a purchase. A repetition with the same idempotency key has the same outcome.
    Created {
        /// The number of cards that the purchase created.
        test_cards: i64,
    },
    /// The buyer already owned all subjects, so nothing was bought.
    Existing,
}

/// The result of a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whether the request created a purchase.
    pub outcome: ReceiptOutcome,
    /// The new purchase. If the buyer already owned all requested subjects, the purchase that gave the subject with the
    /// smallest id.
    pub purchase: purchase::Model,
    /// The requested subjects that the buyer owns after the purchase, by subject id.
    pub subjects: Vec<OwnedSubject>,
    /// The requested subjects that the buyer already owned, by subject id.
    pub already_owned: Vec<SubjectId>,
    /// Whether the receipt was rebuilt from an earlier request with the same idempotency key.
    pub replayed: bool,
}

/// A subject that the buyer owns after the purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnedSubject {
    /// The subject.
    pub subject_id: SubjectId,
    /// The number of cards that the entitlement to the subject gave.
    pub test_cards: i32,
}

/// A reason to refuse a purchase.
#[derive(Debug, thiserror::Error)]
pub enum PurchaseRefusal {
    /// The account of the buyer does not exist, was deleted or is not active.
    #[error("This account is not active, so it cannot purchase. Contact support.")]
    BuyerNotActive,
    /// The consent of a guardian is missing.
    #[error(transparent)]
    Consent(#[from] ConsentRefusal),
    /// The selection cannot be bought.
    #[error(transparent)]
    Selection(#[from] SelectionRefusal),
    /// The price is not the price that the buyer was shown. The quote has the present price.
    #[error("The price has changed. Show the new quote to the buyer, and purchase again at its price.")]
    PriceChanged(Box<Quote>),
    /// The subjects cost something, and the platform takes payments.
    #[error("These subjects cost money. Make an order for them and pay it.")]
    PaymentRequired,
    /// The idempotency key belongs to another request.
    #[error("This idempotency key was used for another purchase. Make a new key for a new purchase.")]
    IdempotencyKeyReused,
}

impl Refusal for PurchaseRefusal {}

/// A purchase that [`transaction::run`] carries out.
struct PurchaseCommand {
    buyer: UserId,
    request: PurchaseRequest,
    /// The client's idempotency key, or a new one. If the response to COMMIT was lost, a retry of the transaction finds
    /// the stored request by this key.
    key: String,
    /// The grant that makes the purchase complimentary. None for a purchase at its price.
    grant: Option<complimentary::PurchaseGrant>,
    /// The rule about which buyers need the consent of a guardian. None if this purchase needs no consent.
    consent: Option<ConsentRule>,
    /// Whether the purchase is refused if its price is not 0.
    requires_payment: bool,
    request_hash: RequestHash,
    tax: Arc<TaxPolicy>,
    papers: Arc<Papers>,
    now: DateTime<Utc>,
}

/// Makes a purchase, and counts the request in the metrics. If the request was made before, returns its receipt.
///
/// # Errors
/// See [`PurchaseRefusal`]. A refusal means that nothing was written.
#[service_call("purchase.purchase")]
pub async fn purchase(
    services: &Services,
    buyer: UserId,
    request: PurchaseRequest,
) -> Result<Receipt, Error<PurchaseRefusal>> {
    let result = purchase_uncounted(services, buyer, request).await;
    count_request(services, &result);
    result
}

async fn purchase_uncounted(
    services: &Services,
    buyer: UserId,
    request: PurchaseRequest,
) -> Result<Receipt, Error<PurchaseRefusal>> {
    request.selection.check_shape().map_err(PurchaseRefusal::from)?;
    let command = PurchaseCommand {
        buyer,
        key: request.idempotency_key.unwrap_or_else(Uuid::new_v4).to_string(),
        grant: None,
        consent: Some(services.consent),
        requires_payment: services.payments.is_some(),
        request_hash: RequestHash::of(&request),
        request,
        tax: Arc::clone(&services.tax),
        papers: Arc::clone(&services.papers),
        now: services.clock.now(),
    };
    let policy = WritePolicy::grouped("purchase");
    let receipt = services
        .database
        .write_for(buyer, policy, command, |transaction, command| {
            Box::pin(transaction::run(transaction, command))
        })
        .await?;
    failpoint::boundary("purchase.committed");
    services.events.appended(buyer);
    if let (ReceiptOutcome::Created { test_cards }, false) = (&receipt.outcome, receipt.replayed) {
        tracing::info!(user = %buyer, purchase = %receipt.purchase.id, test_cards, "a purchase was made");
    }
    Ok(receipt)
}

/// Counts a request to purchase in the metrics, by its result. Also counts the test cards that the request created.
fn count_request(services: &Services, result: &Result<Receipt, Error<PurchaseRefusal>>) {
    let Some(metrics) = services.metrics.business() else { return };
    match result {
        Ok(Receipt { outcome: ReceiptOutcome::Created { test_cards }, replayed: false, .. }) => {
            metrics.purchase(PurchaseResult::Created, u64::try_from(*test_cards).unwrap_or_default());
        }
        Ok(_) => metrics.purchase(PurchaseResult::Existing, 0),
        Err(Error::Refused(_)) => metrics.purchase(PurchaseResult::Refused, 0),
        Err(Error::Failed(_)) => metrics.purchase(PurchaseResult::Failed, 0),
    }
}

/// Quotes the present price of a selection, with the same computation as a purchase. If `buyer` is given, leaves out
/// the subjects that the buyer owns.
///
/// # Errors
/// Fails if the selection cannot be bought, or the database fails.
#[service_call("purchase.quote")]
pub async fn quote(
    services: &Services,
    buyer: Option<UserId>,
    selection: &Selection,
) -> Result<Quote, Error<SelectionRefusal>> {
    let (reader, now) = (services.database.reader(), services.clock.now());
    Ok(resolve(reader, buyer, selection, &services.tax, now).await?.quote)
}

/// The position of a purchase in the list of a user's purchases: its id. Cursors contain it.
pub type PurchasePosition = i64;

/// Reads a page of a user's purchases, newest first.
///
/// # Errors
/// Returns the database's error.
#[service_call("purchase.page")]
pub async fn page(
    services: &Services,
    owner: UserId,
    request: PageRequest<PurchasePosition>,
) -> Result<Page<purchase::Model>, DbErr> {
    let keyset = Keyset { columns: vec![purchase::Column::Id.into_simple_expr()], descending: true };
    let select = purchase::Entity::of(owner);
    page::fetch(services.database.reader(), select, keyset, request, |id| vec![Value::from(id)]).await
}

/// Counts the purchases of a user.
///
/// # Errors
/// Returns the database's error.
#[service_call("purchase.count")]
pub async fn count(services: &Services, owner: UserId) -> Result<u64, DbErr> {
    use sea_orm::PaginatorTrait;
    purchase::Entity::of(owner).count(services.database.reader()).await
}

/// Finds the purchases with these ids. Leaves out purchases of other users.
///
/// # Errors
/// Returns the database's error.
#[service_call("purchase.by_ids")]
pub async fn by_ids(
    services: &Services,
    owner: UserId,
    ids: Vec<PurchaseId>,
) -> Result<Vec<purchase::Model>, DbErr> {
    purchase::Entity::of(owner).filter(purchase::Column::Id.is_in(ids)).all(services.database.reader()).await
}

/// Reads the entitlements that these purchases gave to `owner`, including ended entitlements, sorted by purchase id and
/// subject id.
///
/// # Errors
/// Returns the database's error.
#[service_call("purchase.entitlements")]
pub async fn entitlements(
    services: &Services,
    owner: UserId,
    ids: Vec<PurchaseId>,
) -> Result<Vec<entitlement::Model>, DbErr> {
    entitlement::Entity::of(owner)
        .filter(entitlement::Column::PurchaseId.is_in(ids))
        .order_by_asc(entitlement::Column::PurchaseId)
        .order_by_asc(entitlement::Column::SubjectId)
        .all(services.database.reader())
        .await
}
