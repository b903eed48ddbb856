//! Attacks and faults over real sockets. They must not affect other clients of the server.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where it fails")]

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
