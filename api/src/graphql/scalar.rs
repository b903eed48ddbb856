//! The custom scalars of the schema: `DateTime`, `Decimal` and `UUID`.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::SecondsFormat;
use rust_decimal::Decimal as Exact;

pub(super) struct DateTime(pub(super) chrono::DateTime<chrono::Utc>);

/// A point in time in the format of RFC 3339. The server sends it in UTC with microseconds, such as
/// "2026-11-23T09:30:00.000000Z". Input can have any offset.
#[Scalar(name = "DateTime", specified_by_url = "https://scalars.graphql.org/andimarek/date-time")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        chrono::DateTime::parse_from_rfc3339(text).map(|time| Self(time.to_utc())).map_err(|_| {
            InputValueError::custom("give a point in time in RFC 3339, such as \"2026-11-23T09:30:00Z\"")
        })
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

pub(super) struct Decimal(pub(super) Exact);

/// An exact decimal number as a string, such as "199.00". It has at most 28 digits and no exponent.
#[Scalar(name = "Decimal")]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::custom("give a decimal number as a string, such as \"199.00\""));
        };
        let plain = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
        let parsed = if plain { Exact::from_str_exact(text).ok() } else { None };
        parsed.map(Self).ok_or_else(|| {
            InputValueError::custom(
                "give a decimal number of at most 28 digits and without an exponent, such as \"199.00\"",
            )
        })
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

pub(super) struct Uuid(pub(super) uuid::Uuid);

/// A UUID in its canonical form, such as "123e4567-e89b-12d3-a456-426614174000".
#[Scalar(name = "UUID", specified_by_url = "https://www.rfc-editor.org/rfc/rfc9562")]
impl ScalarType for Uuid {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let canonical = if text.len() == 36 { uuid::Uuid::try_parse(text).ok() } else { None };
        canonical.map(Self).ok_or_else(|| {
            InputValueError::custom("give a UUID such as \"123e4567-e89b-12d3-a456-426614174000\"")
        })
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

graphql_engine::plain_scalar!(DateTime, Decimal, Uuid);

/// Converts a number of hundredths, in which the database stores marks and percentages, to a decimal number. None stays
/// None.
pub(super) fn hundredths(value: Option<impl Into<i64>>) -> Option<Decimal> {
    value.map(Decimal::of_hundredths)
}

impl Decimal {
    /// Converts a number of hundredths to a decimal number, as [`hundredths`] does for an optional value.
    pub(super) fn of_hundredths(value: impl Into<i64>) -> Self {
        Self(Exact::new(value.into(), 2))
    }
}
