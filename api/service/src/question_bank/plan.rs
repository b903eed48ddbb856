//! Plans the import of a batch: finds the questions that are new and the questions that the bank already has, and
//! writes the messages to the author.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use jishu_entity::{
    QuestionId, QuestionVersionId, SubjectId, UserId, question, question_correction, question_version,
};
use question_formats::{DraftQuestion, IdOrigin, excerpt};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::comparable_key::{ComparableKey, KeyAndExplanation, keys};
use super::fixed_tests::{self, Slot};
use super::record::KeyCorrection;
use super::report::{Advice, Notice, RejectedQuestion};
use crate::error::Fault;

/// A batch of an import: questions that are stored in one transaction.
pub(super) struct ImportBatch {
    pub(super) subject_id: SubjectId,
    pub(super) actor: Option<UserId>,
    pub(super) now: DateTime<Utc>,
    pub(super) questions: Vec<DraftQuestion>,
    /// The reason for correcting keys, also in fixed tests; None keeps the keys of fixed tests.
    pub(super) correct_keys: Option<String>,
    /// The questions of the bank that earlier batches of the same file have matched.
    pub(super) claimed: HashSet<QuestionId>,
}

/// The outcome of storing a batch, which is added to the report of the import.
#[derive(Debug, Default)]
pub(super) struct ImportOutcome {
    pub(super) created: u32,
    pub(super) updated: u32,
    pub(super) unchanged: u32,
    /// The number of questions whose key was corrected in the bank or in fixed tests, or whose explanation was
    /// corrected in fixed tests. 0 if the import does not correct keys.
    pub(super) corrected: u32,
    pub(super) refused: Vec<RejectedQuestion>,
    /// The external ids of the drafts that were rejected, in the order of `refused`. A rejected question can be without
    /// an id in `refused`, but its draft always has one.
    pub(super) refused_ids: Vec<String>,
    pub(super) notices: Vec<Notice>,
    /// The questions of the bank that the batch matched.
    pub(super) claimed: Vec<QuestionId>,
}

/// The changes that storing a batch makes to the bank.
#[derive(Default)]
pub(super) struct ImportPlan<'a> {
    pub(super) created: Vec<&'a DraftQuestion>,
    pub(super) matched: Vec<Matched<'a>>,
    refused: Vec<(&'a DraftQuestion, RejectedQuestion)>,
    corrects_keys: bool,
}

/// A question of a file, and the question of the bank that it matches.
pub(super) struct Matched<'a> {
    pub(super) draft: &'a DraftQuestion,
    pub(super) question: QuestionId,
    /// The number of the current version of the question in the bank.
    pub(super) version: i32,
    version_id: QuestionVersionId,
    /// Whether the content of the draft differs from the current version in the bank.
    pub(super) is_changed: bool,
    /// Whether the key of the current version in the bank differs from the key of the draft.
    has_other_key: bool,
    is_archived: bool,
    /// Whether the bank has the question under an earlier id, which was derived from the question without its embedded
    /// files. Then the import replaces this id in the bank by the id of the draft.
    pub(super) has_earlier_id: bool,
    /// The slots of fixed papers that ask the question with another key than the draft. If the import corrects keys,
    /// also the slots with another explanation.
    stale: Vec<Slot>,
}

impl Matched<'_> {
    /// Tells whether correcting keys changes something: the current version in the bank has another key than the draft,
    /// or some slots of fixed papers are stale.
    pub(super) fn is_corrected(&self) -> bool {
        self.has_other_key || !self.stale.is_empty()
    }

    /// Returns the correction that gives the stale slots the version with the key of the draft. `inserted` has the ids
    /// of the versions that the import inserted, by question.
    pub(super) fn correct(&self, inserted: &HashMap<QuestionId, QuestionVersionId>) -> KeyCorrection {
        let stale = self.stale.first().map(|slot| slot.version);
        let previous = if self.has_other_key { None } else { stale };
        KeyCorrection {
            question: self.question,
            previous: previous.unwrap_or(self.version_id),
            version: inserted.get(&self.question).copied().unwrap_or(self.version_id),
            slots: self.stale.clone(),
        }
    }
}

