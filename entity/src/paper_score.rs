//! The number of learners with each score of a paper, for its ranking. Only a learner's first scored sitting of the
//! paper counts.

use sea_orm::entity::prelude::*;

use crate::PaperId;

/// A row of `paper_scores`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "paper_scores")]
pub struct Model {
    /// The paper that was scored.
    #[sea_orm(primary_key, auto_increment = false)]
    pub paper_id: PaperId,
    /// The score, in hundredths of a mark.
    #[sea_orm(primary_key, auto_increment = false)]
    pub score: i32,
    /// The number of learners with this score.
    pub learners: i64,
}

impl ActiveModelBehavior for ActiveModel {}
