//! The tests of the server, through its own door: GraphQL over HTTP.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where it fails")]

mod concurrency;
mod pages;
mod purchase;
