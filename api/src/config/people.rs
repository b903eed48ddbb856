//! Configures the age below which a user needs the consent of a guardian.

use chrono_tz::Tz;
use clap::Args;

use jishu_service::guardian::ConsentRule;

/// The rule about the consent of guardians.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "People")]
pub struct PeopleConfig {
    /// The age in years from which nobody needs the consent of a parent or guardian: 1 to 30, or 0 if nobody needs it.
    /// Users below this age cannot purchase or start a test without a consent, and `register` requires the year of
    /// birth. Everybody counts as younger until the end of the year in which they reach the age.
    #[arg(long, env = "JISHU_MINIMUM_AGE_WITHOUT_CONSENT", default_value_t = 0, value_name = "YEARS",
          value_parser = clap::value_parser!(i32).range(0..=30))]
    pub minimum_age_without_consent: i32,
}

impl PeopleConfig {
    /// Returns the rule that says which users need the consent of a guardian.
    #[must_use]
    pub fn consent(&self, time_zone: Tz) -> ConsentRule {
        let age = self.minimum_age_without_consent;
        ConsentRule::new((age > 0).then_some(age), time_zone)
    }
}
