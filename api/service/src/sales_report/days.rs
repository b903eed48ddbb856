//! Computes the days and months of a time zone as intervals of time.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The range of the search for the beginning of a day, in minutes after midnight: two days, because a zone that moved
/// across the date line skipped a whole day.
const MAX_GAP_MINUTES: i64 = 2 * 24 * 60;

/// The unit into which a report cuts its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CalendarUnit {
    Day,
    Month,
}

/// A day or a month, or a part of it at the beginning or the end of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    /// The day, or the first day of the month.
    pub(super) date: NaiveDate,
    /// The first moment of the interval.
    pub(super) from: DateTime<Utc>,
    /// The first moment after the interval.
    pub(super) to: DateTime<Utc>,
}

/// Cuts the time from `from` up to, but not including, `to` into days or months of a time zone. Each moment is in
/// exactly one interval.
pub(super) fn intervals(
    unit: CalendarUnit,
    zone: Tz,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> impl Iterator<Item = Interval> {
    let local = from.with_timezone(&zone).date_naive();
    let first = match unit {
        CalendarUnit::Day => Some(local),
        CalendarUnit::Month => local.with_day(1),
    };
    let mut next = first.map(|date| (date, from));
    std::iter::from_fn(move || {
        loop {
            let (date, begin) = next.filter(|(_, begin)| *begin < to)?;
            let following = match unit {
                CalendarUnit::Day => date.checked_add_days(Days::new(1)),
                CalendarUnit::Month => date.checked_add_months(Months::new(1)),
            }?;
            let end = start_of_day(zone, following).min(to);
            // A day that the zone skipped has no length, so the loop goes on to the next day.
            next = Some((following, begin.max(end)));
            if end > begin {
                return Some(Interval { date, from: begin, to: end });
            }
        }
    })
}

/// Returns the first moment of a day in a time zone. If the clocks are put forward at midnight, the day begins later
/// than 00:00. If the clocks are put back so that 00:00 occurs twice, the day begins at the first 00:00.
pub fn start_of_day(zone: Tz, day: NaiveDate) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    let first = (0..=MAX_GAP_MINUTES)
        .find_map(|minutes| zone.from_local_datetime(&(midnight + TimeDelta::minutes(minutes))).earliest());
    first.map_or_else(|| midnight.and_utc(), |moment| moment.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> DateTime<Utc> {
        text.parse().unwrap_or_default()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap_or_default()
    }

    /// Returns the lengths, in hours, of `days` days of a time zone, beginning with the day `first`.
    fn hours(zone: Tz, first: &str, days: u64) -> Vec<f64> {
        let first = day(first);
        let (from, to) = (start_of_day(zone, first), start_of_day(zone, first + Days::new(days)));
        let days = intervals(CalendarUnit::Day, zone, from, to);
        days.map(|day| f64::from(i32::try_from((day.to - day.from).num_minutes()).unwrap_or_default()) / 60.0)
            .collect()
    }

    #[test]
    fn days_have_23_24_or_25_hours() {
        assert_eq!(hours(Tz::Europe__Berlin, "2026-03-28", 3), [24.0, 23.0, 24.0]);
        assert_eq!(hours(Tz::Europe__Berlin, "2026-10-24", 3), [24.0, 25.0, 24.0]);
        assert_eq!(hours(Tz::America__New_York, "2026-03-07", 3), [24.0, 23.0, 24.0]);
        assert_eq!(hours(Tz::America__New_York, "2026-10-31", 3), [24.0, 25.0, 24.0]);
        assert_eq!(hours(Tz::Asia__Kolkata, "2026-03-28", 3), [24.0, 24.0, 24.0]);
        // Lord Howe Island changes its clocks by half an hour.
        assert_eq!(hours(Tz::Australia__Lord_Howe, "2026-04-04", 3), [24.0, 24.5, 24.0]);
    }

    #[test]
    fn a_day_begins_after_a_gap_at_midnight() {
        // In São Paulo, the clocks went from 00:00 to 01:00 on 4 November 2018.
        assert_eq!(start_of_day(Tz::America__Sao_Paulo, day("2018-11-04")), moment("2018-11-04T03:00:00Z"));
        assert_eq!(hours(Tz::America__Sao_Paulo, "2018-11-03", 3), [24.0, 23.0, 24.0]);
        // In São Paulo, the clocks went back from 24:00 to 23:00 on 17 February 2018.
        assert_eq!(hours(Tz::America__Sao_Paulo, "2018-02-16", 3), [24.0, 25.0, 24.0]);
        // Samoa had no 30 December 2011.
        let zone = Tz::Pacific__Apia;
        let (from, to) = (start_of_day(zone, day("2011-12-29")), start_of_day(zone, day("2012-01-01")));
        let dates: Vec<_> = intervals(CalendarUnit::Day, zone, from, to).map(|day| day.date).collect();
        assert_eq!(dates, [day("2011-12-29"), day("2011-12-31")]);
    }

    #[test]
    fn the_first_and_the_last_interval_may_be_parts() {
        let (from, to) = (moment("2026-11-29T20:00:00Z"), moment("2026-12-01T18:30:00Z"));
        let zone = Tz::Asia__Kolkata;
        let cut = |unit| intervals(unit, zone, from, to).collect::<Vec<_>>();
        let interval = |date, from, to| Interval { date: day(date), from: moment(from), to: moment(to) };
        assert_eq!(
            cut(CalendarUnit::Day),
            [
                interval("2026-11-30", "2026-11-29T20:00:00Z", "2026-11-30T18:30:00Z"),
                interval("2026-12-01", "2026-11-30T18:30:00Z", "2026-12-01T18:30:00Z"),
            ]
        );
        assert_eq!(
            cut(CalendarUnit::Month),
            [
                interval("2026-11-01", "2026-11-29T20:00:00Z", "2026-11-30T18:30:00Z"),
                interval("2026-12-01", "2026-11-30T18:30:00Z", "2026-12-01T18:30:00Z"),
            ]
        );
        assert_eq!(intervals(CalendarUnit::Day, zone, to, from).count(), 0);
    }

    #[test]
    fn the_intervals_of_every_zone_leave_no_gap() {
        let (from, to) = (moment("2006-01-01T12:00:00Z"), moment("2013-01-01T12:00:00Z"));
        for zone in chrono_tz::TZ_VARIANTS {
            let mut end = from;
            for interval in intervals(CalendarUnit::Day, zone, from, to) {
                assert_eq!(interval.from, end, "{zone}");
                assert!(interval.to > interval.from, "{zone}");
                end = interval.to;
            }
            assert_eq!(end, to, "{zone}");
        }
    }
}
