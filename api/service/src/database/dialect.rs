//! SQL that differs between SQLite, PostgreSQL, and MariaDB with MySQL.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IdenStatic, QueryFilter, QuerySelect,
    Select, Statement, UpdateResult, Value,
};

use jishu_entity::user::UserStatus;
use jishu_entity::{CourseId, SubjectId, UserId, course, subject, user};

/// Maximum number of ids in one statement. The number suits each database: SQLite allows 32,766 parameters for a
/// statement, and MariaDB can turn a list of 1,000 values into a subquery, for which it may read a whole table.
pub(crate) const MAX_IDS_PER_STATEMENT: usize = 500;

/// Builds a statement from a text with `?` for each parameter. PostgreSQL needs `$1`, `$2` and so on instead, so the
/// text must not contain any other `?`.
pub(crate) fn sql(backend: DbBackend, text: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    match backend {
        DbBackend::Postgres => {
            let mut numbered = String::with_capacity(text.len() + 16);
            for (number, part) in text.split('?').enumerate() {
                if number > 0 {
                    numbered.push('$');
                    numbered.push_str(&number.to_string());
                }
                numbered.push_str(part);
            }
            Statement::from_sql_and_values(backend, numbered, values)
        }
        _ => Statement::from_sql_and_values(backend, text, values),
    }
}

/// Returns a time as an expression. MariaDB and MySQL would treat a parameter inside a function as text, so they need a
/// cast.
pub(crate) fn utc(backend: DbBackend, at: DateTime<Utc>) -> SimpleExpr {
    match backend {
        DbBackend::MySql => Expr::value(at).cast_as("datetime(6)"),
        _ => Expr::value(at),
    }
}

/// Returns the type to which statements cast sums. Sums are `numeric` on PostgreSQL and `decimal` on MariaDB and
/// MySQL, but the code reads whole numbers.
pub(crate) fn whole_number_type(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::MySql => "SIGNED",
        _ => "BIGINT",
    }
}

/// The first and the last second of the type TIMESTAMP on MySQL and on MariaDB before 11.5, in seconds since 1970.
const TIMESTAMP_SECONDS: (i64, i64) = (1, 0x7fff_ffff);

/// Returns the time that is nearest to `time` and that a statement can compare with. MariaDB converts the times of a
/// statement to its type TIMESTAMP, which ends in 2038 before MariaDB 11.5. There, a comparison with a time in the year
/// 2100 would find no row.
pub(crate) fn comparable_time(backend: DbBackend, time: DateTime<Utc>) -> DateTime<Utc> {
    let (first, last) = TIMESTAMP_SECONDS;
    match (backend, DateTime::from_timestamp_secs(first), DateTime::from_timestamp_secs(last)) {
        (DbBackend::MySql, Some(first), Some(last)) => time.clamp(first, last),
        _ => time,
    }
}

/// Returns an expression for the value that an `INSERT` has for this column. If the row exists already, the statement
/// updates the column with this expression. MariaDB has no name for the new row; both MariaDB and MySQL accept
/// `VALUES`.
pub(crate) fn inserted(backend: DbBackend, column: impl IdenStatic) -> SimpleExpr {
    match backend {
        DbBackend::MySql => Expr::cust(format!("VALUES(`{}`)", column.as_str())),
        _ => Expr::col(("excluded", column)),
    }
}

/// Locks the row of a user until the transaction ends, so that all writes of the user run one after the other. Returns
/// the status of the user, or None if the user does not exist or the account was deleted.
///
/// Does not wait for the lock, because that would hold a connection. If another server or an operator has the lock, the
/// transaction fails with a conflict and is retried after a pause. Transactions of one server queue before they take a
/// connection ([`super::Database::write_for`]). On SQLite the transaction already has the only writer connection.
pub(crate) async fn lock_user(
    connection: &impl ConnectionTrait,
    id: UserId,
) -> Result<Option<UserStatus>, DbErr> {
    let select = user::Entity::find()
        .select_only()
        .columns([user::Column::Status, user::Column::DeletedAt])
        .filter(user::Column::Id.eq(id));
    let select = locked_at_once(connection.get_database_backend(), select);
    let found: Option<(UserStatus, Option<DateTime<Utc>>)> = select.into_tuple().one(connection).await?;
    Ok(found.filter(|(_, deleted_at)| deleted_at.is_none()).map(|(status, _)| status))
}

