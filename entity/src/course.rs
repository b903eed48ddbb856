//! Courses: what subjects are grouped in and what a bundle buys whole.

use sea_orm::entity::prelude::*;

use crate::CourseId;

/// A row of `courses`. Archived, never deleted.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "courses")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: CourseId,
    /// A stable name for imports; unique where set.
    pub code: Option<String>,
    /// The title.
    pub name: String,
    /// What it prepares for.
    pub description: Option<String>,
    /// ISO 4217, of every price in the course.
    pub currency: String,
    /// What the whole course costs, in minor units; null where it is not sold as a bundle.
    pub bundle_price: Option<i64>,
    /// How many days a purchase lasts; null for ever.
    pub validity_days: Option<i32>,
    /// When it left the catalogue.
    pub archived_at: Option<DateTimeUtc>,
    /// When it was created.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
