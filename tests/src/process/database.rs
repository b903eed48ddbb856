//! Database servers that a test starts and kills.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{as_user, free_port, give_folders, postgres, run, wait_for_port};
use crate::Backend;
use crate::load::{cpu_time, cpu_time_of_ended_children};

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
