//! A database that exists only for one task, such as verifying a dump.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use url::Url;
use uuid::Uuid;

use super::StatementObserver;

/// The beginning of the name of each scratch database.
const NAME_PREFIX: &str = "jishu_scratch_";

/// An empty database on a database server, or in memory for SQLite. [`ScratchDatabase::remove`] drops it.
pub struct ScratchDatabase {
    /// The URL of the server on which the database is created and dropped. None for a database in memory.
    server: Option<Url>,
    name: String,
    url: String,
}

/// An error of creating or dropping a scratch database.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The URL names no database server, or is malformed.
    #[error(
        "`{0}` is not a well-formed URL of a database server, such as postgres://USER@HOST or mysql://USER@HOST"
    )]
    NoServer(String),
    /// The server refused to create the database.
    #[error(
        "the server created no scratch database: {0}. Give the URL of a user who may create databases (`CREATEDB` on \
         PostgreSQL, `GRANT ALL ON \\`jishu\\_scratch\\_%\\`.*` on MariaDB)"
    )]
    Refused(DbErr),
    /// The scratch database could not be dropped.
    #[error("the scratch database {name} could not be dropped: {source}. Drop it by hand")]
    Left {
        /// The name of the database.
        name: String,
        /// The server's error.
        source: DbErr,
    },
}

impl ScratchDatabase {
    /// Creates an empty database on the server that a URL names. For the URL of an SQLite database, it is in memory.
    ///
    /// # Errors
    /// Fails if the URL names no database server and no SQLite database, or if the server does not create the
    /// database.
    pub async fn create(server: &str) -> Result<Self, ScratchError> {
        if server.starts_with("sqlite:") {
            return Ok(Self { server: None, name: String::new(), url: "sqlite::memory:".to_owned() });
        }
        let scheme = server.split(':').next().unwrap_or_default();
        let url = Url::parse(&server.replacen("mariadb:", "mysql:", 1));
        let Some(url) = url.ok().filter(|url| matches!(url.scheme(), "postgres" | "postgresql" | "mysql"))
        else {
            return Err(ScratchError::NoServer(format!("{scheme}:…")));
        };
        let name = format!("{NAME_PREFIX}{}", Uuid::new_v4().simple());
        let options = if url.scheme() == "mysql" { " CHARACTER SET utf8mb4" } else { " TEMPLATE template0" };
        execute(&url, &format!("CREATE DATABASE {name}{options}")).await.map_err(ScratchError::Refused)?;
        let mut own = url.clone();
        own.set_path(&name);
        Ok(Self { server: Some(url), name, url: own.into() })
    }

    /// Returns the kind of database that a URL names.
    ///
    /// # Errors
    /// Fails if the URL names no database.
    pub fn backend_of(server: &str) -> Result<DbBackend, ScratchError> {
        let scheme = server.split(':').next().unwrap_or_default();
        match scheme {
            "sqlite" => Ok(DbBackend::Sqlite),
            "postgres" | "postgresql" => Ok(DbBackend::Postgres),
            "mysql" | "mariadb" => Ok(DbBackend::MySql),
            _ => Err(ScratchError::NoServer(format!("{scheme}:…"))),
        }
    }

    /// Returns the URL of the scratch database, with its password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connects to the scratch database with one connection. A database in memory is deleted when its connection
    /// closes.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn connect(&self, observer: Option<StatementObserver>) -> Result<DatabaseConnection, DbErr> {
        connect_alone(&self.url, observer).await
    }

    /// Drops the scratch database. On PostgreSQL also ends the connections to it that are still open.
    ///
    /// # Errors
    /// Returns the server's error. Then the database still exists.
    pub async fn remove(self) -> Result<(), ScratchError> {
        let Some(server) = &self.server else { return Ok(()) };
        // After an interruption, PostgreSQL may not have noticed yet that a connection has ended. FORCE closes the
        // connection.
        let force = if server.scheme() == "mysql" { "" } else { " WITH (FORCE)" };
        let dropped = execute(server, &format!("DROP DATABASE {}{force}", self.name)).await;
        dropped.map_err(|source| ScratchError::Left { name: self.name, source })
    }
}

/// Connects to a URL with one connection. The statements have no time limit.
///
/// # Errors
/// Returns the database's error.
pub(crate) async fn connect_alone(
    url: &str,
    observer: Option<StatementObserver>,
) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url.replacen("mariadb:", "mysql:", 1));
    options
        .max_connections(1)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .sqlx_logging_level(log::LevelFilter::Debug)
        .sqlx_slow_statements_logging_settings(log::LevelFilter::Debug, Duration::from_secs(1));
    let mut connection = sea_orm::Database::connect(options).await?;
    if let Some(observer) = observer {
        connection.set_metric_callback(move |info| Arc::clone(&observer)(&info.statement.sql));
    }
    Ok(connection)
}

async fn execute(server: &Url, statement: &str) -> Result<(), DbErr> {
    let connection = connect_alone(server.as_str(), None).await?;
    let executed = connection.execute_unprepared(statement).await;
    connection.close().await?;
    executed.map(drop)
}
