//! Sitting tests.

use std::time::Duration;

use clap::Args;

use jishu_service::session::SittingRules;

/// How sittings are treated.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Sittings")]
pub struct SittingsConfig {
    /// How long after the deadline of a sitting answers are still taken, in seconds: what a slow network may cost.
    #[arg(long, env = "JISHU_ANSWER_GRACE_SECONDS", default_value_t = 5, value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(0..=300))]
    pub answer_grace_seconds: u32,

    /// How often overdue sittings are looked for, in milliseconds, to close and score them.
    #[arg(long, env = "JISHU_CLOSING_INTERVAL_MS", default_value_t = 1_000, value_name = "MILLISECONDS",
          value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub closing_interval_ms: u64,
}

impl SittingsConfig {
    /// As the services take it.
    #[must_use]
    pub fn rules(&self) -> SittingRules {
        SittingRules { grace: chrono::TimeDelta::seconds(i64::from(self.answer_grace_seconds)) }
    }

    /// Between two looks for overdue sittings.
    #[must_use]
    pub fn closing_interval(&self) -> Duration {
        Duration::from_millis(self.closing_interval_ms)
    }
}
