//! The steps that make a purchase complimentary.

use jishu_entity::{UserId, purchase, purchase_grant};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DatabaseTransaction, DbErr};

use super::PurchaseCommand;
use super::selection::ResolvedSelection;
use crate::events::{self, Event};

/// The grant that makes a purchase complimentary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PurchaseGrant {
    /// The member of support who grants the purchase. None if the operator grants it.
    pub(crate) by: Option<UserId>,
    /// The reason of the grant.
    pub(crate) reason: String,
}

/// Sets the prices, the tax and the total of a complimentary purchase to 0. The list prices stay, so that a receipt
/// shows the value of the subjects. Changes nothing if the command has no grant.
pub(super) fn priced(command: &PurchaseCommand, mut resolved: ResolvedSelection) -> ResolvedSelection {
    if command.grant.is_some() {
        let quote = &mut resolved.quote;
        for line in &mut quote.lines {
            (line.price, line.tax) = (0, 0);
        }
        (quote.discount, quote.tax, quote.total) = (quote.subtotal, 0, 0);
    }
    resolved
}

/// Records who granted the purchase and why, and appends the audit event. This function must be the last step of the
/// transaction, because events must be appended as late as possible.
pub(super) async fn record(
    transaction: &DatabaseTransaction,
    grant: &PurchaseGrant,
    purchase: &purchase::Model,
) -> Result<(), DbErr> {
    let row = purchase_grant::ActiveModel {
        purchase_id: Set(purchase.id),
        granted_by: Set(grant.by),
        reason: Set(grant.reason.clone()),
    };
    row.insert(transaction).await?;
    events::append(transaction, purchase.created_at, grant.by, Event::PurchaseGranted(purchase.id)).await
}
