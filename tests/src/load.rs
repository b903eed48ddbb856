//! Helpers of benchmarks: servers in processes of their own, connections that need little processor time of the client,
//! and readings of the processor time and memory of processes.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::free_port;

/// The environment variables with the task of a server that a benchmark starts.
const ROLE_VARIABLE: &str = "JISHU_BENCH_ROLE";
const DATABASE_VARIABLE: &str = "JISHU_BENCH_DATABASE";
const FOLDER_VARIABLE: &str = "JISHU_BENCH_FOLDER";
const PORT_VARIABLE: &str = "JISHU_BENCH_PORT";

/// The task of a child process that a benchmark starts as a server.
pub struct ServerTask {
    /// The name of the kind of server, such as `jishu`.
    pub role: String,
    /// The URL of the database.
    pub database_url: String,
    /// The folder with the signing keys.
    pub folder: std::path::PathBuf,
    /// The port on loopback to listen on.
    pub port: u16,
}

impl ServerTask {
    /// Returns the task of this process, or None if the process is the benchmark itself.
    ///
    /// # Panics
    /// Panics if the role is set and another variable of the task is not.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).expect("the benchmark sets all variables of a task");
        Some(Self {
            role: std::env::var(ROLE_VARIABLE).ok()?,
            database_url: variable(DATABASE_VARIABLE),
            folder: variable(FOLDER_VARIABLE).into(),
            port: variable(PORT_VARIABLE).parse().expect("a port"),
        })
    }
}

/// Calls `serve` if this process was started as a server. Otherwise calls `measure`.
///
/// # Panics
/// Panics if the runtime does not start.
pub fn serve_or_measure(serve: impl AsyncFnOnce(ServerTask), measure: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match ServerTask::of_this_process() {
        Some(task) => runtime.block_on(serve(task)),
        None => runtime.block_on(measure()),
    }
}

/// A server in a child process. So a benchmark measures the processor time of the server apart from its own.
pub struct ServerProcess {
    /// The port on loopback on which the server listens.
    pub port: u16,
    child: Child,
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The result of one turn of a benchmark.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// The number of requests that were sent.
    pub requests: f64,
    /// The length of the turn.
    pub took: Duration,
    /// The processor time of the server.
    pub server_cpu: Duration,
    /// The processor time of the program that made the load.
    pub load_cpu: Duration,
}

impl Turn {
    /// Returns the number of requests per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.requests / self.took.as_secs_f64()
    }

    /// Returns the server's processor time per request, in milliseconds.
    #[must_use]
    pub fn server_milliseconds(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e3 / self.requests
    }
}

impl ServerProcess {
    /// Starts this program again as a server with the given role, and waits until the server listens.
    ///
    /// # Panics
    /// Panics if the server does not listen within two minutes.
    #[must_use]
    pub fn start(role: &str, database_url: &str, folder: &Path) -> Self {
        let program = Command::new(std::env::current_exe().expect("this program"));
        Self::start_with(program, role, database_url, folder)
    }

    /// Starts a server as [`ServerProcess::start`] does, with a command that runs this program. The server can watch
    /// its standard input, which [`ServerProcess::ask_to_end`] closes.
    ///
    /// # Panics
    /// Panics if the server does not listen within two minutes.
    #[must_use]
    pub fn start_with(mut command: Command, role: &str, database_url: &str, folder: &Path) -> Self {
        let port = free_port();
        command
            .env(ROLE_VARIABLE, role)
            .env(DATABASE_VARIABLE, database_url)
            .env(FOLDER_VARIABLE, folder)
            .env(PORT_VARIABLE, port.to_string());
        Self::listening_on(port, command)
    }

    /// Runs a command that starts a server, and waits until the server responds on this port of 127.0.0.1.
    ///
    /// # Panics
    /// Panics if the server does not respond within two minutes.
    #[must_use]
    pub fn listening_on(port: u16, mut command: Command) -> Self {
        let child = command.stdin(Stdio::piped()).spawn().expect("the server starts");
        let server = Self { port, child };
        let started = Instant::now();
        while !is_ready(port) {
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "the server did not respond within two minutes"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        server
    }

    /// Closes the standard input of the process, and waits until the process ends.
    ///
    /// # Panics
    /// Panics if the process ends with a failure.
    pub fn ask_to_end(&mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }

    /// Returns the processor time that the process has used so far.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        cpu_time(&self.id().to_string())
    }

    /// Returns the id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process, and waits until it has ended.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends one request on a new connection, and returns the body of the response.
    pub async fn response(&self, request: &[u8]) -> Vec<u8> {
        let mut connection = KeptConnection::open(self.port).await;
        connection.send(request).await.to_vec()
    }

    /// Opens a connection for each request of `requests`. Sends each request again and again on its connection, for
    /// `length`.
    ///
    /// # Panics
    /// Panics if a response does not have the status 200.
    pub async fn repeat(&self, requests: &[Vec<u8>], length: Duration) -> Turn {
        self.repeat_and_stay(requests, length).await.turn
    }

