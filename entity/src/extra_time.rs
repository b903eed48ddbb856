//! Extra time that support granted for the sittings of a card.

use sea_orm::entity::prelude::*;

use crate::{MockTestAttemptId, UserId};

/// A row of `extra_times`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "extra_times")]
pub struct Model {
    /// The card to which the extra time belongs.
    #[sea_orm(primary_key, auto_increment = false)]
    pub mock_test_attempt_id: MockTestAttemptId,
    /// The number of extra seconds for each sitting of the card. If an allowance gives more seconds, the allowance
    /// counts instead.
    pub seconds: i32,
    /// The member of support who granted the extra time.
    pub granted_by: UserId,
    /// The time when the extra time was granted.
    pub granted_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
