//! The query root.

mod catalogue;

use std::collections::HashMap;

use async_graphql::{Context, ID, InputObject, MergedObject, Object};
use graphql_engine::{guarded_fields, page_arguments};
use jishu_entity::{
    AuditEventId, CourseId, MockTestAttemptId, OrderId, PurchaseId, QuestionId, RefundId, TestSessionId,
    UserId, user,
};

use super::access::record_look;
use super::context::ContextExt;
use super::error::{ApiError, ApiResult, Nullable, refused_or};
use super::node::{GlobalId, GlobalKey, Node};
use super::pagination::PageArgs;
use super::permission::{Permission, permission, requires_role};
use super::staff::{AuditQuery, OrderQuery, PeopleQuery, ReportQuery};
use super::types::{
    AuditEvent, AuthoredQuestion, AuthoredQuestionConnection, Course, CourseConnection, Learner,
    MockTestAttempt, Order, Purchase, PurchaseQuote, PurchaseType, QuestionExport, QuestionFormat, Refund,
    Subject, TestSession, User, UserError, course_page, question_page, user_errors, visible_orders,
    visible_refunds,
};
use catalogue::CatalogueQuery;
use jishu_service::account::{Author, Support};
use jishu_service::purchase::{Selection, SelectionRefusal};
use jishu_service::question_bank::BankQuestion;
use jishu_service::{card, people, purchase, question_bank, session};

/// The maximum number of ids that the field `nodes` accepts.
const MAX_NODES: usize = 100;

/// The queries. They read data and change nothing, except that the audit trail records when staff read data of other
/// users.
#[derive(Default, MergedObject)]
pub struct Query(CoreQuery, CatalogueQuery, AuditQuery, ReportQuery, PeopleQuery, OrderQuery);

/// The queries of learners and authors, the query `learner` of support, and the queries that need no account.
///
/// async-graphql makes one type of future for all fields of this struct, as large as its largest field needs. Nearly
/// every request resolves `viewer`, which needs little. So the fields that need much have boxes of their own.
#[derive(Default)]
pub(super) struct CoreQuery;

#[page_arguments]
#[guarded_fields(requires_role)]
#[Object]
impl CoreQuery {
    /// The object with this id. Null if there is no such object, or if the viewer may not see it. If a member of staff
    /// reads an account, an order or a refund of another user, the audit trail records that.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id, from an earlier response.")] id: ID,
    ) -> Nullable<Node> {
        Box::pin(nodes(ctx, &[id])).await.map(|mut nodes| nodes.pop().flatten()).transpose()
    }

    /// The objects with these ids, in the order of the ids. An item is null if there is no such object, or if the
    /// viewer may not see it. If a member of staff reads an account, an order or a refund of another user, the audit
    /// trail records that.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ids, from earlier responses: at most 100.")] ids: Vec<ID>,
    ) -> ApiResult<Vec<Option<Node>>> {
        if ids.len() > MAX_NODES {
            let given = ids.len();
            return Err(ApiError::bad_input(format!(
                "`ids` takes at most {MAX_NODES}; {given} were given. Send several requests."
            )));
        }
        Box::pin(nodes(ctx, &ids)).await
    }

    /// The signed-in user. Null if nobody is signed in.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<User> {
        ctx.viewer().map(|viewer| User::lazy(viewer.user_id))
    }

    /// The courses that are sold, in the order in which they were created.
    async fn courses(
        &self,
        ctx: &Context<'_>,
        #[page] page: PageArgs,
        #[graphql(desc = "Only courses whose name or description contains this text. Case does not matter.")]
        search: Option<String>,
    ) -> ApiResult<CourseConnection> {
        let snapshot = ctx.services()?.catalog.snapshot();
        course_page(ctx, &snapshot, page, search.as_deref())
    }

    /// The price that a purchase would have now, computed in the same way as by `purchase` and `checkout`. For a
    /// signed-in user, the price leaves out subjects that the user already owns.
    async fn purchase_quote(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The subjects to buy.")] input: PurchaseSelection,
    ) -> ApiResult<PurchaseQuotePayload> {
        let outcome = match selection(&input.course_id, input.purchase_type, &input.subject_ids) {
            Ok(selection) => {
                let buyer = ctx.viewer().map(|viewer| viewer.user_id);
                let quote = purchase::quote(ctx.services()?, buyer, &selection).await;
                refused_or(quote)?.map(PurchaseQuote::from).map_err(UserError::from)
            }
            Err(error) => Err(error),
        };
        Ok(PurchaseQuotePayload { outcome })
    }

    /// The account with this e-mail address, and its test cards. Null if no account has the address. Only for SUPPORT
    /// and ADMIN. The audit trail records each lookup that finds an account.
    async fn learner(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
        #[graphql(desc = "The e-mail address of the account. Case does not matter.")] email: String,
    ) -> Nullable<Learner> {
        Learner::find(ctx, support, &email).await
    }

    /// The questions in the question bank of a subject, with their keys, oldest first. Only for AUTHOR and ADMIN.
    #[expect(
        clippy::too_many_arguments,
        reason = "a subject, the arguments of a connection, a search and a filter"
    )]
    async fn questions(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The id of the subject.")] subject_id: ID,
        #[page] page: PageArgs,
        #[graphql(
            desc = "Only questions whose text or external id contains this text. The case of the letters A to Z does not \
                    matter. For other letters it can matter."
        )]
        search: Option<String>,
        #[graphql(desc = "True for archived questions, false for all other questions.", default)]
        archived: bool,
    ) -> ApiResult<AuthoredQuestionConnection> {
        Box::pin(question_page(ctx, author, &subject_id, page, search, archived)).await
    }

    /// The question bank of a subject as a document with keys, oldest questions first. The document contains the
    /// current versions of the questions that are not archived. Each page is a complete document. Only for AUTHOR and
    /// ADMIN.
    async fn export_questions(
        &self,
        ctx: &Context<'_>,
        #[guard] author: Author,
        #[graphql(desc = "The id of the subject.")] subject_id: ID,
        #[graphql(desc = "The format of the document.")] format: QuestionFormat,
        #[graphql(desc = "The maximum number of questions on the page: 1 to 500, default 500.")]
        first: Option<i32>,
        #[graphql(desc = "Only questions after this cursor, which is `endCursor` of the previous page.")]
        after: Option<String>,
    ) -> ApiResult<QuestionExport> {
        Box::pin(QuestionExport::load(ctx, author, &subject_id, format, first, after)).await
    }
}

