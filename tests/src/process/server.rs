//! The server of jishu as a process that a test starts and kills.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{binary, free_port, wait_for_port};

/// A process of `jishu-faults`, the server of jishu with planted bugs that variables can switch on. The test may kill
/// the process.
pub struct ServerProcess {
    command: Command,
    port: u16,
    log: PathBuf,
    child: Child,
}

impl ServerProcess {
    /// Starts `jishu-faults serve` on a database, with these environment variables. Waits until the server has started.
    #[must_use]
    pub fn start(database_url: &str, folder: &Path, variables: &[(&str, &str)]) -> Self {
        let (port, log) = (free_port(), folder.join("server.log"));
        let mut command = Command::new(binary("jishu-faults"));
        command
            .args([
                "serve",
                "--migrate",
                "--access-token-seconds",
                "3600",
                "--listen",
                &format!("127.0.0.1:{port}"),
            ])
            .args(["--database-url", database_url, "--signing-keys"])
            .arg(folder.join("keys.pem"))
            .args(crate::UNLIMITED)
            .env("RUST_LOG", "warn")
            .envs(variables.iter().copied())
            .stdin(Stdio::null());
        let child = spawn(&mut command, &log);
        let mut server = Self { command, port, log, child };
        server.wait();
        server
    }

    /// Returns the log of the server.
    ///
    /// # Panics
    /// Panics if the log cannot be read.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("its log")
    }

    /// Returns the URL of the server's GraphQL endpoint.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/graphql", self.port)
    }

    fn wait(&mut self) {
        wait_for_port(self.port, &mut self.child, &self.log);
        // While the server starts, it refuses all requests except health checks.
        let started = Instant::now();
        while health(self.port).is_none_or(|response| response.contains("\r\n\r\nstarting")) {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the server ended with {status}: {}", self.log());
            }
            assert!(started.elapsed() < Duration::from_secs(60), "the server was not ready in time");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
    }

    /// Starts the server again with the same port, database and variables, and waits until it has started.
    pub fn restart(&mut self) {
        self.child = spawn(&mut self.command, &self.log);
        self.wait();
    }

    /// Waits up to ten seconds for the server to end by itself. Returns whether the server ended.
    pub fn ends(&mut self) -> bool {
        self.ends_within(Duration::from_secs(10))
    }

    /// Waits up to this time for the server to end by itself. Returns whether the server ended.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let started = Instant::now();
        while started.elapsed() < time {
            if self.child.try_wait().expect("a process of ours").is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(command: &mut Command, log: &Path) -> Child {
    let file = File::options().create(true).append(true).open(log).expect("a log file");
    let output = file.try_clone().expect("the same file");
    command.stdout(output).stderr(file).spawn().expect("it starts")
}

/// Asks a server whether it is ready, and returns the whole response. None if the server does not accept the
/// connection, or closes it without a response.
fn health(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    Some(response).filter(|response| !response.is_empty())
}
