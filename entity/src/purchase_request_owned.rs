//! The subjects that a buyer asked for in a purchase request, but already owned.

use sea_orm::entity::prelude::*;

use crate::{PurchaseId, PurchaseRequestId, SubjectId};

/// A row of `purchase_request_owned`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "purchase_request_owned")]
pub struct Model {
    /// The purchase request.
    #[sea_orm(primary_key, auto_increment = false)]
    pub request_id: PurchaseRequestId,
    /// The subject that the buyer already owned.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject_id: SubjectId,
    /// The earlier purchase that granted the subject.
    pub granted_by: PurchaseId,
}

impl ActiveModelBehavior for ActiveModel {}
