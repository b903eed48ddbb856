//! Attacks, faults, limits and unusual requests over real sockets. Many of the tests check that other clients of the
//! server are not affected.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic at the first failure")]

mod browsers;
mod hosts;
mod limits;
mod load;
mod locked;
mod outage;
mod raw;
mod routes;
mod sign_in;
mod slow;
mod timeouts;
mod untaken;
