//! Reads the facts in the row of a purchase of the old system.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use jishu_entity::purchase::PurchaseType;
use serde_json::Value;

use super::load::CarriedRows;
use super::old::OldRow;
use crate::money;

/// The facts about an old purchase. The purchase can be carried if it is also known which subjects it gave.
#[derive(Clone, Debug)]
pub(super) struct PurchaseFacts {
    pub(super) id: i64,
    pub(super) user: i64,
    pub(super) course: i64,
    /// The cost in minor units.
    pub(super) cost: i64,
    pub(super) date: Option<DateTime<Utc>>,
    /// Whether the old system calls the purchase completed or expired.
    pub(super) has_ended: bool,
    pub(super) is_bundle: bool,
    /// The ids of the carried subjects that the purchase names. Leaves out old subjects that stood for a whole course.
    pub(super) declared: BTreeSet<i64>,
}

impl PurchaseFacts {
    /// Reads the facts from the row of a purchase. Returns the reason as an error if the purchase cannot be carried.
    pub(super) fn read(row: &OldRow, carried: &CarriedRows, currency: &str) -> Result<Self, String> {
        let id = row.id();
        if id < 1 {
            return Err("This row was not carried: its id is not a positive number.".to_owned());
        }
        let user = row.integer("user_id").filter(|id| carried.users.contains(id));
        let user = user.ok_or("This purchase was not carried: its account is missing or was not carried.")?;
        let course = row.integer("exam_category_id").filter(|id| carried.courses.contains(id));
        let course =
            course.ok_or("This purchase was not carried: its course is missing or was not carried.")?;
        let cost = row.decimal("cost").ok_or("This purchase was not carried: its cost is not a number.")?;
        let minor = money::minor_units(cost, currency).filter(|cost| *cost >= 0);
        let cost = minor.ok_or_else(|| {
            format!(
                "This purchase was not carried: its cost {cost} is negative or too high, or has too many decimal \
                 places."
            )
        })?;
        let has_ended = match row.word("status").as_deref() {
            None | Some("active") => false,
            Some("completed" | "expired") => true,
            Some(other) => {
                return Err(format!(
                    "This purchase was not carried: its status `{other}` is unknown, so perhaps it gives no access."
                ));
            }
        };
        let mut declared: BTreeSet<i64> = row.integer("subject_id").into_iter().collect();
        declared.retain(|id| carried.subjects.contains_key(id));
        if declared.is_empty() {
            declared = row.text("subjects_included").map(listed_ids).unwrap_or_default();
            declared.retain(|id| carried.subjects.contains_key(id));
        }
        let is_bundle = row.word("purchase_type").as_deref() == Some("full_bundle");
        Ok(Self { id, user, course, cost, date: row.time("purchase_date"), has_ended, is_bundle, declared })
    }

    /// Returns the type of the purchase, for the number of subjects that it gave.
    pub(super) fn purchase_type(&self, subjects: usize) -> PurchaseType {
        match subjects {
            _ if self.is_bundle => PurchaseType::FullBundle,
            0 | 1 => PurchaseType::SingleSubject,
            _ => PurchaseType::MultipleSubjects,
        }
    }
}

/// Reads a list of ids: a JSON list of numbers, texts or objects with an `id`, the same list as a JSON text, a single
/// JSON number, or numbers with commas. Leaves out what is not an id.
fn listed_ids(text: &str) -> BTreeSet<i64> {
    let id = |value: &Value| match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Object(fields) => fields.get("id").and_then(Value::as_i64),
        _ => None,
    };
    match serde_json::from_str(text) {
        Ok(Value::Array(values)) => values.iter().filter_map(id).collect(),
        Ok(Value::String(inner)) if inner != text => listed_ids(&inner),
        Ok(Value::Number(number)) => number.as_i64().into_iter().collect(),
        _ => {
            text.split(',').filter_map(|part| part.trim_matches(['[', ']', ' ', '"']).parse().ok()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_subjects_are_read_in_all_forms() {
        for text in ["[3, 5]", "[\"3\", \"5\"]", "\"[3, 5]\"", "3, 5", "[{\"id\": 3}, {\"id\": 5}]"] {
            assert_eq!(listed_ids(text), BTreeSet::from([3, 5]), "{text}");
        }
        for text in ["", "null", "[]", "{}", "all"] {
            assert_eq!(listed_ids(text), BTreeSet::new(), "{text}");
        }
    }
}
