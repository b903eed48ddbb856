//! Helpers of benchmarks: a server in a process of its own, connections that need little processor time of the client,
//! and the processor time of processes.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use jishu_api::config::ServeConfig;
use jishu_api::server;
use jishu_service::Services;
use jishu_service::clock::SystemClock;
use jishu_service::database::Database;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::UNLIMITED;
use crate::process::free_port;

/// The variable that tells the port to a process that is the server.
const PORT_VARIABLE: &str = "JISHU_BENCH_PORT";
/// How long a server may take to listen.
const MAX_START_TIME: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    serve: ServeConfig,
}

/// Returns the configuration of a server without limits. Its signing keys are in `folder`.
///
/// # Panics
/// Panics if a flag is wrong.
#[must_use]
pub fn serve_config(database_url: &str, folder: &Path, port: u16, flags: &[String]) -> ServeConfig {
    let (listen, keys) = (format!("127.0.0.1:{port}"), folder.join("keys.pem"));
    let keys = keys.to_str().expect("UTF-8");
    let mut args = vec!["bench", "--database-url", database_url, "--listen", &listen, "--signing-keys", keys];
    // An hour is long enough for all turns.
    args.extend(["--access-token-seconds", "3600"]);
    // A few clients send as many requests as thousands of learners would.
    args.extend(UNLIMITED);
    args.extend(flags.iter().map(String::as_str));
    Config::parse_from(args).serve
}

/// Opens the database and the services of a server.
///
/// # Panics
/// Panics if they do not open.
pub async fn open_services(config: &ServeConfig) -> Services {
    let database = Database::connect(&config.database.options()).await.expect("the database opens");
    server::services(config, database, Arc::new(SystemClock)).await.expect("the services start")
}

/// Serves until the process is killed.
///
/// # Panics
/// Panics if it cannot serve.
pub async fn serve_for_ever(config: &ServeConfig) {
    let services = open_services(config).await;
    let listener = TcpListener::bind(config.listen.to_string()).await.expect("the port is free");
    let engine = config.graphql.engine().expect("no manifest");
    let channels = server::channels(config).expect("the templates render");
    let never = std::future::pending();
    server::run(listener, services, (engine, channels), config, never).await.expect("it serves");
}

/// A server in a process of its own, which runs this program again. Dropping it kills it.
pub struct BenchServer {
    /// Its port on loopback.
    pub port: u16,
    child: Child,
}

impl BenchServer {
    /// Returns the port on which this process must serve. None if it is the one that measures.
    ///
    /// # Panics
    /// Panics if the variable is not a port.
    #[must_use]
    pub fn port_of_this_process() -> Option<u16> {
        std::env::var(PORT_VARIABLE).ok().map(|port| port.parse().expect("a port"))
    }

    /// Starts this program again with these environment variables, and waits until it listens.
    ///
    /// # Panics
    /// Panics if it does not start.
    #[must_use]
    pub fn start(variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let child = Command::new(std::env::current_exe().expect("this program"))
            .env(PORT_VARIABLE, port.to_string())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .spawn()
            .expect("it starts");
        let server = Self { port, child };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < MAX_START_TIME, "the server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Returns the processor time that it has used so far.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        cpu_time(&self.child.id().to_string())
    }
}

impl Drop for BenchServer {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
        self.stream.write_all(request).await.expect("it is sent");
        self.received.clear();
        let (mut start, mut end) = (0, usize::MAX);
        while self.received.len() < end {
            let read = self.stream.read_buf(&mut self.received).await.expect("it is received");
            assert!(read > 0, "the server closed the connection");
            if end == usize::MAX
                && let Some(head) = self.received.windows(4).position(|window| window == b"\r\n\r\n")
            {
                start = head + 4;
                end = start + length(&String::from_utf8_lossy(&self.received[..head]));
            }
        }
        &self.received[start..]
    }
}

fn length(head: &str) -> usize {
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    length.expect("a length").trim().parse().expect("a number")
}

/// Returns the processor time that a process has used so far. `process` is its id, or `self`. The 14th and the 15th field
/// of `/proc/<id>/stat` hold it, in hundredths of a second. See proc(5).
///
/// # Panics
/// Panics if there is no such process.
#[must_use]
pub fn cpu_time(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux, and a process");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2).map(|it| it.parse::<u64>().expect("ticks"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// Returns the median.
///
/// # Panics
/// Panics if `values` is empty.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// Returns the value below which this many percent of the values lie.
///
/// # Panics
/// Panics if `values` is empty.
#[must_use]
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}
