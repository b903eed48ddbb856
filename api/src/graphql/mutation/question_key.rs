//! The mutations `correctQuestionKey` and `setQuestionArchived`.

use async_graphql::{Context, ID, InputObject, Object};
use graphql_engine::guarded_fields;
use jishu_entity::{QuestionId, QuestionVersionId};

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::scalar::Decimal;
use crate::graphql::types::{AuthoredQuestion, ErrorCode, UserError, authored_option, user_errors};
use jishu_service::Services;
use jishu_service::account::Author;
use jishu_service::question_bank::{
    self, ArchiveRefusal, Correction, CorrectionRefusal, InvalidQuestion, NewKey,
};

/// The right key of a question. Give one of `correctOptionIds`, `correctValue` and `correctTexts`.
#[derive(InputObject)]
struct CorrectQuestionKeyInput {
    /// The id of the question with the wrong key.
    question_id: ID,
    /// The ids of all correct options. Take the ids from `current.options` of the question.
    correct_option_ids: Option<Vec<ID>>,
    /// The correct number.
    correct_value: Option<Decimal>,
    /// The largest difference from `correctValue` at which an answer is still correct. If not given, the tolerance
    /// stays the same.
    tolerance: Option<Decimal>,
    /// All texts that are correct: 1 to 100, of at most 500 characters each. `*` stands for any number of characters,
    /// and `\*` for an asterisk.
    correct_texts: Option<Vec<String>>,
    /// Whether an answer must have the same capital and small letters as a correct text. If not given, this setting
    /// stays the same.
    case_sensitive: Option<bool>,
    /// The explanation of the key. An empty text removes the explanation. If not given, the explanation stays the same.
    explanation: Option<String>,
    /// The reason for the correction: 1 to 1000 characters. AUTHOR and ADMIN can read it in `corrections` of the
    /// question, with the name of the viewer.
    reason: String,
}

/// The response to `correctQuestionKey`: the correction, or the reason to refuse.
struct CorrectQuestionKeyPayload {
    outcome: Result<CorrectedQuestion, UserError>,
}

/// A question whose key was corrected, and the number of tests that the correction changed.
struct CorrectedQuestion {
    question: Option<AuthoredQuestion>,
    tests: usize,
}

/// The response to `correctQuestionKey`.
#[Object]
impl CorrectQuestionKeyPayload {
    /// The question after the correction. Null if nothing was corrected.
    async fn question(&self) -> Option<&AuthoredQuestion> {
        self.outcome.as_ref().ok()?.question.as_ref()
    }

    /// The number of fixed tests whose new sittings use the corrected version because of this request. 0 if the request
    /// was refused.
    async fn corrected_tests(&self) -> usize {
        self.outcome.as_ref().map_or(0, |corrected| corrected.tests)
    }

    /// The reasons why nothing was corrected. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

/// A request to archive or restore a question.
#[derive(InputObject)]
struct SetQuestionArchivedInput {
    /// The id of the question.
    question_id: ID,
    /// True to archive the question, false to restore it.
    archived: bool,
}

/// The response to `setQuestionArchived`: the question, or the reason to refuse.
struct SetQuestionArchivedPayload {
    outcome: Result<Option<AuthoredQuestion>, UserError>,
}

/// The response to `setQuestionArchived`.
#[Object]
impl SetQuestionArchivedPayload {
    /// The question after the request. Null if the request was refused.
    async fn question(&self) -> Option<&AuthoredQuestion> {
        self.outcome.as_ref().ok()?.as_ref()
    }

    /// The reasons why nothing was changed. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

#[derive(Default)]
pub(super) struct QuestionKeyMutation;

#[guarded_fields(requires_role)]
#[Object]
impl QuestionKeyMutation {
    /// Corrects the key of a question. New tests and new sittings of fixed tests use the corrected version. Open
    /// and finished sittings keep the key that they started with. Only for AUTHOR and ADMIN.
    async fn correct_question_key(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The question and its right key.")] input: CorrectQuestionKeyInput,
    ) -> ApiResult<CorrectQuestionKeyPayload> {
        let services = ctx.services()?;
        let given = given(&input);
        let corrected = match (QuestionId::parse(&input.question_id), new_key(&input)) {
            (None, _) => Err(not_found()),
            (Some(_), Err(error)) => Err(error),
            (Some(question_id), Ok(key)) => {
                let (explanation, reason, by) = (input.explanation, input.reason, Some(author));
                let correction = Correction { question_id, key, explanation, reason, by };
                let corrected =
                    question_bank::correct(&services.database, &*services.clock, correction).await;
                refused_or(corrected)?
                    .map(|corrected| (question_id, corrected.tests))
                    .map_err(|refusal| correction_error(&refusal, given))
            }
        };
        let outcome = match corrected {
            Ok((id, tests)) => {
                Ok(CorrectedQuestion { question: question(services, author, id).await?, tests })
            }
            Err(error) => Err(error),
        };
        Ok(CorrectQuestionKeyPayload { outcome })
    }

