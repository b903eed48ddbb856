//! Courses: groups of subjects. A bundle purchase buys a whole course.

use sea_orm::entity::prelude::*;

use crate::CourseId;

/// A row of `courses`. Rows are archived and never deleted.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "courses")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: CourseId,
    /// A stable name of the course for imports and exports. Unique if set.
    pub code: Option<String>,
    /// The title of the course.
    pub name: String,
    /// A description of the course. Null if it has none.
    pub description: Option<String>,
    /// The currency of all prices in the course, as an ISO 4217 code.
    pub currency: String,
    /// The price of the whole course, in minor units. Null if the course is not sold as a bundle.
    pub bundle_price: Option<i64>,
    /// The number of days for which a purchase gives access. Null for no limit.
    pub validity_days: Option<i32>,
    /// The number of the row's present state. Each change of the row adds 1.
    pub version: i32,
    /// The time when the course was archived. Null if it is not archived.
    pub archived_at: Option<DateTimeUtc>,
    /// The time when the course was created.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
