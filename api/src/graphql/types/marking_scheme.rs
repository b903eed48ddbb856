//! How the tests of a subject are put together, timed, marked and reviewed.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object, SimpleObject};
use jishu_entity::question_version::Difficulty as StoredDifficulty;
use jishu_entity::subject::{self, GradingMethod as StoredMethod, ReviewPolicy as StoredPolicy};

use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::scalar::Decimal;
use jishu_service::test_settings;

/// Which sitting of a test card counts.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "StoredMethod")]
pub(in crate::graphql) enum GradingMethod {
    /// The latest.
    Latest,
    /// The one with the most marks.
    Highest,
    /// The first.
    First,
    /// The average of all.
    Average,
}

/// When the key, the explanations and the marks of single questions are shown.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "StoredPolicy")]
pub(in crate::graphql) enum ReviewPolicy {
    /// As soon as the sitting is over.
    AfterSitting,
    /// Once the learner can sit this test no more: every attempt of all their cards of it is used and over, or their right
    /// has ended.
    AfterLastAttempt,
    /// Never.
    Never,
}

/// How hard a question is.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "StoredDifficulty")]
pub(in crate::graphql) enum Difficulty {
    /// Most learners get it right.
    Easy,
    /// As hard as most of the examination.
    Medium,
    /// Few learners get it right.
    Hard,
}

pub(in crate::graphql) struct MarkingScheme(pub(in crate::graphql) Arc<subject::Model>);

/// How the tests of a subject are marked, timed and reviewed. Tests that somebody has sat before a change keep the marks
/// and the time that they had.
#[Object]
impl MarkingScheme {
    /// Marks for a correct answer.
    async fn correct(&self) -> Decimal {
        Decimal::of_hundredths(self.0.marks_correct)
    }

    /// Marks for a wrong answer; mostly negative.
    async fn wrong(&self) -> Decimal {
        Decimal::of_hundredths(self.0.marks_wrong)
    }

    /// Marks for no answer.
    async fn unanswered(&self) -> Decimal {
        Decimal::of_hundredths(self.0.marks_unanswered)
    }

    /// How many questions a test has.
    async fn questions_per_test(&self) -> i32 {
        self.0.questions_per_test
    }

    /// How long a sitting takes, in seconds.
    async fn time_limit_seconds(&self) -> i32 {
        self.0.time_limit_seconds
    }

    /// How often a test card may be sat that is bought now.
    async fn max_attempts(&self) -> i32 {
        self.0.max_attempts
    }

    /// Which sitting of a test card counts.
    async fn grading_method(&self) -> GradingMethod {
        self.0.grading_method.into()
    }

    /// When the key, the explanations and the marks of single questions are shown.
    async fn review(&self) -> ReviewPolicy {
        self.0.review_policy.into()
    }

    /// What a test is made of, in the order of its questions; empty where it has any questions of the subject.
    async fn blueprint(&self, ctx: &Context<'_>) -> ApiResult<Vec<BlueprintPart>> {
        let parts = test_settings::blueprint(ctx.services()?, self.0.id).await?;
        Ok(parts.into_iter().map(BlueprintPart::from).collect())
    }
}

/// A part of a test.
#[derive(SimpleObject)]
pub(in crate::graphql) struct BlueprintPart {
    /// Only questions of this topic; null for any.
    topic: Option<String>,
    /// Only questions of this difficulty; null for any.
    difficulty: Option<Difficulty>,
    /// How many questions.
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
