//! Budgets that refill steadily, one for each key.
//!
//! The crate `governor` does the arithmetic. The budgets are stored here, so that their number is limited and units
//! can be put back after an attempt that succeeded.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::bounded_map::BoundedMap;

/// Maximum number of keys of one kind of budget. An entry takes about 50 bytes, so an attack with many keys fills at
/// most 10 MB. A key that is dropped to make room has a full budget when it comes again.
const MAX_KEYS: usize = 200_000;

/// The time to wait before a refused request may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryAfter {
    /// The time to wait.
    pub wait: Duration,
}

impl RetryAfter {
    /// Returns the time in whole seconds, rounded up, and at least 1.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.wait.as_secs().saturating_add(u64::from(self.wait.subsec_nanos() > 0)).max(1)
    }
}

/// A budget for each key. The whole budget of a period may be spent at once.
pub(super) struct Buckets<K: Clone + Eq + Hash, C: Clock = MonotonicClock> {
    /// The limiter with its store. None if there is no limit.
    limited: Option<Limited<K, C>>,
}

struct Limited<K: Clone + Eq + Hash, C: Clock> {
    limiter: RateLimiter<K, Store<K>, C, NoOpMiddleware<C::Instant>>,
    store: Store<K>,
    /// The time in which one unit refills.
    unit: Nanos,
    /// The number of units of a full budget.
    burst: NonZeroU32,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    /// Makes one budget for each key, of `budget` units in a `period`; 0 means no limit.
    pub(super) fn new(budget: u32, period: Duration) -> Self {
        Self::with_clock(budget, period, MonotonicClock)
    }
}

impl<K: Clone + Eq + Hash, C: Clock> Buckets<K, C> {
    fn with_clock(budget: u32, period: Duration, clock: C) -> Self {
        let limited = NonZeroU32::new(budget).and_then(|burst| {
            let unit = period / budget;
            let quota = Quota::with_period(unit)?.allow_burst(burst);
            let store = Store::default();
            let limiter = RateLimiter::new(quota, store.clone(), clock);
            Some(Limited { limiter, store, unit: unit.into(), burst })
        });
        Self { limited }
    }

