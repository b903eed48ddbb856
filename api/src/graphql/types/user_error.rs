//! Expected outcomes: the errors that a screen is designed to show.

use async_graphql::{ID, Interface, SimpleObject};
use jishu_entity::SubjectId;

use super::{ErrorCode, PurchaseQuote, StaleEditError};
use crate::graphql::node::GlobalKey;
use jishu_service::guardian::ConsentRefusal;
use jishu_service::purchase::SelectionRefusal;

/// The message of the error for ids that do not belong to a subject.
pub(in crate::graphql) const NO_SUCH_SUBJECT: &str =
    "There is no such subject. Take its id from a field such as `course.subjects`.";

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

/// An error about one argument, or about the request as a whole.
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

/// An error about some of the subjects in the request.
#[derive(SimpleObject)]
pub(in crate::graphql) struct SubjectsError {
    /// The kind of error, for programs.
    pub(in crate::graphql) code: ErrorCode,
    /// An explanation for people: what happened, and what to do.
    pub(in crate::graphql) message: String,
    /// The path of the argument that caused the error, such as `["input", "subjectIds"]`.
    pub(in crate::graphql) path: Vec<String>,
    /// The ids of the refused subjects.
    pub(in crate::graphql) subject_ids: Vec<ID>,
}

/// The price differs from the `cost` in the request, so nothing was bought or ordered.
#[derive(SimpleObject)]
pub(in crate::graphql) struct PriceChangedError {
    /// The kind of error, for programs.
    code: ErrorCode,
    /// An explanation for people: what happened, and what to do.
    pub(in crate::graphql) message: String,
    /// The path of the argument that caused the error.
    path: Vec<String>,
    /// The price now. Show it to the buyer. Then repeat the request with `total.amount` of this quote as `cost`.
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

/// All attempts of the test card are used, so no sitting was started.
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

/// An error about answers that were not saved.
#[derive(SimpleObject)]
pub(in crate::graphql) struct AnswersError {
    /// The kind of error, for programs.
    code: ErrorCode,
    /// An explanation for people: what happened, and what to do.
    pub(in crate::graphql) message: String,
    /// The path of the argument that caused the error.
    path: Vec<String>,
    /// The slots of the answers that the error concerns. With ANSWER_INVALID and ANSWERS_SUPERSEDED, no answer of the
    /// request was saved. Empty if the error concerns the batch as a whole.
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

    /// Parses the ids of subjects. If some texts do not have the form of the id of a subject, returns an error that
    /// lists these texts.
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

/// Returns the value of `userErrors` in a payload: the error of the outcome, or an empty list on success.
pub(in crate::graphql) fn user_errors<T>(outcome: &Result<T, UserError>) -> Vec<&UserError> {
    outcome.as_ref().err().into_iter().collect()
}

fn path(at: &[&str]) -> Vec<String> {
    at.iter().map(|part| (*part).to_owned()).collect()
}

impl UserError {
    /// Makes the error for a selection that cannot be bought. `at` is the path of the argument with the selection.
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
                format!("{refusal} Ask for the consent with `requestGuardianConsent`, then try again."),
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
