//! Attacks and faults over real sockets: what a stranger can do to the server, and what not.

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
