//! Sends many different requests over a fixed number of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::load::{KeptConnection, ServerProcess};

/// The responses to a burst of requests.
pub struct Burst {
    /// The time from the first request to the last response.
    pub took: Duration,
    /// The processor time of the server.
    pub server_cpu: Duration,
    /// The time from sending each request to the end of its response.
    pub times: Vec<Duration>,
    /// The body of each response, in the order of the requests. None for a refusal: a status other than 200, a user
    /// error, or another error.
    pub bodies: Vec<Option<Vec<u8>>>,
}

impl Burst {
    /// Sends all requests over the connections, each as soon as a connection is free.
    ///
    /// # Panics
    /// Panics if the server closes a connection.
    pub async fn send(server: &ServerProcess, connection_count: usize, requests: Vec<Vec<u8>>) -> Self {
        let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
        let mut connections = Vec::new();
        for _ in 0..connection_count.min(requests.len()) {
            connections.push(KeptConnection::open(server.port).await);
        }
        let (cpu, started) = (server.cpu_time(), Instant::now());
        let clients: Vec<_> = connections
            .into_iter()
            .map(|mut connection| {
                let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
                tokio::spawn(async move {
                    let mut responses = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(request) = requests.get(number) else { return responses };
                        let sent = Instant::now();
                        let body = connection.try_send(request).await.ok().map(<[u8]>::to_vec);
                        let accepted = |body: &Vec<u8>| contains(body, b"\"userErrors\":[]");
                        responses.push((number, sent.elapsed(), body.filter(accepted)));
                    }
                })
            })
            .collect();
        let mut responses = Vec::new();
        for client in clients {
            responses.extend(client.await.expect("a client does not panic"));
        }
        let (took, server_cpu) = (started.elapsed(), server.cpu_time() - cpu);
        responses.sort_unstable_by_key(|(number, ..)| *number);
        let (times, bodies) = responses.into_iter().map(|(_, time, body)| (time, body)).unzip();
        Self { took, server_cpu, times, bodies }
    }

    /// Returns the number of requests that were refused.
    #[must_use]
    pub fn refusals(&self) -> usize {
        self.bodies.iter().filter(|body| body.is_none()).count()
    }

    /// Returns the number of requests per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        count(self.times.len()) / self.took.as_secs_f64()
    }

    /// Returns the server's processor time per request, in milliseconds.
    #[must_use]
    pub fn server_milliseconds(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e3 / count(self.times.len())
    }

    /// Returns the time within which this many percent of the requests had their responses, in seconds.
    ///
    /// # Panics
    /// Panics if there were no requests.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let times: Vec<f64> = self.times.iter().map(Duration::as_secs_f64).collect();
        crate::load::percentile(&times, percent)
    }

    /// Returns a line of text about the burst. `what` says what the requests are.
    #[must_use]
    pub fn line(&self, what: &str) -> String {
        let bytes = self.bodies.iter().flatten().map(Vec::len).max().unwrap_or_default();
        format!(
            "  {} {what}: {:.1} s, {} refused, {:.2} ms of the server's CPU each, p50 {:.2} s, p99 {:.2} s, {bytes} bytes \
             at most",
            self.times.len(),
            self.took.as_secs_f64(),
            self.refusals(),
            self.server_milliseconds(),
            self.percentile(50),
            self.percentile(99),
        )
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("few"))
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}
