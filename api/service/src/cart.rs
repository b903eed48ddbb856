//! The cart of a user. The cart is stored in the database, so its owner sees the same cart on every device.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jishu_entity::purchase::PurchaseType;
use jishu_entity::user::UserStatus;
use jishu_entity::{SubjectId, UserId, cart_item, course, entitlement, subject};
use jishu_service_macros::service_call;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use super::Services;
use super::pricing::{self, Quote};
use super::purchase::{MAX_SUBJECTS_PER_REQUEST, Selection};
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault, Refusal};

/// Maximum number of subjects in a cart.
pub const MAX_CART_SUBJECTS: u64 = 500;

/// A reason to refuse a change of the cart. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum CartRefusal {
    /// The account of the owner does not exist, was deleted or is not active.
    #[error("This account is not active, so its cart cannot be changed. Contact support.")]
    OwnerNotActive,
    /// These subjects do not exist.
    #[error("There is no such subject.")]
    SubjectsNotFound(Vec<SubjectId>),
    /// These subjects or their course are archived.
    #[error("This subject is no longer sold. Choose another subject.")]
    SubjectsArchived(Vec<SubjectId>),
    /// The owner of the cart has live entitlements to these subjects.
    #[error("You already own this subject, so it need not be bought.")]
    SubjectsOwned(Vec<SubjectId>),
    /// The cart would contain more than [`MAX_CART_SUBJECTS`] subjects.
    #[error("A cart has room for {MAX_CART_SUBJECTS} subjects. Purchase or remove some subjects first.")]
    Full,
    /// The request has more than [`MAX_SUBJECTS_PER_REQUEST`] subjects.
    #[error("Give at most {MAX_SUBJECTS_PER_REQUEST} subjects at once; {0} were given.")]
    TooMany(usize),
}

impl Refusal for CartRefusal {}

/// The subjects to put into a cart, or to take out of it.
struct CartUpdate {
    owner: UserId,
    subjects: Vec<SubjectId>,
    now: DateTime<Utc>,
}

impl CartUpdate {
    fn new(services: &Services, owner: UserId, subjects: Vec<SubjectId>) -> Result<Self, Error<CartRefusal>> {
        match subjects.len() {
            0..=MAX_SUBJECTS_PER_REQUEST => Ok(Self { owner, subjects, now: services.clock.now() }),
            given => Err(CartRefusal::TooMany(given).into()),
        }
    }
}

/// Puts subjects into the cart: all of them, or none if one of them is refused. Subjects that are in the cart already
/// stay as they are.
///
/// # Errors
/// See [`CartRefusal`].
#[service_call("cart.add")]
pub async fn add(
    services: &Services,
    owner: UserId,
    subjects: Vec<SubjectId>,
) -> Result<(), Error<CartRefusal>> {
    let change = CartUpdate::new(services, owner, subjects)?;
    let policy = WritePolicy::idempotent("cart.add");
    services
        .database
        .write_for(owner, policy, change, |transaction, change| Box::pin(insert(transaction, change)))
        .await
}

async fn insert(transaction: &DatabaseTransaction, change: &CartUpdate) -> Result<(), Error<CartRefusal>> {
    if lock_user(transaction, change.owner).await? != Some(UserStatus::Active) {
        return Err(CartRefusal::OwnerNotActive.into());
    }
    let prices = check_can_be_bought(transaction, change).await?;
    let present = subjects_in(transaction, change.owner).await?;
    let mut missing: Vec<_> = change.subjects.iter().copied().filter(|id| !present.contains(id)).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    if (present.len() + missing.len()) as u64 > MAX_CART_SUBJECTS {
        return Err(CartRefusal::Full.into());
    }
    let rows = missing.into_iter().map(|subject_id| cart_item::ActiveModel {
        user_id: Set(change.owner),
        subject_id: Set(subject_id),
        added_at: Set(change.now),
        price: Set(prices.get(&subject_id).copied()),
    });
    cart_item::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    Ok(())
}