impl ImportPlan<'_> {
    /// Returns the outcome of carrying out the plan, but leaves its `claimed` empty.
    pub(super) fn outcome(&self) -> ImportOutcome {
        let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        let updated = self.matched.iter().filter(|it| it.is_changed).count();
        let corrected = self.matched.iter().filter(|it| self.corrects_keys && it.is_corrected()).count();
        ImportOutcome {
            created: count(self.created.len()),
            updated: count(updated),
            unchanged: count(self.matched.len() - updated),
            corrected: count(corrected),
            refused: self.refused.iter().map(|(_, rejected)| rejected.clone()).collect(),
            refused_ids: self.refused.iter().map(|(draft, _)| draft.external_id.clone()).collect(),
            notices: self.matched.iter().flat_map(|it| self.notices(it)).collect(),
            claimed: Vec::new(),
        }
    }

    /// Returns the messages to the author about a matched question: it has another key in fixed tests, or it is
    /// archived.
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

/// The keys of versions, with their explanations.
type Keys = HashMap<QuestionVersionId, KeyAndExplanation>;

/// A draft, and the question of the bank that it matches.
type DraftAndCurrent<'a, 'k> = (&'a DraftQuestion, &'k Current);

/// Compares a batch with the bank, and returns the changes that storing the batch makes. Writes nothing.
///
/// If the batch does not correct keys, the plan refuses some questions with another key than in the bank: those whose
/// key was corrected in the bank, and those without an id of their own.
pub(super) async fn plan<'a>(
    connection: &impl ConnectionTrait,
    batch: &'a ImportBatch,
) -> Result<ImportPlan<'a>, Fault> {
    let known = known(connection, batch).await?;
    let mut slots: HashMap<QuestionId, Vec<Slot>> = HashMap::new();
    let ids: Vec<QuestionId> = known.values().map(|current| current.row.id).collect();
    for slot in fixed_tests::slots(connection, batch.subject_id, &ids).await? {
        slots.entry(slot.question).or_default().push(slot);
    }
    let keys = keys(connection, &versions_to_compare(batch, &known, &slots)).await?;
    let (found, created) = match_drafts(batch, &known, &keys);
    let mut plan =
        ImportPlan { created, corrects_keys: batch.correct_keys.is_some(), ..ImportPlan::default() };

    let has_other_key = |draft: &DraftQuestion, current: &Current| {
        is_changed(draft, current) && !has_key(&keys, current.version_id, &ComparableKey::from(&draft.answer))
    };
    let others = found.iter().filter(|(draft, current)| !plan.corrects_keys && has_other_key(draft, current));
    let corrections = corrections(connection, others.map(|(_, current)| current.row.id).collect()).await?;
    for (draft, current) in found {
        let has_other_key = has_other_key(draft, current);
        if has_other_key && let Some(correction) = corrections.get(&current.row.id) {
            plan.refused.push((draft, was_corrected(draft, correction)));
            continue;
        }
        if has_other_key && !plan.corrects_keys && draft.id_origin != IdOrigin::Given {
            plan.refused.push((draft, other_key(draft)));
            continue;
        }
        let mut stale = slots.remove(&current.row.id).unwrap_or_default();
        stale.retain(|slot| is_stale(slot, draft, &keys, plan.corrects_keys));
        plan.matched.push(Matched {
            draft,
            question: current.row.id,
            version: current.row.current_version,
            version_id: current.version_id,
            is_changed: is_changed(draft, current),
            has_other_key,
            is_archived: current.row.archived_at.is_some(),
            has_earlier_id: draft.external_id != current.row.external_id,
            stale,
        });
    }
    Ok(plan)
}

/// Returns the versions whose keys the plan compares with the keys of drafts: current versions whose content differs
/// from their draft, versions that a draft may match by its earlier id, and versions in slots of fixed papers.
fn versions_to_compare(
    batch: &ImportBatch,
    known: &HashMap<String, Current>,
    slots: &HashMap<QuestionId, Vec<Slot>>,
) -> BTreeSet<QuestionVersionId> {
    let current = batch.questions.iter().filter_map(|draft| match known.get(&draft.external_id) {
        Some(current) => is_changed(draft, current).then_some(current.version_id),
        None => with_earlier_id(draft, known).map(|current| current.version_id),
    });
    current.chain(slots.values().flatten().map(|slot| slot.version)).collect()
}

