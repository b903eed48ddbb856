//! Processes that a test starts and kills: the server of jishu, and database servers.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Backend;
use crate::load::{cpu_time, cpu_time_of_ended_children};

/// Returns the path of a binary that was built together with the tests.
///
/// # Panics
/// Panics if the binary does not exist.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("the path of the tests");
    let folder = tests.parent().and_then(Path::parent).expect("the target folder");
    let binary = folder.join(name);
    assert!(
        binary.exists(),
        "{} is missing: run the tests with tests/run, which builds it",
        binary.display()
    );
    binary
}

/// Returns a port on loopback that is free now.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn wait_for_port(port: u16, child: &mut Child, log: &Path) {
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Ok(Some(status)) = child.try_wait() {
            panic!("the process ended with {status}: {}", std::fs::read_to_string(log).unwrap_or_default());
        }
        assert!(started.elapsed() < Duration::from_secs(60), "no process listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
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

/// A database server that the test may kill, or the file of an SQLite database.
pub struct DatabaseProcess {
    backend: Backend,
    port: u16,
    folder: PathBuf,
    child: Option<Child>,
}

impl DatabaseProcess {
    /// Creates the data folder of the database server and starts the server. For SQLite, does nothing: the file is
    /// created at the first connection.
    #[must_use]
    pub fn start(backend: Backend, folder: &Path) -> Self {
        let folder = folder.join("database");
        let mut process = Self { backend, port: free_port(), folder, child: None };
        process.prepare();
        process.restart();
        process
    }

    /// Returns the URL of the database.
    #[must_use]
    pub fn url(&self) -> String {
        match self.backend {
            Backend::Sqlite => format!("sqlite://{}?mode=rwc", self.folder.with_extension("db").display()),
            Backend::Postgres => format!("postgres://jishu@127.0.0.1:{}/postgres", self.port),
            Backend::MariaDb => format!("mysql://root@127.0.0.1:{}/jishu", self.port),
        }
    }

    fn prepare(&self) {
        if self.backend == Backend::Sqlite {
            return;
        }
        let user = self.user();
        give_folders(user, &[&self.folder, &self.temporary()]);
        match self.backend {
            Backend::Sqlite => {}
            Backend::Postgres => run(self
                .command(postgres("initdb"))
                .args(["-U", "jishu", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
                .arg(&self.folder)),
            Backend::MariaDb => run(Command::new("mariadb-install-db")
                .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
                .arg(format!("--datadir={}", self.folder.display()))
                .arg(format!("--user={user}"))),
        }
    }

    /// Returns the database server's folder for temporary files. The folder is not /tmp, because a starting MariaDB
    /// server deletes the temporary files of all MariaDB servers that use the same folder.
    fn temporary(&self) -> PathBuf {
        self.folder.with_extension("tmp")
    }

    fn user(&self) -> &'static str {
        if self.backend == Backend::Postgres { "postgres" } else { "mysql" }
    }

    fn command(&self, program: PathBuf) -> Command {
        as_user(self.user(), program)
    }

    /// Starts the database server with the data on its disk, and waits until it listens. Does nothing for SQLite.
    pub fn restart(&mut self) {
        let port = self.port.to_string();
        let mut command = match self.backend {
            Backend::Sqlite => return,
            Backend::Postgres => {
                let mut command = self.command(postgres("postgres"));
                command.arg("-D").arg(&self.folder).args(["-h", "127.0.0.1", "-p", &port]);
                command.args(["-c", "unix_socket_directories=", "-c", "max_connections=200"]);
                command
            }
            Backend::MariaDb => {
                let mut command = self.command("/usr/sbin/mariadbd".into());
                command.arg("--no-defaults").arg(format!("--datadir={}", self.folder.display()));
                command.arg(format!("--socket={}", self.folder.join("socket").display()));
                command.arg(format!("--tmpdir={}", self.temporary().display()));
                command.args([
                    "--bind-address=127.0.0.1",
                    &format!("--port={port}"),
                    "--max-connections=200",
                ]);
                command.args(["--character-set-server=utf8mb4", "--skip-log-bin"]);
                command
            }
        };
        let log = self.folder.with_extension("log");
        for attempt in 1.. {
            let file = File::options().create(true).append(true).open(&log).expect("a log file");
            let output = file.try_clone().expect("the same file");
            let mut child =
                command.stdin(Stdio::null()).stdout(output).stderr(file).spawn().expect("it starts");
            // After a kill, an old process may still use the shared memory. Then the new server ends at once, and is
            // started again.
            std::thread::sleep(Duration::from_millis(100));
            if attempt < 50 && child.try_wait().expect("a process of ours").is_some() {
                continue;
            }
            // The field `child` holds the process during the wait. If the wait panics, `self` is dropped and kills the
            // process.
            let child = self.child.insert(child);
            wait_for_port(self.port, child, &log);
            break;
        }
        if self.backend == Backend::MariaDb {
            run(Command::new("mariadb")
                .args(["--no-defaults", "-h", "127.0.0.1", "-u", "root", "-P", &port])
                .args(["-e", "CREATE DATABASE IF NOT EXISTS jishu"]));
        }
    }

    /// Returns the processor time that the processes of the database server have used so far: the main process and its
    /// children, including the children that have ended.
    ///
    /// # Panics
    /// Panics if the server does not run.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let child = self.child.as_ref().expect("a server that runs");
        let main = child.id().to_string();
        let children: Duration = children_of(child).iter().map(|process| cpu_time(process)).sum();
        cpu_time(&main) + children + cpu_time_of_ended_children(&main)
    }

    /// Kills the database server and all its processes with SIGKILL. Does nothing for SQLite, or if the server does not
    /// run.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let children = children_of(&child);
        child.kill().expect("a process of ours");
        signal("-9", &children);
        child.wait().expect("a process of ours");
    }

    /// Suspends all processes of the database server, and waits until all their threads have stopped. The server keeps
    /// its connections but does not respond.
    ///
    /// # Panics
    /// Panics if a thread still runs after ten seconds.
    pub fn freeze(&self) {
        let child = self.child.as_ref().expect("a server that runs");
        // The parent is stopped first, so that it starts no more children.
        stop(&[child.id().to_string()]);
        stop(&children_of(child));
    }

    /// Resumes all processes of the database server.
    pub fn thaw(&self) {
        let child = self.child.as_ref().expect("a server that runs");
        signal("-CONT", &children_of(child));
        signal("-CONT", &[child.id().to_string()]);
    }
}

