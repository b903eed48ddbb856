//! Switches a second factor off, and replaces recovery codes.

use chrono::{DateTime, Utc};
use jishu_entity::UserId;
use jishu_entity::second_factor;
use jishu_entity::user::{self, UserStatus};
use jishu_service_macros::service_call;
use sea_orm::{DatabaseTransaction, DbErr, EntityTrait};

use super::challenge::end_challenges;
use super::proof::{ProofCheck, SecondFactorProof};
use super::set_up::{admit_code, end_attempt};
use super::{SecondFactorRefusal, recovery};
use crate::account::links;
use crate::account::owner::{OwnerRefusal, confirm_owner};
use crate::auth::{RecoveryCode, Viewer};
use crate::database::{WritePolicy, lock_user};
use crate::error::Error;
use crate::failpoint::boundary;
use crate::limit::ClientAddress;
use crate::mail::MailKind;
use crate::outbox::NewMessage;
use crate::{Services, audit};

const SECOND_FACTOR_OFF: &str = "user.second_factor_off";
const RECOVERY_CODES_REPLACED: &str = "user.recovery_codes_replaced";

/// Switches the second factor of the viewer off, and tells the owner by mail. Requires the password or a recent
/// sign-in, and also a code of the second factor.
///
/// # Errors
/// See [`SecondFactorRefusal`].
#[service_call("account.disable_second_factor")]
pub async fn disable_second_factor(
    services: &Services,
    client: ClientAddress,
    viewer: Viewer,
    password: Option<&str>,
    proof: SecondFactorProof,
) -> Result<(), Error<SecondFactorRefusal>> {
    change(services, (client, viewer), password, proof, None).await
}

/// Replaces the recovery codes of the viewer, tells the owner by mail, and returns the new codes. Requires the same
/// proofs as [`disable_second_factor`].
///
/// # Errors
/// See [`SecondFactorRefusal`].
#[service_call("account.replace_recovery_codes")]
pub async fn replace_recovery_codes(
    services: &Services,
    client: ClientAddress,
    viewer: Viewer,
    password: Option<&str>,
    proof: SecondFactorProof,
) -> Result<Vec<String>, Error<SecondFactorRefusal>> {
    let codes = recovery::generate()?;
    let written = recovery::written(&codes);
    change(services, (client, viewer), password, proof, Some(codes)).await?;
    Ok(written)
}

/// Replaces the recovery codes with `codes`. If `codes` is None, switches the second factor off instead.
async fn change(
    services: &Services,
    (client, viewer): (ClientAddress, Viewer),
    password: Option<&str>,
    proof: SecondFactorProof,
    codes: Option<Vec<RecoveryCode>>,
) -> Result<(), Error<SecondFactorRefusal>> {
    let user = confirm_owner(services, client, viewer, password)
        .await
        .map_err(|error| error.map(SecondFactorRefusal::Owner))?;
    let attempt = admit_code(services, client, &user.email).await?;
    let kind = if codes.is_some() { MailKind::RecoveryCodesReplaced } else { MailKind::SecondFactorOff };
    let now = services.clock.now();
    let check = ProofCheck {
        proof,
        secrets: services.secrets.clone(),
        recovery_notice: links::notice(services, MailKind::RecoveryCodeUsed, &user.email)?,
        now,
    };
    let notice = links::notice(services, kind, &user.email)?;
    let owner = user.id;
    let change = Change { user, check, codes, notice, now };
    let policy = WritePolicy::not_idempotent("second_factor.change");
    let changed = services
        .database
        .write_for(owner, policy, change, |transaction, change| Box::pin(change.run(transaction)))
        .await;
    end_attempt(client, viewer, attempt, &changed);
    changed?;
    services.outbox.wake();
    Ok(())
}

struct Change {
    user: user::Model,
    check: ProofCheck,
    codes: Option<Vec<RecoveryCode>>,
    notice: NewMessage,
    now: DateTime<Utc>,
}

impl Change {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<(), Error<SecondFactorRefusal>> {
        let Self { user, check, codes, notice, now } = self;
        let owner = user.id;
        if lock_user(transaction, owner).await? != Some(UserStatus::Active) {
            return Err(SecondFactorRefusal::from(OwnerRefusal::Inactive).into());
        }
        if !second_factor::Entity::is_on(transaction, owner).await? {
            return Err(SecondFactorRefusal::NotOn.into());
        }
        if !check.run(transaction, owner).await? {
            return Err(SecondFactorRefusal::WrongCode.into());
        }
        let action = match codes {
            Some(codes) => {
                recovery::replace(transaction, owner, codes, *now).await?;
                RECOVERY_CODES_REPLACED
            }
            None => {
                remove(transaction, owner, *now).await?;
                SECOND_FACTOR_OFF
            }
        };
        boundary("second-factor.changed");
        audit::append(transaction, *now, Some(owner), action, ("users", owner.0)).await?;
        notice.append(transaction, Some(owner)).await?;
        Ok(())
    }
}

/// Deletes the second factor of a user with its recovery codes, and ends the sign-ins that wait for the second factor.
/// Returns whether the second factor was on before.
pub(super) async fn remove(
    transaction: &DatabaseTransaction,
    owner: UserId,
    now: DateTime<Utc>,
) -> Result<bool, DbErr> {
    let was_on = second_factor::Entity::is_on(transaction, owner).await?;
    second_factor::Entity::delete_by_id(owner).exec(transaction).await?;
    recovery::delete(transaction, owner).await?;
    end_challenges(transaction, owner, now).await?;
    Ok(was_on)
}
