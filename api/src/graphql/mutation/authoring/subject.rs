//! The mutations `createSubject`, `updateSubject` and `setSubjectArchived`.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};
use graphql_engine::guarded_fields;
use jishu_entity::{CourseId, SubjectId, subject};

use super::course::optional;
use super::refusal::edit_errors;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::scalar::{DateTime, Decimal};
use crate::graphql::types::{GradingMethod, ReviewPolicy, Subject, UserError};
use jishu_service::account::Author;
use jishu_service::authoring::{self, EditRefusal, NewSubject, OfferTerms, SubjectEdit};
use jishu_service::test_settings::TestSettingsChange;

/// A new subject.
#[derive(InputObject)]
pub(super) struct CreateSubjectInput {
    /// The id of the course to which the new subject belongs.
    course_id: ID,
    /// The code of the subject, a stable name for files. It has 1 to 64 characters: the letters A to Z and a to z,
    /// digits, hyphens, underscores and dots. It begins and ends with a letter or a digit. No two subjects of a course
    /// have the same code. A code never changes.
    code: String,
    /// The name of the subject: 1 to 200 characters.
    name: String,
    /// The price of the subject alone, without an offer, in the currency of the course.
    list_price: Decimal,
    /// A reduced price of the subject for a time. If not given, the new subject has no offer.
    offer: Option<OfferInput>,
    /// The number of test cards that a purchase of the subject creates: 1 to 1000.
    #[graphql(default = 50)]
    total_mock_tests: i32,
    /// The settings for marking, timing and reviewing the tests of the subject. Use `updateTestSettings` to set a
    /// blueprint.
    marking_scheme: Option<MarkingSchemeInput>,
    /// True to create the subject archived. Call `setSubjectArchived` with `archived: false` to put it on sale.
    #[graphql(default)]
    archived: bool,
}

/// New values of a subject. Values that are not given stay the same.
#[derive(InputObject)]
pub(super) struct UpdateSubjectInput {
    /// The id of the subject.
    id: ID,
    /// The version of the subject that you read. If the subject has another version now, nothing is changed.
    version: i32,
    /// The code of the subject, if the subject has no code yet. A code never changes.
    code: Option<String>,
    /// The name of the subject: 1 to 200 characters.
    name: Option<String>,
    /// The price of the subject alone, without an offer.
    list_price: Option<Decimal>,
    /// A reduced price of the subject for a time. Null removes the offer.
    offer: MaybeUndefined<OfferInput>,
    /// The number of test cards that a purchase of the subject creates: 1 to 1000. Earlier purchases keep the test
    /// cards that they gave.
    total_mock_tests: Option<i32>,
    /// The settings for marking, timing and reviewing the tests of the subject. Settings that are not given stay the
    /// same.
    marking_scheme: Option<MarkingSchemeInput>,
}

/// A reduced price of a subject for a time.
#[derive(InputObject)]
pub(super) struct OfferInput {
    /// The price during the offer, at most the list price.
    price: Decimal,
    /// The time from which the offer applies. If not given, the offer has no start.
    starts_at: Option<DateTime>,
    /// The time at which the offer ends: at this time the offer no longer applies. If not given, the offer has no end.
    ends_at: Option<DateTime>,
}

/// Settings for marking, timing and reviewing the tests of a subject. A test that somebody has started keeps its
/// questions, marks and time limit.
#[derive(Default, InputObject)]
pub(super) struct MarkingSchemeInput {
    /// The marks for a correct answer: more than 0, more than for a wrong answer and for an unanswered question, and at
    /// most 1000.00. A new subject gets 4.00 if no marks are given.
    correct: Option<Decimal>,
    /// The marks for a wrong answer: -1000.00 to 1000.00. A new subject gets -1.00 if no marks are given.
    wrong: Option<Decimal>,
    /// The marks for an unanswered question: -1000.00 to 1000.00. A new subject gets 0.00 if no marks are given.
    unanswered: Option<Decimal>,
    /// The number of questions in a test: 1 to 200. With a blueprint, it must equal the number of questions in all
    /// parts together. A new subject gets 45 if no number is given.
    questions_per_test: Option<i32>,
    /// The time limit of a sitting, in seconds: 10 to 86400. A new subject gets 3600 if no limit is given.
    time_limit_seconds: Option<i32>,
    /// The number of attempts of a test card: 1 to 1000. Cards that were bought before keep their number of attempts. A
    /// new subject gets 3 if no number is given.
    max_attempts: Option<i32>,
    /// The rule that makes one grade from the sittings of a test card. A new rule applies to all cards of the subject
    /// at once. A new subject gets HIGHEST if no rule is given.
    grading_method: Option<GradingMethod>,
    /// The time from which a learner can see the key, the explanations and the marks of each question. A new setting
    /// applies to all sittings of the subject at once. A new subject gets AFTER_SITTING if no setting is given.
    review: Option<ReviewPolicy>,
}

