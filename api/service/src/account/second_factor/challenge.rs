//! A sign-in that waits for the second factor.

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::sign_in_challenge::{self, Column};
use jishu_entity::user::UserStatus;
use jishu_entity::{SignInChallengeId, UserId, user};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, QuerySelect, UpdateMany,
};

use super::proof::{ProofCheck, SecondFactorProof};
use crate::account::client::SignInClient;
use crate::account::credentials::{SignInRefusal, admit};
use crate::account::new_refresh_token::{NewRefreshToken, SignedIn};
use crate::account::oidc::NewIdentity;
use crate::account::{by_id, links};
use crate::auth::ChallengeToken;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault, Refusal};
use crate::failpoint::boundary;
use crate::limit::RetryAfter;
use crate::mail::MailKind;
use crate::{Services, security};

/// The time for which a challenge can be completed.
const CHALLENGE_LIFETIME: TimeDelta = TimeDelta::minutes(5);
/// Maximum number of codes that can be tried for one challenge.
const MAX_ATTEMPTS: i32 = 5;

/// A sign-in that waits for the second factor.
#[derive(Clone, Debug)]
pub struct SecondFactorChallenge {
    /// The token that [`complete_login`] takes. It can be used for nothing else.
    pub token: ChallengeToken,
    /// The time when the token stops working.
    pub expires_at: DateTime<Utc>,
}

/// A challenge before it is stored.
#[derive(Clone)]
pub(in crate::account) struct NewChallenge {
    token: ChallengeToken,
    now: DateTime<Utc>,
}

impl NewChallenge {
    pub(in crate::account) fn new(services: &Services) -> Result<Self, Fault> {
        let token = ChallengeToken::generate()
            .map_err(|error| Fault::Inconsistent(format!("the system's random source failed: {error}")))?;
        Ok(Self { token, now: services.clock.now() })
    }

    /// Stores the challenge of a user, with the hash of its token. If an identity is given, [`complete_login`] links it
    /// to the account.
    pub(in crate::account) async fn insert(
        &self,
        transaction: &DatabaseTransaction,
        owner: UserId,
        identity: Option<&NewIdentity>,
    ) -> Result<(), DbErr> {
        let row = sign_in_challenge::ActiveModel {
            id: NotSet,
            user_id: Set(owner),
            token_hash: Set(self.token.hash()),
            attempts: Set(0),
            created_at: Set(self.now),
            expires_at: Set(self.now + CHALLENGE_LIFETIME),
            used_at: Set(None),
            pending_issuer: Set(identity.map(|identity| identity.issuer.clone())),
            pending_subject: Set(identity.map(|identity| identity.subject.clone())),
        };
        row.insert(transaction).await?;
        Ok(())
    }

    /// Returns the token and its expiry for the client. The caller must have stored the challenge.
    pub(in crate::account) fn into_challenge(self) -> SecondFactorChallenge {
        SecondFactorChallenge { token: self.token, expires_at: self.now + CHALLENGE_LIFETIME }
    }
}

/// A reason not to complete a sign-in.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeRefusal {
    /// The challenge is unknown, expired or used, or too many codes were tried. Or the account is not active.
    #[error("This sign-in can no longer be completed. Sign in again.")]
    Invalid,
    /// The code is wrong, or it was used before.
    #[error("The code is wrong, or it was used before. Enter another code.")]
    WrongCode,
    /// The challenge would link an identity, and that identity was linked to another account after the challenge began.
    #[error("Meanwhile, this identity was linked to another account here. Sign in again.")]
    IdentityTaken,
    /// Too many attempts came from this network address, or too many on this account failed.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for ChallengeRefusal {}

