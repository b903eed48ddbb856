//! Finds and changes the versions of questions that new sittings of fixed tests use. A test is fixed if its paper
//! exists.

use std::collections::{BTreeMap, BTreeSet};

use jishu_entity::{
    PaperId, QuestionCorrectionId, QuestionId, QuestionVersionId, SubjectId, paper, paper_revision,
};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Value,
};

use crate::database::sql;

/// Maximum number of rows that one statement inserts into `paper_revisions`. Each row needs five parameters, and SQLite
/// allows 32,766 parameters for a statement.
const MAX_REVISIONS_PER_STATEMENT: usize = 5_000;
/// Maximum number of papers that one statement reads or updates. A subject can have any number of papers, because
/// `jishu adopt` makes papers for sittings of the older system.
const MAX_PAPERS_PER_STATEMENT: usize = 5_000;

/// A slot of a fixed paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) paper: PaperId,
    pub(super) slot: i32,
    pub(super) question: QuestionId,
    /// The version of the question that new sittings of the paper use.
    pub(super) version: QuestionVersionId,
}

/// Finds the slots in which the papers of a subject ask these questions, ordered by paper and slot.
pub(super) async fn slots(
    connection: &impl ConnectionTrait,
    subject: SubjectId,
    questions: &[QuestionId],
) -> Result<Vec<Slot>, DbErr> {
    if questions.is_empty() {
        return Ok(Vec::new());
    }
    let placeholders = vec!["?"; questions.len()].join(", ");
    let text = format!(
        "SELECT q.paper_id, q.slot, q.question_id, q.version_id, r.version_id \
         FROM papers p \
         JOIN paper_questions q ON q.paper_id = p.id \
         LEFT JOIN paper_revisions r ON r.paper_id = q.paper_id AND r.slot = q.slot \
         WHERE p.subject_id = ? AND q.question_id IN ({placeholders}) \
         ORDER BY q.paper_id, q.slot, r.revision"
    );
    let values = std::iter::once(Value::from(subject)).chain(questions.iter().copied().map(Value::from));
    let rows = connection.query_all_raw(sql(connection.get_database_backend(), &text, values)).await?;
    let mut slots: BTreeMap<(PaperId, i32), Slot> = BTreeMap::new();
    for row in rows {
        let (paper, slot) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let (first, later): (QuestionVersionId, Option<QuestionVersionId>) =
            (row.try_get_by_index(3)?, row.try_get_by_index(4)?);
        // The rows of a slot are ordered by revision, so the row of the latest revision replaces the earlier rows.
        let version = later.unwrap_or(first);
        slots.insert((paper, slot), Slot { paper, slot, question: row.try_get_by_index(2)?, version });
    }
    Ok(slots.into_values().collect())
}

/// The version of the question that a slot gets, and the correction that caused the change of the slot.
pub(super) struct SlotRevision {
    pub(super) slot: Slot,
    pub(super) version: QuestionVersionId,
    pub(super) correction: QuestionCorrectionId,
}

/// Makes the next revision of each paper of these slots. Sittings that start later use the new revision. The caller
/// must have locked the row of the subject.
pub(super) async fn revise(connection: &impl ConnectionTrait, changes: &[SlotRevision]) -> Result<(), DbErr> {
    let papers: BTreeSet<PaperId> = changes.iter().map(|change| change.slot.paper).collect();
    let papers: Vec<PaperId> = papers.into_iter().collect();
    let mut revisions: BTreeMap<PaperId, i32> = BTreeMap::new();
    for papers in papers.chunks(MAX_PAPERS_PER_STATEMENT) {
        let found: Vec<(PaperId, i32)> = paper::Entity::find()
            .select_only()
            .columns([paper::Column::Id, paper::Column::Revision])
            .filter(paper::Column::Id.is_in(papers.iter().copied()))
            .into_tuple()
            .all(connection)
            .await?;
        revisions.extend(found);
    }
    for changes in changes.chunks(MAX_REVISIONS_PER_STATEMENT) {
        let rows = changes.iter().map(|change| paper_revision::ActiveModel {
            paper_id: Set(change.slot.paper),
            revision: Set(revisions.get(&change.slot.paper).map_or(2, |revision| revision + 1)),
            slot: Set(change.slot.slot),
            version_id: Set(change.version),
            correction_id: Set(change.correction),
        });
        paper_revision::Entity::insert_many(rows).exec_without_returning(connection).await?;
    }
    for papers in papers.chunks(MAX_PAPERS_PER_STATEMENT) {
        paper::Entity::update_many()
            .col_expr(paper::Column::Revision, Expr::col(paper::Column::Revision).add(1))
            .filter(paper::Column::Id.is_in(papers.iter().copied()))
            .exec(connection)
            .await?;
    }
    Ok(())
}
