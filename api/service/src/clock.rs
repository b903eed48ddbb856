//! The clock of the services. A test passes in a clock that it controls.

use chrono::{DateTime, SubsecRound, Utc};

/// A source of the current time in UTC.
///
/// The time has whole microseconds, because all three databases store that precision.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}
