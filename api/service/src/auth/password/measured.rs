//! The measured methods of stored password hashes.

use std::time::Duration;

use super::stored::{MAX_COMPARISON_TIME, Method};

/// Returns the processor time that the current thread has used so far. A busy machine does not lengthen it. If the time
/// of the clock were measured, users with hashes of a method could not sign in for as long as the machine was busy when
/// the method was measured.
#[cfg(unix)]
pub(super) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Returns the time of the clock since the first call, on systems for which no processor time is read.
#[cfg(not(unix))]
pub(super) fn thread_time() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Factor by which the measured time of the slowest method is raised, for times when the machine is busier.
const TIME_MARGIN_FACTOR: f64 = 1.5;

/// Maximum number of methods of the old system whose time is measured.
pub(crate) const MAX_OLD_METHODS: usize = 32;

/// The measured methods of stored hashes. The usable methods determine the time of refusals, and the number of permits
/// that comparisons take.
#[derive(Debug)]
pub(super) struct MeasuredMethods {
    pub(super) methods: Vec<MeasuredMethod>,
}

/// A method of stored hashes, with its measured time.
#[derive(Clone, Copy, Debug)]
pub(super) struct MeasuredMethod {
    pub(super) method: Method,
    /// The processor time of one comparison.
    pub(super) takes: Duration,
    pub(super) permits: u32,
}

impl MeasuredMethod {
    /// Returns whether a comparison is fast enough, so that hashes of this method can be used.
    pub(super) fn is_fast_enough(&self) -> bool {
        self.takes <= MAX_COMPARISON_TIME
    }
}

impl MeasuredMethods {
    /// Returns whether hashes of this method can be used. Returns None if the method must be measured first.
    ///
    /// If [`MAX_OLD_METHODS`] methods of the old system were measured, a further one cannot be used, because refusals
    /// could not be padded to its time. The number of methods of Argon2id has no maximum: only new versions of the
    /// server and imports of users add methods of Argon2id.
    pub(super) fn is_usable(&self, method: Method) -> Option<bool> {
        if let Some(measured) = self.methods.iter().find(|measured| measured.method == method) {
            return Some(measured.is_fast_enough());
        }
        let is_old = |method: Method| !matches!(method, Method::Argon2id { .. });
        let old = self.methods.iter().filter(|measured| is_old(measured.method)).count();
        if !is_old(method) || old < MAX_OLD_METHODS {
            return None;
        }
        let message = "a user with a password hash of this method cannot sign in, because the stored hashes have too \
                       many methods. Set a new password with `jishu user set-password`";
        tracing::warn!(?method, max = MAX_OLD_METHODS, "{message}");
        Some(false)
    }

    /// Returns the methods whose comparisons are fast enough.
    fn usable(&self) -> impl Iterator<Item = &MeasuredMethod> {
        self.methods.iter().filter(|measured| measured.is_fast_enough())
    }

    /// Returns the time of one comparison of a password with a hash of the slowest usable method. Adds a margin, up to
    /// [`MAX_COMPARISON_TIME`].
    pub(super) fn slowest(&self) -> Duration {
        let slowest = self.usable().map(|measured| measured.takes).max().unwrap_or_default();
        slowest.mul_f64(TIME_MARGIN_FACTOR).min(MAX_COMPARISON_TIME)
    }

    /// Returns the unit of the time of refusals: every refusal takes a multiple of this unit. Zero while the current
    /// method is the only usable method.
    pub(super) fn floor(&self) -> Duration {
        let has_others = self.usable().any(|measured| measured.method != Method::CURRENT);
        if has_others { self.slowest() } else { Duration::ZERO }
    }

    /// Returns the number of permits that a comparison of a password takes at least: the greatest number that a usable
    /// method needs.
    pub(super) fn permits(&self) -> u32 {
        self.usable().map(|measured| measured.permits).max().unwrap_or(1)
    }
}
