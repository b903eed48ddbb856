//! The subscription root, with one file for each field.

mod mock_test_attempt_changed;
mod order_changed;
mod start_signal;
mod test_session_clock;

use async_graphql::MergedSubscription;

pub use start_signal::StartSignal;

use mock_test_attempt_changed::MockTestAttemptChanged;
use order_changed::OrderChanged;
use test_session_clock::TestSessionClock;

/// The subscriptions. They use the same URL path as queries, over WebSocket (`graphql-transport-ws`) or server-sent
/// events (`graphql-sse`, distinct connections mode).
#[derive(Default, MergedSubscription)]
pub struct Subscription(MockTestAttemptChanged, OrderChanged, TestSessionClock);
