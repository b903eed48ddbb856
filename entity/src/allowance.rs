//! Allowances: extra time and attempts for all cards of a learner, of a subject or of a course.

use sea_orm::entity::prelude::*;

use crate::{AllowanceId, CourseId, SubjectId, UserId};

/// A row of `allowances`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "allowances")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: AllowanceId,
    /// The scope as text: a learner, a subject or course, or both, such as `user:5`, `subject:3` or `user:5/subject:3`.
    /// Unique, so that a scope has one allowance.
    #[sea_orm(unique)]
    pub scope: String,
    /// The learner. Null for all learners.
    pub user_id: Option<UserId>,
    /// The course. Null unless the scope is a course.
    pub course_id: Option<CourseId>,
    /// The subject. Null unless the scope is a subject.
    pub subject_id: Option<SubjectId>,
    /// Extra seconds for each sitting. Null for none.
    pub extra_seconds: Option<i32>,
    /// The number of attempts of each card. Null to leave it as it is.
    pub max_attempts: Option<i32>,
    /// The reason, as support wrote it.
    pub reason: Option<String>,
    /// The member of support who granted the allowance.
    pub granted_by: UserId,
    /// The time when the allowance was granted.
    pub granted_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
