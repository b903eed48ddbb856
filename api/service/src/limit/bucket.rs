//! Budgets that refill steadily, one for each key.
//!
//! The arithmetic is governor's; the memory is ours, so that it is bounded, and so that what an attempt took can
//! be put back when it turns out well.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::bounded::BoundedMap;

/// At some 50 bytes an entry: 10 MB for a kind of budget under attack, next to nothing otherwise. Who is
/// forgotten, because as many others came in between, has a full budget again.
const MOST_KEYS: usize = 200_000;

/// How long to wait before another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryAfter(pub Duration);

impl RetryAfter {
    /// Whole seconds, at least 1.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0.as_secs().saturating_add(u64::from(self.0.subsec_nanos() > 0)).max(1)
    }
}

/// A budget for each key: so much a period, all of which may be spent at once.
pub(super) struct Buckets<K: Clone + Eq + Hash, C: Clock = MonotonicClock> {
    /// None where there is no limit.
    limited: Option<Limited<K, C>>,
}

struct Limited<K: Clone + Eq + Hash, C: Clock> {
    limiter: RateLimiter<K, Store<K>, C, NoOpMiddleware<C::Instant>>,
    store: Store<K>,
    /// How long it takes to refill one unit.
    unit: Nanos,
    burst: NonZeroU32,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    /// `budget` units a `period`; 0 is no limit.
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

    /// Takes so many units, or none and says when they will be there. More than a full budget counts as a full
    /// one: what is allowed at all must come through some time.
    pub(super) fn take(&self, key: &K, units: u32) -> Result<(), RetryAfter> {
        let Some(limited) = &self.limited else { return Ok(()) };
        let Some(units) = NonZeroU32::new(units) else { return Ok(()) };
        match limited.limiter.check_key_n(key, units.min(limited.burst)) {
            Ok(Err(not_until)) => Err(RetryAfter(not_until.wait_time_from(limited.limiter.clock().now()))),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Takes this many units in place of the 1 that [`Buckets::take`] took just now. On a refusal the 1 stays
    /// taken, and the error says when all the units will be there.
    pub(super) fn take_instead_of_one(&self, key: &K, units: u32) -> Result<(), RetryAfter> {
        self.put_back(key, 1);
        self.take(key, units.max(1)).map_err(|wait| {
            self.keep_one(key);
            self.wait(key, units).unwrap_or(wait)
        })
    }

    /// Undoes [`Buckets::take_instead_of_one`].
    pub(super) fn put_back_but_one(&self, key: &K, units: u32) {
        self.put_back(key, units.max(1));
        self.keep_one(key);
    }

    fn keep_one(&self, key: &K) {
        // The unit was there a moment ago. If other callers were faster, it becomes a debt.
        if self.take(key, 1).is_err() {
            self.take_more(key, 1);
        }
    }

    /// Returns how long it takes until this many units are there; None if they are there now. Takes nothing.
    pub(super) fn wait(&self, key: &K, units: u32) -> Option<RetryAfter> {
        let wait = self.take(key, units).err();
        if wait.is_none() {
            self.put_back(key, units);
        }
        wait
    }

    /// Takes so many units more, whether they are there or not, from a budget that [`Buckets::take`] took from
    /// just now.
    pub(super) fn take_more(&self, key: &K, units: u32) {
        self.adjust(key, |state, unit| Nanos::from(state.as_u64().saturating_add(unit * u64::from(units))));
    }

    /// Puts back what was taken.
    pub(super) fn put_back(&self, key: &K, units: u32) {
        // No more was taken.
        let units = self.limited.as_ref().map_or(units, |limited| units.min(limited.burst.get()));
        self.adjust(key, |state, unit| Nanos::from(state.as_u64().saturating_sub(unit * u64::from(units))));
    }

    /// Fills the budget.
    pub(super) fn fill(&self, key: &K) {
        if let Some(limited) = &self.limited {
            limited.store.lock().remove(key);
        }
    }

    fn adjust(&self, key: &K, change: impl FnOnce(Nanos, u64) -> Nanos) {
        if let Some(limited) = &self.limited
            && let Some(state) = limited.store.lock().get_mut(key)
        {
            *state = change(*state, limited.unit.as_u64());
        }
    }
}

/// When each budget will be full again, in nanoseconds since the start.
struct Store<K>(Arc<Mutex<BoundedMap<K, Nanos>>>);

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash> Default for Store<K> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(BoundedMap::new(MOST_KEYS))))
    }
}

