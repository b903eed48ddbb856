//! Entitlements: one row for each subject bought, live until it ends.
//!
//! The table has one column more than the model: `live`, generated as 1 while `ended_at` is null and null
//! after. UNIQUE (user_id, subject_id, live) makes the database itself refuse a second live right.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Condition;

use crate::{PurchaseId, SubjectId, UserId};

/// A row of `entitlements`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "entitlements")]
pub struct Model {
    /// The purchase that gave it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub purchase_id: PurchaseId,
    /// What it is a right to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject_id: SubjectId,
    /// Whose right.
    pub user_id: UserId,
    /// What was paid for this subject, in minor units of the purchase's currency.
    pub price_paid: i64,
    /// How many test cards it gave.
    pub test_cards: i32,
    /// When it began.
    pub granted_at: DateTimeUtc,
    /// When its term is over; null for never.
    pub expires_at: Option<DateTimeUtc>,
    /// When it was ended: a refund, or a term found to be over.
    pub ended_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Whether it holds at `now`.
    #[must_use]
    pub fn is_live(&self, now: DateTimeUtc) -> bool {
        is_live(self.ended_at, self.expires_at, now)
    }
}

impl Entity {
    /// Every entitlement of this user, ended ones included.
    #[must_use]
    pub fn of(owner: UserId) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(owner))
    }

    /// The entitlements of this user that hold at `now`.
    #[must_use]
    pub fn live_of(owner: UserId, now: DateTimeUtc) -> Select<Self> {
        Self::of(owner).filter(live(now))
    }
}

/// That an entitlement holds at `now`: it was not ended, and its term is not over.
#[must_use]
pub fn live(now: DateTimeUtc) -> Condition {
    let unexpired = Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now));
    Condition::all().add(Column::EndedAt.is_null()).add(unexpired)
}

/// The same of an entitlement that was read.
#[must_use]
pub fn is_live(ended_at: Option<DateTimeUtc>, expires_at: Option<DateTimeUtc>, now: DateTimeUtc) -> bool {
    ended_at.is_none() && expires_at.is_none_or(|end| end > now)
}