fn children_of(child: &Child) -> Vec<String> {
    let pid = child.id();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(str::to_owned).collect()
}

/// Suspends processes, and waits until all their threads have stopped. On a busy machine, other threads can run until
/// one thread of the process has taken the signal.
fn stop(processes: &[String]) {
    signal("-STOP", processes);
    let started = Instant::now();
    for process in processes {
        while !all_threads_are_stopped(process) {
            assert!(started.elapsed() < Duration::from_secs(10), "process {process} still runs");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Tells whether no thread of a process runs: each is stopped or has ended. The state of a thread follows its name,
/// which is in parentheses: see proc(5).
fn all_threads_are_stopped(process: &str) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return true };
    threads.flatten().all(|thread| {
        let Ok(stat) = std::fs::read_to_string(thread.path().join("stat")) else { return true };
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
    })
}

/// Sends a signal to processes. Ignores processes that have ended already.
fn signal(signal: &str, pids: &[String]) {
    for pid in pids {
        let _ = Command::new("kill").args([signal, pid]).stderr(Stdio::null()).status();
    }
}

impl Drop for DatabaseProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

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

/// Returns a command that runs as another user if the tests run as root, because database servers refuse to run as
/// root. `setpriv` replaces itself with the program, so the process id is the program's.
pub fn as_user(user: &str, program: impl AsRef<OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".into()])
        .arg(program);
    command
}

/// Creates folders for a database server. If the tests run as root, the folders belong to this user.
///
/// # Panics
/// Panics if a folder exists already or cannot be created.
pub fn give_folders(user: &str, folders: &[&Path]) {
    for folder in folders {
        std::fs::create_dir(folder).expect("a folder for the database");
        if is_root() {
            run(Command::new("chown").arg(user).arg(folder));
            // The folder above belongs to the test's user, and the user of the database server must be able to enter
            // it.
            run(Command::new("chmod").arg("755").arg(folder.parent().expect("a folder above")));
        }
    }
}

/// Runs a command and waits for its end.
///
/// # Panics
/// Panics if the command fails.
pub fn run(command: &mut Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id");
    output.stdout.starts_with(b"0")
}

/// Returns the path of a program of the newest installed PostgreSQL.
///
/// # Panics
/// Panics if PostgreSQL is not installed.
#[must_use]
pub fn postgres(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .expect("a version of PostgreSQL");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin/{program}"))
}
