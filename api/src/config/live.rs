//! Configures WebSockets and event streams.

use std::time::Duration;

use clap::Args;

/// Limits and timeouts of WebSockets and event streams.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Subscriptions")]
pub struct LiveConfig {
    /// Maximum number of concurrent operations on one WebSocket.
    #[arg(long, env = "JISHU_LIVE_OPERATIONS", default_value_t = 50, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub live_operations: u32,

    /// Maximum number of concurrent subscriptions of one user on this node, over WebSockets and event streams
    /// together. 0 means no limit. The cost budget is charged when a subscription starts, but not for its events.
    #[arg(long, env = "JISHU_LIVE_SUBSCRIPTIONS_PER_USER", default_value_t = 100, value_name = "COUNT")]
    pub live_subscriptions_per_user: u32,

    /// Seconds that a WebSocket client has to send `connection_init`. Then the WebSocket is closed.
    #[arg(long, env = "JISHU_LIVE_INIT_SECONDS", default_value_t = 10, value_name = "SECONDS", value_parser = seconds())]
    pub live_init_seconds: u64,

    /// Seconds between pings on a WebSocket, and between comments on an idle event stream. A WebSocket whose client
    /// sends nothing from one ping to the next is closed.
    #[arg(long, env = "JISHU_LIVE_PING_SECONDS", default_value_t = 20, value_name = "SECONDS", value_parser = seconds())]
    pub live_ping_seconds: u64,

    /// Seconds for which a client may receive nothing of what the server sends. Then its WebSocket or event stream is
    /// closed.
    #[arg(long, env = "JISHU_LIVE_STALL_SECONDS", default_value_t = 30, value_name = "SECONDS", value_parser = seconds())]
    pub live_stall_seconds: u64,
}

fn seconds() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=3_600)
}

impl LiveConfig {
    /// Returns the maximum number of concurrent operations on one WebSocket.
    #[must_use]
    pub fn max_operations(&self) -> usize {
        usize::try_from(self.live_operations).unwrap_or(usize::MAX)
    }

    /// Returns how long a WebSocket client may take to send `connection_init`.
    #[must_use]
    pub fn init(&self) -> Duration {
        Duration::from_secs(self.live_init_seconds)
    }

    /// Returns the interval between pings on a WebSocket, and between comments on an idle event stream.
    #[must_use]
    pub fn ping(&self) -> Duration {
        Duration::from_secs(self.live_ping_seconds)
    }

    /// Returns for how long a client may receive nothing of what the server sends, before its connection is closed.
    #[must_use]
    pub fn stall(&self) -> Duration {
        Duration::from_secs(self.live_stall_seconds)
    }
}
