//! Requests that many tests send, with typed responses and some builders of inputs.
//!
//! A test that needs another selection sends its own document with [`Client::run_with`].

mod accounts;
mod authoring;
mod cart;
mod pages;
mod purchase;
mod question_bank;
mod refund;
mod second_factor;
mod sittings;

pub use accounts::{LOGIN, REFRESH, REGISTER, Registration, SignedIn, Tokens, User};
pub use authoring::{Authored, AuthoredCourse, AuthoredSubject};
pub use cart::{ADD_TO_CART, Cart, CartChange, REMOVE_FROM_CART};
pub use pages::{Card, CardsRequest, Edge, MOCK_TEST_ATTEMPTS, Page, PageInfo};
pub use purchase::{Amount, Named, PURCHASE, Purchase, PurchaseInput, Purchased, Shown};
pub use question_bank::{EXPORT, Export, ExportRequest, IMPORT, ImportRequest, Imported, Remark};
pub use refund::{REFUND, RefundInput, RefundPayload};
pub use second_factor::{Authenticator, COMPLETE_LOGIN};
pub use sittings::{
    Choice, GivenAnswer, Question, SESSION, Session, SessionResult, SittingPayload, Tries, answer,
};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Client, GraphqlResponse};

/// An item of `userErrors`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct UserError {
    /// The code of the error.
    pub code: String,
    /// The message for people. Empty if the request did not select the message.
    #[serde(default)]
    pub message: String,
    /// The path to the wrong part of the input. Empty if the request did not select the path.
    #[serde(default)]
    pub path: Vec<String>,
    /// All other fields that the request selects, by their names.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Returns the only error of a request that was refused.
///
/// # Panics
/// Panics if there is no error, or more than one.
#[must_use]
pub fn only_error(errors: &[UserError]) -> &UserError {
    let [error] = errors else { panic!("there must be exactly one error: {errors:#?}") };
    error
}

impl GraphqlResponse {
    /// Reads the value at a JSON pointer below `data` into a type.
    ///
    /// # Panics
    /// Panics if the value does not fit the type.
    #[must_use]
    pub fn read<T: DeserializeOwned>(&self, pointer: &str) -> T {
        T::deserialize(self.at(pointer)).unwrap_or_else(|error| panic!("{error}: {:#}", self.body))
    }
}

impl Client {
    /// Sends a mutation with the variable `$input`, and reads the payload in its field `field`.
    async fn mutate<T: DeserializeOwned>(&self, document: &str, field: &str, input: &Value) -> T {
        self.run_with(document, json!({ "input": input })).await.read(&format!("/{field}"))
    }
}
