//! The mutations `addToCart` and `removeFromCart`.

use serde::Deserialize;
use serde_json::json;

use super::{Named, UserError};
use crate::Client;

/// The document of [`Client::add_to_cart`].
pub const ADD_TO_CART: &str = "mutation ($ids: [ID!]!) { addToCart(subjectIds: $ids) {
    cart { subjects { name } totalCount } userErrors { __typename code message path ... on SubjectsError { subjectIds } } } }";
/// The document of [`Client::remove_from_cart`].
pub const REMOVE_FROM_CART: &str = "mutation ($ids: [ID!]!) { removeFromCart(subjectIds: $ids) {
    cart { subjects { name } totalCount } userErrors { __typename code message path ... on SubjectsError { subjectIds } } } }";

/// A cart.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cart {
    /// The subjects in the cart.
    pub subjects: Vec<Named>,
    /// The number of subjects in the cart.
    pub total_count: i64,
}

impl Cart {
    /// Returns the names of the subjects in the cart.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.subjects.iter().map(|subject| subject.name.as_str()).collect()
    }
}

/// The payload of `addToCart` and `removeFromCart`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CartChange {
    /// The cart after the change.
    pub cart: Cart,
    /// The user errors. If there are any, the cart was not changed.
    pub user_errors: Vec<UserError>,
}

impl Client {
    /// Puts subjects into the cart, by their global ids.
    pub async fn add_to_cart(&self, subjects: &[&String]) -> CartChange {
        self.run_with(ADD_TO_CART, json!({ "ids": subjects })).await.read("/addToCart")
    }

    /// Takes subjects out of the cart, by their global ids.
    pub async fn remove_from_cart(&self, subjects: &[&String]) -> CartChange {
        self.run_with(REMOVE_FROM_CART, json!({ "ids": subjects })).await.read("/removeFromCart")
    }

    /// Returns the cart of the viewer.
    pub async fn cart(&self) -> Cart {
        self.run("{ viewer { cart { subjects { name } totalCount } } }").await.read("/viewer/cart")
    }
}
