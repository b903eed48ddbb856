//! Expected outcomes: the errors that a screen is designed to show.

use async_graphql::{Enum, ID, Interface, SimpleObject};
use jishu_entity::SubjectId;

use super::{PurchaseQuote, StaleEditError};
use crate::graphql::node::GlobalKey;
use jishu_service::guardian::ConsentRefusal;
use jishu_service::purchase::SelectionRefusal;

/// The message about ids that name no subject.
pub(in crate::graphql) const NO_SUCH_SUBJECT: &str =
    "There is no such subject. Take its id from `course.subjects`.";

/// The kind of an expected error, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum ErrorCode {
    /// The name is blank, too long, or contains control characters.
    NameInvalid,
    /// The e-mail address is not well-formed.
    EmailInvalid,
    /// An account with this e-mail address exists. Sign in, or register with another address.
    EmailTaken,
    /// The password is too short or too long, or it is the e-mail address.
    PasswordInvalid,
    /// The e-mail address or the password is wrong. For safety, the error does not say which.
    InvalidCredentials,
    /// The link is unknown, used or expired. Ask for a new one.
    LinkInvalid,
    /// The account must verify its e-mail address before it can sign in. Another mail was sent.
    EmailNotVerified,
    /// The e-mail address is verified already.
    EmailAlreadyVerified,
    /// The refresh token is unknown, expired, revoked or already used. Sign in again.
    RefreshTokenInvalid,
    /// There is no such course.
    CourseNotFound,
    /// The course is no longer sold.
    CourseArchived,
    /// The course has no bundle price. Buy its subjects one by one.
    NotSoldAsBundle,
    /// The course has no subject that is sold.
    CourseEmpty,
    /// There is no such subject.
    SubjectNotFound,
    /// The subject is no longer sold.
    SubjectArchived,
    /// The subject belongs to another course. A purchase covers one course.
    SubjectNotInCourse,
    /// The number of subjects does not fit the purchase type, or it exceeds the maximum.
    SubjectCountMismatch,
    /// A subject is listed more than once.
    SubjectRepeated,
    /// The user already owns the subject.
    SubjectOwned,
    /// The cart is full. Buy or remove some subjects first.
    CartFull,
    /// The price differs from the `cost` in the request. Show the new quote to the buyer.
    PriceChanged,
    /// The idempotency key was used for a different purchase or refund. Make a new key for each of them.
    IdempotencyKeyReused,
    /// There is no such purchase, or it belongs to another user.
    PurchaseNotFound,
    /// The subject is not part of the purchase.
    SubjectNotInPurchase,
    /// The subject was refunded before.
    AlreadyRefunded,
    /// The year of birth is missing. Give `birthYear`: to `register`, or to `updateProfile`.
    BirthYearRequired,
    /// The year of birth is in the future, or too long ago.
    BirthYearInvalid,
    /// The account has another year of birth, which only support can correct.
    BirthYearFixed,
    /// A parent or guardian must consent first. Ask one with `requestGuardianConsent`.
    GuardianConsentRequired,
    /// The account needs no consent of a guardian, or has it already.
    GuardianConsentNotNeeded,
    /// The guardian has revoked the consent. Only the same guardian can consent again.
    GuardianConsentRevoked,
    /// The account was deleted or deactivated.
    AccountInactive,
    /// There is no such account.
    UserNotFound,
    /// The account belongs to the viewer, who cannot change it in this way.
    OwnAccount,
    /// The account belongs to a member of staff. Only an admin can change it.
    UserIsStaff,
    /// The account is the last active admin. Make another account an admin first.
    LastAdmin,
    /// There is no such test card, or it belongs to another user.
    MockTestAttemptNotFound,
    /// The grant is empty. Give `extraSeconds`, `maxAttempts` or both.
    NothingToGrant,
    /// The allowance is for nothing in particular, or for both a subject and a course.
    AllowanceScopeInvalid,
    /// The extra time is out of range.
    ExtraSecondsInvalid,
    /// The number of attempts is out of range, or lower than the number of attempts used.
    MaxAttemptsInvalid,
    /// All attempts of the test card are used.
    AttemptsExhausted,
    /// The purchase that gave the test card was refunded or has expired. Buy the subject again.
    EntitlementEnded,
    /// The question bank has too few questions to make the test. An author must add questions.
    TooFewQuestions,
    /// There is no such sitting, or it belongs to another user.
    TestSessionNotFound,
    /// The sitting is over. Read `session.result`.
    TestSessionClosed,
    /// The deadline of the sitting has passed.
    TestSessionOverdue,
    /// The answer does not fit the question in its slot, or the number of the batch is invalid.
    AnswerInvalid,
    /// Another tab or device has changed some of these answers. Read `session.answerSequence`, add 1, and submit
    /// again.
    AnswersSuperseded,
    /// The test settings are invalid.
    TestSettingsInvalid,
    /// The format of the file was not recognised. Set `format`.
    QuestionFormatUnknown,
    /// The whole file is unreadable in its format.
    QuestionsUnreadable,
    /// There is no such question.
    QuestionNotFound,
    /// The question already has this key, and so has every test that asks it.
    QuestionKeyUnchanged,
    /// The key does not fit the question.
    QuestionKeyInvalid,
    /// The options belong to an older version of the question. Read the question again.
    QuestionOutdated,
    /// The explanation is too long or contains control characters.
    ExplanationInvalid,
    /// The reason is blank or too long.
    ReasonInvalid,
    /// The topic is blank or too long, or it contains control characters.
    TopicInvalid,
    /// Somebody has changed the course or the subject since its version was read. Compare the two states, and send the
    /// edit again with the current version.
    StaleEdit,
    /// Another course has this code, or another subject of the same course.
    CodeTaken,
    /// The code is malformed.
    CodeInvalid,
    /// The course or the subject has a code, and a code never changes.
    CodeFixed,
    /// The description is too long or contains control characters.
    DescriptionInvalid,
    /// There is no such currency.
    CurrencyInvalid,
    /// The price is out of range, or has more decimal places than its currency.
    PriceInvalid,
    /// The offer costs more than the list price, or its times are not allowed.
    OfferInvalid,
    /// The number of days is out of range.
    ValidityDaysInvalid,
    /// The number of mock tests is out of range.
    TotalMockTestsInvalid,
}

