//! A database that exists only for one task, such as verifying a dump.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbErr};
use url::Url;
use uuid::Uuid;

use super::StatementObserver;

/// How the name of each scratch database begins.
const NAME_PREFIX: &str = "jishu_scratch_";

/// An empty database on a server, or in memory for SQLite. [`ScratchDatabase::remove`] drops it.
pub struct ScratchDatabase {
    /// The URL of the server, through which the database is created and dropped. None in memory.
    server: Option<Url>,
    name: String,
    url: String,
}

/// An error of a scratch database.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The URL names no database server.
    #[error("`{0}` is not the URL of a database server: it must begin with postgres:// or mysql://")]
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
        /// Its name.
        name: String,
        /// The server's error.
        source: DbErr,
    },
}

impl ScratchDatabase {
    /// Creates an empty database on the server that a URL names. For SQLite the database is in memory.
    ///
    /// # Errors
    /// Fails if the URL names no database, or if its user may not create databases.
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

    /// Returns the URL of the database, with its password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connects to the database with one connection. A database in memory ends with its connection.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn connect(&self, observer: Option<StatementObserver>) -> Result<DatabaseConnection, DbErr> {
        connect_alone(&self.url, observer).await
    }

    /// Drops the database. All its connections must be closed.
    ///
    /// # Errors
    /// Returns the server's error. The database exists then.
    pub async fn remove(self) -> Result<(), ScratchError> {
        let Some(server) = &self.server else { return Ok(()) };
        let dropped = execute(server, &format!("DROP DATABASE {}", self.name)).await;
        dropped.map_err(|source| ScratchError::Left { name: self.name, source })
    }
}

/// Connects with one connection, whose statements have no time limit.
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

/// Returns the variables of the environment with which the clients of PostgreSQL and MariaDB connect to a URL. Unlike
/// arguments, other users cannot read them.
#[must_use]
pub fn client_environment(url: &str) -> Option<(Vec<(&'static str, String)>, ClientTarget)> {
    let url = Url::parse(&url.replacen("mariadb:", "mysql:", 1)).ok()?;
    let decoded = |text: &str| {
        let pairs = format!("x={}", text.replace('+', "%2B"));
        url::form_urlencoded::parse(pairs.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    let host = url.host_str().unwrap_or("127.0.0.1").trim_matches(['[', ']']).to_owned();
    let user = decoded(url.username()).filter(|user| !user.is_empty());
    let password = url.password().and_then(decoded);
    let database = url.path().trim_start_matches('/').to_owned();
    let mut variables = Vec::new();
    if url.scheme() == "mysql" {
        variables.extend(password.map(|password| ("MYSQL_PWD", password)));
        let port = url.port().unwrap_or(3306);
        return Some((variables, ClientTarget { host, port, user: user.unwrap_or_default(), database }));
    }
    let port = url.port().unwrap_or(5432);
    variables.extend([
        ("PGHOST", host.clone()),
        ("PGPORT", port.to_string()),
        ("PGDATABASE", database.clone()),
    ]);
    variables.extend(user.clone().map(|user| ("PGUSER", user)));
    variables.extend(password.map(|password| ("PGPASSWORD", password)));
    for (name, value) in url.query_pairs() {
        if name == "sslmode" {
            variables.push(("PGSSLMODE", value.into_owned()));
        } else if name == "sslrootcert" {
            variables.push(("PGSSLROOTCERT", value.into_owned()));
        }
    }
    Some((variables, ClientTarget { host, port, user: user.unwrap_or_default(), database }))
}

/// The server and the database to which a client program connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTarget {
    /// The name or the address of the server.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user; empty if the URL names none.
    pub user: String,
    /// The name of the database.
    pub database: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_the_parts_of_a_url() {
        let url = "postgres://jishu:p%40ss+w%2Bord@db.example.com:6432/shop?sslmode=require";
        let (variables, target) = client_environment(url).unwrap();
        for pair in [
            ("PGHOST", "db.example.com"),
            ("PGPORT", "6432"),
            ("PGUSER", "jishu"),
            ("PGPASSWORD", "p@ss+w+ord"),
            ("PGDATABASE", "shop"),
            ("PGSSLMODE", "require"),
        ] {
            assert!(variables.contains(&(pair.0, pair.1.to_owned())), "{pair:?} in {variables:?}");
        }
        assert_eq!(target.port, 6432);
        let (variables, target) = client_environment("mariadb://root@[::1]/shop").unwrap();
        assert_eq!(variables, []);
        assert_eq!((target.host.as_str(), target.port, target.user.as_str()), ("::1", 3306, "root"));
    }
}
