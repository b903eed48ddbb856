//! Reads the structure and the rows of a database as text, for comparisons.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

/// Runs a query and returns its rows, with each value as text. NULL becomes `null`.
///
/// # Panics
/// Panics if the query fails, or if a value is neither a text nor a whole number.
pub async fn rows(connection: &DatabaseConnection, text: &str) -> Vec<Vec<String>> {
    let statement = Statement::from_string(connection.get_database_backend(), text);
    let rows = connection.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{error}: {text}"));
    rows.iter()
        .map(|row| {
            (0..row.column_names().len())
                .map(|position| {
                    row.try_get_by_index::<Option<String>>(position)
                        .map(|value| value.unwrap_or_else(|| "null".to_owned()))
                        .or_else(|_| row.try_get_by_index::<i64>(position).map(|value| value.to_string()))
                        .or_else(|_| row.try_get_by_index::<i32>(position).map(|value| value.to_string()))
                        .expect("text or a whole number")
                })
                .collect()
        })
        .collect()
}

/// Returns the tables, columns, indexes and constraints of the database, as the database itself describes them.
pub async fn structure(connection: &DatabaseConnection) -> Vec<Vec<String>> {
    match connection.get_database_backend() {
        DbBackend::Postgres => {
            let text = "SELECT 'index', indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public' \
                        UNION ALL SELECT 'constraint', conname::text, pg_get_constraintdef(oid) FROM \
                        pg_constraint WHERE connamespace = 'public'::regnamespace \
                        UNION ALL SELECT 'column', table_name::text || '.' || column_name::text, \
                        data_type::text FROM information_schema.columns WHERE table_schema = 'public' ORDER \
                        BY 1, 2, 3";
            rows(connection, text).await
        }
        DbBackend::MySql => {
            let mut structure = Vec::new();
            for table in rows(connection, "SHOW TABLES").await {
                let mut made = rows(connection, &format!("SHOW CREATE TABLE `{}`", table[0])).await.remove(0);
                // The counter of automatic ids is not part of the structure.
                if let Some((before, after)) = made[1].split_once(" AUTO_INCREMENT=") {
                    made[1] = format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit()));
                }
                structure.push(made);
            }
            structure
        }
        _ => rows(connection, "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").await,
    }
}
