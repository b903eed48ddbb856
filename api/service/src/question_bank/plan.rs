//! The plan of an import: which questions are new, which the bank has, and the messages about them.

use std::collections::{BTreeSet, HashMap, HashSet};

use jishu_entity::{QuestionId, QuestionVersionId, question, question_correction, question_version};
use question_formats::{DraftQuestion, IdOrigin, excerpt};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::answer_key::{AnswerKey, Taught, keys};
use super::correct::Correct;
use super::fixed::{self, Slot};
use super::report::{Advice, Notice, RefusedImport};
use super::store::Batch;
use crate::error::Fault;

/// The result of storing a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) created: u32,
    pub(super) updated: u32,
    pub(super) unchanged: u32,
    /// The number of questions whose key was corrected in fixed tests.
    pub(super) corrected: u32,
    pub(super) refused: Vec<RefusedImport>,
    pub(super) notices: Vec<Notice>,
    /// The questions of the bank that were found in the batch.
    pub(super) claimed: Vec<QuestionId>,
}

/// The changes that a batch makes.
#[derive(Default)]
pub(super) struct Plan<'a> {
    pub(super) created: Vec<&'a DraftQuestion>,
    pub(super) matched: Vec<Matched<'a>>,
    refused: Vec<RefusedImport>,
    corrects_keys: bool,
}

/// A question of a file that the bank has.
pub(super) struct Matched<'a> {
    pub(super) draft: &'a DraftQuestion,
    pub(super) question: QuestionId,
    /// The number of its current version.
    pub(super) version: i32,
    version_id: QuestionVersionId,
    /// Whether its content differs from the current version.
    pub(super) is_changed: bool,
    /// Whether the current version has another key.
    has_other_key: bool,
    is_archived: bool,
    /// It is in the bank under an id that was made before embedded files counted. It gets the id of the draft.
    pub(super) has_earlier_id: bool,
    /// Where fixed papers ask it with another key.
    stale: Vec<Slot>,
}

impl Matched<'_> {
    /// Whether its key differs from that of the bank or a fixed paper.
    pub(super) fn is_corrected(&self) -> bool {
        self.has_other_key || !self.stale.is_empty()
    }

    /// Returns the correction of its key, with the versions that were inserted.
    pub(super) fn correct(&self, inserted: &HashMap<QuestionId, QuestionVersionId>) -> Correct {
        let stale = self.stale.first().map(|slot| slot.version);
        let previous = if self.has_other_key { None } else { stale };
        Correct {
            question: self.question,
            previous: previous.unwrap_or(self.version_id),
            version: inserted.get(&self.question).copied().unwrap_or(self.version_id),
            slots: self.stale.clone(),
        }
    }
}

impl Plan<'_> {
    /// Returns the result after the plan was carried out.
    pub(super) fn outcome(&self) -> Outcome {
        let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        let updated = self.matched.iter().filter(|it| it.is_changed).count();
        let corrected = self.matched.iter().filter(|it| self.corrects_keys && it.is_corrected()).count();
        Outcome {
            created: count(self.created.len()),
            updated: count(updated),
            unchanged: count(self.matched.len() - updated),
            corrected: count(corrected),
            refused: self.refused.clone(),
            notices: self.matched.iter().flat_map(|it| self.notices(it)).collect(),
            claimed: Vec::new(),
        }
    }

    fn notices(&self, matched: &Matched<'_>) -> Vec<Notice> {
        let stale = if self.corrects_keys { 0 } else { matched.stale.len() };
        let key = (stale > 0).then(|| {
            let tests = match stale {
                1 => "1 fixed test keeps".to_owned(),
                tests => format!("{tests} fixed tests keep"),
            };
            (format!("{tests} a key that differs from the file."), Advice::CorrectKey)
        });
        let archived = matched.is_archived.then(|| {
            let text = "This question is archived and stays archived: no new test asks it.";
            (text.to_owned(), Advice::Restore)
        });
        let (line, external_id) = (matched.draft.line, &matched.draft.external_id);
        let notice = |(text, advice)| Notice { line, external_id: external_id.clone(), text, advice };
        key.into_iter().chain(archived).map(notice).collect()
    }
}

/// A question of the bank, in its current version.
struct Current {
    row: question::Model,
    version_id: QuestionVersionId,
    content_hash: String,
}

