//! Proof that a request comes from the owner of an account, and not only from somebody with their access token.

use chrono::TimeDelta;
use jishu_entity::refresh_token::{self, Column};
use jishu_entity::user::{self, UserStatus};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};

use super::by_id;
use super::credentials::{SignInRefusal, confirm};
use crate::Services;
use crate::auth::Viewer;
use crate::error::{Error, Refusal};
use crate::limit::{ClientAddress, RetryAfter};

/// Number of minutes after a sign-in within which its session proves the owner without the password.
const RECENT_SIGN_IN_MINUTES: i64 = 10;

/// A reason not to accept that a request comes from the owner of the account.
#[derive(Debug, thiserror::Error)]
pub enum OwnerRefusal {
    /// The account was deleted or deactivated.
    #[error("This account is not active.")]
    Inactive,
    /// The password is wrong.
    #[error("The password is not right.")]
    WrongPassword,
    /// The request has no password, and the session began too long ago or has ended.
    #[error(
        "Give your password. Or sign in again, and repeat the request within {RECENT_SIGN_IN_MINUTES} minutes."
    )]
    SignInTooOld,
    /// Too many attempts came from this network address, or too many on this account failed.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for OwnerRefusal {}

/// Checks the password of the viewer. Without a password, checks that the session of the viewer began within the last
/// [`RECENT_SIGN_IN_MINUTES`]. Returns the account.
pub(super) async fn confirm_owner(
    services: &Services,
    client: ClientAddress,
    viewer: Viewer,
    password: Option<&str>,
) -> Result<user::Model, Error<OwnerRefusal>> {
    let user = by_id(services, viewer.user_id).await?;
    let user = user.filter(|user| user.status == UserStatus::Active).ok_or(OwnerRefusal::Inactive)?;
    let Some(password) = password else {
        return match signed_in_recently(services, viewer).await? {
            true => Ok(user),
            false => Err(OwnerRefusal::SignInTooOld.into()),
        };
    };
    confirm(services, client, user.id, password).await.map_err(|error| {
        error.map(|refusal| match refusal {
            SignInRefusal::InvalidCredentials => OwnerRefusal::WrongPassword,
            SignInRefusal::TooMany(wait) => OwnerRefusal::TooMany(wait),
        })
    })
}

async fn signed_in_recently(services: &Services, viewer: Viewer) -> Result<bool, DbErr> {
    let since = services.clock.now() - TimeDelta::minutes(RECENT_SIGN_IN_MINUTES);
    let token = refresh_token::Entity::find()
        .filter(Column::UserId.eq(viewer.user_id))
        .filter(Column::FamilyId.eq(viewer.session_id.to_string()))
        .filter(Column::UsedAt.is_null())
        .filter(Column::RevokedAt.is_null())
        .filter(Column::SessionBeganAt.gt(since))
        .one(services.database.reader())
        .await?;
    Ok(token.is_some())
}
