//! Finds the groups of duplicate cards that no rule can merge, and the rows that prevent a merge.

use sea_orm::{ConnectionTrait, DbErr};
use serde_json::json;

use super::finding::{Finding, FindingReader, as_json};
use super::rows::{CardGroup, TestKey};
use super::state::TableState;
use super::table::CardReference;
use crate::names::{MAX_SAMPLES, NEW_KEY_COLUMNS};
use crate::sql::{Dialect, same};

/// Finds the groups whose cards belong to several users or courses.
pub(super) fn several_owners(groups: &[CardGroup]) -> Finding {
    let cases = || groups.iter().filter_map(|group| group.several_owners().map(|several| (group, several)));
    let sample = |(group, several): (&CardGroup, &str)| {
        let TestKey { purchase_id, subject_id, test_number } = group.key.clone();
        let cards: Vec<i64> = group.cards.iter().map(|card| card.id).collect();
        json!({
            "purchase_id": as_json(purchase_id),
            "subject_id": as_json(subject_id),
            "test_number": as_json(test_number),
            "cards": cards,
            "several": several,
        })
    };
    Finding {
        count: i64::try_from(cases().count()).unwrap_or(i64::MAX),
        samples: cases().take(MAX_SAMPLES).map(sample).collect(),
    }
}

/// Finds rows that cannot move to the survivor of a merge, because a unique key of their table would refuse them there.
/// Checks only keys that cover all rows and whole values, without expressions. Leaves out sittings that collide
/// only by their attempt number, because a merge renumbers them. Each result has the table with its key, and the cases.
pub(super) async fn collisions<C: ConnectionTrait>(
    reader: &FindingReader<'_, C>,
    state: &TableState,
) -> Result<Vec<(String, Finding)>, DbErr> {
    let mut found = Vec::new();
    let sittings = state.sittings();
    for (reference, column) in state.id_references() {
        let numbered = sittings
            .as_ref()
            .filter(|sittings| sittings.child.table == reference.table && sittings.child.column == column);
        for key in &reference.table_keys {
            let binds = key.unique && !key.partial && key.columns.iter().any(|name| same(name, column));
            let renumbered = numbered.is_some_and(|sittings| sittings.number_keys.contains(&key.name));
            if !binds || renumbered || key.columns.iter().any(String::is_empty) {
                continue;
            }
            let finding = collision(reader, state, reference, column, &key.columns).await?;
            if finding.count > 0 {
                found.push((format!("{} ({})", reference.table.name, key.columns.join(", ")), finding));
            }
        }
    }
    Ok(found)
}

/// Finds the groups of rows that would have equal values in this unique key after their cards are merged.
async fn collision<C: ConnectionTrait>(
    reader: &FindingReader<'_, C>,
    state: &TableState,
    reference: &CardReference,
    column: &str,
    key: &[String],
) -> Result<Finding, DbErr> {
    let dialect = state.dialect();
    let triple = NEW_KEY_COLUMNS.map(|name| format!("t.{}", dialect.quote(name))).join(", ");
    let others: Vec<_> = key
        .iter()
        .filter(|name| !same(name, column))
        .map(|name| format!("c.{}", dialect.quote(name)))
        .collect();
    let grouped = others.iter().map(|name| format!(", {name}")).collect::<String>();
    let known = others.iter().map(|name| format!(" AND {name} IS NOT NULL")).collect::<String>();
    let text = format!(
        "SELECT {triple}, COUNT(*) AS found_rows FROM {child} AS c JOIN {cards} AS t \
         ON t.{id} = c.{reference} WHERE {whole}{known} GROUP BY {triple}{grouped} HAVING COUNT(*) > 1",
        child = dialect.table(&reference.table),
        cards = dialect.table(&state.table),
        id = dialect.quote("id"),
        reference = dialect.quote(column),
        whole = has_whole_key(dialect, Some("t")),
    );
    reader.find(&text, &["purchase_id", "subject_id", "test_number", "found_rows"]).await
}

/// Returns the SQL condition that the purchase, the subject and the test number of a card are not null.
pub(super) fn has_whole_key(dialect: Dialect, alias: Option<&str>) -> String {
    let name = |column| match alias {
        Some(alias) => format!("{alias}.{}", dialect.quote(column)),
        None => dialect.quote(column),
    };
    NEW_KEY_COLUMNS.map(|column| format!("{} IS NOT NULL", name(column))).join(" AND ")
}
