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
    /// Asks for one subject, by its place in [`TestCourse::subjects`].
    #[must_use]
    pub fn subject(&self, place: usize) -> PurchaseInput {
        PurchaseInput::new(&self.id, "SINGLE_SUBJECT", &[&self.subjects[place]])
    }

    /// Asks for several subjects, by their places in [`TestCourse::subjects`].
    #[must_use]
    pub fn several(&self, places: &[usize]) -> PurchaseInput {
        let subjects: Vec<&String> = places.iter().map(|place| &self.subjects[*place]).collect();
        PurchaseInput::new(&self.id, "MULTIPLE_SUBJECTS", &subjects)
    }

    /// Asks for the whole course.
    #[must_use]
    pub fn whole(&self) -> PurchaseInput {
        PurchaseInput::new(&self.id, "FULL_BUNDLE", &[])
    }
}

impl PurchaseInput {
    /// Asks for subjects by their global ids. The combination may be invalid.
    #[must_use]
    pub fn new(course: &str, purchase_type: &str, subjects: &[&String]) -> Self {
        Self(json!({ "courseId": course, "purchaseType": purchase_type, "subjectIds": subjects }))
    }

    /// Names the price that the learner was shown.
    #[must_use]
    pub fn cost(self, cost: &str) -> Self {
        self.with("cost", cost)
    }

    /// Gives the request an idempotency key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.with("idempotencyKey", key)
    }

    fn with(mut self, field: &str, value: &str) -> Self {
        self.0[field] = value.into();
        self
    }

    /// The input as JSON.
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
    /// The global id.
    pub id: String,
    /// The type, such as `FULL_BUNDLE`.
    pub purchase_type: String,
    /// The status, such as `ACTIVE`.
    pub status: String,
    /// The price that was paid.
    pub cost: Amount,
    /// The subjects that were bought.
    pub subjects: Vec<Named>,
    /// The course they belong to.
    pub course: Named,
}

/// A card as [`PURCHASE`] selects it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The global id.
    pub id: String,
    /// The number of the test within its subject.
    pub test_number: i64,
    /// The status of the card.
    pub status: String,
    /// The number of times that the test may be taken.
    pub max_attempts: i64,
    /// The number of times that it was taken.
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
    /// Buys.
    pub async fn buy(&self, input: PurchaseInput) -> Purchased {
        self.mutate(PURCHASE, "purchase", input.json()).await
    }
}

impl Purchased {
    fn have<'a, T>(&self, value: &'a Option<T>) -> &'a T {
        value.as_ref().unwrap_or_else(|| panic!("nothing was bought: {self:#?}"))
    }

    /// The outcome, the number of cards that were created, and the number of cards that are listed.
    ///
    /// # Panics
    /// Panics if the purchase was refused.
    #[must_use]
    pub fn outcome(&self) -> (&str, i64, i64) {
        assert_eq!(self.user_errors, [], "{self:#?}");
        (self.have(&self.outcome).as_str(), *self.have(&self.test_cards_created), self.cards().total())
    }

    /// The sentence for the learner.
    ///
    /// # Panics
    /// Panics if the purchase was refused.
    #[must_use]
    pub fn message(&self) -> &str {
        self.have(&self.message).as_str()
    }

    /// The purchase.
    ///
    /// # Panics
    /// Panics if the purchase was refused.
    #[must_use]
    pub fn purchase(&self) -> &Purchase {
        self.have(&self.purchase)
    }

    /// The amount that was paid.
    #[must_use]
    pub fn cost(&self) -> &str {
        &self.purchase().cost.amount
    }

    /// The first hundred cards of the subjects that were asked for.
    ///
    /// # Panics
    /// Panics if the purchase was refused.
    #[must_use]
    pub fn cards(&self) -> &Page<Shown> {
        self.have(&self.test_cards)
    }

    /// The names of the subjects that were owned before.
    #[must_use]
    pub fn already_owned(&self) -> Vec<&str> {
        self.already_owned.iter().flatten().map(|subject| subject.name.as_str()).collect()
    }

    /// The one error. All other fields must be null, and the message must be a sentence.
    ///
    /// # Panics
    /// Panics if the purchase was not refused.
    #[must_use]
    pub fn refusal(&self) -> &UserError {
        let is_empty = self.outcome.is_none() && self.purchase.is_none() && self.test_cards.is_none();
        assert!(is_empty, "it was not refused: {self:#?}");
        let error = only_error(&self.user_errors);
        assert!(error.message.ends_with('.'), "{error:#?}");
        error
    }

    /// The code of the one error, the input it names, and its type.
    #[must_use]
    pub fn refused_as(&self) -> (&str, String, &str) {
        let error = self.refusal();
        (&error.code, error.path.join("."), error.more["__typename"].as_str().unwrap_or_default())
    }
}
