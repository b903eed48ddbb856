//! The sessions of a user. A session is a family of refresh tokens that begins with one sign-in.

use std::convert::Infallible;

use chrono::{DateTime, Utc};
use jishu_entity::refresh_token::{self, Column};
use jishu_entity::{RefreshTokenId, UserId};
use jishu_service_macros::service_call;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::refresh::revoke;
use crate::auth::Viewer;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault, Refusal};
use crate::{Services, audit};

/// Maximum number of sessions in the list of a user's sessions.
const MAX_LISTED_SESSIONS: u64 = 100;

const SESSION_ENDED: &str = "user.session_ended";
const OTHER_SESSIONS_ENDED: &str = "user.other_sessions_ended";

/// A session in which a user is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSession {
    /// The id of the session. Its refresh tokens have this id as their family, and its access tokens have it in the
    /// token claim `sid`.
    pub id: Uuid,
    /// The time when the user signed in. None for a session that began before the server stored this time.
    pub began_at: Option<DateTime<Utc>>,
    /// The time when the latest tokens were issued.
    pub used_at: DateTime<Utc>,
    /// The time when the session ends if no new tokens are issued before.
    pub expires_at: DateTime<Utc>,
    /// The program and system to which the latest tokens were issued. None if they were not recognised.
    pub program: Option<String>,
    /// The network to which the latest tokens were issued: a /24 network of IPv4, or a /48 network of IPv6. None for
    /// a session that is older than this field.
    pub network: Option<String>,
}

/// Reads the live sessions of a user, at most 100. The session whose tokens are the newest comes first.
///
/// # Errors
/// Returns the database's error.
#[service_call("account.live_sessions")]
pub async fn live_sessions(services: &Services, owner: UserId) -> Result<Vec<LiveSession>, DbErr> {
    // The latest token of a live session is its only one that is neither used nor revoked.
    let rows = refresh_token::Entity::find()
        .filter(Column::UserId.eq(owner))
        .filter(Column::UsedAt.is_null())
        .filter(Column::RevokedAt.is_null())
        .filter(Column::ExpiresAt.gt(services.clock.now()))
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .limit(MAX_LISTED_SESSIONS)
        .all(services.database.reader())
        .await?;
    let session = |row: refresh_token::Model| {
        Some(LiveSession {
            id: Uuid::try_parse(&row.family_id).ok()?,
            began_at: row.session_began_at,
            used_at: row.created_at,
            expires_at: row.expires_at,
            program: row.program,
            network: row.network,
        })
    };
    Ok(rows.into_iter().filter_map(session).collect())
}

/// The refusal to end a session that is not a live session of the viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("There is no such session, or it has ended.")]
pub struct SessionNotFound;

impl Refusal for SessionNotFound {}

/// Ends a session of the viewer. Its refresh token stops working at once, and so do its access tokens on this node.
/// Other nodes refuse its access tokens within seconds.
///
/// # Errors
/// See [`SessionNotFound`].
#[service_call("account.end_session")]
pub async fn end_session(
    services: &Services,
    viewer: Viewer,
    session: Uuid,
) -> Result<(), Error<SessionNotFound>> {
    let policy = WritePolicy::not_idempotent("session.end_one");
    let input = (viewer.user_id, session, services.clock.now());
    services
        .database
        .write_for(viewer.user_id, policy, input, |transaction, (owner, session, now)| {
            Box::pin(async move {
                // With the lock, a running exchange of a refresh token finishes first. So its new token is revoked as
                // well.
                lock_user(transaction, *owner).await?;
                let token = live_token(transaction, *owner, *session).await?.ok_or(SessionNotFound)?;
                let family = Column::FamilyId.eq(session.to_string());
                revoke(transaction, *owner, Some(family), *now).await?;
                let target = ("refresh_tokens", token.0);
                Ok(audit::append(transaction, *now, Some(*owner), SESSION_ENDED, target).await?)
            })
        })
        .await?;
    services.ended_sessions.refresh_or_warn().await;
    Ok(())
}

/// Finds the refresh token of a session that has not ended. Returns None if the session has ended.
pub(super) async fn live_token(
    transaction: &DatabaseTransaction,
    owner: UserId,
    session: Uuid,
) -> Result<Option<RefreshTokenId>, DbErr> {
    refresh_token::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::UserId.eq(owner))
        .filter(Column::FamilyId.eq(session.to_string()))
        .filter(Column::UsedAt.is_null())
        .filter(Column::RevokedAt.is_null())
        .into_tuple()
        .one(transaction)
        .await
}

/// Ends all sessions of the viewer except the session of their access token, as [`end_session`] ends one.
///
/// # Errors
/// Returns the database's error.
#[service_call("account.end_other_sessions")]
pub async fn end_other_sessions(services: &Services, viewer: Viewer) -> Result<(), Fault> {
    let policy = WritePolicy::idempotent("session.end_others");
    let input = (viewer, services.clock.now());
    services
        .database
        .write_for(viewer.user_id, policy, input, |transaction, (viewer, now)| {
            Box::pin(async move {
                lock_user(transaction, viewer.user_id).await?;
                revoke_others(transaction, *viewer, *now).await?;
                let target = ("users", viewer.user_id.0);
                let actor = Some(viewer.user_id);
                audit::append(transaction, *now, actor, OTHER_SESSIONS_ENDED, target).await?;
                Ok::<_, Error<Infallible>>(())
            })
        })
        .await
        .map_err(Fault::from)?;
    services.ended_sessions.refresh_or_warn().await;
    Ok(())
}

/// Revokes the refresh tokens of all sessions of the viewer except the session of the request. The transaction must
/// have locked the viewer's row.
pub(super) async fn revoke_others(
    transaction: &DatabaseTransaction,
    viewer: Viewer,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let others = Column::FamilyId.ne(viewer.session_id.to_string());
    revoke(transaction, viewer.user_id, Some(others), now).await
}
