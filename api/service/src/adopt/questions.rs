//! Carries the questions into the banks of their subjects.

use std::collections::{HashMap, HashSet};

use jishu_entity::question_version::{Difficulty, QuestionKind, TextFormat};
use jishu_entity::{
    QuestionId, QuestionVersionId, SubjectId, TopicId, question, question_option, question_version, subject,
};
use question_formats::{DraftAnswer, DraftDifficulty, DraftQuestion, ParsedQuestion};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::answer_key;
use super::batch::{Batch, Fate};
use super::courses::TOPIC;
use super::old::{OldRow, QUESTIONS};
use super::state::AdoptState;
use crate::database::Database;
use crate::question_bank::{Defaults, check, stored_difficulty};

/// Maximum size of the texts that one transaction stores, in bytes, because MariaDB limits the size of a statement. A
/// single row may be larger.
const MAX_BYTES_PER_BATCH: usize = 4 << 20;

/// The id of a question of the bank, with the position of its right option.
type Known = (QuestionId, i32);

/// Makes the batch of these questions, or only of the first of them if their texts are long. If a subject has the same
/// question several times with the same right option, it is stored once.
pub(super) async fn batch(
    database: &Database,
    state: &mut AdoptState,
    rows: &[OldRow],
) -> Result<Batch, DbErr> {
    let subjects: Vec<SubjectId> = subject::Entity::find()
        .select_only()
        .column(subject::Column::Id)
        .into_tuple()
        .all(database.reader())
        .await?;
    let subjects: HashSet<SubjectId> = subjects.into_iter().collect();
    let mut batch = Batch::default();
    let mut drafts = Vec::with_capacity(rows.len());
    let mut bytes = 0;
    for row in rows {
        let size: usize = row.values().map(str::len).sum();
        if bytes > 0 && bytes + size > MAX_BYTES_PER_BATCH {
            break;
        }
        bytes += size;
        let id = row.id();
        state.after = id;
        state.counts(&QUESTIONS).read += 1;
        if id < 1 {
            batch.refuse(
                state,
                (&QUESTIONS, id),
                "This row was not carried: its id is not a positive number.",
            );
            continue;
        }
        let subject = row.integer("subject_id").map(SubjectId).filter(|id| subjects.contains(id));
        let Some(subject) = subject else {
            batch.refuse(
                state,
                (&QUESTIONS, id),
                "This question was not carried: its subject is missing or was not carried.",
            );
            continue;
        };
        match draft(row) {
            Ok(draft) => drafts.push((id, subject, draft)),
            Err(reason) => {
                let reason = format!("This question was not carried. {reason}");
                batch.refuse(state, (&QUESTIONS, id), reason);
            }
        }
    }
    let mut known = known(database, &drafts).await?;
    for (id, subject, draft) in drafts {
        let right = draft.answer.options().iter().position(|option| option.correct);
        let right = right.and_then(|right| i32::try_from(right).ok()).unwrap_or_default();
        let key = (subject, draft.external_id.clone());
        let external_id = match known.get(&key) {
            Some((twin, twin_right)) if *twin_right == right => {
                let (twin, reason) = (twin.0, format!("Question {} is the same.", twin.0));
                state.counts(&QUESTIONS).merged += 1;
                batch.record(state, (&QUESTIONS, id), Fate::Merged, Some(twin), reason);
                continue;
            }
            Some((twin, _)) => {
                let reason = format!(
                    "Question {twin} asks the same with another right answer. This question is archived, so that no \
                     new test asks it. Find out which of the two answers is right."
                );
                batch.note(state, (&QUESTIONS, id), reason);
                format!("old-{id}")
            }
            None => {
                known.insert(key, (QuestionId(id), right));
                draft.external_id.clone()
            }
        };
        state.counts(&QUESTIONS).carried += 1;
        add(&mut batch, state, (id, subject), &draft, external_id);
    }
    Ok(batch)
}

