//! Locks the rows of a user and of subjects in one statement.

use chrono::{DateTime, Utc};
use jishu_entity::user::UserStatus;
use jishu_entity::{CourseId, SubjectId, UserId};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Value};

use super::sql;

/// The subjects whose rows a transaction locks in shared mode.
#[derive(Clone, Debug)]
pub(crate) enum HeldSubjects {
    /// The subjects with these ids.
    Chosen(Vec<SubjectId>),
    /// All subjects of this course.
    OfCourse(CourseId),
}

/// A user whose row is locked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockedUser {
    /// The status of the user.
    pub(crate) status: UserStatus,
    /// The number of subjects whose rows are locked in shared mode.
    pub(crate) held: i64,
}

/// Returns the SQL condition that a subject belongs to a course, with the parameters of the condition. `subjects` is
/// the alias of the table in the statement.
///
/// PostgreSQL makes one plan of the statement for every course. It expects that `course_id = ?` finds as many
/// subjects as an average course has. One large course raises this average, and then PostgreSQL reads the whole
/// table. It expects that BETWEEN finds few rows, so it uses the index. MariaDB plans each execution. With `=` it
/// reads and locks only the rows of the course.
pub(crate) fn subjects_of_course(
    backend: DbBackend,
    subjects: &str,
    course: CourseId,
) -> (String, Vec<Value>) {
    match backend {
        DbBackend::Postgres => (format!("{subjects}.course_id BETWEEN ? AND ?"), vec![course.into(); 2]),
        _ => (format!("{subjects}.course_id = ?"), vec![course.into()]),
    }
}

/// Locks the row of a user as [`super::lock_user`] does, and the rows of subjects as [`super::hold_subjects`] does, in
/// one round trip. Returns None if the user does not exist, or if the account was deleted.
///
/// The transaction must read other rows in a later statement. In this statement, the database could read their state
/// from before the lock.
pub(crate) async fn lock_user_and_subjects(
    connection: &impl ConnectionTrait,
    user: UserId,
    subjects: &HeldSubjects,
) -> Result<Option<LockedUser>, DbErr> {
    let backend = connection.get_database_backend();
    let (lock, share) = match backend {
        DbBackend::Postgres => ("FOR NO KEY UPDATE NOWAIT", "FOR KEY SHARE NOWAIT"),
        // MariaDB executes the first comment, and MySQL the second.
        DbBackend::MySql => {
            ("FOR UPDATE NOWAIT", "/*M! LOCK IN SHARE MODE NOWAIT */ /*!80001 FOR SHARE NOWAIT */")
        }
        // SQLite has one writer at a time, so no lock is needed.
        _ => ("", ""),
    };
    let (condition, mut values) = match subjects {
        HeldSubjects::Chosen(ids) => {
            let parameters = vec!["?"; ids.len()].join(", ");
            (format!("s.id IN ({parameters})"), ids.iter().copied().map(Value::from).collect())
        }
        HeldSubjects::OfCourse(id) => subjects_of_course(backend, "s", *id),
    };
    values.push(user.into());
    // No index has `max_attempts`. If an index had all columns of the query, MariaDB would lock entries of the index
    // and not the rows. Then transactions that lock the rows would not be in conflict with this transaction.
    let text = format!(
        "SELECT status, deleted_at, (SELECT COUNT(max_attempts) FROM (SELECT s.max_attempts FROM subjects s \
         JOIN courses c ON c.id = s.course_id WHERE {condition} ORDER BY s.id {share}) held) FROM users WHERE id = ? {lock}"
    );
    let Some(row) = connection.query_one_raw(sql(backend, &text, values)).await? else { return Ok(None) };
    let deleted_at: Option<DateTime<Utc>> = row.try_get_by_index(1)?;
    if deleted_at.is_some() {
        return Ok(None);
    }
    Ok(Some(LockedUser { status: row.try_get_by_index(0)?, held: row.try_get_by_index(2)? }))
}
