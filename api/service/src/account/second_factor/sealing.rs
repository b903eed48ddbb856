//! Encrypts the secrets of second factors for the database.
//!
//! The encryption key is derived from a signing key of the server. A secret is used for longer than a signing key, so
//! each row has the name of the key that encrypted its secret. After a rotation of the signing keys, a task of each
//! node encrypts the secrets of older keys with the current key. The operator must keep an old key until this is
//! done.

use std::convert::Infallible;

use jishu_entity::UserId;
use jishu_entity::second_factor::{self, Column};
use jishu_service_macros::service_call;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::Services;
use crate::auth::{OneTimePasswordSecret, Secrets};
use crate::database::WritePolicy;
use crate::error::{Error, Fault};

const PURPOSE: &str = "second factor";

/// An encrypted secret, with the name of the key that encrypted it.
#[derive(Clone)]
pub(super) struct SealedSecret {
    pub(super) secret: String,
    pub(super) sealed_by: String,
}

/// Encrypts a secret with the current key. Only the row of this user can use the result.
pub(super) fn seal(secrets: &Secrets, owner: UserId, text: &str) -> Result<SealedSecret, Fault> {
    let secret = secrets
        .seal(PURPOSE, &owner.to_string(), text)
        .map_err(|_unspecified| Fault::Inconsistent("a second factor cannot be encrypted".to_owned()))?;
    Ok(SealedSecret { secret, sealed_by: secrets.key_name() })
}

/// Decrypts the secret of a row. Returns None if no live signing key can decrypt it, or if the decrypted text is not a
/// secret. Then logs a warning.
pub(super) fn open(secrets: &Secrets, row: &second_factor::Model) -> Option<OneTimePasswordSecret> {
    let Some(text) = secrets.open(PURPOSE, &row.user_id.to_string(), &row.secret) else {
        let message = "a second factor cannot be decrypted: its signing key is gone, or the stored secret is \
                       damaged. Its user needs a recovery code or a reset";
        tracing::warn!(user = %row.user_id, "{message}");
        return None;
    };
    let secret = OneTimePasswordSecret::read(&text).inspect_err(|error| {
        let message = "a decrypted second factor is not a secret. Its user needs a recovery code or a reset";
        tracing::warn!(user = %row.user_id, %error, "{message}");
    });
    secret.ok()
}

/// Encrypts secrets of older keys with the current key, at most `limit` of them. Returns their number. Skips a secret
/// that no live key can decrypt.
///
/// # Errors
/// Fails if the database fails, or if a secret cannot be encrypted.
#[service_call("account.reseal_second_factors")]
pub async fn reseal_second_factors(services: &Services, limit: u64) -> Result<usize, Fault> {
    let rows = second_factor::Entity::find()
        .filter(Column::SealedBy.ne(services.secrets.key_name()))
        .limit(limit)
        .all(services.database.reader())
        .await?;
    let mut resealed = 0;
    for row in rows {
        let Some(secret) = open(&services.secrets, &row) else { continue };
        let sealed = seal(&services.secrets, row.user_id, &secret.text())?;
        let policy = WritePolicy::idempotent("second_factor.reseal");
        services
            .database
            .write_for(row.user_id, policy, (row, sealed), |transaction, (row, sealed)| {
                Box::pin(async move {
                    second_factor::Entity::update_many()
                        .col_expr(Column::Secret, Expr::value(sealed.secret.as_str()))
                        .col_expr(Column::SealedBy, Expr::value(sealed.sealed_by.as_str()))
                        .filter(Column::UserId.eq(row.user_id))
                        // Another request may have replaced the secret meanwhile.
                        .filter(Column::Secret.eq(row.secret.as_str()))
                        .exec(transaction)
                        .await?;
                    Ok::<_, Error<Infallible>>(())
                })
            })
            .await?;
        resealed += 1;
    }
    Ok(resealed)
}
