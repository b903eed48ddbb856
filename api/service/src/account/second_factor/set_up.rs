//! Sets up a second factor. First the user gets a secret. Then a code proves that the app of the user has the secret.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::UserId;
use jishu_entity::second_factor::{self, Column};
use jishu_entity::user::UserStatus;
use jishu_service_macros::service_call;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
};

use super::sealing::{self, SealedSecret};
use super::{SecondFactorRefusal, recovery};
use crate::account::credentials::{SignInRefusal, admit};
use crate::account::owner::{OwnerRefusal, confirm_owner};
use crate::account::sessions::revoke_others;
use crate::account::{by_id, links};
use crate::auth::{OneTimePasswordSecret, RecoveryCode, Secrets, Viewer};
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault};
use crate::failpoint::boundary;
use crate::limit::{ClientAddress, SignInAttempt};
use crate::mail::MailKind;
use crate::outbox::NewMessage;
use crate::{Services, audit, security};

/// The time within which a new secret must be confirmed.
const SET_UP_LIFETIME: TimeDelta = TimeDelta::hours(1);

const SECOND_FACTOR_ON: &str = "user.second_factor_on";

/// The secret of a second factor that is not confirmed yet.
#[derive(Clone, PartialEq, Eq)]
pub struct SecondFactorSetUp {
    /// The secret as base32, for people who type it into their app.
    pub secret: String,
    /// The `otpauth` address, for a QR code.
    pub address: String,
}

/// Makes a secret for the authenticator app of the viewer. The second factor is on only after
/// [`confirm_second_factor`]. Replaces an earlier secret that was not confirmed. Requires the password or a recent
/// sign-in.
///
/// # Errors
/// See [`SecondFactorRefusal`].
#[service_call("account.begin_second_factor")]
pub async fn begin_second_factor(
    services: &Services,
    client: ClientAddress,
    viewer: Viewer,
    password: Option<&str>,
) -> Result<SecondFactorSetUp, Error<SecondFactorRefusal>> {
    let user = confirm_owner(services, client, viewer, password)
        .await
        .map_err(|error| error.map(SecondFactorRefusal::Owner))?;
    // Without this check, somebody who registers with another person's address could lock that person out of the
    // account.
    if user.email_verified_at.is_none() {
        return Err(SecondFactorRefusal::EmailNotVerified.into());
    }
    let secret = OneTimePasswordSecret::generate().map_err(Fault::from)?;
    let address = secret.address(&services.second_factor_name, &user.email).map_err(Fault::from)?;
    let sealed = sealing::seal(&services.secrets, user.id, &secret.text())?;
    let policy = WritePolicy::idempotent("second_factor.begin");
    let begin = Begin { viewer, sealed, now: services.clock.now() };
    services
        .database
        .write_for(user.id, policy, begin, |transaction, begin| Box::pin(begin.run(transaction)))
        .await?;
    Ok(SecondFactorSetUp { secret: secret.text(), address })
}

struct Begin {
    viewer: Viewer,
    sealed: SealedSecret,
    now: DateTime<Utc>,
}

impl Begin {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<(), Error<SecondFactorRefusal>> {
        let owner = self.viewer.user_id;
        if lock_user(transaction, owner).await? != Some(UserStatus::Active) {
            return Err(SecondFactorRefusal::from(OwnerRefusal::Inactive).into());
        }
        let row = second_factor::ActiveModel {
            user_id: Set(owner),
            secret: Set(self.sealed.secret.clone()),
            sealed_by: Set(self.sealed.sealed_by.clone()),
            created_at: Set(self.now),
            confirmed_at: Set(None),
            last_step: Set(None),
        };
        match second_factor::Entity::find_by_id(owner).one(transaction).await? {
            Some(stored) if stored.confirmed_at.is_some() => {
                return Err(SecondFactorRefusal::AlreadyOn.into());
            }
            Some(_) => {
                row.update(transaction).await?;
            }
            None => {
                row.insert(transaction).await?;
            }
        }
        Ok(())
    }
}

