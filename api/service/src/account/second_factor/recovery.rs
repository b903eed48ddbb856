//! The stored recovery codes of users. Each code works once.

use chrono::{DateTime, Utc};
use jishu_entity::UserId;
use jishu_entity::recovery_code::{self, Column};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
};

use crate::auth::{RECOVERY_CODES, RecoveryCode};
use crate::error::Fault;

/// Makes a new set of random recovery codes.
pub(super) fn generate() -> Result<Vec<RecoveryCode>, Fault> {
    (0..RECOVERY_CODES)
        .map(|_| RecoveryCode::generate())
        .collect::<Result<_, _>>()
        .map_err(|error| Fault::Inconsistent(format!("the system's random source failed: {error}")))
}

/// Returns the recovery codes as text for their owner.
pub(super) fn written(codes: &[RecoveryCode]) -> Vec<String> {
    codes.iter().map(RecoveryCode::written).collect()
}

/// Replaces all recovery codes of a user with `codes`. The earlier codes stop working.
pub(super) async fn replace(
    transaction: &DatabaseTransaction,
    owner: UserId,
    codes: &[RecoveryCode],
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    delete(transaction, owner).await?;
    let rows = codes.iter().map(|code| recovery_code::ActiveModel {
        id: NotSet,
        user_id: Set(owner),
        code_hash: Set(code.hash()),
        created_at: Set(now),
        used_at: Set(None),
    });
    recovery_code::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    Ok(())
}

/// Deletes all recovery codes of a user.
pub(super) async fn delete(transaction: &DatabaseTransaction, owner: UserId) -> Result<(), DbErr> {
    recovery_code::Entity::delete_many().filter(Column::UserId.eq(owner)).exec(transaction).await?;
    Ok(())
}

/// Marks a recovery code as used. Returns false if the user has no such unused code. One statement checks the code
/// and marks it, so only one of several requests at once gets true.
pub(super) async fn take(
    transaction: &DatabaseTransaction,
    owner: UserId,
    code: &RecoveryCode,
    now: DateTime<Utc>,
) -> Result<bool, DbErr> {
    let taken = recovery_code::Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(now))
        .filter(Column::UserId.eq(owner))
        .filter(Column::CodeHash.eq(code.hash()))
        .filter(Column::UsedAt.is_null())
        .exec(transaction)
        .await?;
    Ok(taken.rows_affected == 1)
}
