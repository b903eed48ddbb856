//! Finds old cards, sittings and answers that belong to no purchase, and records that they are not carried.

use sea_orm::DbErr;

use super::batch::{Batch, Fate};
use super::old::{ANSWERS, CARDS, OldDatabase, OldRow, OldTable, PURCHASES, SITTINGS};
use super::state::{AdoptState, Phase};

/// Makes the next batch of the current phase. The batch records the old cards, sittings or answers that belong to no
/// purchase. Returns None after the last of these rows.
pub(super) async fn batch(
    old: &OldDatabase,
    state: &mut AdoptState,
    limit: u64,
) -> Result<Option<Batch>, DbErr> {
    match state.phase {
        Phase::OrphanCards => {
            let rest = format!("LEFT JOIN {} p ON p.id = t.purchase_id", PURCHASES.name);
            rows(
                old,
                state,
                limit,
                (&CARDS, &rest, "This card was not carried: its purchase does not exist."),
            )
            .await
        }
        Phase::OrphanSittings => {
            let rest = format!("LEFT JOIN {} c ON c.id = t.mock_test_id {}", CARDS.name, purchase_of_card());
            rows(
                old,
                state,
                limit,
                (
                    &SITTINGS,
                    &rest,
                    "This sitting was not carried: its card does not exist, or has no purchase.",
                ),
            )
            .await
        }
        _ => answers(old, state, limit).await,
    }
}

fn purchase_of_card() -> String {
    format!("LEFT JOIN {} p ON p.id = c.purchase_id", PURCHASES.name)
}

async fn rows(
    old: &OldDatabase,
    state: &mut AdoptState,
    limit: u64,
    (table, join, reason): (&'static OldTable, &str, &str),
) -> Result<Option<Batch>, DbErr> {
    let rest = format!("{join} WHERE p.id IS NULL AND t.id > ? ORDER BY t.id LIMIT {limit}");
    let rows = old.rows(table, &rest, [state.after.into()]).await?;
    let Some(last) = rows.last().map(OldRow::id) else { return Ok(None) };
    let mut batch = Batch::default();
    for row in &rows {
        state.counts(table).read += 1;
        batch.refuse(state, (table, row.id()), reason);
    }
    state.after = last;
    Ok(Some(batch))
}

/// Makes the batch that records the next answers that belong to no purchase, with one entry for all answers of a
/// sitting. Returns None after the last of these answers.
async fn answers(old: &OldDatabase, state: &mut AdoptState, limit: u64) -> Result<Option<Batch>, DbErr> {
    if !old.has(&ANSWERS) {
        return Ok(None);
    }
    let (key, count) = (old.integer("COALESCE(t.session_id, 0)"), old.integer("COUNT(*)"));
    let (join, condition) = match old.has(&SITTINGS) {
        true => {
            let sitting = format!("LEFT JOIN {} s ON s.id = t.session_id", SITTINGS.name);
            let card = format!("LEFT JOIN {} c ON c.id = s.mock_test_id", CARDS.name);
            (format!("{sitting} {card} {}", purchase_of_card()), "p.id IS NULL AND")
        }
        false => (String::new(), ""),
    };
    let text = format!(
        "SELECT {key}, {count} FROM {} t {join} WHERE {condition} COALESCE(t.session_id, 0) > ? \
         GROUP BY COALESCE(t.session_id, 0) ORDER BY COALESCE(t.session_id, 0) LIMIT {limit}",
        ANSWERS.name
    );
    let sittings = old.numbers(&text, [state.after.into()], 2).await?;
    let Some(last) = sittings.last().map(|row| row[0]) else { return Ok(None) };
    let mut batch = Batch::default();
    for row in &sittings {
        let (sitting, count) = (row[0], row[1]);
        let counts = state.counts(&ANSWERS);
        (counts.read, counts.not_carried) = (counts.read + count, counts.not_carried + count);
        let reason = format!(
            "The answers of this sitting were not carried ({count}): there is no such sitting, or it has no purchase."
        );
        batch.record(state, (&ANSWERS, sitting), Fate::NotCarried, None, reason);
    }
    state.after = last;
    Ok(Some(batch))
}
