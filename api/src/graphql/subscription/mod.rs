//! The subscription root, one file a field.

mod begun;
mod mock_test_attempt_changed;
mod test_session_clock;

use async_graphql::MergedSubscription;

pub use begun::Begun;

use mock_test_attempt_changed::MockTestAttemptChanged;
use test_session_clock::TestSessionClock;

/// What can be watched, over WebSocket (graphql-transport-ws) or server-sent events (graphql-sse, distinct
/// connections) on the same path.
#[derive(Default, MergedSubscription)]
pub struct Subscription(MockTestAttemptChanged, TestSessionClock);
