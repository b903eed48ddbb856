//! The kinds of databases that tests run on. Creates and removes a database for each test.

use std::path::Path;

use sea_orm::{ConnectionTrait, Database};
use uuid::Uuid;

/// A kind of database that jishu supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A file in a temporary folder.
    Sqlite,
    /// The server at `TEST_POSTGRES_URL`.
    Postgres,
    /// The server at `TEST_MARIADB_URL`.
    MariaDb,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadb",
        }
    }

    /// Returns whether the environment variable `TEST_DATABASES` selects this kind of database. Without the variable,
    /// all kinds are selected.
    #[must_use]
    pub fn is_selected(self) -> bool {
        match std::env::var("TEST_DATABASES") {
            Ok(list) => list.split(',').any(|name| name.trim() == self.name()),
            Err(_) => true,
        }
    }

    /// Returns the kinds of databases that `TEST_DATABASES` selects: PostgreSQL, MariaDB, SQLite, in this order.
    pub fn selected() -> impl Iterator<Item = Self> {
        [Self::Postgres, Self::MariaDb, Self::Sqlite].into_iter().filter(|backend| backend.is_selected())
    }

    /// Creates an empty database and returns its URL. For SQLite, the file in `folder` is created at the first
    /// connection.
    ///
    /// # Panics
    /// Panics if the database server cannot be reached. So a missing server fails the tests instead of skipping them.
    pub async fn create(self, folder: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite://{}?mode=rwc", folder.join("jishu.db").display()),
            Self::Postgres | Self::MariaDb => self.create_from("").await,
        }
    }

    /// Creates a database on the database server, with these options of `CREATE DATABASE`. Returns its URL.
    pub(crate) async fn create_from(self, options: &str) -> String {
        let variable = self.variable();
        let server = std::env::var(variable).unwrap_or_else(|_| {
            panic!(
                "{variable} is not set: run the tests with tests/run, which starts the databases, or select \
                 only SQLite with TEST_DATABASES=sqlite"
            )
        });
        let connection = Database::connect(&server).await.expect("the database server answers");
        let name = format!("jishu_{}", Uuid::new_v4().simple());
        connection
            .execute_unprepared(&format!("CREATE DATABASE {name}{options}"))
            .await
            .expect("a fresh database");
        connection.close().await.expect("closing the connection");
        let (before, _) = server.rsplit_once('/').expect("the URL of a server ends in a database");
        format!("{before}/{name}")
    }

    /// Returns the environment variable with the URL of the database server.
    fn variable(self) -> &'static str {
        match self {
            Self::Sqlite => "TEST_SQLITE_URL",
            Self::Postgres => "TEST_POSTGRES_URL",
            Self::MariaDb => "TEST_MARIADB_URL",
        }
    }

    /// Removes a database that [`Backend::create`] made. Does nothing for SQLite, because its file is deleted with its
    /// folder.
    pub async fn remove(self, url: &str) {
        if self == Self::Sqlite {
            return;
        }
        let server = std::env::var(self.variable()).expect("the variable was set when the database was made");
        let (_, name) = url.rsplit_once('/').expect("the URL was made by `create`");
        let connection = Database::connect(&server).await.expect("the database server answers");
        let force = if self == Self::Postgres { " WITH (FORCE)" } else { "" };
        connection.execute_unprepared(&format!("DROP DATABASE {name}{force}")).await.expect("dropping it");
        connection.close().await.expect("closing the connection");
    }
}
