//! The questions of a sitting, as its learner sees them.

use std::collections::HashMap;

use async_graphql::{Context, Enum, ID, SimpleObject};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graphql_engine::{Plain, PlainEnum, PlainObject, RenderedText};
use jishu_entity::question_version::{QuestionKind as StoredKind, TextFormat as StoredFormat};
use jishu_entity::{TestSessionId, test_answer, test_session};

use super::Difficulty;
use super::rendered_paper::RenderedQuestion;
use super::sitting_id::SittingId;
use crate::graphql::access::is_own;
use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::scalar::{DateTime, Decimal};
use jishu_service::paper::PaperQuestion;
use jishu_service::picture::PictureAddresses;
use jishu_service::scoring::{self, AnswerKey};
use jishu_service::session::{self, Review, Sitting};

/// The kind of answer that a question takes.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "StoredKind")]
pub(in crate::graphql) enum QuestionKind {
    /// The learner chooses one option.
    SingleChoice,
    /// The learner chooses one or more options. The answer is correct if it has all correct options and no other
    /// option.
    MultipleChoice,
    /// The learner types a number.
    Numeric,
    /// The learner types a text of one line, such as a word or a name.
    ShortAnswer,
}

/// The result of marking an answer: it is correct or wrong, or there is no answer. There are no partial marks.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "scoring::Verdict")]
pub(in crate::graphql) enum Verdict {
    /// The answer matches the key.
    Correct,
    /// The answer does not match the key.
    Wrong,
    /// There is no answer.
    Unanswered,
}

/// The format of the texts of a question.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "StoredFormat")]
pub(in crate::graphql) enum TextFormat {
    /// Plain text. Show the text unchanged.
    Plain,
    /// Markdown, as CommonMark defines it. Pictures that the server stores have addresses of this server. Authors can
    /// also link to pictures on other web servers.
    Markdown,
    /// HTML as the authors wrote it. Sanitise the text before you show it. Pictures that the server stores have
    /// addresses of this server. Authors can also link to pictures on other web servers.
    Html,
}

/// A question of a sitting. `correctOptionIds`, `correctValue`, `tolerance`, `correctTexts`, `caseSensitive`,
/// `explanation`, `marks`, `verdict`, `topic` and `difficulty` are null until the review opens. The review opens when
/// the sitting is over and `markingScheme.review` allows it. The review of a question stays closed while another open
/// sitting of the learner or of the viewer asks the same question.
#[derive(PlainObject, SimpleObject)]
pub(in crate::graphql) struct SessionQuestion {
    /// The id of this question in this sitting, for client caches. `node` does not accept it.
    id: SittingId,
    /// The number of the question in the paper, counted from 1.
    slot: i32,
    /// The kind of answer that the question takes.
    kind: QuestionKind,
    /// The format of the texts of the question.
    text_format: TextFormat,
    /// The text of the question.
    stem: RenderedText,
    /// The options, in the order in which this sitting shows them. Empty for a numeric question and a short answer.
    options: Vec<Choice>,
    /// The saved answer of the learner. Null if no answer is saved, and for staff until the sitting is over.
    answer: Option<Answer>,
    /// Whether the learner has marked the question to return to it later. False for staff until the sitting is over.
    flagged: bool,
    /// The time for which the question was shown, in seconds, as the client reported it. Null if the client reported no
    /// time, and for staff until the sitting is over.
    time_spent_seconds: Option<i32>,
    /// The ids of the correct options. Null for a question without options, and until the review opens.
    correct_option_ids: Option<Vec<ID>>,
    /// The correct number. Null unless the question is numeric, and until the review opens.
    correct_value: Option<Decimal>,
    /// The largest difference from `correctValue` at which an answer is still correct. Null unless the question is
    /// numeric, and until the review opens.
    tolerance: Option<Decimal>,
    /// The texts that are correct, each of which gets full marks. `*` stands for any number of characters, and `\*` for
    /// an asterisk. Null unless the question is a short answer, and until the review opens.
    correct_texts: Option<Vec<String>>,
    /// Whether an answer must have the same capital and small letters as a correct text. Null unless the question is a
    /// short answer, and until the review opens.
    case_sensitive: Option<bool>,
    /// The explanation of the key. Null if the author wrote no explanation, and until the review opens.
    explanation: Option<String>,
    /// The marks that the learner gets for the question. Null until the review opens.
    marks: Option<Decimal>,
    /// The result of marking the answer. Null until the review opens.
    verdict: Option<Verdict>,
    /// The name of the topic of the question. Null until the review opens.
    topic: Option<String>,
    /// The difficulty of the question. Null until the review opens.
    difficulty: Option<Difficulty>,
}

/// An option of a question.
#[derive(PlainObject, SimpleObject)]
#[graphql(name = "Option")]
pub(in crate::graphql) struct Choice {
    /// The id of this option in this sitting, for `optionIds` of `saveAnswers`.
    id: SittingId,
    /// The text of the option.
    text: RenderedText,
}

/// The answer of a learner to a question.
#[derive(PlainObject, SimpleObject)]
pub(in crate::graphql) struct Answer {
    /// The ids of the chosen options. Empty for a question without options.
    option_ids: Vec<ID>,
    /// The number that the learner gave. Null unless the question is numeric.
    numeric_value: Option<Decimal>,
    /// The text as the learner typed it. Null unless the question is a short answer.
    text: Option<String>,
    /// The time at which the answer was saved.
    saved_at: DateTime,
}