/// Turns a row into a question that the bank can hold. Returns the reason as an error if that is not possible.
pub(super) fn draft(row: &OldRow) -> Result<DraftQuestion, String> {
    let options = answer_key::options(row).map_err(|problem| problem.to_string())?;
    let difficulty = match row.word("difficulty_level").as_deref() {
        Some("easy") => Some(DraftDifficulty::Easy),
        Some("hard") => Some(DraftDifficulty::Hard),
        _ => None,
    };
    let stem = row.text("question").unwrap_or_default().to_owned();
    let mut parsed = ParsedQuestion::of_plain_text(stem, DraftAnswer::Single(options));
    parsed.difficulty = difficulty;
    parsed.explanation = row.text("explanation").map(str::to_owned);
    let defaults = Defaults { topic: TOPIC.to_owned(), difficulty: Difficulty::Medium };
    check(parsed, &defaults).map_err(|invalid| invalid.to_string())
}

fn add(
    batch: &mut Batch,
    state: &AdoptState,
    (id, subject): (i64, SubjectId),
    draft: &DraftQuestion,
    external_id: String,
) {
    let is_archived = external_id != draft.external_id;
    batch.questions.push(question::ActiveModel {
        id: Set(QuestionId(id)),
        subject_id: Set(subject),
        external_id: Set(external_id),
        current_version: Set(1),
        archived_at: Set(is_archived.then(|| state.started())),
        created_at: Set(state.started()),
    });
    batch.versions.push(question_version::ActiveModel {
        id: Set(QuestionVersionId(id)),
        question_id: Set(QuestionId(id)),
        version: Set(1),
        topic_id: Set(TopicId(subject.0)),
        difficulty: Set(stored_difficulty(draft.difficulty)),
        kind: Set(QuestionKind::SingleChoice),
        text_format: Set(TextFormat::Plain),
        stem: Set(draft.stem.clone()),
        explanation: Set(draft.explanation.clone()),
        numeric_value: Set(None),
        numeric_tolerance: Set(None),
        keeps_options: Set(!draft.option_order.shuffled),
        fixed_options: Set(0),
        is_case_sensitive: Set(false),
        content_hash: Set(draft.content_hash()),
        created_at: Set(state.started()),
    });
    let options = (0..).zip(draft.answer.options());
    batch.options.extend(options.map(|(position, option)| question_option::ActiveModel {
        version_id: Set(QuestionVersionId(id)),
        position: Set(position),
        text: Set(option.text.clone()),
        correct: Set(option.correct),
    }));
}

/// Finds the questions that are already in the banks and ask the same as these drafts, with the positions of their
/// right options. The result is by subject and external id.
async fn known(
    database: &Database,
    drafts: &[(i64, SubjectId, DraftQuestion)],
) -> Result<HashMap<(SubjectId, String), Known>, DbErr> {
    if drafts.is_empty() {
        return Ok(HashMap::new());
    }
    // The condition on subjects lets the database use the index on external ids, which begins with the subject.
    let subjects: HashSet<SubjectId> = drafts.iter().map(|(_, subject, _)| *subject).collect();
    let found: Vec<(QuestionId, SubjectId, String)> = question::Entity::find()
        .select_only()
        .columns([question::Column::Id, question::Column::SubjectId, question::Column::ExternalId])
        .filter(question::Column::SubjectId.is_in(subjects))
        .filter(question::Column::ExternalId.is_in(drafts.iter().map(|(_, _, draft)| &draft.external_id)))
        .into_tuple()
        .all(database.reader())
        .await?;
    if found.is_empty() {
        return Ok(HashMap::new());
    }
    let versions = found.iter().map(|(id, _, _)| QuestionVersionId(id.0));
    let right: Vec<(QuestionVersionId, i32)> = question_option::Entity::find()
        .select_only()
        .columns([question_option::Column::VersionId, question_option::Column::Position])
        .filter(question_option::Column::VersionId.is_in(versions))
        .filter(question_option::Column::Correct.eq(true))
        .into_tuple()
        .all(database.reader())
        .await?;
    let right: HashMap<QuestionVersionId, i32> = right.into_iter().collect();
    let known = found.into_iter().map(|(id, subject, external_id)| {
        let right = right.get(&QuestionVersionId(id.0)).copied().unwrap_or_default();
        ((subject, external_id), (id, right))
    });
    Ok(known.collect())
}
