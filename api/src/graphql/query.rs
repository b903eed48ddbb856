//! The query root.

use std::collections::HashMap;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use jishu_entity::{CourseId, MockTestAttemptId, PurchaseId, QuestionId, TestSessionId};

use super::context::ContextExt;
use super::error::{ApiError, ApiResult, Nullable};
use super::node::{GlobalId, GlobalKey, Node};
use super::pagination::PageArgs;
use super::types::{
    AuthoredQuestion, AuthoredQuestionConnection, Course, CourseConnection, ErrorCode, Learner,
    MockTestAttempt, Purchase, PurchaseQuote, PurchaseType, QuestionExport, QuestionFormat, Subject,
    TestSession, User, UserError, course_page, question_page, selection_error,
};
use jishu_service::account::Author;
use jishu_service::purchase::{Selection, SelectionError};
use jishu_service::question_bank::Authored;
use jishu_service::{card, purchase, question_bank, session};

/// The most ids that `nodes` takes.
const MOST_NODES: usize = 100;

/// What can be read.
pub struct Query;

/// What can be read.
#[Object]
impl Query {
    /// The object with this id; null when there is none, or none that the viewer may see.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "From an earlier answer.")] id: ID,
    ) -> Nullable<Node> {
        nodes(ctx, &[id]).await.map(|mut nodes| nodes.pop().flatten()).transpose()
    }

    /// The objects with these ids, in their order; null for one that does not exist or that the viewer may not
    /// see.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "From earlier answers; at most 100.")] ids: Vec<ID>,
    ) -> ApiResult<Vec<Option<Node>>> {
        if ids.len() > MOST_NODES {
            let given = ids.len();
            return Err(ApiError::bad_input(format!(
                "`ids` takes at most {MOST_NODES}; {given} were given."
            )));
        }
        nodes(ctx, &ids).await
    }

    /// Who is signed in; null when nobody is.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<User> {
        ctx.viewer().map(|viewer| User::lazy(viewer.user_id))
    }

    /// The courses that are sold, in the order they were added.
    async fn courses(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, from the start or from `after`: 1 to 100, 50 if not given.")]
        first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many, from the end or from `before`: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only courses with this text in their name or description, in any case.")]
        search: Option<String>,
    ) -> ApiResult<CourseConnection> {
        let snapshot = ctx.services()?.catalog.snapshot();
        course_page(ctx, &snapshot, PageArgs::new(first, after, last, before), search.as_deref())
    }

    /// What a purchase would cost now; the same computation that the purchase makes. Who is signed in is not
    /// charged for what they own.
    async fn purchase_quote(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to buy.")] input: PurchaseSelection,
    ) -> ApiResult<PurchaseQuotePayload> {
        let refused = |error| PurchaseQuotePayload { quote: None, user_errors: vec![error] };
        let selection = match selection(&input.course_id, input.purchase_type, &input.subject_ids) {
            Ok(selection) => selection,
            Err(error) => return Ok(refused(error)),
        };
        let buyer = ctx.viewer().map(|viewer| viewer.user_id);
        match purchase::quote(ctx.services()?, buyer, &selection).await {
            Ok(quote) => {
                Ok(PurchaseQuotePayload { quote: Some(PurchaseQuote(quote)), user_errors: Vec::new() })
            }
            Err(error) => Ok(refused(selection_error(error)?)),
        }
    }

    /// An account and its test cards, such as to grant time to one; null where there is none. For SUPPORT and ADMIN. Each
    /// look that finds one is recorded.
    async fn learner(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Their e-mail address, in any case.")] email: String,
    ) -> Nullable<Learner> {
        Learner::find(ctx, &email).await
    }

    /// The questions of a subject's bank with their keys, the oldest first. For authors and admins.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection, a search and a filter")]
    async fn questions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The subject.")] subject_id: ID,
        #[graphql(
            desc = "Maximum number of items, counted from the start or from `after`: 1 to 100, default 50."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Maximum number of items, counted from the end or from `before`: 1 to 100.")]
        last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
        #[graphql(
            desc = "Only questions whose text or external id contains this. The case of the letters A to Z does not \
                    matter."
        )]
        search: Option<String>,
        #[graphql(desc = "True for archived questions, false for the others.", default)] archived: bool,
    ) -> ApiResult<AuthoredQuestionConnection> {
        question_page(ctx, &subject_id, PageArgs::new(first, after, last, before), search, archived).await
    }

    /// The question bank of a subject as a document, the oldest questions first: the current versions of those that are
    /// not archived, with their keys. Each page is a document of its own. For authors and admins.
    async fn export_questions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The subject.")] subject_id: ID,
        #[graphql(desc = "What to write it in.")] format: QuestionFormat,
        #[graphql(desc = "At most so many questions: 1 to 500, 500 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only questions after this `endCursor`.")] after: Option<String>,
    ) -> ApiResult<QuestionExport> {
        QuestionExport::load(ctx, &subject_id, format, first, after).await
    }
}