    /// Sends requests as [`ServerProcess::repeat`] does, and keeps the connections open until the result is dropped.
    ///
    /// # Panics
    /// Panics if a response does not have the status 200.
    pub async fn repeat_and_stay(&self, requests: &[Vec<u8>], length: Duration) -> OpenTurn {
        let process = self.id().to_string();
        let (server_cpu, load_cpu) = (cpu_time(&process), cpu_time("self"));
        let started = Instant::now();
        let clients = requests.iter().cloned().map(|request| {
            let port = self.port;
            tokio::spawn(async move {
                let mut connection = KeptConnection::open(port).await;
                let mut requests = 0.0;
                while started.elapsed() < length {
                    connection.send(&request).await;
                    requests += 1.0;
                }
                (connection, requests)
            })
        });
        let (mut requests, mut connections) = (0.0, Vec::new());
        for client in clients.collect::<Vec<_>>() {
            let (connection, sent) = client.await.expect("a client does not panic");
            connections.push(connection);
            requests += sent;
        }
        let turn = Turn {
            requests,
            took: started.elapsed(),
            server_cpu: cpu_time(&process) - server_cpu,
            load_cpu: cpu_time("self") - load_cpu,
        };
        OpenTurn { turn, connections }
    }
}

/// A turn of a benchmark, with its connections, which are still open.
pub struct OpenTurn {
    /// The result of the turn.
    pub turn: Turn,
    /// The open connections, one for each request.
    pub connections: Vec<KeptConnection>,
}

/// Returns the bytes of an HTTP POST with a GraphQL request as JSON and with an access token.
#[must_use]
pub fn graphql_post(token: &str, body: &str) -> Vec<u8> {
    json_post("/graphql", token, body)
}

/// Returns the bytes of an HTTP POST to this path, with JSON and with an access token.
#[must_use]
pub fn json_post(path: &str, token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json\r\n\
         authorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A connection that stays open for many requests, which are sent one after the other.
pub struct KeptConnection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl KeptConnection {
    /// Connects to a server on loopback.
    ///
    /// # Panics
    /// Panics if no server listens on the port.
    pub async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
        stream.set_nodelay(true).expect("the socket takes the option");
        Self { stream, received: Vec::with_capacity(64 * 1024) }
    }

    /// Sends a request and returns the body of the response.
    ///
    /// # Panics
    /// Panics if the response does not have the status 200 and the header `content-length`.
    pub async fn send(&mut self, request: &[u8]) -> &[u8] {
        let (status, start) = self.exchange(request).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&self.received));
        &self.received[start..]
    }

    /// Sends a request and returns the body of the response, if its status is 200.
    ///
    /// # Errors
    /// Returns the status of the response if it is not 200.
    ///
    /// # Panics
    /// Panics if the response does not have the header `content-length`.
    pub async fn try_send(&mut self, request: &[u8]) -> Result<&[u8], u16> {
        match self.exchange(request).await {
            (200, start) => Ok(&self.received[start..]),
            (status, _) => Err(status),
        }
    }

    /// Sends a request and receives the whole response. Returns its status, and the index in `received` at which its
    /// body begins.
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

/// Returns the processor time that a process has used so far, or zero if the process has ended. `process` is its id, or
/// `self`. The 14th and the 15th field of `/proc/<id>/stat` contain the time in ticks, usually hundredths of a second.
/// See proc(5).
///
/// # Panics
/// Panics if the file has another form.
#[must_use]
pub fn cpu_time(process: &str) -> Duration {
    ticks(process, 11)
}

/// Returns the processor time of those children of a process that have ended. The 16th and the 17th field of
/// `/proc/<id>/stat` contain the time in ticks. The time is zero if the process itself has ended.
///
/// # Panics
/// Panics if the file has another form.
#[must_use]
pub fn cpu_time_of_ended_children(process: &str) -> Duration {
    ticks(process, 13)
}

/// Adds up the field `first` of `/proc/<id>/stat` and the field after it. The first field after the name of the process
/// has the number 0. Returns zero if the process has ended.
fn ticks(process: &str, first: usize) -> Duration {
    // A process of a database server may end at any time, and then its file is missing.
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return Duration::ZERO };
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_whitespace().skip(first).take(2).map(|it| it.parse::<u64>().expect("ticks"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// Returns the resident memory of a process, in kilobytes of 1,000 bytes: the field `VmRSS` of `/proc/<id>/status`. The
/// memory includes the parts of the program's file that the system has read. See proc(5).
///
/// # Panics
/// Panics if the process has ended.
#[must_use]
pub fn resident_kilobytes(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process that runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the field VmRSS");
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
    kibibytes * 1.024
}

/// Returns the median: the middle value, or the greater of the two middle values.
///
/// # Panics
/// Panics if `values` is empty.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// Returns the value below which about this many percent of the values lie. For 100 percent, it is the greatest value.
///
/// # Panics
/// Panics if `values` is empty.
#[must_use]
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// Returns whether the server on this port responds, and not with 503. jishu listens before it has opened its database,
/// and then responds with 503. Other servers do not know the path, and respond with 404.
fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut connection = std::net::TcpStream::connect(("127.0.0.1", port))?;
        connection
            .write_all(b"GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut response = String::new();
        connection.read_to_string(&mut response)?;
        Ok(response)
    };
    ask().is_ok_and(|response| !response.is_empty() && !response.starts_with("HTTP/1.1 503"))
}
