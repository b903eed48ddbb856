//! The server of a benchmark, in a process of its own.
//!
//! A benchmark starts its own program again as the server. If the environment variable `JISHU_BENCH_SERVER` names a
//! binary, [`start_server`] starts that binary instead, so that two builds can be compared.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use clap::Parser;
use jishu_api::config::ServeConfig;
use jishu_api::server;
use jishu_service::Services;
use jishu_service::auth::KeyRing;
use jishu_service::clock::SystemClock;
use jishu_service::database::{Database, DatabaseOptions, StatementObserver};
use tokio::net::TcpListener;

use crate::app::start_services;
use crate::load::{ServerProcess, ServerTask};
use crate::process::free_port;
use crate::{Backend, UNLIMITED};

/// Environment variable with more flags of the server, one flag in each line.
const FLAGS_VARIABLE: &str = "JISHU_BENCH_FLAGS";

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    serve: ServeConfig,
}

/// Returns the flags of a server without limits, and then the flags in `more`. The signing keys of the server are in
/// `folder`.
fn flags(url: &str, folder: &Path, port: u16, more: &[&str]) -> Vec<String> {
    let mut flags = vec![
        format!("--database-url={url}"),
        format!("--listen=127.0.0.1:{port}"),
        format!("--signing-keys={}", folder.join("keys.pem").display()),
        // Access tokens are valid for an hour, which is longer than a benchmark takes.
        "--access-token-seconds=3600".to_owned(),
    ];
    // The limits are off, because a few clients send as many requests as thousands of learners would.
    flags.extend(UNLIMITED.iter().chain(more).copied().map(str::to_owned));
    flags
}

/// Returns the configuration of a server without limits, with more flags. Its signing keys are in `folder`. Ends the
/// process with a message if a flag is wrong.
#[must_use]
pub fn serve_config(url: &str, folder: &Path, port: u16, more: &[&str]) -> ServeConfig {
    Config::parse_from(std::iter::once("bench".to_owned()).chain(flags(url, folder, port, more))).serve
}

/// Opens the database and the services of a server, on the system's clock.
///
/// # Panics
/// Panics if the database or a service does not start.
pub async fn open_services(config: &ServeConfig) -> Services {
    let database = Database::connect(&config.database_options()).await.expect("the database opens");
    start_services(config, database, Arc::new(SystemClock)).await
}

/// Runs a server until the process is killed.
///
/// # Panics
/// Panics if the server cannot start, or fails.
pub async fn serve_for_ever(config: &ServeConfig) {
    serve_until(config, std::future::pending()).await;
}

/// Runs a server until `stop` completes.
///
/// # Panics
/// Panics if the server cannot start, or fails.
pub async fn serve_until(config: &ServeConfig, stop: impl Future<Output = ()> + Send) {
    let services = open_services(config).await;
    let listener = TcpListener::bind(config.listen.to_string()).await.expect("the port is free");
    let engine = config.graphql.engine().expect("no manifest");
    let channels = server::channels(config).expect("the templates render");
    server::run(listener, services, (engine, channels), config, Box::pin(stop)).await.expect("it serves");
}

/// Runs the server until the process is killed, if this process was started as a server. Otherwise returns false.
///
/// # Panics
/// Panics if the server fails.
pub async fn ran_as_server() -> bool {
    let Some(task) = ServerTask::of_this_process() else { return false };
    let more = std::env::var(FLAGS_VARIABLE).unwrap_or_default();
    let more: Vec<&str> = more.lines().collect();
    serve_for_ever(&serve_config(&task.database_url, &task.folder, task.port, &more)).await;
    true
}

/// Runs the server if this process was started as a server. Otherwise measures on each selected database, one after the
/// other.
///
/// # Panics
/// Panics if the server or a measurement fails.
pub fn measure_each(measure: impl AsyncFn(Backend)) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        if ran_as_server().await {
            return;
        }
        for backend in Backend::selected() {
            measure(backend).await;
        }
    });
}

/// Starts the server on a database with more flags, in a process of its own. Waits until the server listens.
///
/// # Panics
/// Panics if the server does not start.
#[must_use]
pub fn start_server(url: &str, folder: &Path, more: &[&str]) -> ServerProcess {
    match std::env::var("JISHU_BENCH_SERVER") {
        Ok(binary) => {
            let (port, mut command) = (free_port(), Command::new(binary));
            command.arg("serve").args(flags(url, folder, port, more)).env("RUST_LOG", "warn");
            command.stdout(Stdio::null());
            ServerProcess::listening_on(port, command)
        }
        Err(_) => {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.env(FLAGS_VARIABLE, more.join("\n"));
            ServerProcess::start_with(command, "jishu", url, folder)
        }
    }
}

/// Migrates a database, and returns services over it that use the server's signing keys. `observer` gets the text of
/// each statement.
///
/// # Panics
/// Panics if the database fails.
pub async fn bench_services(url: &str, folder: &Path, observer: StatementObserver) -> Services {
    KeyRing::load_or_create(&folder.join("keys.pem")).expect("a key");
    let config = serve_config(url, folder, 0, &[]);
    let options = DatabaseOptions { observer: Some(observer), ..config.database_options() };
    let database = Database::connect(&options).await.expect("the database opens");
    database.migrate_up().await.expect("the migrations apply");
    start_services(&config, database, Arc::new(SystemClock)).await
}
