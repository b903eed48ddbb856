//! Reads allowances for new sittings, new cards and lists.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jishu_entity::{CourseId, PurchaseId, SubjectId, UserId, allowance, mock_test_attempt, subject};
use jishu_service_macros::service_call;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, IntoSimpleExpr,
    PaginatorTrait, QueryFilter, QuerySelect, Select, Value,
};

use super::{AllowancePlace, AllowanceScope};
use crate::Services;
use crate::account::Support;
use crate::database::sql;
use crate::error::Fault;
use crate::page::{self, Keyset, Page, PageRequest};

/// The allowances that apply to a user's cards, by the stored texts of their scopes.
pub(super) struct UserAllowances {
    user: UserId,
    by_scope: HashMap<String, allowance::Model>,
}

impl UserAllowances {
    /// Reads the allowances that apply to a user's cards in these subjects. `subjects` has the course of each subject.
    pub(super) async fn read(
        connection: &impl ConnectionTrait,
        user: UserId,
        subjects: &BTreeMap<SubjectId, CourseId>,
    ) -> Result<Self, DbErr> {
        let texts: BTreeSet<String> = subjects
            .iter()
            .flat_map(|(subject, course)| AllowanceScope::texts_of(user, *subject, *course))
            .collect();
        let rows = allowance::Entity::find().filter(allowance::Column::Scope.is_in(texts)).all(connection);
        let by_scope = rows.await?.into_iter().map(|row| (row.scope.clone(), row)).collect();
        Ok(Self { user, by_scope })
    }

    fn of(&self, subject: SubjectId, course: CourseId) -> impl Iterator<Item = &allowance::Model> {
        let texts = AllowanceScope::texts_of(self.user, subject, course);
        texts.into_iter().filter_map(|text| self.by_scope.get(&text))
    }

    /// Returns the greatest extra time that an allowance gives to sittings of a subject, in seconds. 0 if no allowance
    /// does.
    pub(super) fn extra_seconds(&self, subject: SubjectId, course: CourseId) -> i32 {
        self.of(subject, course).filter_map(|row| row.extra_seconds).max().unwrap_or_default()
    }

    /// Returns the greatest number of attempts that an allowance gives to cards of a subject. None if no allowance
    /// does.
    pub(super) fn max_attempts(&self, subject: SubjectId, course: CourseId) -> Option<i32> {
        self.of(subject, course).filter_map(|row| row.max_attempts).max()
    }
}

/// Reads the course of each of these subjects.
pub(super) async fn courses_of(
    connection: &impl ConnectionTrait,
    subjects: impl IntoIterator<Item = SubjectId>,
) -> Result<BTreeMap<SubjectId, CourseId>, DbErr> {
    let pairs: Vec<(SubjectId, CourseId)> = subject::Entity::find()
        .select_only()
        .columns([subject::Column::Id, subject::Column::CourseId])
        .filter(subject::Column::Id.is_in(subjects))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(pairs.into_iter().collect())
}

/// Takes a shared lock on the row of a subject until the transaction ends. Returns the course of the subject, or None
/// if the subject does not exist.
///
/// A new sitting takes this lock before it reads the allowances. So either a grant for all learners of the subject
/// finds the new sitting, or the sitting finds the granted allowance.
pub(crate) async fn share_subject(
    transaction: &DatabaseTransaction,
    id: SubjectId,
) -> Result<Option<CourseId>, DbErr> {
    let backend = transaction.get_database_backend();
    let lock = match backend {
        DbBackend::Postgres => "FOR KEY SHARE",
        DbBackend::MySql => "LOCK IN SHARE MODE",
        // SQLite has no row locks, because it has only one writer.
        _ => "",
    };
    let text = format!("SELECT course_id FROM subjects WHERE id = ? {lock}");
    let row = transaction.query_one_raw(sql(backend, &text, [id.into()])).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

/// Returns the greatest extra time that allowances give to the cards of a user in each of these subjects, in seconds.
pub(crate) async fn extra_seconds_by_subject(
    services: &Services,
    user: UserId,
    subjects: BTreeSet<SubjectId>,
) -> Result<HashMap<SubjectId, i32>, Fault> {
    let mut courses = BTreeMap::new();
    for subject in subjects {
        courses.insert(subject, services.catalog.subject(subject).await?.course_id);
    }
    let allowances = UserAllowances::read(services.database.reader(), user, &courses).await?;
    let seconds = |(subject, course)| (subject, allowances.extra_seconds(subject, course));
    Ok(courses.into_iter().map(seconds).collect())
}

/// Raises the maximum number of attempts of the cards of a new purchase to the number that allowances grant. Cards with
/// more attempts stay as they are.
pub(crate) async fn raise_new_cards(
    connection: &impl ConnectionTrait,
    user: UserId,
    purchase: PurchaseId,
    course: CourseId,
    subjects: impl IntoIterator<Item = SubjectId>,
) -> Result<(), DbErr> {
    let subjects: BTreeMap<SubjectId, CourseId> = subjects.into_iter().map(|id| (id, course)).collect();
    let allowances = UserAllowances::read(connection, user, &subjects).await?;
    for (subject, course) in subjects {
        let Some(attempts) = allowances.max_attempts(subject, course) else { continue };
        mock_test_attempt::Entity::update_many()
            .col_expr(mock_test_attempt::Column::MaxAttempts, Expr::value(attempts))
            .filter(mock_test_attempt::Column::PurchaseId.eq(purchase))
            .filter(mock_test_attempt::Column::SubjectId.eq(subject))
            .filter(mock_test_attempt::Column::MaxAttempts.lt(attempts))
            .exec(connection)
            .await?;
    }
    Ok(())
}

/// A filter of allowances. An allowance must match each field that is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowanceFilter {
    /// Only allowances whose scope names this learner. If None, all allowances.
    pub user: Option<UserId>,
    /// Only allowances whose scope names this subject or course. If None, all allowances.
    pub place: Option<AllowancePlace>,
}

fn select(filter: AllowanceFilter) -> Select<allowance::Entity> {
    let mut select = allowance::Entity::find();
    if let Some(user) = filter.user {
        select = select.filter(allowance::Column::UserId.eq(user));
    }
    match filter.place {
        None => select,
        Some(AllowancePlace::Subject(id)) => select.filter(allowance::Column::SubjectId.eq(id)),
        Some(AllowancePlace::Course(id)) => select.filter(allowance::Column::CourseId.eq(id)),
    }
}

/// Reads a page of allowances, newest first.
///
/// # Errors
/// Returns the database's error.
#[service_call("allowance.page")]
pub async fn page(
    services: &Services,
    _: Support,
    filter: AllowanceFilter,
    request: PageRequest<i64>,
) -> Result<Page<allowance::Model>, DbErr> {
    let keyset = Keyset { columns: vec![allowance::Column::Id.into_simple_expr()], descending: true };
    let reader = services.database.reader();
    page::fetch(reader, select(filter), keyset, request, |id| vec![Value::from(id)]).await
}

/// Counts the allowances that match a filter.
///
/// # Errors
/// Returns the database's error.
#[service_call("allowance.count")]
pub async fn count(services: &Services, _: Support, filter: AllowanceFilter) -> Result<u64, DbErr> {
    select(filter).count(services.database.reader()).await
}
