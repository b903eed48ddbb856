//! The clock of the services. A test can use a clock that it controls.

use chrono::{DateTime, SubsecRound, Utc};

/// A source of the current time in UTC.
///
/// The time is in whole microseconds, because all supported databases store this precision.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the machine, in whole microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}
