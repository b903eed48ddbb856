//! The server of a benchmark, in a process of its own.
//!
//! A benchmark starts its own program again as the server, or the binary that `JISHU_BENCH_SERVER` names. So two builds can
//! be compared.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use jishu_api::config::ServeConfig;
use jishu_api::server;
use jishu_service::Services;
use jishu_service::auth::KeyRing;
use jishu_service::clock::SystemClock;
use jishu_service::database::{Database, DatabaseOptions, StatementObserver};
use tokio::net::TcpListener;

use crate::UNLIMITED;
use crate::load::cpu_time;
use crate::process::free_port;

/// Names the variable that holds the database's URL. It is set only for the child process, which is the server.
const DATABASE_VARIABLE: &str = "JISHU_BENCH_DATABASE";

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    serve: ServeConfig,
}

/// Returns the flags of the server.
fn flags(url: &str, folder: &Path, port: u16) -> Vec<String> {
    let keys = folder.join("keys.pem");
    let mut flags = vec![
        format!("--database-url={url}"),
        format!("--listen=127.0.0.1:{port}"),
        format!("--signing-keys={}", keys.display()),
        // An hour is long enough for all turns.
        "--access-token-seconds=3600".to_owned(),
    ];
    flags.extend(UNLIMITED.iter().copied().map(str::to_owned));
    flags
}

fn config(url: &str, folder: &Path, port: u16) -> ServeConfig {
    Config::parse_from(std::iter::once("bench".to_owned()).chain(flags(url, folder, port))).serve
}

/// Runs the server if this process was started as one. Returns whether it was.
///
/// # Panics
/// Panics if the server fails.
pub async fn ran_as_server() -> bool {
    let Ok(url) = std::env::var(DATABASE_VARIABLE) else { return false };
    let folder = std::env::var("JISHU_BENCH_FOLDER").expect("set by the parent");
    let port = std::env::var("JISHU_BENCH_PORT").expect("set by the parent").parse().expect("a port");
    let config = config(&url, Path::new(&folder), port);
    let database = Database::connect(&config.database_options()).await.expect("the database opens");
    let services = server::services(&config, database, Arc::new(SystemClock)).await.expect("the services");
    let listener = TcpListener::bind(config.listen.to_string()).await.expect("the port is free");
    let engine = config.graphql.engine().expect("no manifest");
    let channels = server::channels(&config).expect("the templates render");
    server::run(listener, services, (engine, channels), &config, std::future::pending())
        .await
        .expect("it serves");
    true
}

/// Migrates a database, and returns services over it with the keys of the server. `observer` gets each statement.
///
/// # Panics
/// Panics if the database fails.
pub async fn bench_services(url: &str, folder: &Path, observer: StatementObserver) -> Services {
    KeyRing::load_or_create(&folder.join("keys.pem")).expect("a key");
    let config = config(url, folder, 0);
    let options = DatabaseOptions { observer: Some(observer), ..config.database_options() };
    let database = Database::connect(&options).await.expect("the database opens");
    database.migrate_up().await.expect("the migrations apply");
    server::services(&config, database, Arc::new(SystemClock)).await.expect("the services")
}

/// The server of a benchmark. It ends when this is dropped.
pub struct BenchServer {
    /// The port on which it listens.
    pub port: u16,
    child: Child,
}

impl Drop for BenchServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl BenchServer {
    /// Starts the server on a database, and waits until it listens.
    ///
    /// # Panics
    /// Panics if the server does not listen within 20 seconds.
    #[must_use]
    pub fn start(url: &str, folder: &Path) -> Self {
        let port = free_port();
        let mut command = match std::env::var("JISHU_BENCH_SERVER") {
            Ok(binary) => {
                let mut command = Command::new(binary);
                command.arg("serve").args(flags(url, folder, port)).env("RUST_LOG", "warn");
                command
            }
            Err(_) => {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command
                    .env(DATABASE_VARIABLE, url)
                    .env("JISHU_BENCH_FOLDER", folder)
                    .env("JISHU_BENCH_PORT", port.to_string());
                command
            }
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
        let server = Self { port, child };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "the server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Returns the processor time that the server has used so far.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        cpu_time(&self.child.id().to_string())
    }
}
