//! What a buyer chose, checked against the catalogue and what they own.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use jishu_entity::purchase::PurchaseType;
use jishu_entity::{CourseId, SubjectId, UserId, course, entitlement, subject};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};

use crate::integrity::{fault_of_course, fault_of_subject};
use crate::money::TaxRate;
use crate::pricing::{self, Quote, Tariff};

/// The most subjects that a request may name.
pub const MOST_SUBJECTS: usize = 500;

/// Subjects of one course, chosen one by one or as its bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The course.
    pub course_id: CourseId,
    /// How they are chosen.
    pub purchase_type: PurchaseType,
    /// One for a single subject, two or more for several, none for a bundle.
    pub subject_ids: Vec<SubjectId>,
}

/// Why a selection cannot be bought.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    /// The number of subjects does not fit the purchase type.
    #[error("{}", wrong_count(*.purchase_type, *.given))]
    WrongCount {
        /// The type that was asked for.
        purchase_type: PurchaseType,
        /// How many subjects were given.
        given: usize,
    },
    /// More subjects than any course has.
    #[error("A purchase takes at most {MOST_SUBJECTS} subjects; {0} were given.")]
    TooMany(usize),
    /// Subjects that were given more than once.
    #[error("A subject can be bought once: remove the repeated ids.")]
    Repeated(Vec<SubjectId>),
    /// There is no such course.
    #[error("There is no such course. Take its id from `courses`.")]
    CourseNotFound,
    /// The course has left the catalogue.
    #[error("This course is no longer sold.")]
    CourseArchived,
    /// The course has no bundle price.
    #[error("This course is not sold as a bundle; choose subjects instead.")]
    NotSoldAsBundle,
    /// Nothing in the course is on sale.
    #[error("This course has no subjects on sale.")]
    EmptyCourse,
    /// There are no such subjects.
    #[error("There is no such subject. Take its id from `course.subjects`.")]
    SubjectsNotFound(Vec<SubjectId>),
    /// Subjects that have left the catalogue.
    #[error("A subject of the selection is no longer sold; remove it.")]
    SubjectsArchived(Vec<SubjectId>),
    /// Subjects of another course.
    #[error("A purchase is of one course: a subject of the selection belongs to another.")]
    SubjectsOfAnotherCourse(Vec<SubjectId>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

fn wrong_count(purchase_type: PurchaseType, given: usize) -> String {
    let (name, wanted) = match purchase_type {
        PurchaseType::SingleSubject => ("SINGLE_SUBJECT", "exactly one subject"),
        PurchaseType::MultipleSubjects => ("MULTIPLE_SUBJECTS", "two subjects or more"),
        PurchaseType::FullBundle => ("FULL_BUNDLE", "no subject ids, since it is the whole course"),
    };
    format!("{name} takes {wanted}; {given} were given.")
}

impl Selection {
    /// Checks what can be known without the catalogue.
    ///
    /// # Errors
    /// When the number of subjects does not fit the type, or one is repeated.
    pub fn check_shape(&self) -> Result<(), SelectionError> {
        let given = self.subject_ids.len();
        if given > MOST_SUBJECTS {
            return Err(SelectionError::TooMany(given));
        }
        let fits = match self.purchase_type {
            PurchaseType::SingleSubject => given == 1,
            PurchaseType::MultipleSubjects => given >= 2,
            PurchaseType::FullBundle => given == 0,
        };
        let mut seen = BTreeSet::new();
        let repeated: BTreeSet<_> = self.subject_ids.iter().copied().filter(|id| !seen.insert(*id)).collect();
        if !repeated.is_empty() {
            return Err(SelectionError::Repeated(repeated.into_iter().collect()));
        }
        if !fits {
            return Err(SelectionError::WrongCount { purchase_type: self.purchase_type, given });
        }
        Ok(())
    }
}

/// A selection with everything that is known of it, read in one transaction or one moment.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) course: course::Model,
    /// The subjects asked for, by id.
    pub(crate) wanted: Vec<subject::Model>,
    /// The live entitlements of the buyer to some of them, by subject id.
    pub(crate) owned: Vec<entitlement::Model>,
    /// Entitlements whose term is over but which still stand as live.
    pub(crate) lapsed: Vec<entitlement::Model>,
    pub(crate) quote: Quote,
}

