//! Checks the sets of questions, and the rows that refer to cards that no longer exist.

use sea_orm::{ConnectionTrait, DbErr};

use super::child::ChildTable;
use super::finding::FindingReader;
use super::sitting_figures::SittingFigures;
use super::state::TableState;
use crate::names::{CHANGE_TABLE, REASON_SETS_TOGETHER};
use crate::sql::count;

/// Finds cards with several sets of questions, and other cards with more questions than their test has.
pub(super) async fn question_sets<C: ConnectionTrait>(
    reader: &FindingReader<'_, C>,
    state: &TableState,
    figures: &mut SittingFigures,
) -> Result<(), DbErr> {
    let Some(questions) = state.questions() else { return Ok(()) };
    let dialect = state.dialect();
    let id = format!("t.{}", dialect.quote("id"));
    let has_total = state.has("total_questions");
    let total = state.card_column("t", "total_questions");
    let survivors = match state.merged_card_columns {
        Some(_) => format!(
            "{id} IN (SELECT m.{} FROM {} AS m)",
            dialect.quote("survivor_id"),
            dialect.table(&state.merged_card_table())
        ),
        None => "1 = 0".to_owned(),
    };
    let sets = |condition: &str| {
        format!(
            "SELECT {id} AS id, {total} AS total_questions, COUNT(*) AS questions FROM {cards} AS t JOIN \
             {table} AS q ON q.{column} = {id} GROUP BY {id}{} HAVING {condition}",
            if has_total { format!(", {total}") } else { String::new() },
            cards = dialect.table(&state.table),
            table = dialect.table(&questions.table),
            column = dialect.quote(&questions.column),
        )
    };
    let two_sets =
        format!("{total} > 0 AND (COUNT(*) >= 2 * {total} OR (COUNT(*) > {total} AND {survivors}))");
    let together = sets_together(state, &questions).unwrap_or_else(|| "-1".to_owned());
    let columns = ["id", "total_questions", "questions"];
    if has_total {
        let more =
            format!("COUNT(*) > {total} AND {total} > 0 AND NOT ({two_sets}) AND {id} NOT IN ({together})");
        figures.more_questions = reader.find(&sets(&more), &columns).await?;
    }
    let several_sets = if has_total {
        format!("({two_sets}) OR {id} IN ({together})")
    } else {
        format!("{id} IN ({together})")
    };
    figures.question_sets = reader.find(&sets(&several_sets), &columns).await?;
    Ok(())
}

/// Returns the query for cards that got several sets of questions in a merge and still have these sets. `None` if the
/// column that refers to the card can be null: a merge then detaches the second set. Also `None` if the log of changes
/// does not exist, or cannot name a question because questions have no integer key.
fn sets_together(state: &TableState, questions: &ChildTable) -> Option<String> {
    let dialect = state.dialect();
    let key = questions.key.as_ref().filter(|key| key.is_integer)?;
    state.run_log_table(CHANGE_TABLE).filter(|_| !questions.nullable)?;
    let (table, column) = (dialect.table(&questions.table), dialect.quote(&questions.column));
    let all = format!("SELECT COUNT(*) FROM {table} AS o WHERE o.{column} = g.card");
    Some(format!(
        "SELECT g.card FROM (SELECT {row} AS question, {card} AS card, old_value FROM {changes} WHERE table_name = \
         {label} AND column_name = {name} AND reason = {reason}) AS g JOIN {table} AS q ON q.{key} = g.question AND \
         q.{column} = g.card GROUP BY g.card HAVING COUNT(DISTINCT g.old_value) > 1 OR COUNT(*) < ({all})",
        row = dialect.integer("row_key"),
        card = dialect.integer("new_value"),
        changes = dialect.table(&state.sibling_table(CHANGE_TABLE)),
        label = dialect.literal(&state.label(&questions.table)),
        name = dialect.literal(&questions.column),
        reason = dialect.literal(REASON_SETS_TOGETHER),
        key = dialect.quote(&key.column),
    ))
}

/// Finds rows that refer to a card that does not exist. Only references without a foreign key are checked, because a
/// foreign key should prevent such rows. Also counts the cards that an earlier version of the repair merged.
pub(super) async fn lost_references<C: ConnectionTrait>(
    reader: &FindingReader<'_, C>,
    state: &TableState,
    figures: &mut SittingFigures,
) -> Result<(), DbErr> {
    let dialect = state.dialect();
    let merged_card_columns = state.merged_card_columns.as_ref();
    if let Some(columns) = merged_card_columns {
        let has_run = columns.iter().any(|column| column.eq_ignore_ascii_case("repair_run"));
        let earlier =
            if has_run { format!(" WHERE {} IS NULL", dialect.quote("repair_run")) } else { String::new() };
        let text = format!("SELECT COUNT(*) FROM {}{earlier}", dialect.table(&state.merged_card_table()));
        figures.merged_without_rows = count(reader.connection, text).await?;
    }
    let mut in_log = Vec::new();
    for (reference, column) in state.id_references() {
        if !reference.constraint.is_empty() {
            continue;
        }
        let (child, column) = (dialect.table(&reference.table), dialect.quote(column));
        let cards = dialect.table(&state.table);
        let from = format!(
            "{child} AS c LEFT JOIN {cards} AS t ON t.{id} = c.{column} WHERE c.{column} IS NOT NULL AND t.{id} IS NULL",
            id = dialect.quote("id"),
        );
        let known = match merged_card_columns {
            Some(_) => format!(
                "c.{column} IN (SELECT m.{} FROM {} AS m)",
                dialect.quote("id"),
                dialect.table(&state.merged_card_table())
            ),
            None => "1 = 0".to_owned(),
        };
        let nowhere = format!("SELECT COUNT(*) FROM {from} AND NOT ({known})");
        figures.orphans += count(reader.connection, nowhere).await?;
        in_log.push(format!(
            "SELECT {} AS table_name, c.{column} AS card, COUNT(*) AS found_rows FROM {from} AND {known} GROUP BY \
             c.{column}",
            dialect.literal(&reference.table.name)
        ));
    }
    if !in_log.is_empty() {
        let text = in_log.join(" UNION ALL ");
        figures.refers_to_merged = reader.find(&text, &["table_name", "card", "found_rows"]).await?;
    }
    Ok(())
}
