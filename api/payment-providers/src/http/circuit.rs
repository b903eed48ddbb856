//! A circuit breaker. It spares a provider that is down, and spares callers from waiting for it.
//!
//! It is written here because the known crates for it wrap closures, count every error as a failure, or lack a limit on the
//! number of probes.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The number of failures that opens the circuit, and the time for which it stays open.
#[derive(Debug, Clone, Copy)]
pub struct CircuitOptions {
    /// The number of requests in a row that must fail. A refusal by the provider is not a failure. Default: 5.
    pub failures: u32,
    /// The time until one request is let through again. Default: 30 seconds.
    pub open_for: Duration,
}

impl Default for CircuitOptions {
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(30) }
    }
}

/// Counts failures in a row, and refuses requests while there are too many.
#[derive(Debug)]
pub(super) struct Circuit {
    options: CircuitOptions,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Requests pass.
    Closed { failures: u32 },
    /// Requests are refused until a time. Then one passes as a probe.
    Open { until: Instant },
    /// The probe is under way. It counts as lost at a time, in case that its future was dropped.
    Probing { until: Instant },
}

impl Circuit {
    pub(super) fn new(options: CircuitOptions) -> Self {
        Self { options, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request pass, or says how long to wait.
    pub(super) fn enter(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => Ok(()),
            State::Open { until } | State::Probing { until } if now < until => Err(until - now),
            State::Open { .. } | State::Probing { .. } => {
                *state = State::Probing { until: now + self.options.open_for };
                Ok(())
            }
        }
    }

    /// Closes the circuit, because the provider responded.
    pub(super) fn succeeded(&self) {
        *self.state() = State::Closed { failures: 0 };
    }

    /// Counts a failure. Opens the circuit if the failures have reached their limit, or if a probe failed.
    pub(super) fn failed(&self, now: Instant) {
        let mut state = self.state();
        let open = State::Open { until: now + self.options.open_for };
        match &mut *state {
            State::Closed { failures } if *failures + 1 < self.options.failures => *failures += 1,
            State::Closed { .. } | State::Probing { .. } => *state = open,
            // A request that started before the circuit opened.
            State::Open { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(30);

    fn circuit() -> (Circuit, Instant) {
        (Circuit::new(CircuitOptions { failures: 3, open_for: OPEN_FOR }), Instant::now())
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let (circuit, now) = circuit();
        for _ in 0..2 {
            circuit.failed(now);
        }
        circuit.succeeded();
        for _ in 0..2 {
            circuit.failed(now);
            assert_eq!(circuit.enter(now), Ok(()));
        }
        circuit.failed(now);
        assert_eq!(circuit.enter(now), Err(OPEN_FOR));
        assert_eq!(circuit.enter(now + Duration::from_secs(10)), Err(Duration::from_secs(20)));
    }

    #[test]
    fn lets_one_probe_pass_and_closes_if_it_succeeds() {
        let (circuit, now) = circuit();
        for _ in 0..3 {
            circuit.failed(now);
        }
        // A failure of a request that began earlier does not prolong the wait.
        circuit.failed(now + Duration::from_secs(29));
        let later = now + OPEN_FOR;
        assert_eq!(circuit.enter(later), Ok(()));
        assert_eq!(circuit.enter(later), Err(OPEN_FOR), "a second request did not wait for the probe");
        circuit.failed(later);
        assert_eq!(circuit.enter(later), Err(OPEN_FOR), "the circuit closed although the probe failed");

        let much_later = later + OPEN_FOR;
        assert_eq!(circuit.enter(much_later), Ok(()));
        circuit.succeeded();
        assert_eq!(circuit.enter(much_later), Ok(()));
        circuit.failed(much_later);
        assert_eq!(circuit.enter(much_later), Ok(()), "the count did not start anew");
    }

    #[test]
    fn a_lost_probe_does_not_keep_the_circuit_open() {
        let (circuit, now) = circuit();
        for _ in 0..3 {
            circuit.failed(now);
        }
        assert_eq!(circuit.enter(now + OPEN_FOR), Ok(()));
        assert_eq!(circuit.enter(now + OPEN_FOR * 2), Ok(()));
    }
}
