//! Helpers of benchmarks: connections that need little processor time of the client, and the processor time of processes.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Returns the bytes of an HTTP POST with a GraphQL request.
#[must_use]
pub fn graphql_post(token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json\r\n\
         authorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A connection that stays open for many requests, one after the other.
pub struct KeptConnection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl KeptConnection {
    /// Connects to a server on loopback.
    ///
    /// # Panics
    /// Panics if nothing listens there.
    pub async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it connects");
        stream.set_nodelay(true).expect("an option of sockets");
        Self { stream, received: Vec::with_capacity(64 * 1024) }
    }

    /// Sends a request and returns the body of the response.
    ///
    /// # Panics
    /// Panics if the response does not have the status 200 and a length.
    pub async fn send(&mut self, request: &[u8]) -> &[u8] {
        let (status, start) = self.exchange(request).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&self.received));
        &self.received[start..]
    }

    /// Sends a request and returns the body of the response, or its status if it is not 200.
    ///
    /// # Errors
    /// Returns the status.
    ///
    /// # Panics
    /// Panics if the response does not have a length.
    pub async fn try_send(&mut self, request: &[u8]) -> Result<&[u8], u16> {
        match self.exchange(request).await {
            (200, start) => Ok(&self.received[start..]),
            (status, _) => Err(status),
        }
    }

    /// Sends a request and receives the whole response. Returns its status, and where its body begins.
    async fn exchange(&mut self, request: &[u8]) -> (u16, usize) {
        self.stream.write_all(request).await.expect("it is sent");
        self.received.clear();
        let (mut status, mut start, mut end) = (0, 0, usize::MAX);
        while self.received.len() < end {
            let read = self.stream.read_buf(&mut self.received).await.expect("it is received");
            assert!(read > 0, "the server closed the connection");
            if end == usize::MAX
                && let Some(head) = self.received.windows(4).position(|window| window == b"\r\n\r\n")
            {
                start = head + 4;
                let length;
                (status, length) = status_and_length(&String::from_utf8_lossy(&self.received[..head]));
                end = start + length;
            }
        }
        (status, start)
    }
}

fn status_and_length(head: &str) -> (u16, usize) {
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    (status, length.expect("a length").trim().parse().expect("a number"))
}

/// Returns the processor time that a process has used so far. `process` is its id, or `self`. The 14th and the 15th field
/// of `/proc/<id>/stat` hold it, in hundredths of a second. See proc(5).
///
/// # Panics
/// Panics if the file has another form.
#[must_use]
pub fn cpu_time(process: &str) -> Duration {
    ticks(process, 11)
}

/// Returns the processor time that the children of a process have used that have ended: the two fields after those of
/// [`cpu_time`].
///
/// # Panics
/// Panics if the file has another form.
#[must_use]
pub fn cpu_time_of_ended_children(process: &str) -> Duration {
    ticks(process, 13)
}

/// Adds up two fields of `/proc/<id>/stat`. The first field after the name of the process has the number 0.
fn ticks(process: &str, first: usize) -> Duration {
    // A process of a database server may end at any time.
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return Duration::ZERO };
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_whitespace().skip(first).take(2).map(|it| it.parse::<u64>().expect("ticks"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// Returns the median.
///
/// # Panics
/// Panics if `values` is empty.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
