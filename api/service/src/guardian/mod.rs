//! The consent of guardians. If the operator requires it, a minor cannot purchase or start a test without it.
//!
//! The rule is in [`ConsentRule`]. A guardian consents by a link that is sent to their address. They can revoke the
//! consent by the link in a second mail, until the user is no longer a minor. See
//! `api/docs/decisions/guardian-consent.md`.

mod consent;
mod request;

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;
use jishu_entity::{UserId, guardian_consent, user};
use jishu_service_macros::service_call;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

pub(crate) use consent::forget;
pub use consent::{RevokeOutcome, give, revoke};
pub use request::{GuardianRequestRefusal, request};

use super::Services;
use crate::account::InvalidField;
use crate::error::Refusal;

/// The earliest year of birth that an account may have.
const MIN_BIRTH_YEAR: i32 = 1900;

/// The rule that says which users need the consent of a guardian.
#[derive(Clone, Copy, Debug)]
pub struct ConsentRule {
    minimum_age: Option<i32>,
    time_zone: Tz,
}

impl ConsentRule {
    /// Makes the rule. `minimum_age` is the age in years at which a person no longer needs a consent, as
    /// [`ConsentRule::is_minor`] counts it. If it is None, nobody needs a consent. Years begin in `time_zone`.
    #[must_use]
    pub fn new(minimum_age: Option<i32>, time_zone: Tz) -> Self {
        Self { minimum_age, time_zone }
    }

    /// Returns whether the rule requires a consent of anybody.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.minimum_age.is_some()
    }

    /// Returns whether a person who was born in this year needs a consent. The year alone does not say on which day the
    /// person reaches the minimum age. So the person needs a consent until the end of the year in which the person
    /// reaches that age.
    #[must_use]
    pub fn is_minor(self, birth_year: i32, now: DateTime<Utc>) -> bool {
        self.minimum_age.is_some_and(|age| self.year(now) - birth_year <= age)
    }

    /// Checks that a year of birth is between 1900 and the current year.
    pub(crate) fn check_year(self, birth_year: i32, now: DateTime<Utc>) -> Result<(), InvalidField> {
        let is_valid = (MIN_BIRTH_YEAR..=self.year(now)).contains(&birth_year);
        is_valid.then_some(()).ok_or(InvalidField::BirthYear)
    }

    /// Checks the year of birth of a new account. The year is required if the rule is on.
    pub(crate) fn check_new(self, birth_year: Option<i32>, now: DateTime<Utc>) -> Result<(), InvalidField> {
        match birth_year {
            Some(year) => self.check_year(year, now),
            None if self.is_on() => Err(InvalidField::BirthYearMissing),
            None => Ok(()),
        }
    }

    fn year(self, now: DateTime<Utc>) -> i32 {
        now.with_timezone(&self.time_zone).year()
    }
}

/// A reason why an account cannot purchase or start a test yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentRefusal {
    /// The year of birth is not known.
    #[error("The year of birth of this account is missing. Add it to the account first.")]
    BirthYearMissing,
    /// A guardian must consent first.
    #[error("A parent or guardian must consent first.")]
    GuardianConsentRequired,
}

impl Refusal for ConsentRefusal {}

/// Returns the reason why the account cannot purchase or start a test yet, or None if the account can. The caller must
/// have locked the user's row. So a guardian who revokes the consent at the same time waits for the end of the
/// transaction.
pub(crate) async fn missing(
    connection: &impl ConnectionTrait,
    user: UserId,
    rule: ConsentRule,
    now: DateTime<Utc>,
) -> Result<Option<ConsentRefusal>, DbErr> {
    if !rule.is_on() {
        return Ok(None);
    }
    let birth_year: Option<Option<i32>> = user::Entity::find_by_id(user)
        .select_only()
        .column(user::Column::BirthYear)
        .into_tuple()
        .one(connection)
        .await?;
    let Some(birth_year) = birth_year.flatten() else { return Ok(Some(ConsentRefusal::BirthYearMissing)) };
    if !rule.is_minor(birth_year, now) || of_user(connection, user).await?.is_some_and(|row| is_given(&row)) {
        return Ok(None);
    }
    Ok(Some(ConsentRefusal::GuardianConsentRequired))
}

/// Returns whether a consent is in force: it was given, and not revoked after that.
fn is_given(row: &guardian_consent::Model) -> bool {
    row.consented_at.is_some() && row.revoked_at.is_none()
}

async fn of_user(
    connection: &impl ConnectionTrait,
    user: UserId,
) -> Result<Option<guardian_consent::Model>, DbErr> {
    guardian_consent::Entity::find().filter(guardian_consent::Column::UserId.eq(user)).one(connection).await
}

/// The state of the consent that a user needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentState {
    /// The user needs no consent.
    NotNeeded,
    /// The year of birth is missing.
    BirthYearMissing,
    /// The user needs a consent, and no guardian was asked yet.
    Missing,
    /// A guardian was asked, and has not consented yet.
    Requested,
    /// The consent is in force.
    Given,
    /// The guardian has revoked the consent.
    Revoked,
}

/// Returns the state of the consent of a user, with the stored row. The row is None if no guardian was asked yet.
///
/// # Errors
/// Returns the database's error.
#[service_call("guardian.state")]
pub async fn state(
    services: &Services,
    user: &user::Model,
) -> Result<(ConsentState, Option<guardian_consent::Model>), DbErr> {
    let rule = services.consent;
    let row = of_user(services.database.reader(), user.id).await?;
    let state = match (user.birth_year, &row) {
        _ if !rule.is_on() => ConsentState::NotNeeded,
        (None, _) => ConsentState::BirthYearMissing,
        (Some(year), _) if !rule.is_minor(year, services.clock.now()) => ConsentState::NotNeeded,
        (_, None) => ConsentState::Missing,
        (_, Some(row)) if is_given(row) => ConsentState::Given,
        (_, Some(row)) if row.revoked_at.is_some() => ConsentState::Revoked,
        (_, Some(_)) => ConsentState::Requested,
    };
    Ok((state, row))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use chrono_tz::Asia::Kolkata;

    use super::*;

    #[test]
    fn a_year_counts_until_its_end_in_the_time_zone_of_the_platform() {
        let rule = ConsentRule::new(Some(18), Kolkata);
        let last_minute = Utc.with_ymd_and_hms(2026, 12, 31, 18, 29, 59).unwrap();
        let new_year = Utc.with_ymd_and_hms(2026, 12, 31, 18, 30, 0).unwrap();
        assert!(
            rule.is_minor(2008, last_minute),
            "a person born in 2008 stops being a minor before the end of 2026"
        );
        assert!(!rule.is_minor(2008, new_year));
        assert!(!rule.is_minor(2007, last_minute));
        assert!(!ConsentRule::new(None, Kolkata).is_minor(2020, new_year));
    }

    #[test]
    fn a_year_is_neither_ancient_nor_in_the_future() {
        let rule = ConsentRule::new(None, Tz::UTC);
        let now = Utc.with_ymd_and_hms(2026, 6, 1, 0, 0, 0).unwrap();
        for (year, is_valid) in [(1899, false), (1900, true), (2026, true), (2027, false)] {
            assert_eq!(rule.check_year(year, now).is_ok(), is_valid, "{year}");
        }
        assert_eq!(rule.check_new(None, now), Ok(()));
        let asking = ConsentRule::new(Some(18), Tz::UTC);
        assert_eq!(asking.check_new(None, now), Err(InvalidField::BirthYearMissing));
    }
}
