//! Connections that stay: WebSockets and event streams.

use std::time::Duration;

use clap::Args;

/// How WebSockets and event streams are treated.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Subscriptions")]
pub struct LiveConfig {
    /// The most operations that a WebSocket may have at once.
    #[arg(long, env = "JISHU_LIVE_OPERATIONS", default_value_t = 50, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub live_operations: u32,

    /// The most subscriptions that a user may have at once on this node, over WebSockets and event streams together;
    /// 0 is no limit. Only subscribing is paid for, and not what is told afterwards: this bounds it.
    #[arg(long, env = "JISHU_LIVE_SUBSCRIPTIONS_PER_USER", default_value_t = 100, value_name = "COUNT")]
    pub live_subscriptions_per_user: u32,

    /// How long a WebSocket may wait with its `connection_init`, in seconds.
    #[arg(long, env = "JISHU_LIVE_INIT_SECONDS", default_value_t = 10, value_name = "SECONDS", value_parser = seconds())]
    pub live_init_seconds: u64,

    /// How often a WebSocket is pinged and an idle event stream gets a comment, in seconds. One that sends nothing
    /// from one ping to the next is closed.
    #[arg(long, env = "JISHU_LIVE_PING_SECONDS", default_value_t = 20, value_name = "SECONDS", value_parser = seconds())]
    pub live_ping_seconds: u64,

    /// How long a client may take nothing of what it is sent, in seconds.
    #[arg(long, env = "JISHU_LIVE_STALL_SECONDS", default_value_t = 30, value_name = "SECONDS", value_parser = seconds())]
    pub live_stall_seconds: u64,
}

fn seconds() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=3_600)
}

impl LiveConfig {
    /// At most so many operations of one WebSocket at once.
    #[must_use]
    pub fn operations(&self) -> usize {
        usize::try_from(self.live_operations).unwrap_or(usize::MAX)
    }

    /// How long a WebSocket may wait with its `connection_init`.
    #[must_use]
    pub fn init(&self) -> Duration {
        Duration::from_secs(self.live_init_seconds)
    }

    /// Between two pings.
    #[must_use]
    pub fn ping(&self) -> Duration {
        Duration::from_secs(self.live_ping_seconds)
    }

    /// How long a client may take nothing.
    #[must_use]
    pub fn stall(&self) -> Duration {
        Duration::from_secs(self.live_stall_seconds)
    }
}
