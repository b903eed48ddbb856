//! Finds the methods of the password hashes of the old system, and replaces outdated hashes at sign-ins.

use jishu_entity::user;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, QueryFilter, Statement,
};

use crate::Services;
use crate::auth::MAX_OLD_METHODS;
use crate::database::Database;

/// Returns the methods of the stored password hashes that come from the old system, such as `pbkdf2:sha256:600000`. If
/// there are more methods than the server measures, returns those with the most hashes, so that all nodes return the
/// same methods.
///
/// # Errors
/// Returns the database's error.
pub(super) async fn password_methods(database: &Database) -> Result<Vec<String>, DbErr> {
    let backend = database.backend();
    let end = match backend {
        DbBackend::Postgres => "strpos(password_hash, '$')",
        DbBackend::MySql => "locate('$', password_hash)",
        _ => "instr(password_hash, '$')",
    };
    let text = format!(
        "SELECT substr(password_hash, 1, {end}) AS method FROM users \
         WHERE password_hash LIKE 'pbkdf2%$%' OR password_hash LIKE 'scrypt%$%' \
         GROUP BY method ORDER BY COUNT(*) DESC, method LIMIT {MAX_OLD_METHODS}"
    );
    let rows = database.reader().query_all_raw(Statement::from_string(backend, text)).await?;
    let names = rows.iter().map(|row| row.try_get_by_index::<String>(0));
    names.map(|name| Ok(name?.trim_end_matches('$').to_owned())).collect()
}

/// Hashes a password with the current method, to replace an outdated hash. Returns None and logs the error if that
/// fails. Then the next sign-in retries.
pub(super) async fn replacement(services: &Services, user: &user::Model, password: String) -> Option<String> {
    let made = services.passwords.hash(password).await;
    made.inspect_err(|error| {
        tracing::info!(user = %user.id, %error, "an outdated password hash was not replaced; the next sign-in retries");
    })
    .ok()
}

/// Stores a new hash in place of the hash with which the password was compared. Does nothing if another hash was
/// stored meanwhile.
pub(super) async fn replace(
    transaction: &DatabaseTransaction,
    user: &user::Model,
    hash: &str,
) -> Result<(), DbErr> {
    let update = user::Entity::update_many()
        .col_expr(user::Column::PasswordHash, Expr::value(hash))
        .filter(user::Column::Id.eq(user.id))
        .filter(user::Column::PasswordHash.eq(user.password_hash.as_str()));
    let replaced = update.exec(transaction).await?.rows_affected;
    if replaced > 0 {
        tracing::info!(user = %user.id, "an outdated password hash was replaced");
    }
    Ok(())
}
