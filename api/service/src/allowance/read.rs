//! Reads allowances: for a new sitting, for new cards, and in lists.

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

/// The allowances of a user, by their scopes.
pub(super) struct UserAllowances {
    user: UserId,
    by_scope: HashMap<String, allowance::Model>,
}

impl UserAllowances {
    /// Reads the allowances of a user for cards of these subjects.
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

    /// Returns the greatest extra time for sittings of a subject, in seconds.
    pub(super) fn extra_seconds(&self, subject: SubjectId, course: CourseId) -> i32 {
        self.of(subject, course).filter_map(|row| row.extra_seconds).max().unwrap_or_default()
    }

    /// Returns the greatest number of attempts for cards of a subject.
    pub(super) fn max_attempts(&self, subject: SubjectId, course: CourseId) -> Option<i32> {
        self.of(subject, course).filter_map(|row| row.max_attempts).max()
    }
}

/// Reads the courses of these subjects.
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

/// Shares the row of a subject until the transaction ends, and returns its course.
///
/// A new sitting does this before it reads the allowances. So a grant for all learners of the subject finds the new
/// sitting, or the sitting finds the grant.
pub(crate) async fn share_subject(
    transaction: &DatabaseTransaction,
    id: SubjectId,
) -> Result<Option<CourseId>, DbErr> {
    let backend = transaction.get_database_backend();
    let lock = match backend {
        DbBackend::Postgres => "FOR KEY SHARE",
        DbBackend::MySql => "LOCK IN SHARE MODE",
        // SQLite has one writer.
        _ => "",
    };
    let text = format!("SELECT course_id FROM subjects WHERE id = ? {lock}");
    let row = transaction.query_one_raw(sql(backend, &text, [id.into()])).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

/// Returns the extra time that allowances give to cards of a user in these subjects, in seconds.
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

/// Raises the attempts of the cards of a new purchase to those that allowances grant.
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

/// A condition on allowances. An allowance must meet all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowanceFilter {
    /// Only allowances for this learner.
    pub user: Option<UserId>,
    /// Only allowances for this subject or course.
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
    page::fetch(reader, select(filter), &keyset, request, |id| vec![Value::from(id)]).await
}

/// Counts the allowances that a filter leaves.
///
/// # Errors
/// Returns the database's error.
#[service_call("allowance.count")]
pub async fn count(services: &Services, _: Support, filter: AllowanceFilter) -> Result<u64, DbErr> {
    select(filter).count(services.database.reader()).await
}