/// The response to a mutation that creates or changes a subject: the subject, or the reasons to refuse.
pub(super) struct SubjectPayload {
    outcome: Result<Subject, Vec<UserError>>,
}

/// The response to a mutation that creates or changes a subject.
#[Object]
impl SubjectPayload {
    /// The subject after the change. Null if the request was refused.
    async fn subject(&self) -> Option<&Subject> {
        self.outcome.as_ref().ok()
    }

    /// The reasons why nothing was changed. Empty on success.
    async fn user_errors(&self) -> &[UserError] {
        self.outcome.as_ref().err().map_or(&[], Vec::as_slice)
    }
}

#[derive(Default)]
pub(in crate::graphql) struct SubjectMutation;

#[guarded_fields(requires_role)]
#[Object]
impl SubjectMutation {
    /// Creates a subject of a course. The subject is on sale at once, even without questions, unless `archived` is true
    /// or the course is archived. Only for AUTHOR and ADMIN.
    async fn create_subject(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The new subject.")] input: CreateSubjectInput,
    ) -> ApiResult<SubjectPayload> {
        let created = match CourseId::parse(&input.course_id) {
            Some(course) => {
                let subject = NewSubject { course, values: input.into() };
                refused_or(authoring::create_subject(ctx.services()?, author, subject).await)?
            }
            None => Err(EditRefusal::CourseNotFound),
        };
        payload(ctx, created, &["input", "courseId"]).await
    }

    /// Changes a subject. An edit of an older version is refused with the current state, so that nobody overwrites a
    /// change of another author without seeing it. Only for AUTHOR and ADMIN.
    async fn update_subject(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The subject, the version that you read, and the new values.")]
        input: UpdateSubjectInput,
    ) -> ApiResult<SubjectPayload> {
        let updated = match SubjectId::parse(&input.id) {
            Some(id) => {
                let (of, edit) = ((id, input.version), input.into());
                refused_or(authoring::update_subject(ctx.services()?, author, of, edit).await)?
            }
            None => Err(EditRefusal::SubjectNotFound),
        };
        payload(ctx, updated, &["input", "id"]).await
    }

    /// Archives a subject, or puts it back on sale. Nobody can buy an archived subject, and users who own it keep it.
    /// Only for AUTHOR and ADMIN.
    async fn set_subject_archived(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The id of the subject.")] id: ID,
        #[graphql(desc = "True to archive the subject, false to put it back on sale.")] archived: bool,
    ) -> ApiResult<SubjectPayload> {
        let changed = match SubjectId::parse(&id) {
            Some(id) => {
                refused_or(authoring::set_subject_archived(ctx.services()?, author, id, archived).await)?
            }
            None => Err(EditRefusal::SubjectNotFound),
        };
        payload(ctx, changed, &["id"]).await
    }
}

async fn payload(
    ctx: &Context<'_>,
    changed: Result<subject::Model, EditRefusal>,
    id_at: &[&str],
) -> ApiResult<SubjectPayload> {
    let outcome = match changed {
        Ok(row) => Ok(Subject::load(ctx, row.id).await?),
        Err(refusal) => Err(edit_errors(ctx, refusal, id_at).await?),
    };
    Ok(SubjectPayload { outcome })
}

impl From<CreateSubjectInput> for SubjectEdit {
    fn from(input: CreateSubjectInput) -> Self {
        Self {
            code: Some(input.code),
            name: Some(input.name),
            list_price: Some(input.list_price.0),
            offer: Some(input.offer.map(OfferTerms::from)),
            total_mock_tests: Some(input.total_mock_tests),
            settings: input.marking_scheme.unwrap_or_default().into(),
            archived: Some(input.archived),
        }
    }
}

impl From<UpdateSubjectInput> for SubjectEdit {
    fn from(input: UpdateSubjectInput) -> Self {
        Self {
            code: input.code,
            name: input.name,
            list_price: input.list_price.map(|Decimal(price)| price),
            offer: optional(input.offer).map(|offer| offer.map(OfferTerms::from)),
            total_mock_tests: input.total_mock_tests,
            settings: input.marking_scheme.unwrap_or_default().into(),
            archived: None,
        }
    }
}

impl From<OfferInput> for OfferTerms {
    fn from(input: OfferInput) -> Self {
        let time = |at: Option<DateTime>| at.map(|DateTime(at)| at);
        Self { price: input.price.0, starts_at: time(input.starts_at), ends_at: time(input.ends_at) }
    }
}

impl From<MarkingSchemeInput> for TestSettingsChange {
    fn from(input: MarkingSchemeInput) -> Self {
        let marks = |marks: Option<Decimal>| marks.map(|Decimal(marks)| marks);
        Self {
            correct: marks(input.correct),
            wrong: marks(input.wrong),
            unanswered: marks(input.unanswered),
            questions_per_test: input.questions_per_test,
            time_limit_seconds: input.time_limit_seconds,
            max_attempts: input.max_attempts,
            grading_method: input.grading_method.map(Into::into),
            review_policy: input.review.map(Into::into),
            blueprint: None,
        }
    }
}
