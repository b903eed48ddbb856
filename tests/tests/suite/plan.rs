//! How a database would run a statement.

use std::fmt::Display;

use jishu_tests::{Backend, TestApp};
use sea_orm::{ConnectionTrait, Statement};

/// The plan of a statement that was seen, with these values, as SQL has them, in the place of its parameters: a line
/// for each step.
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
