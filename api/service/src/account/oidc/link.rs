//! Links identities at the issuer to accounts, and removes such links.

use jishu_entity::oidc_identity::{self, Column};
use jishu_entity::user::UserStatus;
use jishu_entity::{OidcIdentityId, UserId};
use jishu_service_macros::service_call;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr,
};

use super::complete::{OidcLoginRefusal, OidcReturn, identify};
use super::identity::{self, NewIdentity};
use crate::account::client::SignInClient;
use crate::account::second_factor::end_linking_challenges;
use crate::account::sessions::live_token;
use crate::account::{by_id, links};
use crate::auth::Viewer;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Refusal};
use crate::mail::MailKind;
use crate::{Services, audit};

/// Maximum number of identities of an account that are listed.
const MAX_LISTED: u64 = 100;

const IDENTITY_UNLINKED: &str = "user.identity_unlinked";

/// A reason not to link an identity, or not to remove a link. No link was written or removed.
#[derive(Debug, thiserror::Error)]
pub enum OidcLinkRefusal {
    /// The sign-in at the issuer did not succeed.
    #[error(transparent)]
    Login(#[from] OidcLoginRefusal),
    /// The account has not verified its e-mail address. A stranger may have made the account with the address of
    /// another person. If that person took the account over later, an identity of the stranger would still open the
    /// account.
    #[error(
        "Verify your e-mail address first. Open the link in our mail. If you have no such mail or the link has \
         expired, ask for another mail."
    )]
    EmailNotVerified,
    /// The identity belongs to another account.
    #[error(
        "This identity is linked to another account here. Sign in to that account and remove it there first."
    )]
    Taken,
    /// The account is not linked to this identity.
    #[error("This account has no such identity. It may have been removed already.")]
    NotFound,
}

impl Refusal for OidcLinkRefusal {}

/// An identity that is linked to an account.
pub type LinkedIdentity = oidc_identity::Model;

/// Reads at most 100 identities that are linked to the account of a user, oldest first.
///
/// # Errors
/// Returns the database's error.
#[service_call("account.linked_identities")]
pub async fn linked_identities(services: &Services, owner: UserId) -> Result<Vec<LinkedIdentity>, DbErr> {
    oidc_identity::Entity::find()
        .filter(Column::UserId.eq(owner))
        .order_by_asc(Column::Id)
        .limit(MAX_LISTED)
        .all(services.database.reader())
        .await
}

/// Completes what [`super::begin_oidc_link`] began: links the identity to the account of the viewer, and tells the
/// owner by mail. Does nothing if the identity is linked to this account already.
///
/// # Errors
/// See [`OidcLinkRefusal`].
#[service_call("account.link_oidc_identity")]
pub async fn link_oidc_identity(
    services: &Services,
    client: SignInClient,
    viewer: Viewer,
    returned: &OidcReturn,
) -> Result<(), Error<OidcLinkRefusal>> {
    let user = by_id(services, viewer.user_id).await?;
    let user = user.filter(|user| user.status == UserStatus::Active);
    let user = user.ok_or(OidcLinkRefusal::Login(OidcLoginRefusal::Inactive))?;
    if user.email_verified_at.is_none() {
        return Err(OidcLinkRefusal::EmailNotVerified.into());
    }
    let found = identify(services, client, returned, Some(user.id))
        .await
        .map_err(|error| error.map(OidcLinkRefusal::Login))?;
    match identity::owner(services.database.reader(), &found).await? {
        Some(owner) if owner == user.id => return Ok(()),
        Some(_) => return Err(OidcLinkRefusal::Taken.into()),
        None => {}
    }
    let link = NewIdentity {
        issuer: found.issuer,
        subject: found.subject,
        notice: Some(links::notice(services, MailKind::IdentityLinked, &user.email)?),
        now: services.clock.now(),
    };
    let policy = WritePolicy::not_idempotent("oidc.link");
    services
        .database
        .write_for(user.id, policy, (viewer, link), |transaction, (viewer, link)| {
            Box::pin(async move {
                let owner = viewer.user_id;
                if lock_user(transaction, owner).await? != Some(UserStatus::Active) {
                    return Err(OidcLinkRefusal::Login(OidcLoginRefusal::Inactive).into());
                }
                // A new password ends the session. Nobody may link an identity in a session that has ended.
                if live_token(transaction, owner, viewer.session_id).await?.is_none() {
                    return Err(OidcLinkRefusal::Login(OidcLoginRefusal::Invalid).into());
                }
                link.insert(transaction, owner).await.map_err(|error| match error.sql_err() {
                    Some(SqlErr::UniqueConstraintViolation(_)) => Error::from(OidcLinkRefusal::Taken),
                    _ => error.into(),
                })
            })
        })
        .await?;
    services.outbox.wake();
    Ok(())
}

/// Removes an identity from the account of the viewer. Also ends the sign-ins that wait for the second factor and would
/// link an identity to the account. After that, the identity signs in to the account only if a new sign-in links it
/// again, because both have verified the same address. Then [`super::complete_oidc_login`] links it, or
/// [`crate::account::complete_login`] if the account has a second factor.
///
/// # Errors
/// See [`OidcLinkRefusal`].
#[service_call("account.unlink_oidc_identity")]
pub async fn unlink_oidc_identity(
    services: &Services,
    viewer: Viewer,
    identity: OidcIdentityId,
) -> Result<(), Error<OidcLinkRefusal>> {
    let policy = WritePolicy::not_idempotent("oidc.unlink");
    let input = (viewer.user_id, identity, services.clock.now());
    services
        .database
        .write_for(viewer.user_id, policy, input, |transaction, (owner, identity, now)| {
            Box::pin(async move {
                lock_user(transaction, *owner).await?;
                if !delete(transaction, *owner, *identity).await? {
                    return Err(OidcLinkRefusal::NotFound.into());
                }
                // Otherwise a sign-in that began before would link the identity again.
                end_linking_challenges(transaction, *owner, *now).await?;
                let target = ("users", owner.0);
                Ok(audit::append(transaction, *now, Some(*owner), IDENTITY_UNLINKED, target).await?)
            })
        })
        .await
}

async fn delete(
    transaction: &DatabaseTransaction,
    owner: UserId,
    identity: OidcIdentityId,
) -> Result<bool, DbErr> {
    let deleted = oidc_identity::Entity::delete_many()
        .filter(Column::Id.eq(identity))
        .filter(Column::UserId.eq(owner))
        .exec(transaction)
        .await?;
    Ok(deleted.rows_affected == 1)
}
