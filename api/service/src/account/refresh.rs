//! Exchanges and revokes refresh tokens.
//!
//! A refresh token can be exchanged once, and the exchange returns the next token of its family. But two tabs of one
//! browser may exchange the same token at once, and a response may be lost. So for a short time a used token returns
//! its successor again, until the successor is used. If a used token is presented after that, a thief may have a copy
//! of it. Then the whole family is revoked (RFC 9700, section 4.14.2).

use std::convert::Infallible;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::user::UserStatus;
use jishu_entity::{RefreshTokenId, UserId, refresh_token, user};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{Expr, JoinType};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, QuerySelect, RelationDef, UpdateMany,
};
use uuid::Uuid;

use super::client::SignInClient;
use super::new_refresh_token::{NewRefreshToken, SignedIn};
use super::second_factor::end_challenges;
use crate::Services;
use crate::auth::{RefreshToken, Viewer};
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault, Refusal};
use crate::limit::RetryAfter;
use crate::security;

/// A reason not to exchange a refresh token.
#[derive(Debug, thiserror::Error)]
pub enum RefreshRefusal {
    /// The refresh token is not valid.
    #[error("This refresh token no longer works. Sign in again.")]
    Invalid(InvalidToken),
    /// Too many invalid refresh tokens came from this network address.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for RefreshRefusal {}

/// The reason why a refresh token is not valid. It is for the log, and not for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidToken {
    /// The reason in one or two words.
    pub reason: &'static str,
    /// The owner of the token. None if the token is not stored.
    pub owner: Option<UserId>,
}

/// Exchanges a refresh token for the next access token and refresh token of its session.
///
/// # Errors
/// See [`RefreshRefusal`]. A token that was used before revokes all tokens of its family, unless it returns its
/// successor again.
#[service_call("account.refresh")]
pub async fn refresh(
    services: &Services,
    client: SignInClient,
    token: &str,
) -> Result<SignedIn, Error<RefreshRefusal>> {
    let presented = RefreshToken::parse(token).ok();
    let is_ours = presented.as_ref().is_some_and(|token| token.is_marked(&services.secrets));
    let attempt =
        services.limits.sign_in.exchange(client.address, token, is_ours).map_err(RefreshRefusal::TooMany)?;
    let exchanged = match presented {
        Some(presented) => exchange(services, client, presented).await,
        None => Err(RefreshRefusal::Invalid(InvalidToken { reason: "malformed", owner: None }).into()),
    };
    match &exchanged {
        Ok(_) => attempt.succeeded(),
        Err(Error::Refused(RefreshRefusal::Invalid(InvalidToken { reason, owner }))) => {
            security::refresh_token_refused(client.address, reason, *owner);
            attempt.failed();
        }
        Err(_) => attempt.undecided(),
    }
    exchanged
}

async fn exchange(
    services: &Services,
    client: SignInClient,
    presented: RefreshToken,
) -> Result<SignedIn, Error<RefreshRefusal>> {
    // Reads the owner before the transaction. A write waits for its turn among the writes of its user before it takes
    // a connection, so it must have the user by then.
    let Some((owner, email)) = owner(services, &presented).await? else {
        return Err(RefreshRefusal::Invalid(InvalidToken { reason: "unknown", owner: None }).into());
    };
    let next = NewRefreshToken::of_session(services, client, Uuid::nil())
        .map_err(Fault::from)?
        .skipping_recorded_visit(services, &email);
    let reuse = services.refresh_reuse;
    let exchange = Exchange { owner, presented, reuse, next };
    let policy = match reuse > TimeDelta::zero() {
        // If the exchange was committed already, running it again returns the same successor.
        true => WritePolicy::idempotent("session.refresh"),
        false => WritePolicy::not_idempotent("session.refresh"),
    };
    let policy = policy.retry_taken_keys();
    let exchanged = services
        .database
        .write_for(owner, policy, exchange, |transaction, exchange| Box::pin(exchange.run(transaction)))
        .await?;
    match exchanged {
        Exchanged::Next(user, next) => Ok(next.signed_in(services, *user)?),
        Exchanged::Refused(reason) => {
            Err(RefreshRefusal::Invalid(InvalidToken { reason, owner: Some(owner) }).into())
        }
    }
}

