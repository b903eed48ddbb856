//! Checks the cards against their sittings.
//!
//! In an old database some sittings may have been deleted, and some columns may not exist yet. A difference that a
//! deleted sitting or a missing column may explain becomes a note in the report. Any other difference becomes a
//! problem.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};

use super::finding::{Finding, FindingReader};
use super::sitting_queries::SittingQueries;
use super::state::TableState;
use crate::sql::rows;

/// The findings about sittings and questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SittingFigures {
    /// Cards with several sittings that have the same attempt number.
    pub double_numbers: Finding,
    /// Cards with gaps in the attempt numbers of their sittings.
    pub number_gaps: Finding,
    /// Cards with more than one open sitting.
    pub open_twice: Finding,
    /// Cards with more completed sittings than attempts used.
    pub used_too_low: Finding,
    /// Cards with more attempts used than sittings.
    pub used_too_high: Finding,
    /// Cards with more attempts used than allowed.
    pub over_limit: Finding,
    /// Cards whose first or latest score, percentage, time taken or date differs from that of the first or latest
    /// sitting.
    pub wrong_scores: Finding,
    /// Cards that are available although a sitting is open, or in progress although no sitting is open.
    pub wrong_status: Finding,
    /// Sittings that belong to another user than their card.
    pub other_users: Finding,
    /// Cards with several sets of questions: those with at least twice as many questions as their test has, survivors
    /// of a merge with more questions than their test has, and survivors that a merge gave several sets.
    pub question_sets: Finding,
    /// Cards with more questions than their test has, except those with several sets of questions.
    pub more_questions: Finding,
    /// Cards in the log of merged cards to which rows of other tables still refer.
    pub refers_to_merged: Finding,
    /// The number of sittings and questions that refer to a card that neither exists nor is in the log of merged cards.
    pub orphans: i64,
    /// The number of cards that an earlier version of the repair merged, without a log of their sittings and questions.
    pub merged_without_rows: i64,
    /// The ids of the cards that a repair can correct by computing their values again.
    pub wrong_cards: BTreeSet<i64>,
}

/// Compares the cards with their sittings. Finds nothing in the new schema.
pub(super) async fn read<C: ConnectionTrait>(
    reader: &FindingReader<'_, C>,
    state: &TableState,
) -> Result<SittingFigures, DbErr> {
    let mut figures = SittingFigures::default();
    if state.has_entitlements {
        return Ok(figures);
    }
    let mut wrong = Vec::new();
    if let Some(sittings) = state.sittings() {
        let queries = SittingQueries { state, dialect: state.dialect(), sittings: &sittings };
        if let Some(text) = queries.double_numbers() {
            figures.double_numbers = reader.find(&text, &["id", "attempt_number", "sittings"]).await?;
            wrong.push((figures.double_numbers.count, text));
        }
        if let Some(text) = queries.number_gaps() {
            figures.number_gaps = reader.find(&text, &["id", "sittings", "last_number"]).await?;
        }
        if let Some(text) = queries.open_twice() {
            figures.open_twice = reader.find(&text, &["id", "open_sittings"]).await?;
            wrong.push((figures.open_twice.count, text));
        }
        if let Some(text) = queries.used_too_low() {
            figures.used_too_low = reader.find(&text, &["id", "attempts_used", "sittings"]).await?;
            wrong.push((figures.used_too_low.count, text));
        }
        if let Some(text) = queries.used_too_high() {
            figures.used_too_high = reader.find(&text, &["id", "attempts_used", "sittings"]).await?;
        }
        if let Some(text) = queries.wrong_scores() {
            let columns = ["id", "which", "card_score", "sitting_score", "card_date", "sitting_date"];
            figures.wrong_scores = reader.find(&text, &columns).await?;
            wrong.push((figures.wrong_scores.count, text));
        }
        if let Some(text) = queries.wrong_status() {
            figures.wrong_status = reader.find(&text, &["id", "status", "open_sittings"]).await?;
            wrong.push((figures.wrong_status.count, text));
        }
        if let Some(text) = queries.other_users() {
            let columns = ["sitting", "sitting_user", "card", "card_user"];
            figures.other_users = reader.find(&text, &columns).await?;
        }
        if state.has("attempts_used") && state.has("max_attempts") {
            let text = queries.over_limit();
            figures.over_limit = reader.find(&text, &["id", "attempts_used", "max_attempts"]).await?;
            wrong.push((figures.over_limit.count, text));
        }
    }
    for (found, text) in wrong {
        if found > 0 {
            let id = reader.dialect.integer(&reader.dialect.quote("id"));
            let ids = format!("SELECT DISTINCT {id} FROM ({text}) AS found");
            for row in rows(reader.connection, ids, []).await? {
                figures.wrong_cards.insert(row.try_get_by_index(0)?);
            }
        }
    }
    Ok(figures)
}