/// Matches the drafts of a batch with the questions of the bank. Returns the matches, and the drafts of new questions.
///
/// A draft matches a question with the same external id. Otherwise, the bank may have the question under the earlier id
/// of the draft, which was derived without embedded files. Then the draft matches this question if their keys agree,
/// and if no other draft of the file matches this question.
fn match_drafts<'a, 'k>(
    batch: &'a ImportBatch,
    known: &'k HashMap<String, Current>,
    keys: &Keys,
) -> (Vec<DraftAndCurrent<'a, 'k>>, Vec<&'a DraftQuestion>) {
    let mut found = Vec::new();
    let mut unknown = Vec::new();
    let mut claimed: HashSet<QuestionId> = batch.claimed.clone();
    for draft in &batch.questions {
        match known.get(&draft.external_id) {
            Some(current) => {
                claimed.insert(current.row.id);
                found.push((draft, current));
            }
            None => unknown.push(draft),
        }
    }
    let mut created = Vec::new();
    for draft in unknown {
        let key = ComparableKey::from(&draft.answer);
        let matches = |current: &&Current| {
            has_key(keys, current.version_id, &key) && !claimed.contains(&current.row.id)
        };
        match with_earlier_id(draft, known).filter(matches) {
            Some(current) => {
                claimed.insert(current.row.id);
                found.push((draft, current));
            }
            None => created.push(draft),
        }
    }
    (found, created)
}

/// Finds the question of the bank whose id was derived from the content of a draft without its embedded files. Returns
/// None if the draft has no earlier id, or the bank has no question with this id.
fn with_earlier_id<'k>(draft: &DraftQuestion, known: &'k HashMap<String, Current>) -> Option<&'k Current> {
    match &draft.id_origin {
        IdOrigin::Derived { earlier: Some(id) } => known.get(id),
        IdOrigin::Derived { earlier: None } | IdOrigin::Given => None,
    }
}

/// Tells whether the content of a draft differs from the current version of the question.
fn is_changed(draft: &DraftQuestion, current: &Current) -> bool {
    draft.content_hash() != current.content_hash
}

/// Tells whether the version in a slot has another key than a draft. If the import corrects keys, also returns true for
/// a version with another explanation.
fn is_stale(slot: &Slot, draft: &DraftQuestion, keys: &Keys, corrects_keys: bool) -> bool {
    let has_explanation = |other: &KeyAndExplanation| other.explanation == draft.explanation;
    !has_key(keys, slot.version, &ComparableKey::from(&draft.answer))
        || (corrects_keys && !keys.get(&slot.version).is_some_and(has_explanation))
}

/// Tells whether the key of `version` agrees with `key`. False if `keys` does not have the version.
fn has_key(keys: &Keys, version: QuestionVersionId, key: &ComparableKey) -> bool {
    keys.get(&version).is_some_and(|other| other.key.agrees_with(key))
}

/// Returns the rejection of a question that has no id of its own, and that the bank has with another key.
fn other_key(draft: &DraftQuestion) -> RejectedQuestion {
    RejectedQuestion {
        line: draft.line,
        external_id: None,
        reason: "The bank has this question with another key, and neither the question of the file nor that of the \
                 bank has an id of its own."
            .to_owned(),
        advice: Some(Advice::CorrectKeyOrGiveId),
    }
}

/// Returns the rejection of a question whose key was corrected in the bank and differs in the file, so that an old file
/// does not undo the correction.
fn was_corrected(draft: &DraftQuestion, correction: &question_correction::Model) -> RejectedQuestion {
    let external_id = (draft.id_origin == IdOrigin::Given).then(|| draft.external_id.clone());
    RejectedQuestion {
        line: draft.line,
        external_id,
        reason: format!(
            "Its key was corrected on {}, and the file has another key. The reason was: \"{}\" Correct the key \
             in the file as well.",
            correction.corrected_at.format("%Y-%m-%d"),
            excerpt(&correction.reason),
        ),
        advice: Some(Advice::CorrectKeyBack),
    }
}

/// Reads the last correction of each of these questions, by question. Leaves out questions without a correction.
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

/// Reads the questions of the bank whose external id is the id or the earlier id of a draft of the batch. Returns them
/// by external id.
async fn known(
    connection: &impl ConnectionTrait,
    batch: &ImportBatch,
) -> Result<HashMap<String, Current>, Fault> {
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