/// Compares a batch with the bank.
pub(super) async fn plan<'a>(connection: &impl ConnectionTrait, batch: &'a Batch) -> Result<Plan<'a>, Fault> {
    let known = known(connection, batch).await?;
    let mut plan = Plan { corrects_keys: batch.correct_keys.is_some(), ..Plan::default() };
    let mut found: Vec<(&DraftQuestion, &Current)> = Vec::new();
    let mut claimed: HashSet<QuestionId> = batch.claimed.clone();
    let mut unknown = Vec::new();
    for draft in &batch.questions {
        match known.get(&draft.external_id) {
            Some(current) => {
                claimed.insert(current.row.id);
                found.push((draft, current));
            }
            None => unknown.push(draft),
        }
    }
    let earlier = |draft: &DraftQuestion| match &draft.id_origin {
        IdOrigin::Derived { earlier: Some(id) } => known.get(id),
        _ => None,
    };
    let mut slots: HashMap<QuestionId, Vec<Slot>> = HashMap::new();
    let ids: Vec<QuestionId> = known.values().map(|current| current.row.id).collect();
    for slot in fixed::slots(connection, batch.subject_id, &ids).await? {
        slots.entry(slot.question).or_default().push(slot);
    }
    let changed = found.iter().filter(|(draft, current)| draft.content_hash() != current.content_hash);
    let current = changed.map(|(_, current)| current.version_id);
    let current = current.chain(unknown.iter().filter_map(|draft| earlier(draft)).map(|it| it.version_id));
    let versions: BTreeSet<QuestionVersionId> =
        current.chain(slots.values().flatten().map(|slot| slot.version)).collect();
    let keys = keys(connection, &versions).await?;
    // The bank may have a question with embedded files under the id that was derived without them. It is the one
    // with the same key.
    for draft in unknown {
        let key = AnswerKey::from(&draft.answer);
        let same = |current: &&Current| {
            has_key(&keys, current.version_id, &key) && !claimed.contains(&current.row.id)
        };
        match earlier(draft).filter(same) {
            Some(current) => {
                claimed.insert(current.row.id);
                found.push((draft, current));
            }
            None => plan.created.push(draft),
        }
    }
    let has_other_key = |draft: &DraftQuestion, current: &Current| {
        draft.content_hash() != current.content_hash
            && !has_key(&keys, current.version_id, &AnswerKey::from(&draft.answer))
    };
    let others = found.iter().filter(|(draft, current)| !plan.corrects_keys && has_other_key(draft, current));
    let corrections = corrections(connection, others.map(|(_, current)| current.row.id).collect()).await?;
    for (draft, current) in found {
        let key = AnswerKey::from(&draft.answer);
        let is_changed = draft.content_hash() != current.content_hash;
        let has_other_key = has_other_key(draft, current);
        if has_other_key && let Some(correction) = corrections.get(&current.row.id) {
            plan.refused.push(was_corrected(draft, correction));
            continue;
        }
        if has_other_key && !plan.corrects_keys && draft.id_origin != IdOrigin::Given {
            plan.refused.push(other_key(draft));
            continue;
        }
        let mut stale = slots.remove(&current.row.id).unwrap_or_default();
        stale.retain(|slot| {
            // Corrections also bring the explanation of the key.
            let explains = |(_, explanation): &Taught| *explanation == draft.explanation;
            !has_key(&keys, slot.version, &key)
                || (plan.corrects_keys && !keys.get(&slot.version).is_some_and(explains))
        });
        plan.matched.push(Matched {
            draft,
            question: current.row.id,
            version: current.row.current_version,
            version_id: current.version_id,
            is_changed,
            has_other_key,
            is_archived: current.row.archived_at.is_some(),
            has_earlier_id: draft.external_id != current.row.external_id,
            stale,
        });
    }
    Ok(plan)
}

fn has_key(keys: &HashMap<QuestionVersionId, Taught>, version: QuestionVersionId, key: &AnswerKey) -> bool {
    keys.get(&version).is_some_and(|(other, _)| other.agrees_with(key))
}

fn other_key(draft: &DraftQuestion) -> RefusedImport {
    RefusedImport {
        line: draft.line,
        external_id: None,
        reason: "The bank has this question with another key, and neither has an id of its own.".to_owned(),
        advice: Some(Advice::CorrectKeyOrGiveId),
    }
}

/// Refuses an old key of a question, so that an old file does not undo a correction.
fn was_corrected(draft: &DraftQuestion, correction: &question_correction::Model) -> RefusedImport {
    let external_id = (draft.id_origin == IdOrigin::Given).then(|| draft.external_id.clone());
    RefusedImport {
        line: draft.line,
        external_id,
        reason: format!(
            "Its key was corrected on {}, and the file has another key. The reason was: \"{}\" Take the corrected key \
             into the file.",
            correction.corrected_at.format("%Y-%m-%d"),
            excerpt(&correction.reason),
        ),
        advice: Some(Advice::CorrectKeyBack),
    }
}

/// Reads the last correction of each of these questions.
async fn corrections(
    connection: &impl ConnectionTrait,
    questions: Vec<QuestionId>,
) -> Result<HashMap<QuestionId, question_correction::Model>, DbErr> {
    if questions.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = question_correction::Entity::find()
        .filter(question_correction::Column::QuestionId.is_in(questions))
        .order_by_asc(question_correction::Column::Id)
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.question_id, row)).collect())
}

/// The questions of the bank that a batch names, by their external ids.
async fn known(connection: &impl ConnectionTrait, batch: &Batch) -> Result<HashMap<String, Current>, Fault> {
    let earlier = batch.questions.iter().filter_map(|draft| match &draft.id_origin {
        IdOrigin::Derived { earlier } => earlier.as_ref(),
        IdOrigin::Given => None,
    });
    let ids = batch.questions.iter().map(|draft| &draft.external_id).chain(earlier);
    let rows: Vec<question::Model> = question::Entity::find()
        .filter(question::Column::SubjectId.eq(batch.subject_id))
        .filter(question::Column::ExternalId.is_in(ids))
        .all(connection)
        .await?;
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let versions: Vec<(QuestionId, i32, QuestionVersionId, String)> = question_version::Entity::find()
        .select_only()
        .column(question_version::Column::QuestionId)
        .column(question_version::Column::Version)
        .column(question_version::Column::Id)
        .column(question_version::Column::ContentHash)
        .filter(question_version::Column::QuestionId.is_in(rows.iter().map(|row| row.id)))
        .into_tuple()
        .all(connection)
        .await?;
    let mut versions: HashMap<(QuestionId, i32), (QuestionVersionId, String)> =
        versions.into_iter().map(|(question, version, id, hash)| ((question, version), (id, hash))).collect();
    let mut known = HashMap::with_capacity(rows.len());
    for row in rows {
        let current = versions.remove(&(row.id, row.current_version));
        let missing = || Fault::missing(format_args!("the current version of question {}", row.id));
        let (version_id, content_hash) = current.ok_or_else(missing)?;
        known.insert(row.external_id.clone(), Current { row, version_id, content_hash });
    }
    Ok(known)
}
