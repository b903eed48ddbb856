//! HTTP requests to a provider: timeouts, a maximum size of responses, repetitions where they are harmless, and a
//! circuit breaker.

mod circuit;
mod client;
mod outcome;

use std::time::Duration;

pub use circuit::CircuitOptions;
pub(crate) use client::{Auth, Call, HttpClient};
pub(crate) use outcome::Repeat;

/// The options for sending requests.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Maximum time to connect, with TLS. Default: 5 seconds.
    pub connect_timeout: Duration,
    /// Maximum time of one request, from the start of its connection to the end of the response's body. Default: 15
    /// seconds.
    pub request_timeout: Duration,
    /// Maximum time of one call, with all repetitions of its request and the pauses between them. Default: 30 seconds.
    pub total_timeout: Duration,
    /// Maximum number of requests for one call. A failed request is repeated only if the provider certainly did
    /// nothing, or if carrying it out twice is harmless. Default: 3.
    pub max_attempts: u32,
    /// The pause before the first repetition. Each further pause is twice as long. A random part of up to a half is
    /// taken off. If a response with the status 429 asks for a longer pause, that pause is made instead. The request is
    /// not repeated if the pause would exceed 10 seconds or the rest of `total_timeout`. Default: 300 milliseconds.
    pub backoff: Duration,
    /// Maximum size of a response in bytes. Default: 1 MiB.
    pub max_response_bytes: usize,
    /// The options of the circuit breaker, which sends no requests for a while after repeated failures.
    pub circuit: CircuitOptions,
    /// Returns the value of the header `traceparent` for a request, or `None` if the request is not part of a trace.
    /// The default function returns `None`.
    pub traceparent: fn() -> Option<String>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            total_timeout: Duration::from_secs(30),
            max_attempts: 3,
            backoff: Duration::from_millis(300),
            max_response_bytes: 1 << 20,
            circuit: CircuitOptions::default(),
            traceparent: || None,
        }
    }
}
