//! Subjects: what is bought, and how many test cards it gives.

use sea_orm::entity::prelude::*;

use crate::{CourseId, SubjectId};

/// A row of `subjects`. Archived, never deleted.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subjects")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: SubjectId,
    /// The course it belongs to.
    pub course_id: CourseId,
    /// A stable name for imports; unique in the course where set.
    pub code: Option<String>,
    /// The title.
    pub name: String,
    /// The price without an offer, in minor units of the course's currency.
    pub list_price: i64,
    /// The price under an offer, in minor units.
    pub offer_price: Option<i64>,
    /// When the offer ends; null while it has no end.
    pub offer_ends_at: Option<DateTimeUtc>,
    /// How many test cards a purchase creates: 1 to 1000.
    pub total_mock_tests: i32,
    /// How often each card may be sat.
    pub max_attempts: i32,
    /// When it left the catalogue.
    pub archived_at: Option<DateTimeUtc>,
    /// When it was created.
    pub created_at: DateTimeUtc,
    /// The course it belongs to.
    #[sea_orm(belongs_to, from = "course_id", to = "id")]
    pub course: BelongsTo<super::course::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
