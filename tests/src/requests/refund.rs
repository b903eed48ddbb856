//! The mutation `refundPurchase`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{UserError, only_error};
use crate::Client;

/// The document of [`Client::refund`].
pub const REFUND: &str = "
mutation ($input: RefundPurchaseInput!) {
  refundPurchase(input: $input) {
    outcome
    refund { id status amount { amount currency } reason requestedAt settledAt
             lines { subject { name } amount { amount } } }
    purchase { id status }
    userErrors { __typename code message path ... on SubjectsError { subjectIds } }
  }
}";

/// The payload of `refundPurchase`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundPayload {
    outcome: Option<String>,
    refund: Option<Value>,
    purchase: Option<Value>,
    /// The reasons why nothing was refunded.
    pub user_errors: Vec<UserError>,
}

/// The input of `refundPurchase`.
#[derive(Clone, Debug)]
pub struct RefundInput(Value);

impl RefundInput {
    /// Asks to refund a whole purchase.
    #[must_use]
    pub fn whole(purchase: &str) -> Self {
        Self(json!({ "purchaseId": purchase, "reason": "Wrong subject" }))
    }

    /// Asks to refund only these subjects.
    #[must_use]
    pub fn subjects(self, subjects: &[&String]) -> Self {
        self.with("subjectIds", json!(subjects))
    }

    /// Gives the request an idempotency key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.with("idempotencyKey", json!(key))
    }

    /// Gives the request another reason.
    #[must_use]
    pub fn reason(self, reason: &str) -> Self {
        self.with("reason", json!(reason))
    }

    fn with(mut self, field: &str, value: Value) -> Self {
        self.0[field] = value;
        self
    }

    /// The input as JSON.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }
}

impl Client {
    /// Refunds.
    pub async fn refund(&self, input: RefundInput) -> RefundPayload {
        self.mutate(REFUND, "refundPurchase", input.json()).await
    }
}

impl RefundPayload {
    /// The outcome.
    ///
    /// # Panics
    /// Panics if nothing was refunded.
    #[must_use]
    pub fn outcome(&self) -> &str {
        assert_eq!(self.user_errors, [], "{self:#?}");
        self.outcome.as_deref().expect("an outcome")
    }

    /// The refund.
    ///
    /// # Panics
    /// Panics if nothing was refunded.
    #[must_use]
    pub fn refund(&self) -> &Value {
        self.refund.as_ref().unwrap_or_else(|| panic!("nothing was refunded: {self:#?}"))
    }

    /// The global id of the refund.
    #[must_use]
    pub fn id(&self) -> &str {
        self.refund()["id"].as_str().unwrap_or_default()
    }

    /// The amount of the refund.
    #[must_use]
    pub fn amount(&self) -> &str {
        self.refund()["amount"]["amount"].as_str().unwrap_or_default()
    }

    /// The status of the purchase after the refund.
    #[must_use]
    pub fn purchase_status(&self) -> &str {
        self.purchase.as_ref().and_then(|purchase| purchase["status"].as_str()).unwrap_or_default()
    }

    /// The code of the one error, and the last part of its path. All other fields must be null.
    ///
    /// # Panics
    /// Panics if something was refunded.
    #[must_use]
    pub fn refused_as(&self) -> (&str, &str) {
        let is_empty = self.outcome.is_none() && self.refund.is_none() && self.purchase.is_none();
        assert!(is_empty, "it was not refused: {self:#?}");
        let error = only_error(&self.user_errors);
        assert!(error.message.ends_with('.'), "{error:#?}");
        (&error.code, error.path.last().map_or("", String::as_str))
    }
}
