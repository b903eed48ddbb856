//! The mutation `updateTestSettings`.

use async_graphql::{Context, ID, InputObject, Object};
use graphql_engine::guarded_fields;
use jishu_entity::SubjectId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::scalar::Decimal;
use crate::graphql::types::{
    Difficulty, ErrorCode, GradingMethod, NO_SUCH_SUBJECT, ReviewPolicy, Subject, UserError, user_errors,
};
use jishu_service::account::Author;
use jishu_service::test_settings::{self, BlueprintPart, Setting, SettingsRefusal, TestSettingsChange};

/// New settings for the tests of a subject. Settings that are not given stay the same.
#[derive(InputObject)]
pub(super) struct UpdateTestSettingsInput {
    /// The id of the subject.
    subject_id: ID,
    /// The marks for a correct answer: more than 0, more than for a wrong answer and for an unanswered question,
    /// and at most 1000.00.
    correct: Option<Decimal>,
    /// The marks for a wrong answer: -1000.00 to 1000.00.
    wrong: Option<Decimal>,
    /// The marks for an unanswered question: -1000.00 to 1000.00.
    unanswered: Option<Decimal>,
    /// The number of questions in a test: 1 to 200. With a blueprint, it must equal the number of questions in all
    /// parts together.
    questions_per_test: Option<i32>,
    /// The time limit of a sitting, in seconds: 10 to 86400.
    time_limit_seconds: Option<i32>,
    /// The number of attempts of a test card: 1 to 1000. Cards that were bought before keep their number of attempts.
    max_attempts: Option<i32>,
    /// The rule that makes one grade from the sittings of a test card. A new rule applies to all cards of the subject
    /// at once.
    grading_method: Option<GradingMethod>,
    /// The time from which a learner can see the key, the explanations and the marks of each question. A new setting
    /// applies to all sittings of the subject at once.
    review: Option<ReviewPolicy>,
    /// The parts of a test, in the order of its questions: at most 50. With an empty list, a test takes any
    /// questions of the subject.
    blueprint: Option<Vec<BlueprintPartInput>>,
}

/// A part of a test: a number of questions of a topic and a difficulty.
#[derive(InputObject)]
pub(super) struct BlueprintPartInput {
    /// The name of the topic of the questions. If not given, the questions can have any topic.
    topic: Option<String>,
    /// The difficulty of the questions. If not given, the questions can have any difficulty.
    difficulty: Option<Difficulty>,
    /// The number of questions in this part: 1 to 200.
    questions: i32,
}

/// The response to `updateTestSettings`: the subject, or the reason to refuse.
pub(super) struct UpdateTestSettingsPayload {
    outcome: Result<Subject, UserError>,
}

/// The response to `updateTestSettings`.
#[Object]
impl UpdateTestSettingsPayload {
    /// The subject with the new settings. Null if the request was refused.
    async fn subject(&self) -> Option<&Subject> {
        self.outcome.as_ref().ok()
    }

    /// The reasons why nothing was changed. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

#[derive(Default)]
pub(super) struct TestSettingsMutation;

#[guarded_fields(requires_role)]
#[Object]
impl TestSettingsMutation {
    /// Changes how the tests of a subject are composed, timed, marked and reviewed. A test that somebody has
    /// started keeps its questions, marks and time. Only for AUTHOR and ADMIN.
    async fn update_test_settings(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The subject and its new settings.")] input: UpdateTestSettingsInput,
    ) -> ApiResult<UpdateTestSettingsPayload> {
        let services = ctx.services()?;
        let updated = match SubjectId::parse(&input.subject_id) {
            Some(subject) => {
                refused_or(test_settings::update(services, author, subject, input.into()).await)?
                    .map(|()| subject)
            }
            None => Err(SettingsRefusal::NotFound),
        };
        let outcome = match updated {
            Ok(subject) => Ok(Subject::new(services.catalog.subject(subject).await?)),
            Err(refusal) => Err(refusal.into()),
        };
        Ok(UpdateTestSettingsPayload { outcome })
    }
}

impl From<UpdateTestSettingsInput> for TestSettingsChange {
    fn from(input: UpdateTestSettingsInput) -> Self {
        let marks = |marks: Option<Decimal>| marks.map(|Decimal(marks)| marks);
        let part = |part: BlueprintPartInput| BlueprintPart {
            topic: part.topic,
            difficulty: part.difficulty.map(Into::into),
            questions: part.questions,
        };
        Self {
            correct: marks(input.correct),
            wrong: marks(input.wrong),
            unanswered: marks(input.unanswered),
            questions_per_test: input.questions_per_test,
            time_limit_seconds: input.time_limit_seconds,
            max_attempts: input.max_attempts,
            grading_method: input.grading_method.map(Into::into),
            review_policy: input.review.map(Into::into),
            blueprint: input.blueprint.map(|parts| parts.into_iter().map(part).collect()),
        }
    }
}

impl From<SettingsRefusal> for UserError {
    fn from(refusal: SettingsRefusal) -> Self {
        let (code, argument_name) = match &refusal {
            SettingsRefusal::NotFound => (ErrorCode::SubjectNotFound, "subjectId"),
            SettingsRefusal::NothingChanged => (ErrorCode::TestSettingsInvalid, "subjectId"),
            SettingsRefusal::Scheme { .. } => (ErrorCode::TestSettingsInvalid, "correct"),
            SettingsRefusal::Marks(setting) | SettingsRefusal::Range { setting, .. } => {
                (ErrorCode::TestSettingsInvalid, argument(*setting))
            }
            SettingsRefusal::Disagreement { .. } => (ErrorCode::TestSettingsInvalid, "questionsPerTest"),
            SettingsRefusal::NoSuchTopic(_) => (ErrorCode::TestSettingsInvalid, "blueprint"),
        };
        let message = match &refusal {
            SettingsRefusal::NotFound => NO_SUCH_SUBJECT.to_owned(),
            SettingsRefusal::Scheme { .. } => {
                format!("{refusal} Change `correct`, `wrong` or `unanswered`.")
            }
            SettingsRefusal::Marks(setting) => {
                let name = argument(*setting);
                format!("`{name}` must be -1000.00 to 1000.00 marks, with at most two decimal places.")
            }
            SettingsRefusal::Range { setting, least, most, given } => {
                let name = argument(*setting);
                match setting {
                    Setting::Blueprint | Setting::BlueprintSum => {
                        format!("`{name}`: the {setting} must be {least} to {most}; {given} was given.")
                    }
                    _ => format!("`{name}` must be {least} to {most}; {given} was given."),
                }
            }
            SettingsRefusal::Disagreement { parts, given } => format!(
                "The parts of the blueprint have {parts} questions together, but `questionsPerTest` is {given}. Make \
                 the two numbers equal, or give an empty list in `blueprint` to remove the blueprint."
            ),
            SettingsRefusal::NothingChanged | SettingsRefusal::NoSuchTopic(_) => refusal.to_string(),
        };
        Self::field(code, message, &["input", argument_name])
    }
}

/// Returns the name of the input field with which a client gives a setting.
fn argument(setting: Setting) -> &'static str {
    match setting {
        Setting::Correct => "correct",
        Setting::Wrong => "wrong",
        Setting::Unanswered => "unanswered",
        Setting::QuestionsPerTest => "questionsPerTest",
        Setting::TimeLimit => "timeLimitSeconds",
        Setting::MaxAttempts => "maxAttempts",
        Setting::Blueprint | Setting::BlueprintSum => "blueprint",
        Setting::BlueprintQuestions => "blueprint.questions",
    }
}
