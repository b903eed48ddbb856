//! Faults that a fake provider plays.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::server::SeenRequest;

/// A fault in the response to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Does nothing, and never answers.
    Hang,
    /// Does the work, and never answers.
    HangAfterWork,
    /// Does nothing, and closes the connection.
    CloseBeforeWork,
    /// Does the work, and closes the connection: the response is lost.
    LoseResponse,
    /// Does nothing, and responds with this status.
    Status(u16),
    /// Does the work, and responds with this status.
    StatusAfterWork(u16),
    /// Answers 429, with this many seconds in `Retry-After`.
    TooManyRequests(u64),
    /// Does the work, and responds with a success that is not JSON.
    Garbage,
    /// Does the work, and responds with a success of this many bytes.
    Huge(usize),
    /// Does the work, and answers after this time.
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

/// The rates of random faults. Each rate is a part of all requests, between 0 and 1. Their sum must not exceed 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct FaultRates {
    /// [`Fault::LoseResponse`].
    pub lost_responses: f64,
    /// [`Fault::CloseBeforeWork`].
    pub closed: f64,
    /// [`Fault::Status`] with 500 to 504.
    pub errors: f64,
    /// [`Fault::StatusAfterWork`] with 500 to 504.
    pub errors_after_work: f64,
    /// [`Fault::TooManyRequests`] with 0 seconds.
    pub limited: f64,
    /// [`Fault::Slow`] with up to 50 milliseconds.
    pub slow: f64,
}

/// The faults that are planned. A planned fault is used up by the first request that fits. Random faults come after them.
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

    /// Plans the same fault several times.
    pub fn times(&self, count: usize, method: &str, path: &str, fault: Fault) {
        for _ in 0..count {
            self.next(method, path, fault);
        }
    }

    /// Returns the number of planned faults that no request has met yet.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.plan().next.len()
    }

    /// Plays faults at random, in an order that the seed fixes.
    pub fn random(&self, seed: u64, rates: FaultRates) {
        self.plan().random = Some((StdRng::seed_from_u64(seed), rates));
    }

    /// Forgets all faults.
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