    /// Takes this many units from the budget of a key. If there are too few, takes none and returns how long to wait
    /// until there are enough.
    ///
    /// More units than a full budget count as a full budget. Otherwise an expensive request could never be admitted.
    pub(super) fn take(&self, key: &K, units: u32) -> Result<(), RetryAfter> {
        let Some(limited) = &self.limited else { return Ok(()) };
        let Some(units) = NonZeroU32::new(units) else { return Ok(()) };
        match limited.limiter.check_key_n(key, units.min(limited.burst)) {
            Ok(Err(not_until)) => {
                Err(RetryAfter { wait: not_until.wait_time_from(limited.limiter.clock().now()) })
            }
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Takes `units` units instead of the 1 unit that [`Buckets::take`] took just before. If there are too few, the 1
    /// unit stays taken, and the error says how long to wait until `units` units are available.
    pub(super) fn take_instead_of_one(&self, key: &K, units: u32) -> Result<(), RetryAfter> {
        self.put_back(key, 1);
        self.take(key, units.max(1)).map_err(|wait| {
            self.keep_one(key);
            self.wait(key, units).unwrap_or(wait)
        })
    }

    /// Undoes [`Buckets::take_instead_of_one`]: puts all units back but 1.
    pub(super) fn put_back_but_one(&self, key: &K, units: u32) {
        self.put_back(key, units.max(1));
        self.keep_one(key);
    }

    /// Takes the 1 unit that the caller put back just before.
    fn keep_one(&self, key: &K) {
        // The unit was available just before. If another caller has taken it meanwhile, the budget goes 1 unit below
        // zero.
        if self.take(key, 1).is_err() {
            self.take_more(key, 1);
        }
    }

    /// Returns how long to wait until this many units are available; None if they are available now. Takes no units.
    pub(super) fn wait(&self, key: &K, units: u32) -> Option<RetryAfter> {
        let wait = self.take(key, units).err();
        if wait.is_none() {
            self.put_back(key, units);
        }
        wait
    }

    /// Takes more units from a budget from which [`Buckets::take`] took units just before, even if too few are
    /// available.
    pub(super) fn take_more(&self, key: &K, units: u32) {
        self.adjust(key, |state, unit| Nanos::from(state.as_u64().saturating_add(unit * u64::from(units))));
    }

    /// Puts back units that were taken, so that they are available at once.
    pub(super) fn put_back(&self, key: &K, units: u32) {
        // `take` never takes more than a full budget, so no more is put back.
        let units = self.limited.as_ref().map_or(units, |limited| units.min(limited.burst.get()));
        self.adjust(key, |state, unit| Nanos::from(state.as_u64().saturating_sub(unit * u64::from(units))));
    }

    /// Makes the budget of a key full.
    pub(super) fn fill(&self, key: &K) {
        if let Some(limited) = &self.limited {
            limited.store.lock().remove(key);
        }
    }

    /// Changes the state of a key, which is the time at which its budget is full again. Does nothing for a key
    /// without state.
    fn adjust(&self, key: &K, change: impl FnOnce(Nanos, u64) -> Nanos) {
        if let Some(limited) = &self.limited
            && let Some(state) = limited.store.lock().get_mut(key)
        {
            *state = change(*state, limited.unit.as_u64());
        }
    }
}

/// The state of each budget: the time at which it is full again, in nanoseconds since the limiter was made.
struct Store<K> {
    states: Arc<Mutex<BoundedMap<K, Nanos>>>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self { states: Arc::clone(&self.states) }
    }
}

impl<K: Clone + Eq + Hash> Default for Store<K> {
    fn default() -> Self {
        Self { states: Arc::new(Mutex::new(BoundedMap::new(MAX_KEYS))) }
    }
}

impl<K> Store<K> {
    fn lock(&self) -> MutexGuard<'_, BoundedMap<K, Nanos>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> StateStore for Store<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut states = self.lock();
        if let Some(state) = states.get_mut(key) {
            let (outcome, next) = measure(Some(*state))?;
            *state = next;
            return Ok(outcome);
        }
        let (outcome, next) = measure(None)?;
        states.insert(key.clone(), next);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn sixty_a_minute() -> (Buckets<&'static str, FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Buckets::with_clock(60, MINUTE, clock.clone()), clock)
    }

    #[test]
    fn a_budget_is_spent_at_once_and_refills_steadily() {
        let (buckets, clock) = sixty_a_minute();
        assert_eq!(buckets.take(&"a", 60), Ok(()));
        assert_eq!(buckets.take(&"a", 1).unwrap_err().seconds(), 1);
        assert_eq!(buckets.take(&"a", 30).unwrap_err().seconds(), 30);
        assert_eq!(buckets.take(&"b", 60), Ok(()), "another key has no budget of its own");
        clock.advance(Duration::from_secs(30));
        assert_eq!(buckets.take(&"a", 30), Ok(()));
        assert!(buckets.take(&"a", 1).is_err());
        clock.advance(10 * MINUTE);
        assert_eq!(buckets.take(&"a", 60), Ok(()));
        assert!(buckets.take(&"a", 1).is_err(), "the bucket holds more than a period's worth");
    }

    #[test]
    fn more_units_than_a_full_budget_count_as_a_full_budget() {
        let (buckets, clock) = sixty_a_minute();
        assert_eq!(buckets.take(&"a", 1_000), Ok(()));
        assert_eq!(buckets.take(&"a", 1_000), Err(RetryAfter { wait: MINUTE }));
        clock.advance(MINUTE);
        assert_eq!(buckets.take(&"a", 1_000), Ok(()));
        buckets.put_back(&"a", 1_000);
        assert_eq!(buckets.take(&"a", 60), Ok(()));
        assert!(buckets.take(&"a", 1).is_err());
    }

