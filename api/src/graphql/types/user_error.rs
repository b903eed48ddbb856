//! Expected outcomes: what a screen is designed to show.

use async_graphql::{Enum, ID, Interface, SimpleObject};
use jishu_entity::SubjectId;

use super::PurchaseQuote;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use jishu_service::purchase::SelectionError;

/// What went wrong, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum ErrorCode {
    /// The name is blank, too long, or has control characters.
    NameInvalid,
    /// Not an e-mail address.
    EmailInvalid,
    /// The e-mail address has an account.
    EmailTaken,
    /// The password is too short, too long, or is the e-mail address.
    PasswordInvalid,
    /// The e-mail address or the password is not right; which one is not told.
    InvalidCredentials,
    /// The refresh token is unknown, expired, revoked, or was used before.
    RefreshTokenInvalid,
    /// There is no such course.
    CourseNotFound,
    /// The course is no longer sold.
    CourseArchived,
    /// The course has no bundle price.
    NotSoldAsBundle,
    /// The course has no subject that is sold.
    CourseEmpty,
    /// There is no such subject.
    SubjectNotFound,
    /// The subject is no longer sold.
    SubjectArchived,
    /// The subject belongs to another course.
    SubjectNotInCourse,
    /// The number of subjects does not fit the purchase type.
    SubjectCountMismatch,
    /// A subject is given twice.
    SubjectRepeated,
    /// The subject is owned already.
    SubjectOwned,
    /// The cart is full.
    CartFull,
    /// The price is not what the buyer was shown.
    PriceChanged,
    /// The idempotency key was used for another purchase.
    IdempotencyKeyReused,
    /// The account is gone or deactivated.
    AccountInactive,
    /// There is no such test card.
    MockTestAttemptNotFound,
    /// Neither time nor attempts are given to be granted.
    NothingToGrant,
    /// The extra time is out of range.
    ExtraSecondsInvalid,
    /// The number of attempts is out of range, or less than what was used.
    MaxAttemptsInvalid,
    /// Every attempt of the test card is used.
    AttemptsExhausted,
    /// The purchase was refunded, or its term is over.
    EntitlementEnded,
    /// The question bank has too few questions for the test.
    TooFewQuestions,
    /// There is no such sitting.
    TestSessionNotFound,
    /// The sitting is over.
    TestSessionClosed,
    /// The deadline of the sitting has passed.
    TestSessionOverdue,
    /// An answer cannot be one of the question of its slot.
    AnswerInvalid,
    /// Another tab or device has answered since.
    AnswersSuperseded,
    /// The settings of tests cannot be so.
    TestSettingsInvalid,
    /// The text looks like none of the formats of questions.
    QuestionFormatUnknown,
    /// The text as a whole cannot be read in its format.
    QuestionsUnreadable,
    /// There is no such question.
    QuestionNotFound,
    /// The question, and every test that asks it, already has this key.
    QuestionKeyUnchanged,
    /// The key does not fit the question.
    QuestionKeyInvalid,
    /// The options belong to an older version of the question.
    QuestionOutdated,
    /// The explanation is too long or has control characters.
    ExplanationInvalid,
    /// The reason is blank or too long.
    ReasonInvalid,
    /// The topic has no name, too long a one, or one with control characters.
    TopicInvalid,
}

/// An outcome that a screen is designed to show. Bad documents, missing sign-in and our own faults are top-level
/// errors.
#[derive(Interface)]
#[graphql(
    field(name = "code", ty = "&ErrorCode", desc = "What went wrong, for programs."),
    field(name = "message", ty = "&String", desc = "What went wrong and what to do, for people."),
    field(
        name = "path",
        ty = "&Vec<String>",
        desc = "The argument it is about, from the field's arguments down."
    )
)]
pub(in crate::graphql) enum UserError {
    Field(FieldError),
    Subjects(SubjectsError),
    PriceChanged(PriceChangedError),
    AttemptsExhausted(AttemptsExhaustedError),
    Answers(AnswersError),
}

/// An argument that cannot be accepted.
#[derive(SimpleObject)]
pub(in crate::graphql) struct FieldError {
    /// What went wrong, for programs.
    pub(in crate::graphql) code: ErrorCode,
    /// What went wrong and what to do, for people.
    pub(in crate::graphql) message: String,
    /// The argument it is about, from the field's arguments down.
    pub(in crate::graphql) path: Vec<String>,
}

/// Subjects that cannot be accepted.
#[derive(SimpleObject)]
pub(in crate::graphql) struct SubjectsError {
    /// What went wrong, for programs.
    pub(in crate::graphql) code: ErrorCode,
    /// What went wrong and what to do, for people.
    pub(in crate::graphql) message: String,
    /// The argument it is about, from the field's arguments down.
    pub(in crate::graphql) path: Vec<String>,
    /// The ids it is about, as they were given.
    pub(in crate::graphql) subject_ids: Vec<ID>,
}

/// The price is not what the buyer was shown; nothing was bought.
#[derive(SimpleObject)]
pub(in crate::graphql) struct PriceChangedError {
    /// What went wrong, for programs.
    code: ErrorCode,
    /// What went wrong and what to do, for people.
    pub(in crate::graphql) message: String,
    /// The argument it is about, from the field's arguments down.
    path: Vec<String>,
    /// What it costs now. Show it, and send its total as `cost`.
    quote: Box<PurchaseQuote>,
}