/// Reads the questions of a sitting with the answers. The answers take one statement, and the paper usually comes from
/// memory. If `has_just_begun`, the sitting has no answers, so none are read.
pub(in crate::graphql) async fn questions(
    ctx: &Context<'_>,
    row: &test_session::Model,
    has_just_begun: bool,
) -> ApiResult<Plain<Vec<SessionQuestion>>> {
    let services = ctx.services()?;
    let sitting = session::sitting_of(services, row).await?;
    // Staff may see the answers of a learner only after the end of the sitting.
    let shows_answers = row.open_marker.is_none() || is_own(ctx, row.user_id);
    let mut answers = match shows_answers && !has_just_begun {
        true => session::answers(services, row.id).await?,
        false => HashMap::new(),
    };
    let reader = ctx.viewer().map_or(row.user_id, |viewer| viewer.user_id);
    let review = session::review(services, row, reader).await?;
    let rendered = ctx.rendered_papers()?.get(&sitting.paper, &services.pictures);
    let questions = sitting.paper.slots().zip(rendered.questions()).map(|((slot, question), texts)| {
        let answer = answers.remove(&slot);
        session_question(&services.pictures, &sitting, (slot, question, texts), answer, &review)
    });
    Ok(Plain(questions.collect()))
}

/// The key of a question as the client may see it. All values are None if the question may not be reviewed.
#[derive(Default)]
struct ShownKey {
    option_ids: Option<Vec<ID>>,
    /// The correct number and its tolerance.
    number: Option<(Decimal, Decimal)>,
    /// The correct texts, and whether capital and small letters must match.
    texts: Option<(Vec<String>, bool)>,
}

fn session_question(
    pictures: &PictureAddresses,
    sitting: &Sitting,
    (slot, question, texts): (i32, &PaperQuestion, &RenderedQuestion),
    row: Option<test_answer::Model>,
    review: &Review,
) -> SessionQuestion {
    let shown = sitting.option_order(slot, question);
    let ids = |chosen: i64| {
        let chosen = shown.iter().enumerate().filter(|(_, position)| chosen >> **position & 1 == 1);
        chosen.map(|(place, _)| SittingId::of_option(sitting.id, slot, place).encoded()).collect::<Vec<_>>()
    };
    let options = shown.iter().enumerate().map(|(place, position)| Choice {
        id: SittingId::of_option(sitting.id, slot, place),
        text: texts.options[*position].clone(),
    });
    let given = row.as_ref().map(session::learner_answer).unwrap_or_default();
    let reviewed = review.shows(question.question_id);
    let key = match &question.key {
        _ if !reviewed => ShownKey::default(),
        AnswerKey::Options(correct) => ShownKey { option_ids: Some(ids(*correct)), ..ShownKey::default() },
        AnswerKey::Number { value, tolerance } => {
            let number = Some((Decimal(*value), Decimal(*tolerance)));
            ShownKey { number, ..ShownKey::default() }
        }
        AnswerKey::Texts(key) => {
            let texts = Some((key.texts().to_vec(), key.is_case_sensitive()));
            ShownKey { texts, ..ShownKey::default() }
        }
    };
    let (correct_value, tolerance) = key.number.unzip();
    let (correct_texts, case_sensitive) = key.texts.unzip();
    let verdict = scoring::judge(&question.key, &given);
    SessionQuestion {
        id: SittingId::of_question(sitting.id, slot),
        slot,
        kind: question.kind.into(),
        text_format: question.text_format.into(),
        stem: texts.stem.clone(),
        options: options.collect(),
        answer: row.as_ref().filter(|_| given.is_given()).map(|row| Answer {
            option_ids: ids(row.chosen),
            numeric_value: given.number.map(Decimal),
            text: given.text.clone(),
            saved_at: DateTime(row.saved_at),
        }),
        flagged: row.as_ref().is_some_and(|row| row.flagged),
        time_spent_seconds: row.and_then(|row| row.time_spent_seconds),
        correct_option_ids: key.option_ids,
        correct_value,
        tolerance,
        correct_texts,
        case_sensitive,
        explanation: question
            .explanation
            .as_deref()
            .filter(|_| reviewed)
            .map(|text| pictures.show(text).into_owned()),
        marks: reviewed.then(|| Decimal::of_hundredths(sitting.paper.marks().of(verdict))),
        verdict: reviewed.then(|| verdict.into()),
        topic: sitting.paper.topics.get(&question.topic_id).cloned().filter(|_| reviewed),
        difficulty: reviewed.then(|| question.difficulty.into()),
    }
}

/// Reads from the id of an option the position at which the sitting shows the option. Returns `None` if the id is not
/// that of an option in this sitting and slot.
pub(in crate::graphql) fn option_place(session: TestSessionId, slot: i32, id: &ID) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(id.as_bytes()).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let place = text.strip_prefix(&format!("Option:{session}:{slot}:"))?.parse().ok()?;
    // Rejects "01" and "+1", so that an option has only one id.
    (SittingId::of_option(session, slot, place).encoded() == *id).then_some(place)
}
