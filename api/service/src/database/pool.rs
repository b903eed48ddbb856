//! Opens one pool of connections.

use std::time::Duration;

use sea_orm::{ConnectOptions, DatabaseConnection, DbErr};

use super::Reader;
use super::observe::observe_statements;
use super::options::DatabaseOptions;

/// Returns the options that all pools have in common.
pub(super) fn connect_options(url: &str, max_connections: u32, options: &DatabaseOptions) -> ConnectOptions {
    let mut connect = ConnectOptions::new(url);
    connect
        .max_connections(max_connections)
        .acquire_timeout(options.acquire_timeout)
        .connect_timeout(options.acquire_timeout)
        // A ping at every use would cost each request a round trip. So only a connection that was idle for 5 s is
        // checked.
        .test_before_acquire_if_idle_for(Duration::from_secs(5))
        .set_application_name("jishu")
        .sqlx_logging_level(log::LevelFilter::Debug)
        .sqlx_slow_statements_logging_settings(log::LevelFilter::Warn, Duration::from_secs(1))
        .record_stmt_in_spans(false);
    connect
}

/// Opens a pool. Its statements are reported to the observer, the metrics and the traces.
pub(super) async fn open(
    connect: ConnectOptions,
    options: &DatabaseOptions,
) -> Result<DatabaseConnection, DbErr> {
    let mut connection = sea_orm::Database::connect(connect).await?;
    observe_statements(&mut connection, options);
    Ok(connection)
}

/// Opens a reader with a pool of this many connections.
pub(super) async fn open_reader(
    connect: ConnectOptions,
    connections: u32,
    options: &DatabaseOptions,
) -> Result<Reader, DbErr> {
    let pool = open(connect, options).await?;
    Ok(Reader::new(pool, connections, options.acquire_timeout, options.metrics.clone()))
}
