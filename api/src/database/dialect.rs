//! SQL that is not the same text on all three databases.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockType, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QuerySelect, Statement, Value,
};

use jishu_entity::user::UserStatus;
use jishu_entity::{UserId, user};

/// A statement written with `?` for its parameters, as this database wants it.
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

/// A point in time as an expression. MariaDB and MySQL take a parameter inside a function for text.
pub(crate) fn utc(backend: DbBackend, at: DateTime<Utc>) -> SimpleExpr {
    match backend {
        DbBackend::MySql => Expr::value(at).cast_as("datetime(6)"),
        _ => Expr::value(at),
    }
}

/// Locks the row of a user until the transaction ends, so that all their writes stand in one line, and tells
/// whether they may still act. None when there is no such user.
///
/// On SQLite the transaction holds the only writer already. `NO KEY` on PostgreSQL lets rows that refer to the
/// user be inserted meanwhile.
pub(crate) async fn lock_user(
    connection: &impl ConnectionTrait,
    id: UserId,
) -> Result<Option<UserStatus>, DbErr> {
    let select =
        user::Entity::find().select_only().column(user::Column::Status).filter(user::Column::Id.eq(id));
    let select = match connection.get_database_backend() {
        DbBackend::Postgres => select.lock(LockType::NoKeyUpdate),
        DbBackend::MySql => select.lock(LockType::Update),
        _ => select,
    };
    select.into_tuple().one(connection).await
}
