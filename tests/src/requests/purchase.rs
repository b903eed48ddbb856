//! The mutation `purchase`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Page, UserError, only_error};
use crate::{Client, TestCourse};

/// The document of [`Client::buy`].
pub const PURCHASE: &str = "
mutation ($input: PurchaseInput!) {
  purchase(input: $input) {
    outcome
    message
    testCardsCreated
    alreadyOwned { name }
    purchase { id purchaseType status cost { amount currency } subjects { name } course { name } }
    testCards(first: 100) { totalCount edges { node { id testNumber status maxAttempts attemptsUsed subject { name } } } }
    userErrors { __typename code message path ... on SubjectsError { subjectIds }
                 ... on PriceChangedError { quote { total { amount } lines { subject { name } } } } }
  }
}";

/// The input of `purchase`.
#[derive(Clone, Debug)]
pub struct PurchaseInput(Value);

impl TestCourse {
    /// Returns the input that buys one subject, by its index in [`TestCourse::subjects`].
    #[must_use]
    pub fn subject(&self, place: usize) -> PurchaseInput {
        PurchaseInput::new(&self.id, "SINGLE_SUBJECT", &[&self.subjects[place]])
    }

    /// Returns the input that buys several subjects, by their indices in [`TestCourse::subjects`].
    #[must_use]
    pub fn several(&self, places: &[usize]) -> PurchaseInput {
        let subjects: Vec<&String> = places.iter().map(|place| &self.subjects[*place]).collect();
        PurchaseInput::new(&self.id, "MULTIPLE_SUBJECTS", &subjects)
    }

    /// Returns the input that buys the whole course.
    #[must_use]
    pub fn whole(&self) -> PurchaseInput {
        PurchaseInput::new(&self.id, "FULL_BUNDLE", &[])
    }
}

impl PurchaseInput {
    /// Creates the input that buys subjects by their global ids. The type of the purchase need not fit the subjects.
    #[must_use]
    pub fn new(course: &str, purchase_type: &str, subjects: &[&String]) -> Self {
        Self(json!({ "courseId": course, "purchaseType": purchase_type, "subjectIds": subjects }))
    }

    /// Sets the price that the learner was shown.
    #[must_use]
    pub fn cost(self, cost: &str) -> Self {
        self.with("cost", cost)
    }

    /// Sets the idempotency key of the request.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.with("idempotencyKey", key)
    }

    fn with(mut self, field: &str, value: &str) -> Self {
        self.0[field] = value.into();
        self
    }

    /// Returns the input as JSON.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }
}

/// An object of which only the name is selected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Amount {
    /// The amount, such as `100.00`.
    pub amount: String,
    /// The currency, such as `INR`.
    pub currency: String,
}

/// A purchase.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Purchase {
    /// The global id of the purchase.
    pub id: String,
    /// The type of the purchase, such as `FULL_BUNDLE`.
    pub purchase_type: String,
    /// The status of the purchase, such as `ACTIVE`.
    pub status: String,
    /// The price that was paid.
    pub cost: Amount,
    /// The subjects that were bought.
    pub subjects: Vec<Named>,
    /// The course of the subjects.
    pub course: Named,
}

/// A card as [`PURCHASE`] selects it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The global id of the card.
    pub id: String,
    /// The number of the test within its subject.
    pub test_number: i64,
    /// The status of the card.
    pub status: String,
    /// The maximum number of attempts of the card.
    pub max_attempts: i64,
    /// The number of attempts that are used.
    pub attempts_used: i64,
    /// The subject of the test.
    pub subject: Named,
}

/// The payload of `purchase`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Purchased {
    outcome: Option<String>,
    message: Option<String>,
    test_cards_created: Option<i64>,
    already_owned: Option<Vec<Named>>,
    purchase: Option<Purchase>,
    test_cards: Option<Page<Shown>>,
    user_errors: Vec<UserError>,
}

impl Client {
    /// Sends the mutation `purchase` with this input.
    pub async fn buy(&self, input: PurchaseInput) -> Purchased {
        self.mutate(PURCHASE, "purchase", input.json()).await
    }
}

impl Purchased {
    fn have<'a, T>(&self, value: &'a Option<T>) -> &'a T {
        value.as_ref().unwrap_or_else(|| panic!("nothing was bought: {self:#?}"))
    }

    /// Returns the outcome, the number of cards that were created, and the number of all cards of the list `testCards`.
    ///
    /// # Panics
    /// Panics if the purchase was refused.
    #[must_use]
    pub fn outcome(&self) -> (&str, i64, i64) {
        assert_eq!(self.user_errors, [], "{self:#?}");
        (self.have(&self.outcome).as_str(), *self.have(&self.test_cards_created), self.cards().total())
    }

    /// Returns the sentence for the learner.
    ///
    /// # Panics
    /// Panics if the purchase was refused.
    #[must_use]
    pub fn message(&self) -> &str {
        self.have(&self.message).as_str()
    }

    /// Returns the purchase.
    ///
    /// # Panics
    /// Panics if the purchase was refused.
    #[must_use]
    pub fn purchase(&self) -> &Purchase {
        self.have(&self.purchase)
    }

    /// Returns the amount that was paid.
    #[must_use]
    pub fn cost(&self) -> &str {
        &self.purchase().cost.amount
    }

    /// Returns the first hundred cards of the subjects in the request.
    ///
    /// # Panics
    /// Panics if the purchase was refused.
    #[must_use]
    pub fn cards(&self) -> &Page<Shown> {
        self.have(&self.test_cards)
    }

    /// Returns the names of the subjects that the learner owned before.
    #[must_use]
    pub fn already_owned(&self) -> Vec<&str> {
        self.already_owned.iter().flatten().map(|subject| subject.name.as_str()).collect()
    }

    /// Returns the only user error. The outcome, the purchase and the cards must be null, and the message must end with
    /// a period.
    ///
    /// # Panics
    /// Panics if the purchase was not refused, or if the payload has other values or more than one error.
    #[must_use]
    pub fn refusal(&self) -> &UserError {
        let is_empty = self.outcome.is_none() && self.purchase.is_none() && self.test_cards.is_none();
        assert!(is_empty, "the purchase was not refused: {self:#?}");
        let error = only_error(&self.user_errors);
        assert!(error.message.ends_with('.'), "{error:#?}");
        error
    }

    /// Returns the code of the only user error, the path of the wrong input, and the GraphQL type of the error.
    #[must_use]
    pub fn refused_as(&self) -> (&str, String, &str) {
        let error = self.refusal();
        (&error.code, error.path.join("."), error.more["__typename"].as_str().unwrap_or_default())
    }
}
