//! Configures the time zone of reports.

use chrono_tz::Tz;
use clap::Args;

/// The time zone of reports, and of the year in which a user reaches the age without consent.
#[derive(Args, Clone, Copy, Debug)]
pub struct TimeZoneConfig {
    /// The time zone of the days and months in reports, and of the year in which a user reaches the age without
    /// consent, as a name of the IANA database, such as Asia/Kolkata.
    #[arg(long, env = "JISHU_TIME_ZONE", default_value = "UTC", value_name = "NAME", value_parser = time_zone)]
    pub time_zone: Tz,
}

fn time_zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        "give a name of the IANA time zone database with a region and a city, such as Asia/Kolkata, or UTC".to_owned()
    })
}
