//! The GraphQL type `PurchaseGrant`.

use async_graphql::Object;
use jishu_entity::purchase_grant;

use super::User;

pub(in crate::graphql) struct PurchaseGrant {
    row: purchase_grant::Model,
}

/// The grant of a complimentary purchase: who gave it, and why.
#[Object]
impl PurchaseGrant {
    /// The member of staff who granted the purchase. Null if an operator granted it on the command line.
    async fn granted_by(&self) -> Option<User> {
        self.row.granted_by.map(User::lazy)
    }

    /// The reason for the grant, which the member of staff or the operator wrote. The deletion of the user's account
    /// erases it.
    async fn reason(&self) -> &str {
        &self.row.reason
    }
}

impl From<purchase_grant::Model> for PurchaseGrant {
    fn from(row: purchase_grant::Model) -> Self {
        Self { row }
    }
}
