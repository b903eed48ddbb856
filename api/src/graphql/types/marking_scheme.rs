//! The settings for composing, timing, marking and reviewing the tests of a subject.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object, SimpleObject};
use graphql_engine::{PlainEnum, PlainObject, plain_fields};
use jishu_entity::question_version::Difficulty as StoredDifficulty;
use jishu_entity::subject::{self, GradingMethod as StoredMethod, ReviewPolicy as StoredPolicy};

use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::scalar::Decimal;
use jishu_service::test_settings;

/// The rule that makes one grade from the sittings of a test card.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "StoredMethod")]
pub(in crate::graphql) enum GradingMethod {
    /// The marks of the latest scored sitting.
    Latest,
    /// The marks of the best scored sitting.
    Highest,
    /// The marks of the first scored sitting.
    First,
    /// The average of the marks of all scored sittings.
    Average,
}

/// The time from which a learner can see the key, the explanations and the marks of each question. The review of a
/// question stays closed while another open sitting of the learner asks the same question.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "StoredPolicy")]
pub(in crate::graphql) enum ReviewPolicy {
    /// The review opens as soon as the sitting is over.
    AfterSitting,
    /// The review opens when the learner can no longer sit this test. Then no card of the learner for this test has an
    /// open sitting, and each of these cards has no attempts left or no valid entitlement.
    AfterLastAttempt,
    /// The review never opens.
    Never,
}

/// The difficulty of a question, as its authors judge it.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "StoredDifficulty")]
pub(in crate::graphql) enum Difficulty {
    /// The authors expect most learners to answer the question correctly.
    Easy,
    /// The question is about as hard as most questions of the examination.
    Medium,
    /// The authors expect few learners to answer the question correctly.
    Hard,
}

pub(in crate::graphql) struct MarkingScheme {
    subject: Arc<subject::Model>,
}

/// The settings for marking, timing and reviewing the tests of a subject. A test that somebody has started keeps the
/// marks and the time limit that it had then.
#[plain_fields]
#[Object]
impl MarkingScheme {
    /// The marks for a correct answer.
    async fn correct(&self) -> Decimal {
        Decimal::of_hundredths(self.subject.marks_correct)
    }

    /// The marks for a wrong answer, usually a negative number.
    async fn wrong(&self) -> Decimal {
        Decimal::of_hundredths(self.subject.marks_wrong)
    }

    /// The marks for an unanswered question.
    async fn unanswered(&self) -> Decimal {
        Decimal::of_hundredths(self.subject.marks_unanswered)
    }

    /// The number of questions in a test.
    async fn questions_per_test(&self) -> i32 {
        self.subject.questions_per_test
    }

    /// The time limit of a sitting, in seconds, without extra time.
    async fn time_limit_seconds(&self) -> i32 {
        self.subject.time_limit_seconds
    }

    /// The number of attempts that a test card gets if it is bought now. Allowances can give it more.
    async fn max_attempts(&self) -> i32 {
        self.subject.max_attempts
    }

    /// The rule that makes one grade from the sittings of a test card.
    async fn grading_method(&self) -> GradingMethod {
        self.subject.grading_method.into()
    }

    /// The time from which a learner can see the key, the explanations and the marks of each question.
    async fn review(&self) -> ReviewPolicy {
        self.subject.review_policy.into()
    }

    /// The parts of a test, in the order of its questions. Empty if a test takes any questions of the subject.
    async fn blueprint(&self, ctx: &Context<'_>) -> ApiResult<Vec<BlueprintPart>> {
        let parts = test_settings::blueprint(ctx.services()?, self.subject.id).await?;
        Ok(parts.into_iter().map(BlueprintPart::from).collect())
    }
}

impl MarkingScheme {
    pub(super) fn of(subject: Arc<subject::Model>) -> Self {
        Self { subject }
    }
}

/// A part of a test: a number of questions of a topic and a difficulty.
#[derive(PlainObject, SimpleObject)]
pub(in crate::graphql) struct BlueprintPart {
    /// The topic of the questions. Null for any topic.
    topic: Option<String>,
    /// The difficulty of the questions. Null for any difficulty.
    difficulty: Option<Difficulty>,
    /// The number of questions in this part.
    questions: i32,
}

impl From<test_settings::BlueprintPart> for BlueprintPart {
    fn from(part: test_settings::BlueprintPart) -> Self {
        Self {
            topic: part.topic,
            difficulty: part.difficulty.map(Difficulty::from),
            questions: part.questions,
        }
    }
}
