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

/// A page of a list. If the request does not select `pageInfo` or `totalCount`, the field has its default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items with their cursors.
    pub edges: Vec<Edge<T>>,
    /// The position of the page in the list.
    #[serde(default)]
    pub page_info: PageInfo,
    /// The number of items in the whole list. `None` if the request does not select `totalCount`.
    pub total_count: Option<i64>,
}

/// An item of a page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Edge<T> {
    /// The cursor of the item. Empty if the request does not select `cursor`.
    #[serde(default)]
    pub cursor: String,
    /// The item.
    pub node: T,
}

/// The position of a page in its list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    /// Whether items follow the page.
    pub has_next_page: bool,
    /// Whether items come before the page.
    pub has_previous_page: bool,
    /// The cursor of the first item of the page.
    pub start_cursor: Option<String>,
    /// The cursor of the last item of the page.
    pub end_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Returns the items of the page.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &T> {
        self.edges.iter().map(|edge| &edge.node)
    }

    /// Returns the number of items in the whole list.
    ///
    /// # Panics
    /// Panics if the request did not select `totalCount`.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.total_count.expect("the total count is selected")
    }

    /// Returns the cursor of the first item.
    ///
    /// # Panics
    /// Panics if the page is empty, or if the request did not select `startCursor`.
    #[must_use]
    pub fn start(&self) -> &str {
        self.page_info.start_cursor.as_deref().expect("a page with items")
    }

    /// Returns the cursor of the last item.
    ///
    /// # Panics
    /// Panics if the page is empty, or if the request did not select `endCursor`.
    #[must_use]
    pub fn end(&self) -> &str {
        self.page_info.end_cursor.as_deref().expect("a page with items")
    }

    /// Returns whether items come before the page, and whether items follow it.
    #[must_use]
    pub fn goes_on(&self) -> (bool, bool) {
        (self.page_info.has_previous_page, self.page_info.has_next_page)
    }
}

/// A card as [`MOCK_TEST_ATTEMPTS`] selects it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// The global id of the card.
    pub id: String,
    /// The number of the test within its subject.
    pub test_number: i64,
    /// The subject of the test.
    pub subject: Named,
    /// The percentage of the latest sitting that has ended.
    pub latest_percentage: Option<String>,
    /// The time when the latest sitting began.
    pub latest_attempt_at: Option<String>,
}

impl Page<Card> {
    /// Returns the global ids of the cards on the page.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.nodes().map(|card| card.id.clone()).collect()
    }
}

/// A request for a page of the viewer's cards. Awaiting the request sends it.
pub struct CardsRequest<'a> {
    client: &'a Client,
    variables: Value,
}

impl Client {
    /// Returns a request for a page of the viewer's cards.
    #[must_use]
    pub fn cards_page(&self) -> CardsRequest<'_> {
        CardsRequest { client: self, variables: json!({}) }
    }
}

impl CardsRequest<'_> {
    /// Requests the first `count` items.
    #[must_use]
    pub fn first(self, count: i64) -> Self {
        self.with("first", count)
    }

    /// Requests the last `count` items.
    #[must_use]
    pub fn last(self, count: i64) -> Self {
        self.with("last", count)
    }

    /// Requests items after this cursor.
    #[must_use]
    pub fn after(self, cursor: &str) -> Self {
        self.with("after", cursor)
    }

    /// Requests items before this cursor.
    #[must_use]
    pub fn before(self, cursor: &str) -> Self {
        self.with("before", cursor)
    }

    /// Sets the filter of the list.
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