    /// Archives a question, so that no new test asks it, or restores an archived question. Fixed tests keep the
    /// question. Repeating the request changes nothing. Only for AUTHOR and ADMIN.
    async fn set_question_archived(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The question, and whether to archive or restore it.")]
        input: SetQuestionArchivedInput,
    ) -> ApiResult<SetQuestionArchivedPayload> {
        let services = ctx.services()?;
        let archived = match QuestionId::parse(&input.question_id) {
            Some(id) => {
                let by = Some(author);
                let (database, clock) = (&services.database, &*services.clock);
                let set = question_bank::set_archived(database, clock, by, id, input.archived).await;
                refused_or(set)?.map(|_| id)
            }
            None => Err(ArchiveRefusal::NotFound),
        };
        let outcome = match archived {
            Ok(id) => Ok(question(services, author, id).await?),
            Err(ArchiveRefusal::NotFound) => Err(not_found()),
        };
        Ok(SetQuestionArchivedPayload { outcome })
    }
}

async fn question(
    services: &Services,
    author: Author,
    id: QuestionId,
) -> ApiResult<Option<AuthoredQuestion>> {
    let found = question_bank::by_ids(services.database.reader(), author, [id]).await?.pop();
    Ok(found.map(|question| AuthoredQuestion::new(question, author)))
}

fn new_key(input: &CorrectQuestionKeyInput) -> Result<NewKey, UserError> {
    let invalid =
        |message: &str, at| UserError::field(ErrorCode::QuestionKeyInvalid, message, &["input", at]);
    match (&input.correct_option_ids, &input.correct_value, &input.correct_texts) {
        (Some(ids), None, None) => {
            let named: Option<Vec<(QuestionVersionId, i32)>> = ids.iter().map(authored_option).collect();
            let no_such = CorrectionRefusal::NoSuchOption.to_string();
            let named = named.ok_or_else(|| invalid(&no_such, "correctOptionIds"))?;
            let version = named.first().map(|(version, _)| *version);
            if named.iter().any(|(other, _)| Some(*other) != version) {
                return Err(invalid(&no_such, "correctOptionIds"));
            }
            let positions = named.into_iter().map(|(_, position)| position).collect();
            Ok(NewKey::Options { version, positions })
        }
        (None, Some(Decimal(value)), None) => {
            let tolerance = input.tolerance.as_ref().map(|Decimal(tolerance)| *tolerance);
            Ok(NewKey::Number { value: *value, tolerance })
        }
        (None, None, Some(texts)) => {
            Ok(NewKey::Texts { texts: texts.clone(), is_case_sensitive: input.case_sensitive })
        }
        (None, None, None) => {
            Err(invalid("Give `correctOptionIds`, `correctValue` or `correctTexts`.", "correctOptionIds"))
        }
        _ => Err(invalid(
            "Give only one of `correctOptionIds`, `correctValue` and `correctTexts`.",
            if input.correct_texts.is_some() { "correctTexts" } else { "correctValue" },
        )),
    }
}

/// Returns the name of the input field that has the new key.
fn given(input: &CorrectQuestionKeyInput) -> &'static str {
    match (&input.correct_option_ids, &input.correct_value) {
        (Some(_), _) => "correctOptionIds",
        (None, Some(_)) => "correctValue",
        (None, None) => "correctTexts",
    }
}

fn not_found() -> UserError {
    let message = "There is no such question. Take its id from `questions`.";
    UserError::field(ErrorCode::QuestionNotFound, message, &["input", "questionId"])
}

/// Makes the user error for a refused correction. `given` is the name of the input field that has the new key.
fn correction_error(refusal: &CorrectionRefusal, given: &str) -> UserError {
    let message = refusal.to_string();
    let field = |code, at: &str| UserError::field(code, message.as_str(), &["input", at]);
    match refusal {
        CorrectionRefusal::NotFound => not_found(),
        CorrectionRefusal::NothingChanged => field(ErrorCode::QuestionKeyUnchanged, "questionId"),
        CorrectionRefusal::Key(InvalidQuestion::ToleranceNegative) => {
            field(ErrorCode::QuestionKeyInvalid, "tolerance")
        }
        CorrectionRefusal::WantsNumber
        | CorrectionRefusal::WantsOptions
        | CorrectionRefusal::WantsTexts
        | CorrectionRefusal::NoSuchOption
        | CorrectionRefusal::Key(_) => field(ErrorCode::QuestionKeyInvalid, given),
        CorrectionRefusal::Outdated => field(ErrorCode::QuestionOutdated, "correctOptionIds"),
        CorrectionRefusal::Explanation(_) => field(ErrorCode::ExplanationInvalid, "explanation"),
        CorrectionRefusal::Reason => field(ErrorCode::ReasonInvalid, "reason"),
    }
}