/// Completes a sign-in with the second factor, and returns the tokens of the new session. If the sign-in is the first
/// one of an identity at an issuer, also links the identity to the account, and tells the owner by mail.
///
/// # Errors
/// See [`ChallengeRefusal`]. A wrong code counts against the challenge, and as a failed sign-in of the account. A taken
/// identity ends the challenge.
#[service_call("account.complete_login")]
pub async fn complete_login(
    services: &Services,
    client: SignInClient,
    token: &str,
    proof: SecondFactorProof,
) -> Result<SignedIn, Error<ChallengeRefusal>> {
    let Some((challenge, user)) = find(services, token).await? else {
        security::sign_in_failed(client.address, "challenge", None);
        return Err(ChallengeRefusal::Invalid.into());
    };
    let attempt = admit(services, client.address, &user.email).await.map_err(|error| {
        error.map(|refusal| match refusal {
            SignInRefusal::TooMany(wait) => ChallengeRefusal::TooMany(wait),
            // `admit` checks only budgets, so it never returns this refusal.
            SignInRefusal::InvalidCredentials => ChallengeRefusal::Invalid,
        })
    })?;
    let owner = user.id;
    match run(services, client, challenge, user, proof).await {
        Ok(Completed::SignedIn(signed_in)) => {
            attempt.succeeded();
            services.outbox.wake();
            Ok(*signed_in)
        }
        Ok(Completed::Gone) => {
            attempt.undecided();
            Err(ChallengeRefusal::Invalid.into())
        }
        Ok(Completed::Taken) => {
            security::sign_in_failed(client.address, "identity taken", Some(owner));
            attempt.undecided();
            Err(ChallengeRefusal::IdentityTaken.into())
        }
        Ok(Completed::Wrong) => {
            security::sign_in_failed(client.address, "second factor", Some(owner));
            match attempt.failed() {
                Some(spent) => Err(ChallengeRefusal::TooMany(spent.wait).into()),
                None => Err(ChallengeRefusal::WrongCode.into()),
            }
        }
        Err(error) => {
            attempt.undecided();
            Err(error)
        }
    }
}

/// Finds a challenge by its token, with its account. Does not check whether the challenge still works: the
/// transaction checks that.
async fn find(
    services: &Services,
    token: &str,
) -> Result<Option<(sign_in_challenge::Model, user::Model)>, DbErr> {
    let Some(token) = ChallengeToken::parse(token) else { return Ok(None) };
    let found = sign_in_challenge::Entity::find()
        .filter(Column::TokenHash.eq(token.hash()))
        .one(services.database.reader())
        .await?;
    let Some(challenge) = found else { return Ok(None) };
    Ok(by_id(services, challenge.user_id).await?.map(|user| (challenge, user)))
}

/// The outcome of an attempt to complete a challenge. A refusal is a value and not an error, because the transaction
/// must commit the count of attempts, and the end of a challenge whose identity is taken.
enum Completed<T> {
    SignedIn(T),
    Gone,
    Taken,
    Wrong,
}

struct Completion {
    challenge: SignInChallengeId,
    owner: UserId,
    /// The identity that a right code links to the account.
    identity: Option<NewIdentity>,
    check: ProofCheck,
    token: NewRefreshToken,
}

async fn run(
    services: &Services,
    client: SignInClient,
    challenge: sign_in_challenge::Model,
    user: user::Model,
    proof: SecondFactorProof,
) -> Result<Completed<Box<SignedIn>>, Error<ChallengeRefusal>> {
    let now = services.clock.now();
    let token = NewRefreshToken::of_new_session(services, client)
        .map_err(Fault::from)?
        .skipping_recorded_visit(services, &user.email);
    let identity = match challenge.pending_issuer.zip(challenge.pending_subject) {
        Some((issuer, subject)) => {
            let notice = Some(links::notice(services, MailKind::IdentityLinked, &user.email)?);
            Some(NewIdentity { issuer, subject, notice, now })
        }
        None => None,
    };
    let recovery_notice = links::notice(services, MailKind::RecoveryCodeUsed, &user.email)?;
    let check = ProofCheck { proof, secrets: services.secrets.clone(), recovery_notice, now };
    let completion =
        Completion { challenge: challenge.id, owner: user.id, identity, check, token: token.clone() };
    // Another transaction can link the identity to another account after this transaction has checked that. Then this
    // transaction is retried, and finds that link.
    let policy = WritePolicy::not_idempotent("session.complete").retry_taken_keys();
    let completed = services
        .database
        .write_for(user.id, policy, completion, |transaction, completion| {
            Box::pin(completion.run(transaction))
        })
        .await?;
    Ok(match completed {
        Completed::SignedIn(()) => Completed::SignedIn(Box::new(token.signed_in(services, user)?)),
        Completed::Gone => Completed::Gone,
        Completed::Taken => Completed::Taken,
        Completed::Wrong => Completed::Wrong,
    })
}