/// The subjects that a buyer chose: some subjects of one course, or the whole course as a bundle.
#[derive(InputObject)]
pub(super) struct PurchaseSelection {
    /// The id of the course to which the subjects belong.
    course_id: ID,
    /// The way in which the buyer chooses the subjects.
    purchase_type: PurchaseType,
    /// The ids of the subjects: one for SINGLE_SUBJECT, two or more for MULTIPLE_SUBJECTS, and an empty list for
    /// FULL_BUNDLE. At most 500.
    #[graphql(default)]
    subject_ids: Vec<ID>,
}

/// The response to `purchaseQuote`: a quote, or the reason to refuse.
pub(super) struct PurchaseQuotePayload {
    outcome: Result<PurchaseQuote, UserError>,
}

/// The response to `purchaseQuote`.
#[Object]
impl PurchaseQuotePayload {
    /// The price of the selection now. Null if the selection cannot be bought.
    async fn quote(&self) -> Option<&PurchaseQuote> {
        self.outcome.as_ref().ok()
    }

    /// The reasons why the selection cannot be bought. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

/// Turns the input of a client into a selection. `at` is the path of the input. Fails with a user error if an id does
/// not have the form of a global id of its type.
pub(super) fn selection_of(input: &PurchaseSelection, at: &[&str]) -> Result<Selection, UserError> {
    let course_id = CourseId::parse(&input.course_id)
        .ok_or_else(|| UserError::of_selection(SelectionRefusal::CourseNotFound, at))?;
    let subject_ids = UserError::parse_subjects(&input.subject_ids, &[at, &["subjectIds"]].concat())?;
    Ok(Selection { course_id, purchase_type: input.purchase_type.into(), subject_ids })
}

/// Turns the separate arguments of a purchase into a selection. Fails with a user error if an id does not have the form
/// of a global id of its type.
pub(super) fn selection(
    course_id: &ID,
    purchase_type: PurchaseType,
    subject_ids: &[ID],
) -> Result<Selection, UserError> {
    let course_id = CourseId::parse(course_id).ok_or(SelectionRefusal::CourseNotFound)?;
    let subject_ids = UserError::parse_subjects(subject_ids, &["input", "subjectIds"])?;
    Ok(Selection { course_id, purchase_type: purchase_type.into(), subject_ids })
}

/// Reads the objects with these ids that the viewer may see, with one or two statements for each type of object. An
/// item of the result is None if there is no such object, or the viewer may not see it. If staff read an account, an
/// order or a refund of another user, records this in the audit trail.
pub(super) async fn nodes(ctx: &Context<'_>, ids: &[ID]) -> ApiResult<Vec<Option<Node>>> {
    let services = ctx.services()?;
    let parsed: Vec<_> = ids.iter().map(|id| GlobalId::parse(id)).collect();
    let (mut cards, mut purchases, mut sessions) = (HashMap::new(), HashMap::new(), HashMap::new());
    let (mut questions, mut audit_events) = (HashMap::new(), HashMap::new());
    if let Some(viewer) = ctx.viewer() {
        let wanted = ids_of_type::<MockTestAttemptId>(&parsed);
        if !wanted.is_empty() {
            let rows = card::by_ids(services, viewer.user_id, wanted).await?;
            cards.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        let wanted = ids_of_type::<PurchaseId>(&parsed);
        if !wanted.is_empty() {
            let rows = purchase::by_ids(services, viewer.user_id, wanted).await?;
            purchases.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        let wanted = ids_of_type::<TestSessionId>(&parsed);
        if !wanted.is_empty() {
            let rows = session::by_ids(services, viewer.user_id, wanted).await?;
            sessions.extend(rows.into_iter().map(|row| (row.id, row)));
        }
    }
    let wanted = ids_of_type::<QuestionId>(&parsed);
    if !wanted.is_empty()
        && let Some(author) = permission::<Author>(ctx).await?
    {
        let found = question_bank::by_ids(services.database.reader(), author, wanted).await?;
        let node = |question: BankQuestion| (question.row.id, AuthoredQuestion::new(question, author));
        questions.extend(found.into_iter().map(node));
    }
    let wanted = ids_of_type::<AuditEventId>(&parsed);
    if !wanted.is_empty() {
        audit_events = AuditEvent::by_ids(ctx, permission(ctx).await?, wanted).await?;
    }
    let orders = visible_orders(ctx, ids_of_type::<OrderId>(&parsed)).await?;
    let refunds = visible_refunds(ctx, ids_of_type::<RefundId>(&parsed)).await?;
    let users = users_of_staff(ctx, ids_of_type::<UserId>(&parsed)).await?;
    let catalog = services.catalog.snapshot();
    let viewer = ctx.viewer().map(|viewer| viewer.user_id);
    let node = |id: Option<GlobalId>| match id? {
        GlobalId::User(id) if viewer == Some(id) => Some(Node::User(User::lazy(id))),
        GlobalId::User(id) => users.get(&id).cloned().map(|row| Node::User(User::from(row))),
        GlobalId::Course(id) => catalog.course(id).cloned().map(|course| Node::Course(Course::new(course))),
        GlobalId::Subject(id) => {
            catalog.subject(id).cloned().map(|subject| Node::Subject(Subject::new(subject)))
        }
        GlobalId::Purchase(id) => purchases.get(&id).cloned().map(|row| Node::Purchase(Purchase::from(row))),
        GlobalId::Order(id) => orders.get(&id).cloned().map(|row| Node::Order(Order::from(row))),
        GlobalId::Refund(id) => refunds.get(&id).cloned().map(|row| Node::Refund(Refund::from(row))),
        GlobalId::MockTestAttempt(id) => {
            cards.get(&id).cloned().map(|row| Node::MockTestAttempt(MockTestAttempt::from(row)))
        }
        GlobalId::TestSession(id) => {
            sessions.get(&id).cloned().map(|row| Node::TestSession(TestSession::from(row)))
        }
        GlobalId::AuthoredQuestion(id) => questions.get(&id).cloned().map(Node::AuthoredQuestion),
        GlobalId::AuditEvent(id) => audit_events.get(&id).cloned().map(|row| Node::AuditEvent(row.into())),
    };
    Ok(parsed.into_iter().map(node).collect())
}

/// Reads the accounts with these ids, without the account of the viewer, and records a look at each account. Returns no
/// accounts unless the viewer has the permission of support.
async fn users_of_staff(ctx: &Context<'_>, mut ids: Vec<UserId>) -> ApiResult<HashMap<UserId, user::Model>> {
    let viewer = ctx.viewer().map(|viewer| viewer.user_id);
    ids.retain(|id| viewer != Some(*id));
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let Some(support) = permission::<Support>(ctx).await? else { return Ok(HashMap::new()) };
    let rows = people::accounts_by_ids(ctx.services()?, support, ids).await?;
    for row in &rows {
        record_look(ctx, support, row.id).await?;
    }
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

fn ids_of_type<K: GlobalKey>(ids: &[Option<GlobalId>]) -> Vec<K> {
    ids.iter().filter_map(|id| id.and_then(K::of)).collect()
}
