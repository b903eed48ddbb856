//! How many learners have each score in their first sitting of a paper.

use sea_orm::entity::prelude::*;

use crate::PaperId;

/// A row of `paper_scores`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "paper_scores")]
pub struct Model {
    /// The paper.
    #[sea_orm(primary_key, auto_increment = false)]
    pub paper_id: PaperId,
    /// Hundredths of a mark.
    #[sea_orm(primary_key, auto_increment = false)]
    pub score: i32,
    /// How many learners.
    pub learners: i64,
}

impl ActiveModelBehavior for ActiveModel {}