/// What to buy: subjects of one course, or its bundle.
#[derive(InputObject)]
pub(super) struct PurchaseSelection {
    /// The course.
    course_id: ID,
    /// How subjects are chosen.
    purchase_type: PurchaseType,
    /// Exactly one for SINGLE_SUBJECT, two or more for MULTIPLE_SUBJECTS, none for FULL_BUNDLE.
    #[graphql(default)]
    subject_ids: Vec<ID>,
}

/// The response to `purchaseQuote`.
#[derive(SimpleObject)]
pub(super) struct PurchaseQuotePayload {
    /// What it costs; null when it cannot be bought.
    quote: Option<PurchaseQuote>,
    /// Why it cannot be bought.
    user_errors: Vec<UserError>,
}

/// Global ids as a selection. An id that we did not make names nothing that exists.
///
/// Why not is told of all ids that are not those of a subject, as they were given.
pub(super) fn selection(
    course_id: &ID,
    purchase_type: PurchaseType,
    subject_ids: &[ID],
) -> Result<Selection, UserError> {
    let course_id = CourseId::parse(course_id).ok_or_else(|| {
        let message = SelectionError::CourseNotFound.to_string();
        UserError::field(ErrorCode::CourseNotFound, message, &["input", "courseId"])
    })?;
    let subject_ids = UserError::parse_subjects(subject_ids, &["input", "subjectIds"])?;
    Ok(Selection { course_id, purchase_type: purchase_type.into(), subject_ids })
}

/// One statement for each type among the ids.
async fn nodes(ctx: &Context<'_>, ids: &[ID]) -> ApiResult<Vec<Option<Node>>> {
    let services = ctx.services()?;
    let parsed: Vec<_> = ids.iter().map(|id| GlobalId::parse(id)).collect();
    let (mut cards, mut purchases, mut sessions) = (HashMap::new(), HashMap::new(), HashMap::new());
    let mut questions = HashMap::new();
    if let Some(viewer) = ctx.viewer() {
        let wanted = of_type::<MockTestAttemptId>(&parsed);
        if !wanted.is_empty() {
            let rows = card::by_ids(services, viewer.user_id, wanted).await?;
            cards.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        let wanted = of_type::<PurchaseId>(&parsed);
        if !wanted.is_empty() {
            let rows = purchase::by_ids(services, viewer.user_id, wanted).await?;
            purchases.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        let wanted = of_type::<TestSessionId>(&parsed);
        if !wanted.is_empty() {
            let rows = session::by_ids(services, viewer.user_id, wanted).await?;
            sessions.extend(rows.into_iter().map(|row| (row.id, row)));
        }
    }
    let wanted = of_type::<QuestionId>(&parsed);
    if !wanted.is_empty()
        && let Some(author) = author(ctx).await?
    {
        let found = question_bank::by_ids(services.database.reader(), author, wanted).await?;
        let node = |question: Authored| (question.row.id, AuthoredQuestion::new(question, author));
        questions.extend(found.into_iter().map(node));
    }
    let catalog = services.catalog.snapshot();
    let viewer = ctx.viewer().map(|viewer| viewer.user_id);
    let node = |id: Option<GlobalId>| match id? {
        GlobalId::User(id) => (viewer == Some(id)).then(|| Node::User(User::lazy(id))),
        GlobalId::Course(id) => catalog.course(id).cloned().map(|course| Node::Course(Course(course))),
        GlobalId::Subject(id) => catalog.subject(id).cloned().map(|subject| Node::Subject(Subject(subject))),
        GlobalId::Purchase(id) => purchases.get(&id).cloned().map(|row| Node::Purchase(Purchase::from(row))),
        GlobalId::MockTestAttempt(id) => {
            cards.get(&id).cloned().map(|row| Node::MockTestAttempt(MockTestAttempt::from(row)))
        }
        GlobalId::TestSession(id) => {
            sessions.get(&id).cloned().map(|row| Node::TestSession(TestSession::from(row)))
        }
        GlobalId::AuthoredQuestion(id) => questions.get(&id).cloned().map(Node::AuthoredQuestion),
    };
    Ok(parsed.into_iter().map(node).collect())
}

/// Returns the viewer if they are an author. Nobody else finds a question of the bank.
async fn author(ctx: &Context<'_>) -> ApiResult<Option<Author>> {
    match ctx.require_author().await {
        Ok(author) => Ok(Some(author)),
        Err(ApiError::Forbidden(_) | ApiError::Unauthenticated) => Ok(None),
        Err(error) => Err(error),
    }
}

fn of_type<K: GlobalKey>(ids: &[Option<GlobalId>]) -> Vec<K> {
    ids.iter().filter_map(|id| id.and_then(K::of)).collect()
}
