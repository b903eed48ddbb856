//! Creates databases that have all migrations, as copies of a template that is migrated once for each kind of database.
//!
//! Migrating takes up to two seconds on a database server, and most tests need a database with all migrations.

use std::collections::HashMap;
use std::path::Path;

use jishu_service::database::{Database, DatabaseOptions};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tokio::sync::Mutex;

use crate::Backend;

/// The templates, one for each kind of database. A template is made when the first test needs it.
static TEMPLATES: Mutex<Option<HashMap<&'static str, Template>>> = Mutex::const_new(None);

enum Template {
    /// The bytes of an SQLite database file.
    File(Vec<u8>),
    /// The name of a PostgreSQL database.
    OfServer(String),
    /// The statements that create a MariaDB database.
    Statements(Vec<String>),
}

impl Backend {
    /// Creates a new database with all migrations, and returns its URL.
    ///
    /// # Panics
    /// Panics if the database server cannot be reached.
    pub async fn create_migrated(self, folder: &Path) -> String {
        // The lock makes sure that each template is made only once. Other tests wait until the template is complete.
        let mut templates = TEMPLATES.lock().await;
        let templates = templates.get_or_insert_default();
        if !templates.contains_key(self.name()) {
            templates.insert(self.name(), Template::make(self).await);
        }
        match &templates[self.name()] {
            Template::File(bytes) => {
                std::fs::write(folder.join("jishu.db"), bytes).expect("the template is copied");
                self.create(folder).await
            }
            Template::OfServer(name) => self.create_from(&format!(" TEMPLATE {name}")).await,
            Template::Statements(statements) => {
                let url = self.create(folder).await;
                let connection = sea_orm::Database::connect(&url).await.expect("the new database");
                connection
                    .execute_unprepared(&statements.join(";\n"))
                    .await
                    .expect("the template's statements");
                connection.close().await.expect("closing the connection");
                url
            }
        }
    }
}

impl Template {
    async fn make(backend: Backend) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = backend.create(folder.path()).await;
        let database = Database::connect(&DatabaseOptions::new(&url)).await.expect("the database opens");
        database.migrate_up().await.expect("the migrations apply");
        let template = match backend {
            Backend::Sqlite => {
                let file = folder.path().join("template.db");
                let copy = format!("VACUUM INTO '{}'", file.display());
                database.writer().execute_unprepared(&copy).await.expect("a copy");
                Self::File(std::fs::read(file).expect("the copy"))
            }
            Backend::Postgres => Self::OfServer(url.rsplit_once('/').expect("made by `create`").1.to_owned()),
            Backend::MariaDb => Self::Statements(statements(database.writer()).await),
        };
        database.close().await.expect("the pools close");
        if backend == Backend::MariaDb {
            backend.remove(&url).await;
        }
        template
    }
}

/// Returns the statements that copy this MariaDB database: its tables, and the rows that migrations insert. Panics if a
/// table has rows that this function does not copy.
async fn statements(connection: &DatabaseConnection) -> Vec<String> {
    let mut statements = vec!["SET foreign_key_checks = 0".to_owned()];
    for table in texts(connection, "SHOW TABLES", 0).await {
        let create = texts(connection, &format!("SHOW CREATE TABLE {table}"), 1).await;
        statements.extend(create);
        if table == "seaql_migrations" {
            let rows = format!("SELECT CONCAT('(''', version, ''', ', applied_at, ')') FROM {table}");
            let rows = texts(connection, &rows, 0).await.join(", ");
            statements.push(format!("INSERT INTO {table} (version, applied_at) VALUES {rows}"));
            continue;
        }
        if table == "server_secrets" {
            let rows = format!("SELECT CONCAT('(''', name, ''', ''', secret, ''')') FROM {table}");
            let rows = texts(connection, &rows, 0).await.join(", ");
            statements.push(format!("INSERT INTO {table} (name, secret) VALUES {rows}"));
            continue;
        }
        let is_empty = texts(connection, &format!("SELECT '' FROM {table} LIMIT 1"), 0).await.is_empty();
        assert!(
            is_empty,
            "a migration inserts rows into {table}: add this table to `statements` in template.rs"
        );
    }
    statements.push("SET foreign_key_checks = 1".to_owned());
    statements
}

async fn texts(connection: &DatabaseConnection, query: &str, column: usize) -> Vec<String> {
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::MySql, query)).await;
    let text = |row: &sea_orm::QueryResult| row.try_get_by_index(column).expect("a text");
    rows.expect("the query runs").iter().map(text).collect()
}
