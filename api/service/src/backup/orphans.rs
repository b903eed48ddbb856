//! Finds rows that refer to rows that do not exist. MariaDB does not check references when it restores a dump.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::texts::texts;

const SQLITE_ORPHANS: &str =
    "SELECT \"table\" || ', row ' || COALESCE(rowid, '?') || ', to ' || parent FROM pragma_foreign_key_check";

/// Selects the foreign keys of PostgreSQL: the name, the table, the table to which it refers, the columns of the table,
/// and the columns to which they refer.
const POSTGRES_KEYS: &str = "SELECT c.conname::text, c.conrelid::regclass::text, c.confrelid::regclass::text, \
     (SELECT string_agg(quote_ident(a.attname), ',' ORDER BY k.place) FROM unnest(c.conkey) WITH ORDINALITY AS k(number, \
     place) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number), \
     (SELECT string_agg(quote_ident(a.attname), ',' ORDER BY k.place) FROM unnest(c.confkey) WITH ORDINALITY AS k(number, \
     place) JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number) \
     FROM pg_constraint c WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace ORDER BY 1";

/// Selects the foreign keys of MariaDB: the name, the table, the table to which it refers, the columns of the table,
/// and the columns to which they refer.
const MARIADB_KEYS: &str = "SELECT CAST(CONSTRAINT_NAME AS CHAR), CAST(TABLE_NAME AS CHAR), \
     CAST(REFERENCED_TABLE_NAME AS CHAR), \
     CAST(GROUP_CONCAT(COLUMN_NAME ORDER BY ORDINAL_POSITION) AS CHAR), \
     CAST(GROUP_CONCAT(REFERENCED_COLUMN_NAME ORDER BY ORDINAL_POSITION) AS CHAR) \
     FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL \
     GROUP BY CONSTRAINT_NAME, TABLE_NAME, REFERENCED_TABLE_NAME ORDER BY 1";

/// Returns a text for each row on SQLite that refers to a row that does not exist. On a server, returns a text with the
/// number of such rows for each foreign key that has any.
pub(super) async fn find(connection: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let backend = connection.get_database_backend();
    let keys = match backend {
        DbBackend::Postgres => POSTGRES_KEYS,
        DbBackend::MySql => MARIADB_KEYS,
        _ => return texts(connection, SQLITE_ORPHANS).await,
    };
    let mut found = Vec::new();
    for row in connection.query_all_raw(Statement::from_string(backend, keys)).await? {
        let text = |position| row.try_get_by_index::<String>(position);
        let (name, table, parent) = (text(0)?, text(1)?, text(2)?);
        let (columns, referred) = (text(3)?, text(4)?);
        let columns: Vec<&str> = columns.split(',').collect();
        let joined: Vec<String> = columns
            .iter()
            .zip(referred.split(','))
            .map(|(one, other)| format!("c.{one} = p.{other}"))
            .collect();
        let given: Vec<String> = columns.iter().map(|column| format!("c.{column} IS NOT NULL")).collect();
        let count = format!(
            "SELECT COUNT(*) FROM {table} c WHERE {} AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {})",
            given.join(" AND "),
            joined.join(" AND ")
        );
        let counted = connection.query_one_raw(Statement::from_string(backend, count)).await?;
        let orphans: i64 = counted.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        if orphans > 0 {
            found.push(format!("{table} to {parent} ({name}): {orphans} rows"));
        }
    }
    Ok(found)
}