/// Locks the row of a subject until the transaction ends, so that all changes of its question bank and of its papers
/// run one after the other. Returns whether the subject exists. Like [`lock_user`], does not wait for the lock.
pub(crate) async fn lock_subject(connection: &impl ConnectionTrait, id: SubjectId) -> Result<bool, DbErr> {
    let select =
        subject::Entity::find().select_only().column(subject::Column::Id).filter(subject::Column::Id.eq(id));
    let select = locked_at_once(connection.get_database_backend(), select);
    let found: Option<SubjectId> = select.into_tuple().one(connection).await?;
    Ok(found.is_some())
}

/// Locks the row of a course until the transaction ends. Returns whether the course exists. Like [`lock_user`], does
/// not wait for the lock.
pub(crate) async fn lock_course(connection: &impl ConnectionTrait, id: CourseId) -> Result<bool, DbErr> {
    let select =
        course::Entity::find().select_only().column(course::Column::Id).filter(course::Column::Id.eq(id));
    let select = locked_at_once(connection.get_database_backend(), select);
    let found: Option<CourseId> = select.into_tuple().one(connection).await?;
    Ok(found.is_some())
}

/// Locks the rows of these subjects and of their courses in shared mode, as the foreign keys of a purchase do later.
///
/// If another transaction changes one of these rows, a foreign key would wait for that transaction and hold a
/// connection meanwhile. This function fails at once with a conflict instead. On SQLite it does nothing.
pub(crate) async fn hold_subjects(
    connection: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = SubjectId>,
) -> Result<(), DbErr> {
    let backend = connection.get_database_backend();
    let ids: Vec<Value> = ids.into_iter().map(Value::from).collect();
    let lock = match backend {
        DbBackend::Postgres => "FOR KEY SHARE NOWAIT",
        // MariaDB executes the first comment, and MySQL the second.
        DbBackend::MySql => "/*M! LOCK IN SHARE MODE NOWAIT */ /*!80001 FOR SHARE NOWAIT */",
        // SQLite has one writer at a time, so no lock is needed.
        _ => return Ok(()),
    };
    let parameters = vec!["?"; ids.len()].join(", ");
    // No index has `max_attempts`, so MariaDB locks the rows and not only the entries of an index.
    let text = format!(
        "SELECT subjects.max_attempts FROM subjects JOIN courses ON courses.id = subjects.course_id \
         WHERE subjects.id IN ({parameters}) ORDER BY subjects.id {lock}"
    );
    connection.query_all_raw(sql(backend, &text, ids)).await.map(drop)
}

/// Adds a lock to a query as [`locked`] does. The query fails at once with a conflict if another transaction has
/// locked a row.
fn locked_at_once<E: EntityTrait>(backend: DbBackend, select: Select<E>) -> Select<E> {
    match backend {
        DbBackend::Postgres => select.lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::Nowait),
        DbBackend::MySql => select.lock_with_behavior(LockType::Update, LockBehavior::Nowait),
        _ => select,
    }
}

/// Adds a lock on the rows that a query finds. On PostgreSQL other transactions can still insert rows that refer to
/// the locked rows. SQLite needs no lock, because it has one writer at a time.
pub(crate) fn locked<E: EntityTrait>(backend: DbBackend, select: Select<E>) -> Select<E> {
    match backend {
        DbBackend::Postgres => select.lock(LockType::NoKeyUpdate),
        DbBackend::MySql => select.lock(LockType::Update),
        _ => select,
    }
}

/// Fails unless a statement has updated exactly one row.
pub(crate) fn updated_one(result: &UpdateResult) -> Result<(), DbErr> {
    if result.rows_affected == 1 { Ok(()) } else { Err(DbErr::RecordNotUpdated) }
}

/// Returns the names of the columns that a table has in the database. Returns an empty list if the table does not
/// exist.
pub(crate) async fn columns_of(connection: &impl ConnectionTrait, table: &str) -> Result<Vec<String>, DbErr> {
    let backend = connection.get_database_backend();
    let text = match backend {
        DbBackend::MySql => {
            "SELECT CAST(COLUMN_NAME AS CHAR) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND \
             TABLE_NAME = ?"
        }
        DbBackend::Postgres => {
            "SELECT CAST(column_name AS TEXT) FROM information_schema.columns WHERE table_schema = current_schema() \
             AND table_name = $1"
        }
        _ => "SELECT name FROM pragma_table_info(?)",
    };
    let statement = Statement::from_sql_and_values(backend, text, [table.into()]);
    connection.query_all_raw(statement).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}
