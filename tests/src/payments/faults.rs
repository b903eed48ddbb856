//! Faults that a fake provider simulates.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::server::SeenRequest;

/// A fault that the fake simulates for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The fake ignores the request, and never responds.
    Hang,
    /// The fake processes the request, and never responds.
    HangAfterWork,
    /// The fake ignores the request, and closes the connection.
    CloseBeforeWork,
    /// The fake processes the request, and closes the connection without a response.
    LoseResponse,
    /// The fake ignores the request, and responds with this status.
    Status(u16),
    /// The fake processes the request, and responds with this status.
    StatusAfterWork(u16),
    /// The fake ignores the request, and responds with the status 429 and this number of seconds in `Retry-After`.
    TooManyRequests(u64),
    /// The fake processes the request, and responds with the status 200 and a body that is not JSON.
    Garbage,
    /// The fake processes the request, and responds with the status 200 and a body of this many bytes.
    Huge(usize),
    /// The fake processes the request, and responds after this time, but after 10 seconds at most.
    Slow(Duration),
}

impl Fault {
    pub(super) fn works(self) -> bool {
        match self {
            Self::Hang | Self::CloseBeforeWork | Self::Status(_) | Self::TooManyRequests(_) => false,
            Self::HangAfterWork
            | Self::LoseResponse
            | Self::StatusAfterWork(_)
            | Self::Garbage
            | Self::Huge(_)
            | Self::Slow(_) => true,
        }
    }
}

/// The rates of random faults. Each rate is a share of all requests, between 0 and 1. The sum of the rates must not
/// exceed 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct FaultRates {
    /// The rate of [`Fault::LoseResponse`].
    pub lost_responses: f64,
    /// The rate of [`Fault::CloseBeforeWork`].
    pub closed: f64,
    /// The rate of [`Fault::Status`] with a status from 500 to 504.
    pub errors: f64,
    /// The rate of [`Fault::StatusAfterWork`] with a status from 500 to 504.
    pub errors_after_work: f64,
    /// The rate of [`Fault::TooManyRequests`] with 0 seconds.
    pub limited: f64,
    /// The rate of [`Fault::Slow`] with less than 50 milliseconds.
    pub slow: f64,
}

/// The planned faults and the random faults of a fake provider. The first request that fits a planned fault uses it up.
/// A request that fits no planned fault may get a random fault.
#[derive(Default)]
pub struct Faults {
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    next: VecDeque<(String, String, Fault)>,
    random: Option<(StdRng, FaultRates)>,
}

impl Faults {
    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans a fault for the next request with this method, and with this text in its path.
    pub fn next(&self, method: &str, path: &str, fault: Fault) {
        self.plan().next.push_back((method.to_owned(), path.to_owned(), fault));
    }

    /// Plans the same fault for the next `count` requests with this method, and with this text in their path.
    pub fn times(&self, count: usize, method: &str, path: &str, fault: Fault) {
        for _ in 0..count {
            self.next(method, path, fault);
        }
    }

    /// Returns the number of planned faults that no request has used up yet.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.plan().next.len()
    }

    /// Starts random faults at these rates. The seed fixes their sequence.
    pub fn random(&self, seed: u64, rates: FaultRates) {
        self.plan().random = Some((StdRng::seed_from_u64(seed), rates));
    }

    /// Removes all planned faults, and stops the random faults.
    pub fn stop(&self) {
        *self.plan() = Plan::default();
    }

    pub(super) fn take(&self, request: &SeenRequest) -> Option<Fault> {
        let mut plan = self.plan();
        let fits = plan
            .next
            .iter()
            .position(|(method, path, _)| *method == request.method && request.path.contains(path));
        if let Some(position) = fits {
            return plan.next.remove(position).map(|(_, _, fault)| fault);
        }
        let (random, rates) = plan.random.as_mut()?;
        let mut dice = random.random_range(0.0..1.0);
        let status = 500 + random.random_range(0..5_u16);
        let pause = Duration::from_millis(random.random_range(0..50));
        for (rate, fault) in [
            (rates.lost_responses, Fault::LoseResponse),
            (rates.closed, Fault::CloseBeforeWork),
            (rates.errors, Fault::Status(status)),
            (rates.errors_after_work, Fault::StatusAfterWork(status)),
            (rates.limited, Fault::TooManyRequests(0)),
            (rates.slow, Fault::Slow(pause)),
        ] {
            if dice < rate {
                return Some(fault);
            }
            dice -= rate;
        }
        None
    }
}
