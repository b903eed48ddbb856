//! Second factors: codes of an authenticator app, and recovery codes for a user who has lost the app.
//!
//! A code of the app is accepted once. One statement stores the time step of an accepted code. It also checks that no
//! code of this step or of a later one was accepted before. So if two requests have the same code, only one of them
//! succeeds.

mod challenge;
mod change;
mod proof;
mod recovery;
mod reset;
mod sealing;
mod set_up;

use chrono::{DateTime, Utc};
use jishu_entity::{UserId, recovery_code, second_factor};
use jishu_service_macros::service_call;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter};

use super::owner::OwnerRefusal;
use crate::Services;
use crate::error::Refusal;
use crate::limit::RetryAfter;

pub use challenge::{ChallengeRefusal, SecondFactorChallenge, complete_login};
pub(super) use challenge::{NewChallenge, end_challenges, end_linking_challenges, old_challenges};
pub use change::{disable_second_factor, replace_recovery_codes};
pub use proof::SecondFactorProof;
pub use reset::{reset_second_factor, reset_second_factor_in};
pub use sealing::reseal_second_factors;
pub(super) use set_up::forget_unconfirmed;
pub use set_up::{SecondFactorSetUp, begin_second_factor, confirm_second_factor};

/// A reason not to change a second factor. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SecondFactorRefusal {
    /// The request does not prove that it comes from the owner of the account.
    #[error(transparent)]
    Owner(#[from] OwnerRefusal),
    /// The account has not verified its e-mail address.
    #[error(
        "Verify your e-mail address first. Open the link in our mail. If you have no such mail or the link has \
         expired, ask for another mail."
    )]
    EmailNotVerified,
    /// The account has a second factor already.
    #[error("This account has a second factor already. Switch it off before you set up another one.")]
    AlreadyOn,
    /// No secret is waiting to be confirmed, or the secret waited too long or cannot be decrypted.
    #[error("No second factor is waiting to be confirmed, or its time is up. Begin to set it up again.")]
    NotBegun,
    /// The account has no second factor.
    #[error("This account has no second factor.")]
    NotOn,
    /// The code is wrong, or it was used before.
    #[error("The code is wrong, or it was used before. Enter another code.")]
    WrongCode,
    /// Too many attempts came from this network address, or too many on this account failed.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for SecondFactorRefusal {}

/// The second factor of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondFactorStatus {
    /// The time when the second factor was switched on.
    pub since: DateTime<Utc>,
    /// Number of recovery codes that are still unused.
    pub recovery_codes_left: u64,
}

/// Reads the second factor of an account. Returns None if it is off.
///
/// # Errors
/// Returns the database's error.
#[service_call("account.second_factor_status")]
pub async fn second_factor_status(
    services: &Services,
    owner: UserId,
) -> Result<Option<SecondFactorStatus>, DbErr> {
    let reader = services.database.reader();
    let factor = second_factor::Entity::find_by_id(owner).one(reader).await?;
    let Some(since) = factor.and_then(|factor| factor.confirmed_at) else { return Ok(None) };
    let unused = recovery_code::Entity::find()
        .filter(recovery_code::Column::UserId.eq(owner))
        .filter(recovery_code::Column::UsedAt.is_null());
    Ok(Some(SecondFactorStatus { since, recovery_codes_left: unused.count(reader).await? }))
}
