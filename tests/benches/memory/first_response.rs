//! Measures the time from the start of a server process on an empty folder to its first response.

use std::time::Instant;

use jishu_service::auth::KeyRing;
use jishu_service::database::Database;
use jishu_tests::Backend;
use jishu_tests::bench_server::{serve_config, serve_for_ever};
use jishu_tests::load::{KeptConnection, ServerProcess, ServerTask, median};

/// The role of a server process that creates its database.
pub(crate) const ROLE: &str = "fresh";
const ROUNDS: usize = 9;

/// Creates the database and runs the server, as `jishu serve` does with SQLite.
pub(crate) fn serve() {
    let started = Instant::now();
    let task = ServerTask::of_this_process().expect("a task");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        KeyRing::load_or_create(&task.folder.join("keys.pem")).expect("a key");
        let config = serve_config(&task.database_url, &task.folder, task.port, &[]);
        let database = Database::connect(&config.database_options()).await.expect("the database opens");
        let opened = started.elapsed();
        database.migrate_up().await.expect("the migrations apply");
        let migrated = started.elapsed();
        database.close().await.expect("it closes");
        if std::env::var_os("MEMORY_PHASES").is_some() {
            println!(
                "    opened after {opened:?}, migrated after {migrated:?}, closed after {:?}",
                started.elapsed()
            );
        }
        serve_for_ever(&config).await;
    });
}

/// Starts servers on empty folders, one after the other, and prints the median time to the first response.
pub(crate) async fn measure() {
    let mut milliseconds = Vec::new();
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = Backend::Sqlite.create(folder.path()).await;
        let started = Instant::now();
        let server = ServerProcess::start(ROLE, &url, folder.path());
        let request = b"GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n";
        let mut connection = KeptConnection::open(server.port).await;
        connection.send(request).await;
        milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
    }
    println!(
        "  first response on an empty folder, after the start of the process: {:.0} ms (median of {ROUNDS}; {milliseconds:.0?})",
        median(&milliseconds)
    );
}
