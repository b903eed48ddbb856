//! The cart: kept on the server, so that it survives a reload and follows its owner from device to device.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jishu_entity::purchase::PurchaseType;
use jishu_entity::user::UserStatus;
use jishu_entity::{SubjectId, UserId, cart_item, course, entitlement, subject};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use super::Services;
use super::pricing::Quote;
use super::purchase::{MOST_SUBJECTS, Selection, SelectionError};
use crate::database::{IsFailure, WriteOptions, lock_user};

/// The most that a cart holds.
pub const CART_CAPACITY: u64 = 500;

/// Why a cart was not changed. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum CartError {
    /// The account is gone or deactivated.
    #[error("This account has no cart.")]
    OwnerNotActive,
    /// There are no such subjects.
    #[error("There is no such subject. Take its id from `course.subjects`.")]
    SubjectsNotFound(Vec<SubjectId>),
    /// Subjects that have left the catalogue.
    #[error("This subject is no longer sold.")]
    SubjectsArchived(Vec<SubjectId>),
    /// Subjects that the owner has bought.
    #[error("You already own this subject; its test cards are in `viewer.mockTestAttempts`.")]
    SubjectsOwned(Vec<SubjectId>),
    /// It would hold more than [`CART_CAPACITY`].
    #[error("A cart holds at most {CART_CAPACITY} subjects. Purchase or remove some first.")]
    Full,
    /// The request names too many subjects.
    #[error("Give at most {MOST_SUBJECTS} subjects at once; {0} were given.")]
    TooMany(usize),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl IsFailure for CartError {
    fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

struct Change {
    owner: UserId,
    subjects: Vec<SubjectId>,
    now: DateTime<Utc>,
}

impl Change {
    fn new(services: &Services, owner: UserId, subjects: Vec<SubjectId>) -> Result<Self, CartError> {
        match subjects.len() {
            0..=MOST_SUBJECTS => Ok(Self { owner, subjects, now: services.clock.now() }),
            given => Err(CartError::TooMany(given)),
        }
    }
}

/// Puts subjects in the cart: all of them or, on an error, none. One that is there already stays as it is.
///
/// # Errors
/// See [`CartError`].
pub async fn add(services: &Services, owner: UserId, subjects: Vec<SubjectId>) -> Result<(), CartError> {
    let change = Change::new(services, owner, subjects)?;
    let options =
        WriteOptions { name: "cart.add", looks_before_it_writes: true, another_may_be_first: false };
    services
        .database
        .write_for(owner, options, change, |transaction, change| Box::pin(insert(transaction, change)))
        .await
}

async fn insert(transaction: &DatabaseTransaction, change: &Change) -> Result<(), CartError> {
    if lock_user(transaction, change.owner).await? != Some(UserStatus::Active) {
        return Err(CartError::OwnerNotActive);
    }
    check_can_be_bought(transaction, change).await?;
    let present = subjects_in(transaction, change.owner).await?;
    let mut missing: Vec<_> = change.subjects.iter().copied().filter(|id| !present.contains(id)).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    if (present.len() + missing.len()) as u64 > CART_CAPACITY {
        return Err(CartError::Full);
    }
    let rows = missing.into_iter().map(|subject_id| cart_item::ActiveModel {
        user_id: Set(change.owner),
        subject_id: Set(subject_id),
        added_at: Set(change.now),
    });
    cart_item::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    Ok(())
}

async fn check_can_be_bought(transaction: &DatabaseTransaction, change: &Change) -> Result<(), CartError> {
    let found: BTreeMap<SubjectId, bool> = subject::Entity::find()
        .find_also_related(course::Entity)
        .filter(subject::Column::Id.is_in(change.subjects.iter().copied()))
        .all(transaction)
        .await?
        .into_iter()
        .map(|(subject, course)| {
            let archived =
                subject.archived_at.is_some() || course.is_none_or(|course| course.archived_at.is_some());
            (subject.id, archived)
        })
        .collect();
    let missing: Vec<_> = change.subjects.iter().copied().filter(|id| !found.contains_key(id)).collect();
    if !missing.is_empty() {
        return Err(CartError::SubjectsNotFound(missing));
    }
    let archived: Vec<_> = found.iter().filter(|(_, archived)| **archived).map(|(id, _)| *id).collect();
    if !archived.is_empty() {
        return Err(CartError::SubjectsArchived(archived));
    }
    let owned: Vec<SubjectId> = entitlement::Entity::live_of(change.owner, change.now)
        .filter(entitlement::Column::SubjectId.is_in(change.subjects.iter().copied()))
        .select_only()
        .column(entitlement::Column::SubjectId)
        .into_tuple()
        .all(transaction)
        .await?;
    if owned.is_empty() { Ok(()) } else { Err(CartError::SubjectsOwned(owned)) }
}

async fn subjects_in(transaction: &DatabaseTransaction, owner: UserId) -> Result<Vec<SubjectId>, DbErr> {
    cart_item::Entity::of(owner)
        .select_only()
        .column(cart_item::Column::SubjectId)
        .into_tuple()
        .all(transaction)
        .await
}

/// Takes subjects out of the cart. One that is not there is no error.
///
/// # Errors
/// See [`CartError`].
pub async fn remove(services: &Services, owner: UserId, subjects: Vec<SubjectId>) -> Result<(), CartError> {
    let change = Change::new(services, owner, subjects)?;
    let options =
        WriteOptions { name: "cart.remove", looks_before_it_writes: true, another_may_be_first: false };
    services
        .database
        .write_for(owner, options, change, |transaction, change| Box::pin(delete(transaction, change)))
        .await
}

async fn delete(transaction: &DatabaseTransaction, change: &Change) -> Result<(), CartError> {
    if lock_user(transaction, change.owner).await? != Some(UserStatus::Active) {
        return Err(CartError::OwnerNotActive);
    }
    cart_item::Entity::delete_many()
        .filter(cart_item::Column::UserId.eq(change.owner))
        .filter(cart_item::Column::SubjectId.is_in(change.subjects.iter().copied()))
        .exec(transaction)
        .await?;
    Ok(())
}

/// What is in the cart, in the order it was put there.
///
/// # Errors
/// The database's.
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

/// How many subjects are in the cart.
///
/// # Errors
/// The database's.
pub async fn count(services: &Services, owner: UserId) -> Result<u64, DbErr> {
    cart_item::Entity::of(owner).count(services.database.reader()).await
}

/// What the cart would cost now: a quote for each course in it. Subjects that left the catalogue since they
/// were put there are left out.
///
/// # Errors
/// The database's.
pub async fn quotes(services: &Services, owner: UserId) -> Result<Vec<Quote>, DbErr> {
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
            Err(SelectionError::Database(error)) => return Err(error),
            // It left the catalogue a moment ago.
            Err(_) => {}
        }
    }
    Ok(quotes)
}
