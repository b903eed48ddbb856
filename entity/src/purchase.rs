//! Purchases: each row is the subjects of one course that a user bought at once, and their price.

use sea_orm::entity::prelude::*;

use crate::{CourseId, PurchaseId, UserId};

/// The way in which the buyer chose the subjects. The stored values are those of the old system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))")]
pub enum PurchaseType {
    /// The buyer chose one subject.
    #[sea_orm(string_value = "single_subject")]
    SingleSubject,
    /// The buyer chose two or more subjects of one course.
    #[sea_orm(string_value = "multiple_subjects")]
    MultipleSubjects,
    /// The buyer chose the whole course: every subject of the course that is on sale.
    #[sea_orm(string_value = "full_bundle")]
    FullBundle,
}

/// The status of a purchase. Expiry is not a status, because `expires_at` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum PurchaseStatus {
    /// The purchase was made, and not all of its subjects were refunded.
    #[sea_orm(string_value = "active")]
    Active,
    /// All subjects of the purchase were refunded, and their entitlements have ended.
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
    /// The buyer, or the user who got a complimentary purchase.
    pub user_id: UserId,
    /// The course of all subjects of the purchase.
    pub course_id: CourseId,
    /// The way in which the buyer chose the subjects.
    pub purchase_type: PurchaseType,
    /// The total price that was paid, in minor units. It includes the tax.
    pub cost: i64,
    /// The sum of the list prices, in minor units. `subtotal` and the columns about the tax are null for a purchase
    /// that was made before purchases recorded them.
    pub subtotal: Option<i64>,
    /// The part of `cost` that is tax, in minor units. Null if `subtotal` is null.
    pub tax: Option<i64>,
    /// The name of the tax, such as GST. Null if `subtotal` is null.
    pub tax_label: Option<String>,
    /// The rate of the tax, in hundredths of a per cent. Null if `subtotal` is null.
    pub tax_basis_points: Option<i32>,
    /// Whether the prices of the catalogue included the tax. Null if `subtotal` is null.
    pub is_tax_included: Option<bool>,
    /// The currency, as an ISO 4217 code.
    pub currency: String,
    /// The status of the purchase.
    pub status: PurchaseStatus,
    /// The time of the purchase.
    pub created_at: DateTimeUtc,
    /// The time when the access that the purchase gives expires. Null if it never expires.
    pub expires_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Finds the purchases of this user.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }
}
