//! Values of the old system's rows. Everything is read as text, because the types of columns differ between databases.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Utc};
use rust_decimal::Decimal;

/// The years of times that are read. A time with another year counts as missing.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9999;

/// A row of the old system, with each value as text. A value is None if its column does not exist, or if it is null or
/// not UTF-8.
#[derive(Clone, Debug)]
pub(in crate::adopt) struct OldRow {
    pub(super) columns: &'static [&'static str],
    pub(super) values: Vec<Option<String>>,
}

impl OldRow {
    /// Returns a value as it is stored. None if it is null or cannot be read.
    pub(in crate::adopt) fn text(&self, column: &str) -> Option<&str> {
        let position = self.columns.iter().position(|name| *name == column)?;
        self.values.get(position)?.as_deref()
    }

    /// Returns all values that are not null.
    pub(in crate::adopt) fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().flatten().map(String::as_str)
    }

    /// Returns a value without the white space around it. None if it is null or blank.
    pub(in crate::adopt) fn trimmed(&self, column: &str) -> Option<&str> {
        self.text(column).map(str::trim).filter(|text| !text.is_empty())
    }

    /// Returns a word in lower case. SQLAlchemy stores the names of some enumerations in capitals.
    pub(in crate::adopt) fn word(&self, column: &str) -> Option<String> {
        self.trimmed(column).map(str::to_lowercase)
    }

    /// Returns the id of the row. 0 if it has none.
    pub(in crate::adopt) fn id(&self) -> i64 {
        self.integer("id").unwrap_or_default()
    }

    pub(in crate::adopt) fn integer(&self, column: &str) -> Option<i64> {
        let number = self.decimal(column)?;
        if number.is_integer() { i64::try_from(number).ok() } else { None }
    }

    pub(in crate::adopt) fn decimal(&self, column: &str) -> Option<Decimal> {
        self.trimmed(column)?.parse().ok()
    }

    pub(in crate::adopt) fn flag(&self, column: &str) -> bool {
        matches!(self.word(column).as_deref(), Some("1" | "t" | "true"))
    }

    pub(in crate::adopt) fn time(&self, column: &str) -> Option<DateTime<Utc>> {
        time(self.trimmed(column)?)
    }
}

/// Reads a time in UTC, with or without the zone UTC at its end. A date alone is the start of that day. None for any
/// other text, such as MariaDB's zero date, and for years outside [`YEARS`].
fn time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.replace('T', " ");
    let text = ["+00:00", "+00", "Z"].iter().find_map(|zone| text.strip_suffix(zone)).unwrap_or(&text);
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M"))
        .ok()
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    // jishu stores whole microseconds.
    let time = DateTime::from_timestamp_micros(time.and_utc().timestamp_micros())?;
    YEARS.contains(&time.year()).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_utc() {
        let of = |text: &str| time(text).map(|time| time.to_rfc3339());
        let expected = Some("2024-05-01T10:00:00.500+00:00".to_owned());
        assert_eq!(of("2024-05-01T10:00:00.500000"), expected);
        assert_eq!(of("2024-05-01 10:00:00.5+00"), expected);
        assert_eq!(of("2024-05-01").as_deref(), Some("2024-05-01T00:00:00+00:00"));
        for text in ["0000-00-00 00:00:00", "infinity", "yesterday", "0012-01-01"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn values_are_read_from_text() {
        let row = OldRow {
            columns: &["id", "amount", "status", "is_admin", "gone"],
            values: vec![
                Some("7".into()),
                Some("499.50".into()),
                Some("ACTIVE ".into()),
                Some("1".into()),
                None,
            ],
        };
        assert_eq!((row.id(), row.word("status").as_deref()), (7, Some("active")));
        assert_eq!(row.decimal("amount"), Some(Decimal::new(49_950, 2)));
        assert_eq!((row.integer("amount"), row.flag("is_admin"), row.text("gone")), (None, true, None));
        assert_eq!(row.text("no such column"), None);
    }
}
