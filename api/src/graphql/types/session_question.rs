//! The questions of a sitting, as its learner sees them.

use async_graphql::{Context, Enum, ID, SimpleObject};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jishu_entity::question_version::{QuestionKind as StoredKind, TextFormat as StoredFormat};
use jishu_entity::{TestSessionId, test_answer, test_session};

use super::Difficulty;
use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::scalar::{DateTime, Decimal};
use jishu_service::paper::PaperQuestion;
use jishu_service::scoring::{self, Key};
use jishu_service::session::{self, Review, Sitting};

/// How a question is answered.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "StoredKind")]
pub(in crate::graphql) enum QuestionKind {
    /// With one of its options.
    SingleChoice,
    /// With every correct option and no other.
    MultipleChoice,
    /// With a number.
    Numeric,
}

/// How an answer was judged.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "scoring::Verdict")]
pub(in crate::graphql) enum Verdict {
    /// It is the key.
    Correct,
    /// It is not.
    Wrong,
    /// There is none.
    Unanswered,
}

/// How texts are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "StoredFormat")]
pub(in crate::graphql) enum TextFormat {
    /// As they stand.
    Plain,
    /// Markdown (CommonMark).
    Markdown,
    /// HTML as authors wrote it: sanitise it before you show it.
    Html,
}

/// A question of a sitting. What would give its key away is null until the sitting is over and the subject's
/// `markingScheme.review` lets it be shown, and for as long as the question stands in another sitting of the learner
/// that is open.
#[derive(SimpleObject)]
pub(in crate::graphql) struct SessionQuestion {
    /// Of this question in this sitting: for caches. `node` does not take it.
    id: ID,
    /// Its place in the paper, from 1.
    slot: i32,
    /// How it is answered.
    kind: QuestionKind,
    /// How its texts are to be read.
    text_format: TextFormat,
    /// What is asked.
    stem: String,
    /// What can be chosen, in an order of this sitting's own; empty where a number is asked for.
    options: Vec<Choice>,
    /// What was answered; null where nothing is.
    answer: Option<Answer>,
    /// Marked for another look.
    flagged: bool,
    /// How long it was shown, in seconds, as the client says; null where it said nothing.
    time_spent_seconds: Option<i32>,
    /// The options that are correct; null where a number is asked for.
    correct_option_ids: Option<Vec<ID>>,
    /// The number that is correct; null where there are options.
    correct_value: Option<Decimal>,
    /// How far from `correctValue` an answer is still correct, the ends included; null where there are options.
    tolerance: Option<Decimal>,
    /// Why the key is the key; null where the bank has no explanation.
    explanation: Option<String>,
    /// What the answer got.
    marks: Option<Decimal>,
    /// How the answer was judged.
    verdict: Option<Verdict>,
    /// What it is about.
    topic: Option<String>,
    /// How hard it is.
    difficulty: Option<Difficulty>,
}

/// Something that can be chosen.
#[derive(SimpleObject)]
#[graphql(name = "Option")]
pub(in crate::graphql) struct Choice {
    /// Of this option in this sitting: good for `optionIds`.
    id: ID,
    /// What it says.
    text: String,
}

/// What a learner has answered.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Answer {
    /// The chosen options; empty where a number is asked for.
    option_ids: Vec<ID>,
    /// The number; null where there are options.
    numeric_value: Option<Decimal>,
    /// When it was saved.
    saved_at: DateTime,
}

/// The questions of a sitting. Its answers are read in one statement, its paper mostly from memory.
pub(in crate::graphql) async fn questions(
    ctx: &Context<'_>,
    row: &test_session::Model,
) -> ApiResult<Vec<SessionQuestion>> {
    let services = ctx.services()?;
    let sitting = session::sitting_of(services, row).await?;
    let mut answers = session::answers(services, row.id).await?;
    let review = session::review(services, row).await?;
    let questions = sitting.paper.slots().map(|(slot, question)| {
        let answer = answers.remove(&slot);
        session_question(&sitting, slot, question, answer, &review)
    });
    Ok(questions.collect())
}

fn session_question(
    sitting: &Sitting,
    slot: i32,
    question: &PaperQuestion,
    row: Option<test_answer::Model>,
    review: &Review,
) -> SessionQuestion {
    let shown = sitting.shown(slot, question.options.len());
    let ids = |chosen: i64| {
        let chosen = shown.iter().enumerate().filter(|(_, position)| chosen >> **position & 1 == 1);
        chosen.map(|(place, _)| option_id(sitting.id, slot, place)).collect::<Vec<_>>()
    };
    let options = shown.iter().enumerate().map(|(place, position)| Choice {
        id: option_id(sitting.id, slot, place),
        text: question.options[*position].clone(),
    });
    let response = row.as_ref().map(session::response).unwrap_or_default();
    let reviewed = review.shows(question.question_id);
    let (correct_option_ids, correct_value, tolerance) = match &question.key {
        _ if !reviewed => (None, None, None),
        Key::Options(correct) => (Some(ids(*correct)), None, None),
        Key::Number { value, tolerance } => (None, Some(Decimal(*value)), Some(Decimal(*tolerance))),
    };
    let verdict = scoring::judge(&question.key, &response);
    SessionQuestion {
        id: ID(URL_SAFE_NO_PAD.encode(format!("SessionQuestion:{}:{slot}", sitting.id))),
        slot,
        kind: question.kind.into(),
        text_format: question.text_format.into(),
        stem: question.stem.clone(),
        options: options.collect(),
        answer: row.as_ref().filter(|_| response.is_given()).map(|row| Answer {
            option_ids: ids(row.chosen),
            numeric_value: response.number.map(Decimal),
            saved_at: DateTime(row.saved_at),
        }),
        flagged: row.as_ref().is_some_and(|row| row.flagged),
        time_spent_seconds: row.and_then(|row| row.time_spent_seconds),
        correct_option_ids,
        correct_value,
        tolerance,
        explanation: question.explanation.clone().filter(|_| reviewed),
        marks: reviewed.then(|| Decimal::of_hundredths(sitting.paper.marks().of(verdict))),
        verdict: reviewed.then(|| verdict.into()),
        topic: sitting.paper.topics.get(&question.topic_id).cloned().filter(|_| reviewed),
        difficulty: reviewed.then(|| question.difficulty.into()),
    }
}

/// Names an option by its sitting, its slot and its place there: unique among all, as clients that keep objects by their
/// ids need it, and nothing of the author's order can be told from it.
fn option_id(session: TestSessionId, slot: i32, place: usize) -> ID {
    ID(URL_SAFE_NO_PAD.encode(format!("Option:{session}:{slot}:{place}")))
}

/// The place of an option of this sitting and slot; none for anything else.
pub(in crate::graphql) fn option_place(session: TestSessionId, slot: i32, id: &ID) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(id.as_bytes()).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let place = text.strip_prefix(&format!("Option:{session}:{slot}:"))?.parse().ok()?;
    // One option has one id: "01" and "+1" are not ours.
    (option_id(session, slot, place) == *id).then_some(place)
}