/// An expected error, which a screen is designed to show. Invalid documents, missing sign-in and server faults are
/// top-level errors instead.
#[derive(Interface)]
#[graphql(
    field(name = "code", ty = "&ErrorCode", desc = "The kind of error, for programs."),
    field(
        name = "message",
        ty = "&String",
        desc = "An explanation for people: what happened, and what to do."
    ),
    field(
        name = "path",
        ty = "&Vec<String>",
        desc = "The path of the argument that caused the error, such as `[\"input\", \"email\"]`. Empty if no argument caused it."
    )
)]
pub(in crate::graphql) enum UserError {
    Field(FieldError),
    Subjects(SubjectsError),
    PriceChanged(PriceChangedError),
    AttemptsExhausted(AttemptsExhaustedError),
    Answers(AnswersError),
    StaleEdit(StaleEditError),
}

/// An argument that was refused.
#[derive(SimpleObject)]
pub(in crate::graphql) struct FieldError {
    /// The kind of error, for programs.
    pub(in crate::graphql) code: ErrorCode,
    /// An explanation for people: what happened, and what to do.
    pub(in crate::graphql) message: String,
    /// The path of the argument that caused the error, such as `["input", "email"]`. Empty if no argument caused
    /// it.
    pub(in crate::graphql) path: Vec<String>,
}

/// Subjects that were refused.
#[derive(SimpleObject)]
pub(in crate::graphql) struct SubjectsError {
    /// The kind of error, for programs.
    pub(in crate::graphql) code: ErrorCode,
    /// An explanation for people: what happened, and what to do.
    pub(in crate::graphql) message: String,
    /// The path of the argument that caused the error, such as `["input", "subjectIds"]`.
    pub(in crate::graphql) path: Vec<String>,
    /// The ids of the refused subjects, as the client sent them.
    pub(in crate::graphql) subject_ids: Vec<ID>,
}

/// The price differs from the `cost` in the request. Nothing was bought.
#[derive(SimpleObject)]
pub(in crate::graphql) struct PriceChangedError {
    /// The kind of error, for programs.
    code: ErrorCode,
    /// An explanation for people: what happened, and what to do.
    pub(in crate::graphql) message: String,
    /// The path of the argument that caused the error.
    path: Vec<String>,
    /// The price now. Show it to the buyer, then send its `total` as `cost`.
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

/// All attempts of the test card are used.
#[derive(SimpleObject)]
pub(in crate::graphql) struct AttemptsExhaustedError {
    /// The kind of error, for programs.
    code: ErrorCode,
    /// An explanation for people: what happened, and what to do.
    pub(in crate::graphql) message: String,
    /// The path of the argument that caused the error.
    path: Vec<String>,
    /// The total number of attempts that the test card allows.
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
    /// The kind of error, for programs.
    code: ErrorCode,
    /// An explanation for people: what happened, and what to do.
    pub(in crate::graphql) message: String,
    /// The path of the argument that caused the error.
    path: Vec<String>,
    /// The slots of the answers that were not saved. Empty if the error does not concern single slots.
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
    /// Returns the message for people.
    pub(in crate::graphql) fn sentence(&self) -> &str {
        match self {
            Self::Field(error) => &error.message,
            Self::Subjects(error) => &error.message,
            Self::PriceChanged(error) => &error.message,
            Self::AttemptsExhausted(error) => &error.message,
            Self::Answers(error) => &error.message,
            Self::StaleEdit(error) => &error.message,
        }
    }