/// Finds the owner of a refresh token, with their e-mail address. Returns None if the token is not stored.
async fn owner(services: &Services, presented: &RefreshToken) -> Result<Option<(UserId, String)>, DbErr> {
    refresh_token::Entity::find()
        .select_only()
        .column(refresh_token::Column::UserId)
        .column(user::Column::Email)
        .join(JoinType::InnerJoin, of_user())
        .filter(refresh_token::Column::TokenHash.eq(presented.hash()))
        .into_tuple()
        .one(services.database.reader())
        .await
}

fn of_user() -> RelationDef {
    refresh_token::Entity::belongs_to(user::Entity)
        .from(refresh_token::Column::UserId)
        .to(user::Column::Id)
        .into()
}

/// The exchange of one refresh token.
struct Exchange {
    owner: UserId,
    presented: RefreshToken,
    /// The time after its first exchange for which the presented token returns its successor again.
    reuse: TimeDelta,
    /// The next refresh token. Its family is set when the presented token is found.
    next: NewRefreshToken,
}

/// The outcome of an exchange. A refusal is a value and not an error, because the transaction must commit the
/// revocation of the family.
enum Exchanged {
    Next(Box<user::Model>, NewRefreshToken),
    Refused(&'static str),
}

impl Exchange {
    /// Locks the user's row, and exchanges the presented token for the next one. A used token returns its successor
    /// again, or revokes its family.
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<Exchanged, Error<RefreshRefusal>> {
        let now = self.next.now;
        // Reads the token after taking the lock, so that two exchanges of one token run one after the other.
        let status = lock_user(transaction, self.owner).await?;
        let Some(token) = by_token(transaction, &self.presented).await? else {
            return Ok(Exchanged::Refused("unknown"));
        };
        let Ok(family) = Uuid::try_parse(&token.family_id) else { return Ok(Exchanged::Refused("damaged")) };
        let is_active = status == Some(UserStatus::Active);
        let next = if token.used_at.is_none() {
            if let Some(reason) = self.refusal(&token, is_active) {
                return Ok(Exchanged::Refused(reason));
            }
            self.replace(transaction, token, family).await?
        } else if is_active && let Some(again) = self.successor(transaction, &token, family).await? {
            again
        } else {
            let of_family = refresh_token::Column::FamilyId.eq(token.family_id);
            revoke(transaction, self.owner, Some(of_family), now).await?;
            return Ok(Exchanged::Refused("reused"));
        };
        match user::Entity::find_by_id(self.owner).one(transaction).await? {
            Some(user) => Ok(Exchanged::Next(Box::new(user), next)),
            None => Ok(Exchanged::Refused("unknown")),
        }
    }

    /// Returns the reason not to exchange an unused token: it is revoked or expired, or its account is not active.
    /// None if it may be exchanged.
    fn refusal(&self, token: &refresh_token::Model, is_active: bool) -> Option<&'static str> {
        if token.revoked_at.is_some() {
            Some("revoked")
        } else if token.expires_at <= self.next.now {
            Some("expired")
        } else {
            (!is_active).then_some("deactivated")
        }
    }

    /// Marks the token as used, and stores the next token of its family. If the server may return the next token again,
    /// the row of the used token keeps an encrypted copy of the next token.
    async fn replace(
        &self,
        transaction: &DatabaseTransaction,
        token: refresh_token::Model,
        family: Uuid,
    ) -> Result<NewRefreshToken, Error<RefreshRefusal>> {
        // The client presents this token, so it has received it. The encrypted copies of tokens in this family are no
        // longer needed.
        without_successor()
            .filter(refresh_token::Column::FamilyId.eq(token.family_id.as_str()))
            .filter(refresh_token::Column::Successor.is_not_null())
            .exec(transaction)
            .await?;
        let began_at = token.session_began_at;
        let next = NewRefreshToken { family, began_at, ..self.next.clone() };
        let now = self.next.now;
        let mut used: refresh_token::ActiveModel = token.clone().into();
        used.used_at = Set(Some(now));
        // Only the row of the latest token of a session has the program and the network of the client.
        used.program = Set(None);
        used.network = Set(None);
        if self.reuse > TimeDelta::zero() {
            used.successor =
                Set(Some(self.presented.seal(&next.refresh, &token.family_id).map_err(Fault::from)?));
            used.successor_until = Set(Some(now + self.reuse));
        }
        used.update(transaction).await?;
        next.insert(transaction, self.owner).await?;
        Ok(next)
    }