impl Completion {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<Completed<()>, Error<ChallengeRefusal>> {
        let status = lock_user(transaction, self.owner).await?;
        if status != Some(UserStatus::Active) || !self.count_attempt(transaction).await? {
            return Ok(Completed::Gone);
        }
        boundary("second-factor.counted");
        // This check comes before the proof, so that a challenge that cannot sign in uses up no recovery code.
        if let Some(identity) = &self.identity
            && identity.is_taken(transaction, self.owner).await?
        {
            self.end(transaction).await?;
            return Ok(Completed::Taken);
        }
        if !self.check.run(transaction, self.owner).await? {
            return Ok(Completed::Wrong);
        }
        boundary("second-factor.proved");
        self.end(transaction).await?;
        if let Some(identity) = &self.identity {
            identity.insert(transaction, self.owner).await?;
        }
        self.token.insert(transaction, self.owner).await?;
        boundary("second-factor.signed-in");
        Ok(Completed::SignedIn(()))
    }

    /// Counts an attempt to complete the challenge. Returns false, and counts nothing, if the challenge was used, has
    /// expired, or has had too many attempts.
    async fn count_attempt(&self, transaction: &DatabaseTransaction) -> Result<bool, DbErr> {
        let counted = sign_in_challenge::Entity::update_many()
            .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .filter(Column::Id.eq(self.challenge))
            .filter(Column::UsedAt.is_null())
            .filter(Column::ExpiresAt.gt(self.check.now))
            .filter(Column::Attempts.lt(MAX_ATTEMPTS))
            .exec(transaction)
            .await?;
        Ok(counted.rows_affected == 1)
    }

    /// Marks the challenge as used, so that it stops working.
    async fn end(&self, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
        sign_in_challenge::Entity::update_many()
            .col_expr(Column::UsedAt, Expr::value(self.check.now))
            .filter(Column::Id.eq(self.challenge))
            .exec(transaction)
            .await?;
        Ok(())
    }
}

/// Ends the unused challenges of a user. The transaction must have locked the user's row.
pub(in crate::account) async fn end_challenges(
    transaction: &DatabaseTransaction,
    owner: UserId,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    unused_challenges(owner, now).exec(transaction).await?;
    Ok(())
}

/// Ends the unused challenges of a user that would link an identity to the account. The transaction must have locked
/// the user's row.
pub(in crate::account) async fn end_linking_challenges(
    transaction: &DatabaseTransaction,
    owner: UserId,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    unused_challenges(owner, now).filter(Column::PendingSubject.is_not_null()).exec(transaction).await?;
    Ok(())
}

/// Builds an update that ends the unused challenges of a user.
fn unused_challenges(owner: UserId, now: DateTime<Utc>) -> UpdateMany<sign_in_challenge::Entity> {
    sign_in_challenge::Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(now))
        .filter(Column::UserId.eq(owner))
        .filter(Column::UsedAt.is_null())
}

/// Finds at most `limit` challenges whose rows can be deleted, because they have expired.
pub(in crate::account) async fn old_challenges(
    services: &Services,
    limit: u64,
) -> Result<Vec<SignInChallengeId>, DbErr> {
    sign_in_challenge::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::ExpiresAt.lte(services.clock.now()))
        .limit(limit)
        .into_tuple()
        .all(services.database.reader())
        .await
}