/// Checks a code of the app, switches the second factor of the viewer on, and returns the recovery codes. All other
/// sessions of the account end, because they began without the second factor. A mail tells the owner.
///
/// # Errors
/// See [`SecondFactorRefusal`].
#[service_call("account.confirm_second_factor")]
pub async fn confirm_second_factor(
    services: &Services,
    client: ClientAddress,
    viewer: Viewer,
    code: String,
) -> Result<Vec<String>, Error<SecondFactorRefusal>> {
    let user = by_id(services, viewer.user_id).await?;
    let user = user.filter(|user| user.status == UserStatus::Active);
    let user = user.ok_or(SecondFactorRefusal::Owner(OwnerRefusal::Inactive))?;
    let attempt = admit_code(services, client, &user.email).await?;
    let codes = recovery::generate()?;
    let notice = links::notice(services, MailKind::SecondFactorOn, &user.email)?;
    let confirm = Confirm {
        viewer,
        code,
        codes: codes.clone(),
        notice,
        secrets: services.secrets.clone(),
        now: services.clock.now(),
    };
    let policy = WritePolicy::not_idempotent("second_factor.confirm");
    let confirmed = services
        .database
        .write_for(user.id, policy, confirm, |transaction, confirm| Box::pin(confirm.run(transaction)))
        .await;
    end_attempt(client, viewer, attempt, &confirmed);
    confirmed?;
    services.outbox.wake();
    services.ended_sessions.refresh_or_warn().await;
    Ok(recovery::written(&codes))
}

/// Admits an attempt to give a code of the second factor, or refuses it if a budget of sign-ins is spent.
pub(super) async fn admit_code<'s>(
    services: &'s Services,
    client: ClientAddress,
    email: &str,
) -> Result<SignInAttempt<'s>, Error<SecondFactorRefusal>> {
    admit(services, client, email).await.map_err(|error| {
        error.map(|refusal| match refusal {
            SignInRefusal::TooMany(wait) => SecondFactorRefusal::TooMany(wait),
            // `admit` checks only budgets, so it never returns this refusal.
            SignInRefusal::InvalidCredentials => SecondFactorRefusal::WrongCode,
        })
    })
}

/// Ends an attempt to give a code. A wrong code counts against the budgets of sign-ins, and is logged.
pub(super) fn end_attempt<T>(
    client: ClientAddress,
    viewer: Viewer,
    attempt: SignInAttempt<'_>,
    outcome: &Result<T, Error<SecondFactorRefusal>>,
) {
    match outcome {
        Ok(_) => attempt.succeeded(),
        Err(Error::Refused(SecondFactorRefusal::WrongCode)) => {
            security::sign_in_failed(client, "second factor", Some(viewer.user_id));
            attempt.failed();
        }
        Err(_) => attempt.undecided(),
    }
}

/// Deletes the secret of a second factor that is not confirmed yet. The caller must have locked the user's row.
pub(in crate::account) async fn forget_unconfirmed(
    transaction: &DatabaseTransaction,
    owner: UserId,
) -> Result<(), DbErr> {
    second_factor::Entity::delete_many()
        .filter(Column::UserId.eq(owner))
        .filter(Column::ConfirmedAt.is_null())
        .exec(transaction)
        .await?;
    Ok(())
}

struct Confirm {
    viewer: Viewer,
    code: String,
    codes: Vec<RecoveryCode>,
    notice: NewMessage,
    secrets: Arc<Secrets>,
    now: DateTime<Utc>,
}

impl Confirm {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<(), Error<SecondFactorRefusal>> {
        let Self { viewer, code, codes, notice, secrets, now } = self;
        let owner = viewer.user_id;
        if lock_user(transaction, owner).await? != Some(UserStatus::Active) {
            return Err(SecondFactorRefusal::from(OwnerRefusal::Inactive).into());
        }
        let factor = second_factor::Entity::find_by_id(owner).one(transaction).await?;
        let factor = match factor {
            Some(factor) if factor.confirmed_at.is_some() => {
                return Err(SecondFactorRefusal::AlreadyOn.into());
            }
            Some(factor) if factor.created_at > *now - SET_UP_LIFETIME => factor,
            _ => return Err(SecondFactorRefusal::NotBegun.into()),
        };
        let secret = sealing::open(secrets, &factor).ok_or(SecondFactorRefusal::NotBegun)?;
        let step = secret.step_of(code, *now).ok_or(SecondFactorRefusal::WrongCode)?;
        let confirmed = second_factor::Entity::update_many()
            .col_expr(Column::ConfirmedAt, Expr::value(*now))
            .col_expr(Column::LastStep, Expr::value(step))
            .filter(Column::UserId.eq(owner))
            .filter(Column::Secret.eq(factor.secret.as_str()))
            .filter(Column::ConfirmedAt.is_null())
            .exec(transaction)
            .await?;
        if confirmed.rows_affected != 1 {
            return Err(SecondFactorRefusal::NotBegun.into());
        }
        boundary("second-factor.confirmed");
        recovery::replace(transaction, owner, codes, *now).await?;
        boundary("second-factor.codes-made");
        revoke_others(transaction, *viewer, *now).await?;
        audit::append(transaction, *now, Some(owner), SECOND_FACTOR_ON, ("users", owner.0)).await?;
        notice.append(transaction, Some(owner)).await?;
        boundary("second-factor.told");
        Ok(())
    }
}
