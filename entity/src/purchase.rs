//! Purchases: one row each time something was bought.

use sea_orm::entity::prelude::*;

use crate::{CourseId, PurchaseId, UserId};

/// How subjects were chosen. The values are those of the system that jishu replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))")]
pub enum PurchaseType {
    /// One subject.
    #[sea_orm(string_value = "single_subject")]
    SingleSubject,
    /// Two or more subjects of one course.
    #[sea_orm(string_value = "multiple_subjects")]
    MultipleSubjects,
    /// Every subject of the course that is on sale.
    #[sea_orm(string_value = "full_bundle")]
    FullBundle,
}

/// What became of a purchase. Expiry is not written here: it follows from `expires_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum PurchaseStatus {
    /// Bought.
    #[sea_orm(string_value = "active")]
    Active,
    /// Paid back; its entitlements are ended.
    #[sea_orm(string_value = "refunded")]
    Refunded,
}

/// A row of `purchases`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "purchases")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: PurchaseId,
    /// The buyer.
    pub user_id: UserId,
    /// The course that every subject of it belongs to.
    pub course_id: CourseId,
    /// How subjects were chosen.
    pub purchase_type: PurchaseType,
    /// What was paid, in minor units.
    pub cost: i64,
    /// ISO 4217.
    pub currency: String,
    /// What became of it.
    pub status: PurchaseStatus,
    /// When it was bought.
    pub created_at: DateTimeUtc,
    /// When it ends; null for never.
    pub expires_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The purchases of this user.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
