//! The subscription root, one file a field.

mod mock_test_attempt_changed;

use async_graphql::MergedSubscription;

use mock_test_attempt_changed::MockTestAttemptChanged;

/// What can be watched, over WebSocket (graphql-transport-ws) or server-sent events (graphql-sse, distinct
/// connections) on the same path.
#[derive(Default, MergedSubscription)]
pub struct Subscription(MockTestAttemptChanged);
