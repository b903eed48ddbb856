//! Reads and writes a catalogue file in YAML.

use chrono::{DateTime, SecondsFormat, Utc};
use jishu_entity::subject::{GradingMethod, ReviewPolicy};
use rust_decimal::Decimal;
use sea_orm::ActiveEnum;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::CatalogueFileRefusal;
use super::lined::Lined;

/// The comment at the top of an exported file.
const HEADER: &str = "\
# The catalogue. `jishu catalogue apply` makes the database equal to this file.
# A code is the lasting name of a course or a subject. Amounts are in the currency of the course.
";

/// The content of a catalogue file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CatalogueDocument {
    pub(crate) courses: Vec<CourseDocument>,
}

/// A course in a catalogue file. An optional value that the file leaves out gets its default.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CourseDocument {
    pub(crate) code: Lined<String>,
    pub(crate) name: Lined<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<Lined<String>>,
    pub(super) currency: Lined<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bundle_price: Option<Lined<Exact>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) validity_days: Option<Lined<i32>>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) archived: bool,
    #[serde(default)]
    pub(crate) subjects: Vec<SubjectDocument>,
}

/// A subject in a catalogue file. An optional value that the file leaves out gets its default.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SubjectDocument {
    pub(crate) code: Lined<String>,
    pub(super) name: Lined<String>,
    pub(super) list_price: Lined<Exact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) offer: Option<OfferDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) total_mock_tests: Option<Lined<i32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) marking_scheme: Option<MarkingDocument>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) archived: bool,
}

/// An offer in a catalogue file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OfferDocument {
    pub(super) price: Lined<Exact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) starts_at: Option<Lined<Moment>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ends_at: Option<Lined<Moment>>,
}

/// The settings of a subject's tests in a catalogue file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MarkingDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) correct: Option<Lined<Exact>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wrong: Option<Lined<Exact>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unanswered: Option<Lined<Exact>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) questions_per_test: Option<Lined<i32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) time_limit_seconds: Option<Lined<i32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_attempts: Option<Lined<i32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) grading_method: Option<Word<GradingMethod>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) review: Option<Word<ReviewPolicy>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A decimal number, such as an amount of money. The number is read as text, so that no digit gets lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact(pub(super) Decimal);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_plain = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
        let number = if is_plain { Decimal::from_str_exact(&text).ok() } else { None };
        number.map(Self).ok_or_else(|| D::Error::custom("give a decimal number, such as 199.00"))
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A point in time in RFC 3339.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) DateTime<Utc>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = DateTime::parse_from_rfc3339(&text).map(|time| Self(time.to_utc()));
        time.map_err(|_| D::Error::custom("give a time in RFC 3339, such as 2026-12-01T00:00:00+05:30"))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// A value of an enum, written as the word that the API uses, such as `HIGHEST`. The reader ignores upper and lower
/// case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<E>(pub(super) E);

impl<'de, E: ActiveEnum<Value = String>> Deserialize<'de> for Word<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        E::try_from_value(&text.to_lowercase()).map(Self).map_err(|_| {
            let words: Vec<String> = E::values().iter().map(|word| word.to_uppercase()).collect();
            D::Error::custom(format!("give one of {}", words.join(", ")))
        })
    }
}

impl<E: ActiveEnum<Value = String>> Serialize for Word<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_value().to_uppercase())
    }
}

impl CatalogueDocument {
    /// Reads the text of a catalogue file. Fails with the line and the reason if it is not a catalogue in YAML.
    pub(crate) fn parse(text: &str) -> Result<Self, CatalogueFileRefusal> {
        serde_saphyr::from_str(text).map_err(|error| {
            let line = error.location().map(|location| location.line());
            // The message of the parser ends with the line and the column. This ending is cut off, because the refusal
            // has the line in a field.
            let message = error.without_snippet().to_string();
            let message = message.split(" at line ").next().unwrap_or_default().to_owned();
            CatalogueFileRefusal::Unreadable { line, message }
        })
    }

    /// Returns the text of the catalogue file, with the header.
    pub(super) fn write(&self) -> Result<String, serde_saphyr::ser::Error> {
        Ok(format!("{HEADER}{}", serde_saphyr::to_string(self)?))
    }
}
