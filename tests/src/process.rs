//! Processes that a test starts and kills: the server of jishu, and database servers.

mod database;
mod server;

use std::ffi::OsStr;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub use database::DatabaseProcess;
pub use server::ServerProcess;

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