/// Reads the course, the subjects and what the buyer owns of them, and prices the rest.
///
/// An archived subject is refused only where it would be bought: who owns it may ask for it again.
pub(crate) async fn resolve(
    connection: &impl ConnectionTrait,
    buyer: Option<UserId>,
    selection: &Selection,
    tax: TaxRate,
    now: DateTime<Utc>,
) -> Result<Resolved, SelectionError> {
    selection.check_shape()?;
    let course = course::Entity::find_by_id(selection.course_id)
        .one(connection)
        .await?
        .ok_or(SelectionError::CourseNotFound)?;
    let mut wanted = match selection.purchase_type {
        PurchaseType::FullBundle => subjects_of(connection, course.id).await?,
        PurchaseType::SingleSubject | PurchaseType::MultipleSubjects => chosen(connection, selection).await?,
    };

    let (mut owned, mut lapsed): (Vec<entitlement::Model>, Vec<_>) = (Vec::new(), Vec::new());
    if let Some(buyer) = buyer {
        let standing = entitlement::Entity::of(buyer)
            .filter(entitlement::Column::EndedAt.is_null())
            .filter(entitlement::Column::SubjectId.is_in(wanted.iter().map(|subject| subject.id)))
            .order_by_asc(entitlement::Column::SubjectId)
            .all(connection)
            .await?;
        (lapsed, owned) = standing
            .into_iter()
            .partition(|entitlement| entitlement.expires_at.is_some_and(|end| end <= now));
    }
    let owned_ids: Vec<SubjectId> = owned.iter().map(|entitlement| entitlement.subject_id).collect();
    if selection.purchase_type == PurchaseType::FullBundle {
        // A bundle is what is sold. Where that is nothing, it is what was sold to this buyer.
        let sold = |subject: &subject::Model| is_sold(subject);
        let any_sold = wanted.iter().any(sold);
        wanted.retain(|subject| if any_sold { sold(subject) } else { owned_ids.contains(&subject.id) });
        owned.retain(|owned| wanted.iter().any(|subject| subject.id == owned.subject_id));
        lapsed.retain(|lapsed| wanted.iter().any(|subject| subject.id == lapsed.subject_id));
    }
    check_on_sale(&course, &wanted, &owned_ids)?;

    let tariff = match (selection.purchase_type, course.bundle_price) {
        (PurchaseType::SingleSubject | PurchaseType::MultipleSubjects, _) => Tariff::Separate,
        (PurchaseType::FullBundle, Some(price)) => Tariff::Bundle(price),
        // With nothing left to buy there is nothing to price.
        (PurchaseType::FullBundle, None) if owned.len() == wanted.len() => Tariff::Separate,
        (PurchaseType::FullBundle, None) => return Err(SelectionError::NotSoldAsBundle),
    };
    let quote = pricing::quote(&course, &wanted, &owned_ids, tariff, tax, now);
    Ok(Resolved { course, wanted, owned, lapsed, quote })
}

async fn subjects_of(
    connection: &impl ConnectionTrait,
    course: CourseId,
) -> Result<Vec<subject::Model>, DbErr> {
    subject::Entity::find()
        .filter(subject::Column::CourseId.eq(course))
        .order_by_asc(subject::Column::Id)
        .all(connection)
        .await
}

async fn chosen(
    connection: &impl ConnectionTrait,
    selection: &Selection,
) -> Result<Vec<subject::Model>, SelectionError> {
    let found = subject::Entity::find()
        .filter(subject::Column::Id.is_in(selection.subject_ids.iter().copied()))
        .order_by_asc(subject::Column::Id)
        .all(connection)
        .await?;
    let missing: Vec<_> = selection
        .subject_ids
        .iter()
        .copied()
        .filter(|id| found.binary_search_by_key(id, |subject| subject.id).is_err())
        .collect();
    if !missing.is_empty() {
        return Err(SelectionError::SubjectsNotFound(missing));
    }
    let foreign = ids_where(&found, |subject| subject.course_id != selection.course_id);
    if !foreign.is_empty() {
        return Err(SelectionError::SubjectsOfAnotherCourse(foreign));
    }
    Ok(found)
}

fn check_on_sale(
    course: &course::Model,
    wanted: &[subject::Model],
    owned: &[SubjectId],
) -> Result<(), SelectionError> {
    if wanted.is_empty() {
        return Err(SelectionError::EmptyCourse);
    }
    let to_buy = |subject: &subject::Model| !owned.contains(&subject.id);
    let is_sold_course = course.archived_at.is_none() && fault_of_course(course).is_none();
    if !is_sold_course && wanted.iter().any(to_buy) {
        return Err(SelectionError::CourseArchived);
    }
    let archived = ids_where(wanted, |subject| !is_sold(subject) && to_buy(subject));
    if archived.is_empty() { Ok(()) } else { Err(SelectionError::SubjectsArchived(archived)) }
}

/// Whether the subject can be bought: it is in the catalogue, at an allowed price.
fn is_sold(subject: &subject::Model) -> bool {
    subject.archived_at.is_none() && fault_of_subject(subject).is_none()
}

fn ids_where(subjects: &[subject::Model], condition: impl Fn(&subject::Model) -> bool) -> Vec<SubjectId> {
    subjects.iter().filter(|subject| condition(subject)).map(|subject| subject.id).collect()
}