impl<K> Store<K> {
    fn lock(&self) -> MutexGuard<'_, BoundedMap<K, Nanos>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!(buckets.take(&"b", 60), Ok(()), "another key has another budget");
        clock.advance(Duration::from_secs(30));
        assert_eq!(buckets.take(&"a", 30), Ok(()));
        assert!(buckets.take(&"a", 1).is_err());
        clock.advance(10 * MINUTE);
        assert_eq!(buckets.take(&"a", 60), Ok(()));
        assert!(buckets.take(&"a", 1).is_err(), "it never holds more than a period's worth");
    }

    #[test]
    fn more_than_a_budget_is_a_full_budget() {
        let (buckets, clock) = sixty_a_minute();
        assert_eq!(buckets.take(&"a", 1_000), Ok(()));
        assert_eq!(buckets.take(&"a", 1_000), Err(RetryAfter(MINUTE)));
        clock.advance(MINUTE);
        assert_eq!(buckets.take(&"a", 1_000), Ok(()));
        buckets.put_back(&"a", 1_000);
        assert_eq!(buckets.take(&"a", 60), Ok(()));
        assert!(buckets.take(&"a", 1).is_err());
    }

    #[test]
    fn what_was_taken_can_be_put_back_and_more_be_taken() {
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
    fn looking_at_a_budget_takes_nothing() {
        let (buckets, clock) = sixty_a_minute();
        for _ in 0..100 {
            assert_eq!(buckets.wait(&"a", 60), None);
        }
        assert_eq!(buckets.take(&"a", 60), Ok(()));
        assert_eq!(buckets.wait(&"a", 30), Some(RetryAfter(Duration::from_secs(30))));
        clock.advance(Duration::from_secs(30));
        assert_eq!(buckets.wait(&"a", 30), None);
        assert_eq!(buckets.take(&"a", 30), Ok(()));
    }

    #[test]
    fn who_was_looked_at_pays_the_rest_and_is_told_when_all_of_it_will_be_there() {
        let (buckets, clock) = sixty_a_minute();
        for _ in 0..2 {
            assert_eq!(buckets.take(&"a", 1), Ok(()));
            assert_eq!(buckets.take_instead_of_one(&"a", 30), Ok(()));
        }
        clock.advance(Duration::from_secs(10));
        assert_eq!(buckets.take(&"a", 1), Ok(()));
        let wait = buckets.take_instead_of_one(&"a", 30).unwrap_err();
        assert_eq!(wait.seconds(), 21, "9 are left of the 30");
        clock.advance(Duration::from_secs(21));
        assert_eq!(buckets.take(&"a", 1), Ok(()));
        assert_eq!(buckets.take_instead_of_one(&"a", 30), Ok(()));
        clock.advance(MINUTE);
        assert_eq!(buckets.take(&"a", 1), Ok(()));
        assert_eq!(buckets.take_instead_of_one(&"a", 1_000), Ok(()), "more than a budget is a full one");
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
    fn zero_is_no_limit() {
        let buckets = Buckets::new(0, MINUTE);
        for _ in 0..1_000 {
            assert_eq!(buckets.take(&"a", u32::MAX), Ok(()));
        }
    }

    #[test]
    fn waits_are_told_in_whole_seconds() {
        for (wait, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (59_999, 60)] {
            assert_eq!(RetryAfter(Duration::from_millis(wait)).seconds(), seconds);
        }
    }
}
