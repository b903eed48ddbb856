//! The purchase: creates its cards exactly once, or returns the ones that exist.
//!
//! One transaction ([`transaction`]) does all of it behind a lock on the buyer, so that all purchases of one
//! user stand in one line. The database holds the promise by itself as well: a second live entitlement, a
//! second use of an idempotency key and a second card of the same number are each refused by a unique index.

mod request_hash;
mod selection;
mod transaction;

use chrono::{DateTime, Utc};

use jishu_entity::{PurchaseId, SubjectId, UserId, entitlement, purchase};
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, DbErr, IntoSimpleExpr, QueryFilter, QueryOrder, Value};
use uuid::Uuid;

use request_hash::RequestHash;
pub use selection::{MOST_SUBJECTS, Selection, SelectionRefusal};

use super::Services;
use super::money::TaxRate;
use super::page::{self, Keyset, Page, PageRequest};
use super::pricing::Quote;
use crate::database::WritePolicy;
use crate::error::{Error, Refusal};
use crate::failpoint;

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

/// A reason to refuse a purchase.
#[derive(Debug, thiserror::Error)]
pub enum PurchaseRefusal {
    /// The account is gone or deactivated.
    #[error("This account cannot purchase.")]
    BuyerNotActive,
    /// The selection cannot be bought.
    #[error(transparent)]
    Selection(#[from] SelectionRefusal),
    /// The price is not what the buyer was shown.
    #[error("The price has changed. Show the new quote and ask again.")]
    PriceChanged(Box<Quote>),
    /// The key names another request.
    #[error("This idempotency key was used for another purchase. Make a new key for a new purchase.")]
    IdempotencyKeyReused,
}

impl Refusal for PurchaseRefusal {}

/// One purchase on its way through [`transaction::run`].
struct Command {
    buyer: UserId,
    request: PurchaseRequest,
    /// The client's key, or one made here: by it a retry finds what a commit whose answer was lost has stored.
    key: String,
    request_hash: RequestHash,
    tax: TaxRate,
    now: DateTime<Utc>,
}

/// Buys.
///
/// # Errors
/// See [`PurchaseRefusal`]; none of them has written anything.
pub async fn purchase(
    services: &Services,
    buyer: UserId,
    request: PurchaseRequest,
) -> Result<Receipt, Error<PurchaseRefusal>> {
    request.selection.check_shape().map_err(PurchaseRefusal::from)?;
    let command = Command {
        buyer,
        key: request.idempotency_key.unwrap_or_else(Uuid::new_v4).to_string(),
        request_hash: RequestHash::of(&request),
        request,
        tax: services.tax,
        now: services.clock.now(),
    };
    let policy = WritePolicy::idempotent("purchase");
    let receipt = services
        .database
        .write_for(buyer, policy, command, |transaction, command| {
            Box::pin(transaction::run(transaction, command))
        })
        .await?;
    failpoint::boundary("purchase.committed");
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
) -> Result<Quote, Error<SelectionRefusal>> {
    let (reader, now) = (services.database.reader(), services.clock.now());
    Ok(selection::resolve(reader, buyer, selection, services.tax, now).await?.quote)
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