impl PriceChangedError {
    pub(in crate::graphql) fn new(message: String, quote: PurchaseQuote) -> Self {
        Self {
            code: ErrorCode::PriceChanged,
            message,
            path: path(&["input", "cost"]),
            quote: Box::new(quote),
        }
    }
}

/// Every attempt of the test card is used.
#[derive(SimpleObject)]
pub(in crate::graphql) struct AttemptsExhaustedError {
    /// What went wrong, for programs.
    code: ErrorCode,
    /// What went wrong and what to do, for people.
    pub(in crate::graphql) message: String,
    /// The argument it is about, from the field's arguments down.
    path: Vec<String>,
    /// How often the card may be sat.
    max_attempts: i32,
}

impl AttemptsExhaustedError {
    pub(in crate::graphql) fn new(message: String, max_attempts: i32) -> Self {
        let path = path(&["input", "mockTestAttemptId"]);
        Self { code: ErrorCode::AttemptsExhausted, message, path, max_attempts }
    }
}

/// Answers that were not saved.
#[derive(SimpleObject)]
pub(in crate::graphql) struct AnswersError {
    /// What went wrong, for programs.
    code: ErrorCode,
    /// What went wrong and what to do, for people.
    pub(in crate::graphql) message: String,
    /// The argument it is about, from the field's arguments down.
    path: Vec<String>,
    /// The slots it is about.
    slots: Vec<i32>,
}

impl AnswersError {
    pub(in crate::graphql) fn new(
        code: ErrorCode,
        message: impl Into<String>,
        at: &[&str],
        slots: &[i32],
    ) -> Self {
        Self { code, message: message.into(), path: path(at), slots: slots.to_vec() }
    }
}

impl UserError {
    pub(in crate::graphql) fn field(code: ErrorCode, message: impl Into<String>, at: &[&str]) -> Self {
        Self::Field(FieldError { code, message: message.into(), path: path(at) })
    }

    pub(in crate::graphql) fn subjects(
        code: ErrorCode,
        message: impl Into<String>,
        at: &[&str],
        subjects: &[SubjectId],
    ) -> Self {
        let subject_ids = subjects.iter().map(|id| id.global()).collect();
        Self::Subjects(SubjectsError { code, message: message.into(), path: path(at), subject_ids })
    }
}

impl UserError {
    /// What went wrong and what to do, for people.
    pub(in crate::graphql) fn sentence(&self) -> &str {
        match self {
            Self::Field(error) => &error.message,
            Self::Subjects(error) => &error.message,
            Self::PriceChanged(error) => &error.message,
            Self::AttemptsExhausted(error) => &error.message,
            Self::Answers(error) => &error.message,
        }
    }

    /// Ids of subjects, or an error that names those that we did not make.
    pub(in crate::graphql) fn parse_subjects(ids: &[ID], at: &[&str]) -> Result<Vec<SubjectId>, Self> {
        let subject_ids: Vec<ID> = ids.iter().filter(|id| SubjectId::parse(id).is_none()).cloned().collect();
        if subject_ids.is_empty() {
            return Ok(ids.iter().filter_map(SubjectId::parse).collect());
        }
        let message = SelectionError::SubjectsNotFound(Vec::new()).to_string();
        Err(Self::Subjects(SubjectsError {
            code: ErrorCode::SubjectNotFound,
            message,
            path: path(at),
            subject_ids,
        }))
    }
}

fn path(at: &[&str]) -> Vec<String> {
    at.iter().map(|part| (*part).to_owned()).collect()
}

/// Why a selection cannot be bought, as a user error; a failed database is a top-level one.
pub(in crate::graphql) fn selection_error(error: SelectionError) -> ApiResult<UserError> {
    const COURSE: &[&str] = &["input", "courseId"];
    const SUBJECTS: &[&str] = &["input", "subjectIds"];
    let message = error.to_string();
    let subjects = |code, ids: &[SubjectId]| UserError::subjects(code, message.as_str(), SUBJECTS, ids);
    let field = |code, at| UserError::field(code, message.as_str(), at);
    Ok(match error {
        SelectionError::WrongCount { .. } => field(ErrorCode::SubjectCountMismatch, SUBJECTS),
        SelectionError::TooMany(_) => field(ErrorCode::SubjectCountMismatch, SUBJECTS),
        SelectionError::Repeated(ids) => subjects(ErrorCode::SubjectRepeated, &ids),
        SelectionError::CourseNotFound => field(ErrorCode::CourseNotFound, COURSE),
        SelectionError::CourseArchived => field(ErrorCode::CourseArchived, COURSE),
        SelectionError::NotSoldAsBundle => field(ErrorCode::NotSoldAsBundle, &["input", "purchaseType"]),
        SelectionError::EmptyCourse => field(ErrorCode::CourseEmpty, COURSE),
        SelectionError::SubjectsNotFound(ids) => subjects(ErrorCode::SubjectNotFound, &ids),
        SelectionError::SubjectsArchived(ids) => subjects(ErrorCode::SubjectArchived, &ids),
        SelectionError::SubjectsOfAnotherCourse(ids) => subjects(ErrorCode::SubjectNotInCourse, &ids),
        SelectionError::Database(error) => return Err(ApiError::from(error)),
    })
}
