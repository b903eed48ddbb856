//! Checks a buyer's selection against the catalogue and the buyer's entitlements, and prices it.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::purchase::PurchaseType;
use jishu_entity::{CourseId, SubjectId, UserId, course, entitlement, subject};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, QueryFilter, QueryOrder};

use super::stored::StoredSelection;
use crate::error::{Error, Refusal};
use crate::integrity::{fault_of_course, fault_of_subject};
use crate::pricing::{self, Quote, Tariff};
use crate::tax::TaxPolicy;

/// Maximum number of subjects in a request.
pub const MAX_SUBJECTS_PER_REQUEST: usize = 500;

/// Subjects of one course, chosen one by one or as its bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The course.
    pub course_id: CourseId,
    /// The way in which the subjects are chosen: one, several, or the bundle of the course.
    pub purchase_type: PurchaseType,
    /// One id for a single subject, two or more for several subjects, and no id for a bundle.
    pub subject_ids: Vec<SubjectId>,
}

/// A reason not to sell a selection.
#[derive(Debug, thiserror::Error)]
pub enum SelectionRefusal {
    /// The number of subjects does not fit the purchase type.
    #[error("{}", wrong_count(*.purchase_type, *.given))]
    WrongCount {
        /// The type that was asked for.
        purchase_type: PurchaseType,
        /// The number of subjects that were given.
        given: usize,
    },
    /// There are too many subjects.
    #[error("A purchase takes at most {MAX_SUBJECTS_PER_REQUEST} subjects, but {0} were given.")]
    TooMany(usize),
    /// These subjects were given more than once.
    #[error("The selection has a subject more than once. Remove the repeated ids.")]
    Repeated(Vec<SubjectId>),
    /// There is no such course.
    #[error("There is no such course.")]
    CourseNotFound,
    /// The course is archived, or its price, currency or validity is not allowed.
    #[error("This course is no longer sold.")]
    CourseArchived,
    /// The course has no bundle price.
    #[error("This course is not sold as a bundle. Choose subjects instead.")]
    NotSoldAsBundle,
    /// The course has no subject on sale, and the buyer owns none of its subjects.
    #[error("This course has no subjects on sale.")]
    EmptyCourse,
    /// These subjects do not exist.
    #[error("There is no such subject.")]
    SubjectsNotFound(Vec<SubjectId>),
    /// These subjects are archived, or have a price or another value that is not allowed.
    #[error("A subject of the selection is no longer sold. Remove it.")]
    SubjectsArchived(Vec<SubjectId>),
    /// These subjects belong to another course.
    #[error(
        "A subject of the selection belongs to another course. Purchase the subjects of each course separately."
    )]
    SubjectsOfAnotherCourse(Vec<SubjectId>),
}

impl Refusal for SelectionRefusal {}

/// Returns the message for a number of subjects that does not fit the purchase type.
fn wrong_count(purchase_type: PurchaseType, given: usize) -> String {
    let rule = match purchase_type {
        PurchaseType::SingleSubject => "A purchase of a single subject takes exactly one subject",
        PurchaseType::MultipleSubjects => "A purchase of several subjects takes at least two subjects",
        PurchaseType::FullBundle => {
            "A purchase of a full bundle takes no subjects, because it is the whole course"
        }
    };
    format!("{rule}, but the request has {given}.")
}

impl Selection {
    /// Checks the number of subjects, and that no subject is repeated. Does not read the catalogue.
    ///
    /// # Errors
    /// Fails if the number of subjects does not fit the purchase type or exceeds the maximum, or if a subject is
    /// repeated.
    pub fn check_shape(&self) -> Result<(), SelectionRefusal> {
        let given = self.subject_ids.len();
        if given > MAX_SUBJECTS_PER_REQUEST {
            return Err(SelectionRefusal::TooMany(given));
        }
        let fits = match self.purchase_type {
            PurchaseType::SingleSubject => given == 1,
            PurchaseType::MultipleSubjects => given >= 2,
            PurchaseType::FullBundle => given == 0,
        };
        let mut seen = BTreeSet::new();
        let repeated: BTreeSet<_> = self.subject_ids.iter().copied().filter(|id| !seen.insert(*id)).collect();
        if !repeated.is_empty() {
            return Err(SelectionRefusal::Repeated(repeated.into_iter().collect()));
        }
        if !fits {
            return Err(SelectionRefusal::WrongCount { purchase_type: self.purchase_type, given });
        }
        Ok(())
    }
}

/// A selection with its course, subjects, entitlements and price.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedSelection {
    pub(crate) course: course::Model,
    /// The requested subjects, by id. For a bundle, the subjects on sale, or the subjects that the buyer owns if no
    /// subject is on sale.
    pub(crate) wanted: Vec<subject::Model>,
    /// The buyer's live entitlements to requested subjects, by subject id.
    pub(crate) owned: Vec<entitlement::Model>,
    /// The buyer's entitlements to requested subjects whose term is over, but which are not marked as ended yet.
    pub(crate) lapsed: Vec<entitlement::Model>,
    pub(crate) quote: Quote,
    /// Whether requested subjects may be in the buyer's cart. If false, no requested subject is in the cart.
    pub(crate) may_be_in_cart: bool,
    /// Whether allowances may apply to the cards of requested subjects. If false, no allowance applies.
    pub(crate) may_have_allowances: bool,
}

