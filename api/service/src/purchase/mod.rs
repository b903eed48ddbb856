//! The purchase: creates its cards exactly once, or returns the ones that exist.
//!
//! One transaction ([`transaction`]) does all of it behind a lock on the buyer, so that all purchases of one
//! user stand in one line. The database holds the promise by itself as well: a second live entitlement, a
//! second use of an idempotency key and a second card of the same number are each refused by a unique index.

mod selection;
mod transaction;

use chrono::{DateTime, Utc};
use jishu_entity::purchase::PurchaseType;
use jishu_entity::{PurchaseId, SubjectId, UserId, entitlement, purchase};
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, DbErr, IntoSimpleExpr, QueryFilter, QueryOrder, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use selection::{MOST_SUBJECTS, Selection, SelectionError};

use super::Services;
use super::money::TaxRate;
use super::page::{self, Keyset, Page, PageRequest};
use super::pricing::Quote;
use crate::database::{IsFailure, WriteOptions};
use crate::fault;

/// What a buyer asks for.
#[derive(Clone, Debug)]
pub struct PurchaseRequest {
    /// What to buy.
    pub selection: Selection,
    /// What the buyer was shown, in major units; compared with the price, never used as it.
    pub cost: Option<Decimal>,
    /// Names the request, so that repeating it returns the first answer.
    pub idempotency_key: Option<Uuid>,
}

/// What a purchase came to. Buying what one owns is a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This request made the purchase and this many cards.
    Created {
        /// How many cards the purchase created.
        test_cards: i64,
    },
    /// Everything asked for was owned already.
    Existing,
}

/// The answer to a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whether something was bought.
    pub outcome: Outcome,
    /// The purchase that was made; or, where all was owned, the one that gave the first of the subjects.
    pub purchase: purchase::Model,
    /// The subjects asked for, each with its live entitlement's card count, by subject id.
    pub subjects: Vec<OwnedSubject>,
    /// Those of them that were owned before.
    pub already_owned: Vec<SubjectId>,
    /// Whether it was given before, to the same idempotency key.
    pub replayed: bool,
}

/// A subject that the buyer owns once the purchase is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnedSubject {
    /// The subject.
    pub subject_id: SubjectId,
    /// How many cards its entitlement gave.
    pub test_cards: i32,
}

