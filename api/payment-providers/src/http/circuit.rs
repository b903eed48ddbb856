//! A circuit breaker. After repeated failures it sends no requests for a while. This spares the provider, and spares
//! callers from waiting for a provider that is down.
//!
//! This crate has its own circuit breaker because the known crates wrap closures, count every error as a failure, or
//! lack a limit on the number of probes.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The number of failures that opens the circuit, and the time for which it stays open.
#[derive(Debug, Clone, Copy)]
pub struct CircuitOptions {
    /// The number of requests in a row that must fail to open the circuit. A refusal by the provider is not a failure.
    /// Default: 5.
    pub failures: u32,
    /// The time from the opening of the circuit until one request is let through as a probe. Default: 30 seconds.
    pub open_for: Duration,
}

impl Default for CircuitOptions {
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(30) }
    }
}

/// Counts failed requests in a row. After too many, it refuses all requests for a while, then lets one through as a
/// probe.
#[derive(Debug)]
pub(super) struct Circuit {
    options: CircuitOptions,
    state: Mutex<State>,
}

/// A request that the circuit let pass. Its outcome counts only if, after the start of the request, the circuit has not
/// opened and no probe has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    period: u64,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The number of times that the circuit has opened or let a probe through.
    period: u64,
}

impl State {
    /// Enters a phase in which the outcomes of earlier requests do not count.
    fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.period += 1;
    }
}

#[derive(Debug)]
enum Phase {
    /// Requests pass. `failures` is the number of the last requests in a row that failed.
    Closed { failures: u32 },
    /// Requests are refused until the time `until`. The first request after that time passes as a probe.
    Open { until: Instant },
    /// A probe is under way, and other requests are refused. If the probe has not ended at `until`, for example because
    /// its future was dropped, the next request becomes the probe.
    Probing { until: Instant },
}

impl Circuit {
    pub(super) fn new(options: CircuitOptions) -> Self {
        Self { options, state: Mutex::new(State { phase: Phase::Closed { failures: 0 }, period: 0 }) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request pass, or returns the time to wait until the next probe.
    pub(super) fn enter(&self, now: Instant) -> Result<Pass, Duration> {
        let mut state = self.state();
        match state.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until } | Phase::Probing { until } if now < until => return Err(until - now),
            Phase::Open { .. } | Phase::Probing { .. } => {
                state.begin(Phase::Probing { until: now + self.options.open_for });
            }
        }
        Ok(Pass { period: state.period })
    }

    /// Closes the circuit and forgets all counted failures, because the provider responded. Does nothing if the request
    /// started before the circuit opened or before the latest probe.
    pub(super) fn succeeded(&self, pass: Pass) {
        let mut state = self.state();
        if state.period == pass.period {
            state.phase = Phase::Closed { failures: 0 };
        }
    }

    /// Counts a failure. Opens the circuit if the number of failures in a row has reached its limit, or if the probe
    /// failed. Does nothing if the request started before the circuit opened or before the latest probe.
    pub(super) fn failed(&self, pass: Pass, now: Instant) {
        let mut state = self.state();
        if state.period != pass.period {
            return;
        }
        match &mut state.phase {
            Phase::Closed { failures } if *failures + 1 < self.options.failures => *failures += 1,
            _ => state.begin(Phase::Open { until: now + self.options.open_for }),
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

    /// Lets `count` requests pass, which all fail.
    fn fail(circuit: &Circuit, count: usize, now: Instant) {
        for _ in 0..count {
            circuit.failed(circuit.enter(now).unwrap(), now);
        }
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let (circuit, now) = circuit();
        fail(&circuit, 2, now);
        circuit.succeeded(circuit.enter(now).unwrap());
        fail(&circuit, 2, now);
        assert!(circuit.enter(now).is_ok());
        fail(&circuit, 1, now);
        assert_eq!(circuit.enter(now), Err(OPEN_FOR));
        assert_eq!(circuit.enter(now + Duration::from_secs(10)), Err(Duration::from_secs(20)));
    }

    #[test]
    fn lets_one_probe_pass_and_closes_if_it_succeeds() {
        let (circuit, now) = circuit();
        fail(&circuit, 3, now);
        let later = now + OPEN_FOR;
        let probe = circuit.enter(later).unwrap();
        assert_eq!(circuit.enter(later), Err(OPEN_FOR), "a second request passed during the probe");
        circuit.failed(probe, later);
        assert_eq!(circuit.enter(later), Err(OPEN_FOR), "the circuit closed although the probe failed");

        let much_later = later + OPEN_FOR;
        circuit.succeeded(circuit.enter(much_later).unwrap());
        fail(&circuit, 1, much_later);
        assert!(circuit.enter(much_later).is_ok(), "the count of failures was not reset after a success");
    }

    #[test]
    fn requests_that_started_before_the_circuit_opened_do_not_count() {
        let (circuit, now) = circuit();
        let old = circuit.enter(now).unwrap();
        fail(&circuit, 3, now);
        circuit.succeeded(old);
        circuit.failed(old, now + Duration::from_secs(29));
        assert_eq!(
            circuit.enter(now),
            Err(OPEN_FOR),
            "a request from before the opening closed the circuit or kept it open longer"
        );

        let later = now + OPEN_FOR;
        let probe = circuit.enter(later).unwrap();
        circuit.succeeded(old);
        assert_eq!(circuit.enter(later), Err(OPEN_FOR), "a request from before the opening ended the probe");
        circuit.failed(old, later);
        circuit.succeeded(probe);
        assert!(circuit.enter(later).is_ok(), "the success of the probe did not close the circuit");
    }

    #[test]
    fn a_lost_probe_does_not_keep_the_circuit_open() {
        let (circuit, now) = circuit();
        fail(&circuit, 3, now);
        assert!(circuit.enter(now + OPEN_FOR).is_ok());
        assert!(circuit.enter(now + OPEN_FOR * 2).is_ok());
    }
}