/// Reads the course, the selected subjects and the buyer's entitlements. Prices the selected subjects that the buyer
/// does not own. Without a buyer, prices all selected subjects.
///
/// An archived subject is refused only if the buyer does not own it: a buyer who owns it may request it again.
pub(crate) async fn resolve(
    connection: &impl ConnectionTrait,
    buyer: Option<UserId>,
    selection: &Selection,
    tax: &Arc<TaxPolicy>,
    now: DateTime<Utc>,
) -> Result<ResolvedSelection, Error<SelectionRefusal>> {
    selection.check_shape()?;
    let stored = StoredSelection::read(connection, buyer, None, selection).await?;
    Ok(stored.resolve(selection, tax, now)?)
}

impl StoredSelection {
    /// Checks a selection against the stored rows, and prices the subjects that the buyer does not own.
    pub(super) fn resolve(
        self,
        selection: &Selection,
        tax: &Arc<TaxPolicy>,
        now: DateTime<Utc>,
    ) -> Result<ResolvedSelection, SelectionRefusal> {
        let course = self.course.ok_or(SelectionRefusal::CourseNotFound)?;
        let mut wanted = self.subjects;
        if selection.purchase_type != PurchaseType::FullBundle {
            check_chosen(selection, &wanted)?;
        }
        let (mut lapsed, mut owned): (Vec<_>, Vec<_>) =
            self.entitlements.into_iter().partition(|entitlement| has_lapsed(entitlement, now));
        let owned_ids: Vec<SubjectId> = owned.iter().map(|entitlement| entitlement.subject_id).collect();
        if selection.purchase_type == PurchaseType::FullBundle {
            // A bundle consists of the subjects on sale. If no subject is on sale, it consists of the subjects that the
            // buyer owns.
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
            // The buyer owns all subjects, so the tariff does not matter.
            (PurchaseType::FullBundle, None) if owned.len() == wanted.len() => Tariff::Separate,
            (PurchaseType::FullBundle, None) => return Err(SelectionRefusal::NotSoldAsBundle),
        };
        let quote = pricing::quote(&course, &wanted, &owned_ids, tariff, tax, now);
        Ok(ResolvedSelection {
            course,
            wanted,
            owned,
            lapsed,
            quote,
            may_be_in_cart: self.may_be_in_cart,
            may_have_allowances: self.may_have_allowances,
        })
    }
}

/// Tells whether the term of an entitlement is over at `now`.
fn has_lapsed(entitlement: &entitlement::Model, now: DateTime<Utc>) -> bool {
    entitlement.expires_at.is_some_and(|end| end <= now)
}

/// Reads the buyer's entitlements to these subjects that are not marked as ended. Returns the live entitlements, and
/// those whose term is over.
pub(crate) async fn owned_and_lapsed(
    connection: &impl ConnectionTrait,
    buyer: UserId,
    wanted: &[subject::Model],
    now: DateTime<Utc>,
) -> Result<(Vec<entitlement::Model>, Vec<entitlement::Model>), DbErr> {
    let entitlements = entitlement::Entity::of(buyer)
        .filter(entitlement::Column::EndedAt.is_null())
        .filter(entitlement::Column::SubjectId.is_in(wanted.iter().map(|subject| subject.id)))
        .order_by_asc(entitlement::Column::SubjectId)
        .all(connection)
        .await?;
    let (lapsed, owned) = entitlements.into_iter().partition(|entitlement| has_lapsed(entitlement, now));
    Ok((owned, lapsed))
}

/// Checks that the subjects that the buyer chose exist and belong to the course. `found` must be sorted by id.
fn check_chosen(selection: &Selection, found: &[subject::Model]) -> Result<(), SelectionRefusal> {
    let missing: Vec<_> = selection
        .subject_ids
        .iter()
        .copied()
        .filter(|id| found.binary_search_by_key(id, |subject| subject.id).is_err())
        .collect();
    if !missing.is_empty() {
        return Err(SelectionRefusal::SubjectsNotFound(missing));
    }
    let foreign = ids_where(found, |subject| subject.course_id != selection.course_id);
    if foreign.is_empty() { Ok(()) } else { Err(SelectionRefusal::SubjectsOfAnotherCourse(foreign)) }
}

/// Checks that the course and the subjects that the buyer does not own are on sale, and that there are subjects at all.
fn check_on_sale(
    course: &course::Model,
    wanted: &[subject::Model],
    owned: &[SubjectId],
) -> Result<(), SelectionRefusal> {
    if wanted.is_empty() {
        return Err(SelectionRefusal::EmptyCourse);
    }
    let to_buy = |subject: &subject::Model| !owned.contains(&subject.id);
    let is_sold_course = course.archived_at.is_none() && fault_of_course(course).is_none();
    if !is_sold_course && wanted.iter().any(to_buy) {
        return Err(SelectionRefusal::CourseArchived);
    }
    let archived = ids_where(wanted, |subject| !is_sold(subject) && to_buy(subject));
    if archived.is_empty() { Ok(()) } else { Err(SelectionRefusal::SubjectsArchived(archived)) }
}

/// Tells whether a subject is on sale: it is not archived, and its prices and numbers are allowed.
pub(crate) fn is_sold(subject: &subject::Model) -> bool {
    subject.archived_at.is_none() && fault_of_subject(subject).is_none()
}

/// Returns the ids of the subjects that meet a condition.
fn ids_where(subjects: &[subject::Model], condition: impl Fn(&subject::Model) -> bool) -> Vec<SubjectId> {
    subjects.iter().filter(|subject| condition(subject)).map(|subject| subject.id).collect()
}
