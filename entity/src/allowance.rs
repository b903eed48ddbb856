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
    /// The scope as text: a learner, a subject or a course, or a learner with a subject or a course, such as `user:5`,
    /// `subject:3` or `user:5/subject:3`. Unique, so that each scope has at most one allowance.
    #[sea_orm(unique)]
    pub scope: String,
    /// The learner of the scope. Null if the allowance is for all learners.
    pub user_id: Option<UserId>,
    /// The course of the scope. Null if the scope has no course.
    pub course_id: Option<CourseId>,
    /// The subject of the scope. Null if the scope has no subject.
    pub subject_id: Option<SubjectId>,
    /// The number of extra seconds for each sitting. Null if the allowance gives no extra time.
    pub extra_seconds: Option<i32>,
    /// The number of attempts that each card of the scope gets at least. Null if the allowance gives no attempts.
    pub max_attempts: Option<i32>,
    /// The reason for the allowance, as support wrote it. Null if support gave none.
    pub reason: Option<String>,
    /// The member of support who granted the allowance.
    pub granted_by: UserId,
    /// The time when the allowance was granted.
    pub granted_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