    #[test]
    fn units_can_be_put_back_and_taken_beyond_the_budget() {
        let (buckets, clock) = sixty_a_minute();
        assert_eq!(buckets.take(&"a", 60), Ok(()));
        buckets.put_back(&"a", 10);
        assert_eq!(buckets.take(&"a", 10), Ok(()));
        buckets.take_more(&"a", 5);
        assert_eq!(buckets.take(&"a", 1).unwrap_err().seconds(), 6);
        clock.advance(Duration::from_secs(6));
        assert_eq!(buckets.take(&"a", 1), Ok(()));
        buckets.fill(&"a");
        assert_eq!(buckets.take(&"a", 60), Ok(()));
    }

    #[test]
    fn asking_for_the_wait_takes_no_units() {
        let (buckets, clock) = sixty_a_minute();
        for _ in 0..100 {
            assert_eq!(buckets.wait(&"a", 60), None);
        }
        assert_eq!(buckets.take(&"a", 60), Ok(()));
        assert_eq!(buckets.wait(&"a", 30), Some(RetryAfter { wait: Duration::from_secs(30) }));
        clock.advance(Duration::from_secs(30));
        assert_eq!(buckets.wait(&"a", 30), None);
        assert_eq!(buckets.take(&"a", 30), Ok(()));
    }

    #[test]
    fn the_cost_replaces_the_first_unit_and_a_refusal_tells_the_wait_for_the_whole_cost() {
        let (buckets, clock) = sixty_a_minute();
        for _ in 0..2 {
            assert_eq!(buckets.take(&"a", 1), Ok(()));
            assert_eq!(buckets.take_instead_of_one(&"a", 30), Ok(()));
        }
        clock.advance(Duration::from_secs(10));
        assert_eq!(buckets.take(&"a", 1), Ok(()));
        let wait = buckets.take_instead_of_one(&"a", 30).unwrap_err();
        assert_eq!(wait.seconds(), 21, "the wait does not count the 9 units that are available");
        clock.advance(Duration::from_secs(21));
        assert_eq!(buckets.take(&"a", 1), Ok(()));
        assert_eq!(buckets.take_instead_of_one(&"a", 30), Ok(()));
        clock.advance(MINUTE);
        assert_eq!(buckets.take(&"a", 1), Ok(()));
        assert_eq!(
            buckets.take_instead_of_one(&"a", 1_000),
            Ok(()),
            "a full budget refused a request for more units than the budget has"
        );
        clock.advance(MINUTE);
        assert_eq!(buckets.take(&"a", 1), Ok(()));
        assert_eq!(buckets.take_instead_of_one(&"a", 30), Ok(()));
        buckets.put_back_but_one(&"a", 30);
        assert_eq!(buckets.take(&"a", 59), Ok(()));
        assert!(buckets.take(&"a", 1).is_err());
    }

    #[test]
    fn putting_back_never_makes_more_than_a_budget() {
        let (buckets, clock) = sixty_a_minute();
        clock.advance(10 * MINUTE);
        assert_eq!(buckets.take(&"a", 1), Ok(()));
        buckets.put_back(&"a", 1);
        buckets.put_back(&"a", 1);
        assert_eq!(buckets.take(&"a", 60), Ok(()));
        assert!(buckets.take(&"a", 1).is_err());
    }

    #[test]
    fn zero_means_no_limit() {
        let buckets = Buckets::new(0, MINUTE);
        for _ in 0..1_000 {
            assert_eq!(buckets.take(&"a", u32::MAX), Ok(()));
        }
    }

    #[test]
    fn waits_are_rounded_up_to_whole_seconds() {
        for (wait, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (59_999, 60)] {
            assert_eq!(RetryAfter { wait: Duration::from_millis(wait) }.seconds(), seconds);
        }
    }
}
