//! A clock that a test moves.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use jishu_service::clock::Clock;
use std::sync::Mutex;

/// A clock that starts at the time of its creation, and changes only when a test advances it.
pub struct ManualClock(Mutex<DateTime<Utc>>);

impl Default for ManualClock {
    fn default() -> Self {
        Self(Mutex::new(Utc::now().trunc_subsecs(6)))
    }
}

impl ManualClock {
    /// Moves the clock forward by a duration.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().expect("no test panics while it moves the clock") += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().expect("no test panics while it moves the clock")
    }
}
