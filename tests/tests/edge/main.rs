//! What strangers can do to the server, and cannot: over real sockets.

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
