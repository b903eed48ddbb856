//! Pages of lists.

use std::pin::Pin;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Named;
use crate::Client;

/// The document of [`Client::cards_page`].
pub const MOCK_TEST_ATTEMPTS: &str = "
query ($first: Int, $after: String, $last: Int, $before: String, $filter: MockTestAttemptFilter, $orderBy: MockTestAttemptOrder) {
  viewer {
    mockTestAttempts(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy) {
      edges { cursor node { id testNumber subject { name } latestPercentage latestAttemptAt } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      totalCount
    }
  }
}";

/// A page of a list. A field that the request does not select is empty.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items with their cursors.
    pub edges: Vec<Edge<T>>,
    /// The position of the page in the list.
    #[serde(default)]
    pub page_info: PageInfo,
    /// The number of items in the list.
    pub total_count: Option<i64>,
}

/// An item of a page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Edge<T> {
    /// Its cursor.
    #[serde(default)]
    pub cursor: String,
    /// The item.
    pub node: T,
}

/// The position of a page in its list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    /// Whether items follow.
    pub has_next_page: bool,
    /// Whether items come before.
    pub has_previous_page: bool,
    /// The cursor of the first item.
    pub start_cursor: Option<String>,
    /// The cursor of the last item.
    pub end_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The items.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &T> {
        self.edges.iter().map(|edge| &edge.node)
    }

    /// The number of items in the whole list.
    ///
    /// # Panics
    /// Panics if the request did not select it.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.total_count.expect("the total count is selected")
    }

    /// The cursor of the first item.
    ///
    /// # Panics
    /// Panics if the page is empty.
    #[must_use]
    pub fn start(&self) -> &str {
        self.page_info.start_cursor.as_deref().expect("a page with items")
    }

    /// The cursor of the last item.
    ///
    /// # Panics
    /// Panics if the page is empty.
    #[must_use]
    pub fn end(&self) -> &str {
        self.page_info.end_cursor.as_deref().expect("a page with items")
    }

    /// Whether items come before the page, and whether items follow it.
    #[must_use]
    pub fn goes_on(&self) -> (bool, bool) {
        (self.page_info.has_previous_page, self.page_info.has_next_page)
    }
}

/// A card as [`MOCK_TEST_ATTEMPTS`] selects it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// The global id.
    pub id: String,
    /// The number of the test within its subject.
    pub test_number: i64,
    /// The subject of the test.
    pub subject: Named,
    /// The percentage of the latest sitting that is over.
    pub latest_percentage: Option<String>,
    /// The time when the latest sitting began.
    pub latest_attempt_at: Option<String>,
}

impl Page<Card> {
    /// The global ids of the cards.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.nodes().map(|card| card.id.clone()).collect()
    }
}

/// A request for a page of the learner's cards. It is sent by `await`.
pub struct CardsRequest<'a> {
    client: &'a Client,
    variables: Value,
}

impl Client {
    /// Asks for a page of the learner's cards.
    #[must_use]
    pub fn cards_page(&self) -> CardsRequest<'_> {
        CardsRequest { client: self, variables: json!({}) }
    }
}

impl CardsRequest<'_> {
    /// Asks for the first items.
    #[must_use]
    pub fn first(self, count: i64) -> Self {
        self.with("first", count)
    }

    /// Asks for the last items.
    #[must_use]
    pub fn last(self, count: i64) -> Self {
        self.with("last", count)
    }

    /// Asks for items after a cursor.
    #[must_use]
    pub fn after(self, cursor: &str) -> Self {
        self.with("after", cursor)
    }

    /// Asks for items before a cursor.
    #[must_use]
    pub fn before(self, cursor: &str) -> Self {
        self.with("before", cursor)
    }

    /// Narrows the list.
    #[must_use]
    pub fn filter(self, filter: Value) -> Self {
        self.with("filter", filter)
    }

    /// Sets the order of the list.
    #[must_use]
    pub fn order(self, order: Value) -> Self {
        self.with("orderBy", order)
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.variables[name] = value.into();
        self
    }
}

impl<'a> IntoFuture for CardsRequest<'a> {
    type Output = Page<Card>;
    type IntoFuture = Pin<Box<dyn Future<Output = Page<Card>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.client.run_with(MOCK_TEST_ATTEMPTS, self.variables).await.read("/viewer/mockTestAttempts")
        })
    }
}