    /// Returns the token that replaced this one. Returns None if the time for returning it again has passed, or if
    /// this token was revoked. Also returns None if the replacing token was used or revoked, or has expired.
    async fn successor(
        &self,
        transaction: &DatabaseTransaction,
        token: &refresh_token::Model,
        family: Uuid,
    ) -> Result<Option<NewRefreshToken>, DbErr> {
        let now = self.next.now;
        if token.successor_until.is_none_or(|until| until <= now) || token.revoked_at.is_some() {
            return Ok(None);
        }
        let sealed = token.successor.as_deref();
        let Some(successor) = sealed.and_then(|sealed| self.presented.open(sealed, &token.family_id)) else {
            return Ok(None);
        };
        let row = by_token(transaction, &successor).await?;
        let usable =
            row.filter(|row| row.used_at.is_none() && row.revoked_at.is_none() && row.expires_at > now);
        let Some(row) = usable else { return Ok(None) };
        let expires_at = row.expires_at;
        let again = NewRefreshToken { refresh: successor, family, expires_at, ..self.next.clone() };
        again.move_here(transaction, row).await?;
        Ok(Some(again))
    }
}

/// Finds the row of a refresh token.
async fn by_token(
    transaction: &DatabaseTransaction,
    token: &RefreshToken,
) -> Result<Option<refresh_token::Model>, DbErr> {
    refresh_token::Entity::find()
        .filter(refresh_token::Column::TokenHash.eq(token.hash()))
        .one(transaction)
        .await
}

/// Ends the session of the viewer, or all their sessions if `everywhere` is true. This node refuses the access tokens
/// of these sessions at once, and other nodes refuse them within seconds.
///
/// # Errors
/// Returns the database's error.
#[service_call("account.logout")]
pub async fn logout(services: &Services, viewer: Viewer, everywhere: bool) -> Result<(), Fault> {
    let policy = WritePolicy::idempotent("session.end");
    let input = (viewer, everywhere, services.clock.now());
    services
        .database
        .write_for(viewer.user_id, policy, input, |transaction, (viewer, everywhere, now)| {
            Box::pin(async move {
                // With the lock, a running exchange of a refresh token finishes first. So its new token is revoked as
                // well.
                lock_user(transaction, viewer.user_id).await?;
                let family = refresh_token::Column::FamilyId.eq(viewer.session_id.to_string());
                revoke(transaction, viewer.user_id, (!everywhere).then_some(family), *now).await?;
                Ok::<_, Error<Infallible>>(())
            })
        })
        .await
        .map_err(Fault::from)?;
    services.ended_sessions.refresh_or_warn().await;
    Ok(())
}

/// Revokes the refresh tokens of a user. If `families` is given, revokes only the tokens that it selects. Also erases
/// their successors, and the programs and networks of their clients.
pub(super) async fn revoke(
    connection: &impl ConnectionTrait,
    owner: UserId,
    families: Option<Expr>,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let mut update = without_successor()
        .col_expr(refresh_token::Column::RevokedAt, Expr::value(now))
        .col_expr(refresh_token::Column::Program, Expr::value(None::<String>))
        .col_expr(refresh_token::Column::Network, Expr::value(None::<String>))
        .filter(refresh_token::Column::UserId.eq(owner))
        .filter(refresh_token::Column::RevokedAt.is_null());
    if let Some(families) = families {
        update = update.filter(families);
    }
    update.exec(connection).await?;
    Ok(())
}

/// Revokes all refresh tokens of a user, and ends the sign-ins that wait for the second factor. The transaction must
/// have locked the user's row.
pub(super) async fn revoke_all(
    transaction: &DatabaseTransaction,
    owner: UserId,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    revoke(transaction, owner, None, now).await?;
    end_challenges(transaction, owner, now).await
}

/// Builds an update of refresh tokens that erases their successors. The caller must add a filter.
pub(super) fn without_successor() -> UpdateMany<refresh_token::Entity> {
    refresh_token::Entity::update_many()
        .col_expr(refresh_token::Column::Successor, Expr::value(None::<String>))
        .col_expr(refresh_token::Column::SuccessorUntil, Expr::value(None::<DateTime<Utc>>))
}

/// Finds at most `limit` refresh tokens whose successor is still stored but can no longer be returned.
pub(super) async fn with_old_successor(
    services: &Services,
    limit: u64,
) -> Result<Vec<RefreshTokenId>, DbErr> {
    refresh_token::Entity::find()
        .select_only()
        .column(refresh_token::Column::Id)
        .filter(refresh_token::Column::SuccessorUntil.lte(services.clock.now()))
        .limit(limit)
        .into_tuple()
        .all(services.database.reader())
        .await
}
