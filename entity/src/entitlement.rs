//! Entitlements: the rights of users to subjects, one row for each subject of a purchase. An entitlement is live until
//! it ends or expires.
//!
//! The table has a generated column `live`, which the model omits. Its value is 1 while `ended_at` is null, and null
//! afterwards. UNIQUE (user_id, subject_id, live) refuses a second entitlement of a user to a subject while the first
//! entitlement has not ended.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Condition;

use crate::{PurchaseId, SubjectId, UserId};

/// The reason why an entitlement ended. A sitting that this end cut short has the reason, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum EntitlementEnd {
    /// The subject of the entitlement was refunded.
    #[sea_orm(string_value = "refunded")]
    Refunded,
    /// The term of the purchase is over. An entitlement that had ended in the old system has this reason, too.
    #[sea_orm(string_value = "expired")]
    Expired,
}

/// A row of `entitlements`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "entitlements")]
pub struct Model {
    /// The purchase that granted the entitlement.
    #[sea_orm(primary_key, auto_increment = false)]
    pub purchase_id: PurchaseId,
    /// The subject that the entitlement gives access to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject_id: SubjectId,
    /// The user who has the entitlement.
    pub user_id: UserId,
    /// The price paid for this subject, in minor units of the purchase's currency. It includes the tax.
    pub price_paid: i64,
    /// The list price of the subject at the purchase, in minor units. `list_price` and `tax` are null for a purchase
    /// that was made before purchases recorded them.
    pub list_price: Option<i64>,
    /// The part of `price_paid` that is tax, in minor units. Null if `list_price` is null.
    pub tax: Option<i64>,
    /// The number of test cards that the entitlement granted.
    pub test_cards: i32,
    /// The time when the entitlement was granted.
    pub granted_at: DateTimeUtc,
    /// The time when the entitlement expires. Null if it never expires.
    pub expires_at: Option<DateTimeUtc>,
    /// The time when the entitlement ended: the time of the refund, or the end of its term. Null until the server has
    /// recorded the end.
    pub ended_at: Option<DateTimeUtc>,
    /// The reason why the entitlement ended. Null while `ended_at` is null, and if the entitlement ended before reasons
    /// were recorded.
    pub end_reason: Option<EntitlementEnd>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Returns whether the entitlement is live at `now`.
    #[must_use]
    pub fn is_live(&self, now: DateTimeUtc) -> bool {
        is_live(self.ended_at, self.expires_at, now)
    }
}

impl Entity {
    /// Finds all entitlements of this user, including ended ones.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }

    /// Finds the entitlements of this user that are live at `now`.
    #[must_use]
    pub fn live_of(owner: UserId, now: DateTimeUtc) -> Select<Self> {
        Self::of(owner).filter(live(now))
    }
}

/// Returns the SQL condition that an entitlement is live at `now`: it was not ended and has not expired.
#[must_use]
pub fn live(now: DateTimeUtc) -> Condition {
    let unexpired = Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now));
    Condition::all().add(Column::EndedAt.is_null()).add(unexpired)
}

/// Returns whether an entitlement with this end and this expiry is live at `now`.
#[must_use]
pub fn is_live(ended_at: Option<DateTimeUtc>, expires_at: Option<DateTimeUtc>, now: DateTimeUtc) -> bool {
    ended_at.is_none() && expires_at.is_none_or(|end| end > now)
}
