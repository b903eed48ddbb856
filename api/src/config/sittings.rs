//! Configures sittings of tests.

use std::time::Duration;

use clap::Args;

use jishu_service::session::SittingRules;

/// The times of sittings.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Sittings")]
pub struct SittingsConfig {
    /// Seconds after the deadline of a sitting in which answers are still accepted, to allow for a slow network.
    #[arg(long, env = "JISHU_ANSWER_GRACE_SECONDS", default_value_t = 5, value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(0..=300))]
    pub answer_grace_seconds: u32,

    /// Milliseconds between searches for overdue sittings, which are then closed and scored.
    #[arg(long, env = "JISHU_CLOSING_INTERVAL_MS", default_value_t = 1_000, value_name = "MILLISECONDS",
          value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub closing_interval_ms: u64,
}

impl SittingsConfig {
    /// Returns the rules for sittings, which contain the grace time for answers.
    #[must_use]
    pub fn rules(&self) -> SittingRules {
        SittingRules { grace: chrono::TimeDelta::seconds(i64::from(self.answer_grace_seconds)) }
    }

    /// Returns the interval between searches for overdue sittings.
    #[must_use]
    pub fn closing_interval(&self) -> Duration {
        Duration::from_millis(self.closing_interval_ms)
    }
}