/// Checks that the subjects exist, that neither they nor their courses are archived, and that the owner of the cart
/// does not own them. Returns the price of each subject alone, in minor units.
async fn check_can_be_bought(
    transaction: &DatabaseTransaction,
    change: &CartUpdate,
) -> Result<BTreeMap<SubjectId, i64>, Error<CartRefusal>> {
    let found: BTreeMap<SubjectId, (bool, i64)> = subject::Entity::find()
        .find_also_related(course::Entity)
        .filter(subject::Column::Id.is_in(change.subjects.iter().copied()))
        .all(transaction)
        .await?
        .into_iter()
        .map(|(subject, course)| {
            let archived =
                subject.archived_at.is_some() || course.is_none_or(|course| course.archived_at.is_some());
            (subject.id, (archived, pricing::price_of(&subject, change.now)))
        })
        .collect();
    let missing: Vec<_> = change.subjects.iter().copied().filter(|id| !found.contains_key(id)).collect();
    if !missing.is_empty() {
        return Err(CartRefusal::SubjectsNotFound(missing).into());
    }
    let archived: Vec<_> = found.iter().filter(|(_, (archived, _))| *archived).map(|(id, _)| *id).collect();
    if !archived.is_empty() {
        return Err(CartRefusal::SubjectsArchived(archived).into());
    }
    let owned: Vec<SubjectId> = entitlement::Entity::live_of(change.owner, change.now)
        .filter(entitlement::Column::SubjectId.is_in(change.subjects.iter().copied()))
        .select_only()
        .column(entitlement::Column::SubjectId)
        .into_tuple()
        .all(transaction)
        .await?;
    if !owned.is_empty() {
        return Err(CartRefusal::SubjectsOwned(owned).into());
    }
    Ok(found.into_iter().map(|(id, (_, price))| (id, price)).collect())
}

async fn subjects_in(transaction: &DatabaseTransaction, owner: UserId) -> Result<Vec<SubjectId>, DbErr> {
    cart_item::Entity::of(owner)
        .select_only()
        .column(cart_item::Column::SubjectId)
        .into_tuple()
        .all(transaction)
        .await
}

/// Takes subjects out of the cart. Ignores subjects that are not in the cart.
///
/// # Errors
/// See [`CartRefusal`].
#[service_call("cart.remove")]
pub async fn remove(
    services: &Services,
    owner: UserId,
    subjects: Vec<SubjectId>,
) -> Result<(), Error<CartRefusal>> {
    let change = CartUpdate::new(services, owner, subjects)?;
    let policy = WritePolicy::idempotent("cart.remove");
    services
        .database
        .write_for(owner, policy, change, |transaction, change| Box::pin(delete(transaction, change)))
        .await
}

async fn delete(transaction: &DatabaseTransaction, change: &CartUpdate) -> Result<(), Error<CartRefusal>> {
    if lock_user(transaction, change.owner).await? != Some(UserStatus::Active) {
        return Err(CartRefusal::OwnerNotActive.into());
    }
    cart_item::Entity::delete_many()
        .filter(cart_item::Column::UserId.eq(change.owner))
        .filter(cart_item::Column::SubjectId.is_in(change.subjects.iter().copied()))
        .exec(transaction)
        .await?;
    Ok(())
}

/// Lists the subjects in the cart, in the order in which they were added.
///
/// # Errors
/// Returns the database's error.
#[service_call("cart.subjects")]
pub async fn subjects(services: &Services, owner: UserId) -> Result<Vec<SubjectId>, DbErr> {
    cart_item::Entity::of(owner)
        .select_only()
        .column(cart_item::Column::SubjectId)
        .order_by_asc(cart_item::Column::AddedAt)
        .order_by_asc(cart_item::Column::SubjectId)
        .into_tuple()
        .all(services.database.reader())
        .await
}

/// Counts the subjects in the cart.
///
/// # Errors
/// Returns the database's error.
#[service_call("cart.count")]
pub async fn count(services: &Services, owner: UserId) -> Result<u64, DbErr> {
    cart_item::Entity::of(owner).count(services.database.reader()).await
}

/// Quotes the present price of the subjects in the cart, with one quote for each course. Leaves out subjects that are
/// no longer sold.
///
/// # Errors
/// Fails if the database fails, or has no row for a subject in the cart.
#[service_call("cart.quotes")]
pub async fn quotes(services: &Services, owner: UserId) -> Result<Vec<Quote>, Fault> {
    let snapshot = services.catalog.snapshot();
    let mut by_course: BTreeMap<_, Vec<SubjectId>> = BTreeMap::new();
    for id in subjects(services, owner).await? {
        let subject = services.catalog.subject(id).await?;
        let sold = snapshot.course(subject.course_id).is_none_or(|course| course.row.archived_at.is_none());
        if sold && subject.archived_at.is_none() {
            by_course.entry(subject.course_id).or_default().push(id);
        }
    }
    let mut quotes = Vec::with_capacity(by_course.len());
    for (course_id, subject_ids) in by_course {
        let purchase_type = match subject_ids.len() {
            1 => PurchaseType::SingleSubject,
            _ => PurchaseType::MultipleSubjects,
        };
        let selection = Selection { course_id, purchase_type, subject_ids };
        match super::purchase::quote(services, Some(owner), &selection).await {
            Ok(quote) => quotes.push(quote),
            // A subject or the course was archived after the snapshot was read. The cart then has no quote for this
            // course.
            Err(Error::Refused(_)) => {}
            Err(Error::Failed(fault)) => return Err(fault),
        }
    }
    Ok(quotes)
}
