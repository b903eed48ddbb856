//! The time, passed in so that a test can move it.

use chrono::{DateTime, SubsecRound, Utc};

/// Tells the time, UTC, in whole microseconds: what all three databases keep.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}