/// Why a purchase was refused. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum PurchaseError {
    /// The account is gone or deactivated.
    #[error("This account cannot purchase.")]
    BuyerNotActive,
    /// The selection cannot be bought.
    #[error(transparent)]
    Selection(SelectionError),
    /// The price is not what the buyer was shown.
    #[error("The price has changed. Show the new quote and ask again.")]
    PriceChanged(Box<Quote>),
    /// The key names another request.
    #[error("This idempotency key was used for another purchase. Make a new key for a new purchase.")]
    IdempotencyKeyReused,
    /// The database made another number of cards than the subjects have: a fault of ours.
    #[error("purchase {purchase} made {made} test cards where {expected} were due")]
    CardsMiscounted {
        /// The purchase that was rolled back.
        purchase: PurchaseId,
        /// What the database reported.
        made: u64,
        /// What the subjects have.
        expected: i64,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl From<SelectionError> for PurchaseError {
    fn from(error: SelectionError) -> Self {
        match error {
            SelectionError::Database(error) => Self::Database(error),
            error => Self::Selection(error),
        }
    }
}

impl IsFailure for PurchaseError {
    fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

/// One purchase on its way through [`transaction::run`].
struct Command {
    buyer: UserId,
    request: PurchaseRequest,
    /// The client's key, or one made here: by it a retry finds what a commit whose answer was lost has stored.
    key: String,
    request_hash: String,
    tax: TaxRate,
    now: DateTime<Utc>,
}

/// Buys.
///
/// # Errors
/// See [`PurchaseError`]; none of them has written anything.
pub async fn purchase(
    services: &Services,
    buyer: UserId,
    request: PurchaseRequest,
) -> Result<Receipt, PurchaseError> {
    request.selection.check_shape()?;
    let command = Command {
        buyer,
        key: request.idempotency_key.unwrap_or_else(Uuid::new_v4).to_string(),
        request_hash: request_hash(&request),
        request,
        tax: services.tax,
        now: services.clock.now(),
    };
    let options =
        WriteOptions { name: "purchase", looks_before_it_writes: true, another_may_be_first: false };
    let receipt = services
        .database
        .write_for(buyer, options, command, |transaction, command| {
            Box::pin(transaction::run(transaction, command))
        })
        .await?;
    fault::boundary("purchase.committed");
    services.events.appended(buyer);
    if let (Outcome::Created { test_cards }, false) = (&receipt.outcome, receipt.replayed) {
        tracing::info!(user = %buyer, purchase = %receipt.purchase.id, test_cards, "purchased");
    }
    Ok(receipt)
}

/// What a purchase of this selection would cost now; the same computation that the purchase makes.
///
/// # Errors
/// When the selection cannot be bought, or the database fails.
pub async fn quote(
    services: &Services,
    buyer: Option<UserId>,
    selection: &Selection,
) -> Result<Quote, SelectionError> {
    let (reader, now) = (services.database.reader(), services.clock.now());
    Ok(selection::resolve(reader, buyer, selection, services.tax, now).await?.quote)
}

/// A digest of everything in a request but its key.
fn request_hash(request: &PurchaseRequest) -> String {
    use std::fmt::Write;

    let selection = &request.selection;
    let mut ids: Vec<i64> = selection.subject_ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    let kind = match selection.purchase_type {
        PurchaseType::SingleSubject => "single_subject",
        PurchaseType::MultipleSubjects => "multiple_subjects",
        PurchaseType::FullBundle => "full_bundle",
    };
    let cost = request.cost.map(|cost| cost.normalize().to_string());
    let text = format!("{kind}|{}|{ids:?}|{cost:?}", selection.course_id);
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A purchase's place in the list of a user's purchases.
pub type PurchaseKey = i64;

/// The purchases of a user, newest first.
///
/// # Errors
/// The database's.
pub async fn page(
    services: &Services,
    owner: UserId,
    request: PageRequest<PurchaseKey>,
) -> Result<Page<purchase::Model>, DbErr> {
    let keyset = Keyset { columns: vec![purchase::Column::Id.into_simple_expr()], descending: true };
    let select = purchase::Entity::of(owner);
    page::fetch(services.database.reader(), select, &keyset, request, |id| vec![Value::from(id)]).await
}

/// How many purchases a user has made.
///
/// # Errors
/// The database's.
pub async fn count(services: &Services, owner: UserId) -> Result<u64, DbErr> {
    use sea_orm::PaginatorTrait;
    purchase::Entity::of(owner).count(services.database.reader()).await
}

/// Those of these purchases that are this user's.
///
/// # Errors
/// The database's.
pub async fn by_ids(
    services: &Services,
    owner: UserId,
    ids: impl IntoIterator<Item = PurchaseId> + Send,
) -> Result<Vec<purchase::Model>, DbErr> {
    purchase::Entity::of(owner).filter(purchase::Column::Id.is_in(ids)).all(services.database.reader()).await
}

/// What these purchases gave their owner, ended or not, by purchase and subject id.
///
/// # Errors
/// The database's.
pub async fn entitlements(
    services: &Services,
    owner: UserId,
    ids: impl IntoIterator<Item = PurchaseId> + Send,
) -> Result<Vec<entitlement::Model>, DbErr> {
    entitlement::Entity::of(owner)
        .filter(entitlement::Column::PurchaseId.is_in(ids))
        .order_by_asc(entitlement::Column::PurchaseId)
        .order_by_asc(entitlement::Column::SubjectId)
        .all(services.database.reader())
        .await
}
