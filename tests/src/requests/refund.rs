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
    /// The user errors. If there are any, nothing was refunded.
    pub user_errors: Vec<UserError>,
}

/// The input of `refundPurchase`.
#[derive(Clone, Debug)]
pub struct RefundInput(Value);

impl RefundInput {
    /// Creates the input that refunds a whole purchase, with the reason "Wrong subject".
    #[must_use]
    pub fn whole(purchase: &str) -> Self {
        Self(json!({ "purchaseId": purchase, "reason": "Wrong subject" }))
    }

    /// Limits the refund to these subjects.
    #[must_use]
    pub fn subjects(self, subjects: &[&String]) -> Self {
        self.with("subjectIds", json!(subjects))
    }

    /// Sets the idempotency key of the request.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.with("idempotencyKey", json!(key))
    }

    /// Changes the reason of the refund.
    #[must_use]
    pub fn reason(self, reason: &str) -> Self {
        self.with("reason", json!(reason))
    }

    fn with(mut self, field: &str, value: Value) -> Self {
        self.0[field] = value;
        self
    }

    /// Returns the input as JSON.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }
}

impl Client {
    /// Sends the mutation `refundPurchase` with this input.
    pub async fn refund(&self, input: RefundInput) -> RefundPayload {
        self.mutate(REFUND, "refundPurchase", input.json()).await
    }
}

impl RefundPayload {
    /// Returns the outcome of the request.
    ///
    /// # Panics
    /// Panics if nothing was refunded.
    #[must_use]
    pub fn outcome(&self) -> &str {
        assert_eq!(self.user_errors, [], "{self:#?}");
        self.outcome.as_deref().expect("an outcome")
    }

    /// Returns the refund.
    ///
    /// # Panics
    /// Panics if nothing was refunded.
    #[must_use]
    pub fn refund(&self) -> &Value {
        self.refund.as_ref().unwrap_or_else(|| panic!("nothing was refunded: {self:#?}"))
    }

    /// Returns the global id of the refund.
    #[must_use]
    pub fn id(&self) -> &str {
        self.refund()["id"].as_str().unwrap_or_default()
    }

    /// Returns the amount of the refund, such as `100.00`.
    #[must_use]
    pub fn amount(&self) -> &str {
        self.refund()["amount"]["amount"].as_str().unwrap_or_default()
    }

    /// Returns the status of the purchase after the refund.
    #[must_use]
    pub fn purchase_status(&self) -> &str {
        self.purchase.as_ref().and_then(|purchase| purchase["status"].as_str()).unwrap_or_default()
    }

    /// Returns the code of the only user error, and the last part of its path. The outcome, the refund and the purchase
    /// must be null, and the error's message must end with a period.
    ///
    /// # Panics
    /// Panics if something was refunded, or if there is not exactly one user error.
    #[must_use]
    pub fn refused_as(&self) -> (&str, &str) {
        let is_empty = self.outcome.is_none() && self.refund.is_none() && self.purchase.is_none();
        assert!(is_empty, "the refund was not refused: {self:#?}");
        let error = only_error(&self.user_errors);
        assert!(error.message.ends_with('.'), "{error:#?}");
        (&error.code, error.path.last().map_or("", String::as_str))
    }
}