    /// Parses ids of subjects. If some are not ids of subjects, returns an error that lists them.
    pub(in crate::graphql) fn parse_subjects(ids: &[ID], at: &[&str]) -> Result<Vec<SubjectId>, Self> {
        let subject_ids: Vec<ID> = ids.iter().filter(|id| SubjectId::parse(id).is_none()).cloned().collect();
        if subject_ids.is_empty() {
            return Ok(ids.iter().filter_map(SubjectId::parse).collect());
        }
        let message = NO_SUCH_SUBJECT.to_owned();
        Err(Self::Subjects(SubjectsError {
            code: ErrorCode::SubjectNotFound,
            message,
            path: path(at),
            subject_ids,
        }))
    }
}

/// The value of `userErrors` in a payload.
pub(in crate::graphql) fn user_errors<T>(outcome: &Result<T, UserError>) -> Vec<&UserError> {
    outcome.as_ref().err().into_iter().collect()
}

fn path(at: &[&str]) -> Vec<String> {
    at.iter().map(|part| (*part).to_owned()).collect()
}

impl UserError {
    /// Makes the error for a selection that cannot be bought. `at` is the path of the selection.
    pub(in crate::graphql) fn of_selection(refusal: SelectionRefusal, at: &[&str]) -> Self {
        let below = |name: &'static str| [at, &[name]].concat();
        let message = match &refusal {
            SelectionRefusal::CourseNotFound => format!("{refusal} Take its id from `courses`."),
            SelectionRefusal::SubjectsNotFound(_) => NO_SUCH_SUBJECT.to_owned(),
            refusal => refusal.to_string(),
        };
        let subjects =
            |code, ids: &[SubjectId]| Self::subjects(code, message.as_str(), &below("subjectIds"), ids);
        let field = |code, name| Self::field(code, message.as_str(), &below(name));
        match refusal {
            SelectionRefusal::WrongCount { .. } | SelectionRefusal::TooMany(_) => {
                field(ErrorCode::SubjectCountMismatch, "subjectIds")
            }
            SelectionRefusal::Repeated(ids) => subjects(ErrorCode::SubjectRepeated, &ids),
            SelectionRefusal::CourseNotFound => field(ErrorCode::CourseNotFound, "courseId"),
            SelectionRefusal::CourseArchived => field(ErrorCode::CourseArchived, "courseId"),
            SelectionRefusal::NotSoldAsBundle => field(ErrorCode::NotSoldAsBundle, "purchaseType"),
            SelectionRefusal::EmptyCourse => field(ErrorCode::CourseEmpty, "courseId"),
            SelectionRefusal::SubjectsNotFound(ids) => subjects(ErrorCode::SubjectNotFound, &ids),
            SelectionRefusal::SubjectsArchived(ids) => subjects(ErrorCode::SubjectArchived, &ids),
            SelectionRefusal::SubjectsOfAnotherCourse(ids) => subjects(ErrorCode::SubjectNotInCourse, &ids),
        }
    }
}

impl From<ConsentRefusal> for UserError {
    fn from(refusal: ConsentRefusal) -> Self {
        match refusal {
            ConsentRefusal::BirthYearMissing => Self::field(
                ErrorCode::BirthYearRequired,
                format!("{refusal} Send it as `birthYear` to `updateProfile`, then try again."),
                &[],
            ),
            ConsentRefusal::GuardianConsentRequired => Self::field(
                ErrorCode::GuardianConsentRequired,
                format!("{refusal} Ask one with `requestGuardianConsent`, then try again."),
                &[],
            ),
        }
    }
}

impl From<SelectionRefusal> for UserError {
    fn from(refusal: SelectionRefusal) -> Self {
        Self::of_selection(refusal, &["input"])
    }
}
