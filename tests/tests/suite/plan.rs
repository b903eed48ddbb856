//! Reads the plan of a statement from the database.

use std::fmt::Display;

use jishu_tests::{Backend, TestApp};
use sea_orm::{ConnectionTrait, Statement};

/// Returns the plan of a recorded statement, one line for each step. `values` are SQL literals that replace the
/// parameters.
pub(crate) async fn plan(app: &TestApp, statement: &str, values: &[impl Display]) -> String {
    let mut sql = String::new();
    let mut values = values.iter();
    let mut characters = statement.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '?' || character == '$' {
            while characters.peek().is_some_and(char::is_ascii_digit) {
                characters.next();
            }
            sql.push_str(&values.next().expect("as many values as placeholders").to_string());
        } else {
            sql.push(character);
        }
    }
    let explain = if app.backend == Backend::Sqlite { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" };
    let backend = app.services.database.backend();
    let rows =
        app.connection().query_all_raw(Statement::from_string(backend, format!("{explain} {sql}"))).await;
    let lines = rows.expect("the plan").into_iter().map(|row| {
        let text = |column: &String| row.try_get::<Option<String>>("", column).ok().flatten();
        row.column_names().iter().filter_map(text).collect::<Vec<_>>().join(" ") + "\n"
    });
    lines.collect()
}
