//! Finds faults that a condition in SQL cannot find, by reading the rows as the server reads them.

use std::collections::HashSet;

use jishu_entity::{course, subject};
use sea_orm::sea_query::{Expr, Order};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait};

use super::{
    BadValue, MAX_ROWS_PER_TABLE, Table, columns_of, fault_of_course, fault_of_orphan, fault_of_subject,
    named,
};
use crate::database::read_rows;

/// Maximum number of rows that one statement reads.
const ROWS_PER_READ: u64 = 1_000;

/// Reads the rows of a table on SQLite, to the end or until it has found [`MAX_ROWS_PER_TABLE`] faults. Returns the
/// faults that are not in `before`. Returns nothing on database servers, or if the table lacks a column of this version
/// of jishu.
///
/// Only SQLite stores text that is not UTF-8, and it has no function to find such text.
///
/// # Errors
/// Returns the database's error.
pub(super) async fn of_table(
    connection: &impl ConnectionTrait,
    table: &Table,
    before: &[BadValue],
) -> Result<Vec<BadValue>, DbErr> {
    let mut found = Vec::new();
    if connection.get_database_backend() != DbBackend::Sqlite || !has_all_columns(connection, table).await? {
        return Ok(found);
    }
    let (mut after, mut is_all) = (i64::MIN, false);
    while !is_all && found.len() < MAX_ROWS_PER_TABLE {
        let mut select = table.select.clone();
        select
            .expr_as(Expr::cust("rowid"), "row_number")
            .and_where(Expr::cust_with_values("rowid > ?", [after]))
            .order_by_expr(Expr::cust("rowid"), Order::Asc)
            .limit(ROWS_PER_READ);
        let rows = connection.query_all_raw(DbBackend::Sqlite.build(&select)).await?;
        is_all = (rows.len() as u64) < ROWS_PER_READ;
        if let Some(last) = rows.last() {
            after = last.try_get("", "row_number")?;
        }
        let unreadable = (table.unreadable)(rows);
        found.extend(named(connection, table, &unreadable).await?);
    }
    found.retain(|bad| !before.contains(bad));
    Ok(found)
}

/// Reads the courses and subjects as the catalogue does. Returns the faults in columns for which `before` has no fault
/// of the same row. Returns nothing if one of the tables lacks a column of this version of jishu.
///
/// # Errors
/// Returns the database's error.
pub(super) async fn of_catalogue(
    connection: &impl ConnectionTrait,
    before: &[BadValue],
) -> Result<Vec<BadValue>, DbErr> {
    let (course_table, subject_table) = (Table::of::<course::Entity>(), Table::of::<subject::Entity>());
    let has_all = has_all_columns(connection, &course_table).await?
        && has_all_columns(connection, &subject_table).await?;
    if !has_all {
        return Ok(Vec::new());
    }
    let (courses, unreadable_courses) = read_rows(connection, course::Entity::find()).await?;
    let (subjects, unreadable_subjects) = read_rows(connection, subject::Entity::find()).await?;
    let mut found = named(connection, &course_table, &unreadable_courses).await?;
    found.extend(named(connection, &subject_table, &unreadable_subjects).await?);
    let known: HashSet<i64> = courses
        .iter()
        .map(|course| course.id.0)
        .chain(unreadable_courses.iter().filter_map(|row| row.key.first().copied()))
        .collect();
    let of_course = |course: &course::Model| {
        fault_of_course(course).map(|fault| BadValue::of("courses", course.id.0, fault))
    };
    found.extend(courses.iter().filter_map(of_course));
    for subject in &subjects {
        let orphan = (!known.contains(&subject.course_id.0)).then(|| fault_of_orphan(subject));
        let faults = fault_of_subject(subject).into_iter().chain(orphan);
        found.extend(faults.map(|fault| BadValue::of("subjects", subject.id.0, fault)));
    }
    // The conditions in SQL may have reported the same column already, with its value in another form.
    let is_new = |bad: &BadValue| {
        !before
            .iter()
            .any(|other| (other.table, &other.row, &other.column) == (bad.table, &bad.row, &bad.column))
    };
    found.retain(is_new);
    Ok(found)
}

/// Returns whether a table has all columns of this version of jishu. A missing table has no columns.
async fn has_all_columns(connection: &impl ConnectionTrait, table: &Table) -> Result<bool, DbErr> {
    let present = columns_of(connection, table.name).await?;
    Ok(table.columns.iter().all(|column| present.iter().any(|name| name == column.name)))
}
