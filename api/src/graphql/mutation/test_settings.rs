//! `updateTestSettings`.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use jishu_entity::SubjectId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::node::GlobalKey;
use crate::graphql::scalar::Decimal;
use crate::graphql::types::{Difficulty, ErrorCode, GradingMethod, ReviewPolicy, Subject, UserError};
use jishu_service::test_settings::{self, BlueprintPart, Change, SettingsError};

/// How the tests of a subject are to be; what is not given stays.
#[derive(InputObject)]
pub(super) struct UpdateTestSettingsInput {
    /// The subject.
    subject_id: ID,
    /// Marks for a correct answer: at most 1000.00, more than 0, and more than for a wrong answer or none.
    correct: Option<Decimal>,
    /// Marks for a wrong answer: -1000.00 to 1000.00.
    wrong: Option<Decimal>,
    /// Marks for no answer: -1000.00 to 1000.00.
    unanswered: Option<Decimal>,
    /// How many questions a test has: 1 to 200. With a blueprint, the sum of its parts.
    questions_per_test: Option<i32>,
    /// How long a sitting takes, in seconds: 10 to 86400.
    time_limit_seconds: Option<i32>,
    /// How often a test card may be sat: 1 to 1000. Cards that were bought before keep what they have.
    max_attempts: Option<i32>,
    /// Which sitting of a test card counts; for all cards, at once.
    grading_method: Option<GradingMethod>,
    /// When the key, the explanations and the marks of single questions are shown; for all sittings, at once.
    review: Option<ReviewPolicy>,
    /// What a test is made of, in the order of its questions, in at most 50 parts; an empty list for any questions of the
    /// subject.
    blueprint: Option<Vec<BlueprintPartInput>>,
}

/// A part of a test.
#[derive(InputObject)]
pub(super) struct BlueprintPartInput {
    /// Only questions of the topic of this name.
    topic: Option<String>,
    /// Only questions of this difficulty.
    difficulty: Option<Difficulty>,
    /// How many questions.
    questions: i32,
}

/// The response to `updateTestSettings`.
#[derive(SimpleObject)]
pub(super) struct UpdateTestSettingsPayload {
    /// The subject as it is now; null when it was not changed.
    subject: Option<Subject>,
    /// Why it was not changed.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct TestSettingsMutation;

#[Object]
impl TestSettingsMutation {
    /// Changes how the tests of a subject are put together, timed, marked and reviewed. For the roles AUTHOR and ADMIN.
    /// The questions, the marks and the time of a test that somebody has sat stay as they are.
    async fn update_test_settings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: UpdateTestSettingsInput,
    ) -> ApiResult<UpdateTestSettingsPayload> {
        let author = ctx.require_author().await?;
        let services = ctx.services()?;
        let Some(subject) = SubjectId::parse(&input.subject_id) else {
            return refused(SettingsError::NotFound);
        };
        match test_settings::update(services, author, subject, input.into()).await {
            Ok(()) => Ok(UpdateTestSettingsPayload {
                subject: Some(Subject(services.catalog.subject(subject).await?)),
                user_errors: Vec::new(),
            }),
            Err(error) => refused(error),
        }
    }
}

impl From<UpdateTestSettingsInput> for Change {
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

fn refused(error: SettingsError) -> ApiResult<UpdateTestSettingsPayload> {
    let mut message = error.to_string();
    if matches!(error, SettingsError::Scheme { .. }) {
        message.push_str(" Change `correct`, `wrong` or `unanswered`.");
    }
    let path = ["input", error.argument()];
    let code = match error {
        SettingsError::NotFound => ErrorCode::SubjectNotFound,
        SettingsError::Database(error) => return Err(error.into()),
        _ => ErrorCode::TestSettingsInvalid,
    };
    Ok(UpdateTestSettingsPayload { subject: None, user_errors: vec![UserError::field(code, message, &path)] })
}
