//! Requests to a provider: timeouts, bounded bodies, repetitions where they are harmless, and a circuit breaker.

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
    /// Maximum time of one request, from connecting to the end of its body. Default: 15 seconds.
    pub request_timeout: Duration,
    /// Maximum time of one call, with all repetitions and the pauses between them. Default: 30 seconds.
    pub total_timeout: Duration,
    /// Maximum number of requests for one call, where repeating it is harmless. Default: 3.
    pub max_attempts: u32,
    /// The pause before the first repetition. Each further pause is twice as long. A random part of up to a half is taken off.
    /// Default: 300 milliseconds.
    pub backoff: Duration,
    /// Maximum size of a response in bytes. Default: 1 MiB.
    pub max_response_bytes: usize,
    /// The rule by which requests stop for a while.
    pub circuit: CircuitOptions,
    /// Returns the header `traceparent` for a request, if it is part of a trace. Default: none.
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
