//! The mutations `correctQuestionKey` and `setQuestionArchived`.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use jishu_entity::{QuestionId, QuestionVersionId};

use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::node::GlobalKey;
use crate::graphql::scalar::Decimal;
use crate::graphql::types::{AuthoredQuestion, ErrorCode, UserError, authored_option};
use jishu_service::Services;
use jishu_service::account::Author;
use jishu_service::question_bank::{
    self, ArchiveError, Correction, CorrectionError, InvalidQuestion, NewKey,
};

/// The right key of a question. Give `correctOptionIds` or `correctValue`.
#[derive(InputObject)]
struct CorrectQuestionKeyInput {
    /// The id of the question whose key is wrong.
    question_id: ID,
    /// The ids of all correct options, taken from `current.options` of the question.
    correct_option_ids: Option<Vec<ID>>,
    /// The number that is correct.
    correct_value: Option<Decimal>,
    /// How far from `correctValue` an answer is still correct, the ends included. If not given, it stays as it is.
    tolerance: Option<Decimal>,
    /// The explanation of the key. An empty text removes it. If not given, it stays as it is.
    explanation: Option<String>,
    /// The reason for the correction: 1 to 1000 characters. It is recorded with your name.
    reason: String,
}

/// The response to `correctQuestionKey`.
#[derive(Default, SimpleObject)]
struct CorrectQuestionKeyPayload {
    /// The question as it is now; null if nothing was corrected.
    question: Option<AuthoredQuestion>,
    /// The number of fixed tests whose new sittings take the corrected version.
    corrected_tests: usize,
    /// Why nothing was corrected.
    user_errors: Vec<UserError>,
}

/// The state that a question gets: archived or in use.
#[derive(InputObject)]
struct SetQuestionArchivedInput {
    /// The id of the question.
    question_id: ID,
    /// True to archive it, false to restore it.
    archived: bool,
}

/// The response to `setQuestionArchived`.
#[derive(Default, SimpleObject)]
struct SetQuestionArchivedPayload {
    /// The question as it is now; null if nothing was found.
    question: Option<AuthoredQuestion>,
    /// Why nothing was changed.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct QuestionKeyMutation;

#[Object]
impl QuestionKeyMutation {
    /// Corrects the key of a question. New tests and new sittings of fixed tests take the corrected version. Open and
    /// finished sittings keep the key that they started with. For authors and admins.
    async fn correct_question_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The question and its right key.")] input: CorrectQuestionKeyInput,
    ) -> ApiResult<CorrectQuestionKeyPayload> {
        let author = ctx.require_author().await?;
        let services = ctx.services()?;
        let Some(question_id) = QuestionId::parse(&input.question_id) else {
            return not_corrected(CorrectionError::NotFound);
        };
        let key = match new_key(&input) {
            Ok(key) => key,
            Err(error) => {
                return Ok(CorrectQuestionKeyPayload { user_errors: vec![error], ..Default::default() });
            }
        };
        let (explanation, reason, by) = (input.explanation, input.reason, Some(author));
        let correction = Correction { question_id, key, explanation, reason, by };
        match question_bank::correct(&services.database, &*services.clock, correction).await {
            Ok(corrected) => Ok(CorrectQuestionKeyPayload {
                question: question(services, author, question_id).await?,
                corrected_tests: corrected.tests,
                user_errors: Vec::new(),
            }),
            Err(error) => not_corrected(error),
        }
    }

    /// Archives a question, so that no new test asks it, or restores it. Fixed tests keep it. Repeating the call
    /// changes nothing. For authors and admins.
    async fn set_question_archived(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The question, and whether to archive or restore it.")]
        input: SetQuestionArchivedInput,
    ) -> ApiResult<SetQuestionArchivedPayload> {
        let author = ctx.require_author().await?;
        let services = ctx.services()?;
        let set = match QuestionId::parse(&input.question_id) {
            Some(id) => {
                let by = Some(author);
                question_bank::set_archived(&services.database, &*services.clock, by, id, input.archived)
                    .await
                    .map(|_| id)
            }
            None => Err(ArchiveError::NotFound),
        };
        match set {
            Ok(id) => Ok(SetQuestionArchivedPayload {
                question: question(services, author, id).await?,
                user_errors: Vec::new(),
            }),
            Err(ArchiveError::NotFound) => {
                Ok(SetQuestionArchivedPayload { question: None, user_errors: vec![not_found()] })
            }
            Err(ArchiveError::Database(error)) => Err(error.into()),
        }
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
    match (&input.correct_option_ids, &input.correct_value) {
        (Some(ids), None) => {
            let named: Option<Vec<(QuestionVersionId, i32)>> = ids.iter().map(authored_option).collect();
            let no_such = CorrectionError::NoSuchOption.to_string();
            let named = named.ok_or_else(|| invalid(&no_such, "correctOptionIds"))?;
            let version = named.first().map(|(version, _)| *version);
            if named.iter().any(|(other, _)| Some(*other) != version) {
                return Err(invalid(&no_such, "correctOptionIds"));
            }
            let positions = named.into_iter().map(|(_, position)| position).collect();
            Ok(NewKey::Options { version, positions })
        }
        (None, Some(Decimal(value))) => {
            let tolerance = input.tolerance.as_ref().map(|Decimal(tolerance)| *tolerance);
            Ok(NewKey::Number { value: *value, tolerance })
        }
        (None, None) => Err(invalid("Give `correctOptionIds` or `correctValue`.", "correctOptionIds")),
        (Some(_), Some(_)) => {
            Err(invalid("Give either `correctOptionIds` or `correctValue`, not both.", "correctValue"))
        }
    }
}

fn not_found() -> UserError {
    let message = "There is no such question. Take its id from `questions`.";
    UserError::field(ErrorCode::QuestionNotFound, message, &["input", "questionId"])
}

fn not_corrected(error: CorrectionError) -> ApiResult<CorrectQuestionKeyPayload> {
    let message = error.to_string();
    let field = |code, at: &str| UserError::field(code, message.as_str(), &["input", at]);
    let error = match error {
        CorrectionError::NotFound => not_found(),
        CorrectionError::NothingChanged => field(ErrorCode::QuestionKeyUnchanged, "questionId"),
        CorrectionError::Key(InvalidQuestion::ToleranceNegative) => {
            field(ErrorCode::QuestionKeyInvalid, "tolerance")
        }
        CorrectionError::WantsNumber | CorrectionError::NoSuchOption | CorrectionError::Key(_) => {
            field(ErrorCode::QuestionKeyInvalid, "correctOptionIds")
        }
        CorrectionError::WantsOptions => field(ErrorCode::QuestionKeyInvalid, "correctValue"),
        CorrectionError::Outdated => field(ErrorCode::QuestionOutdated, "correctOptionIds"),
        CorrectionError::Explanation(_) => field(ErrorCode::ExplanationInvalid, "explanation"),
        CorrectionError::Reason => field(ErrorCode::ReasonInvalid, "reason"),
        CorrectionError::Database(error) => return Err(error.into()),
    };
    Ok(CorrectQuestionKeyPayload { user_errors: vec![error], ..Default::default() })
}
