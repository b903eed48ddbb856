//! The purchase.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Object, SimpleObject};
use jishu_entity::{SubjectId, UserId};

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult, Nullable};
use crate::graphql::pagination::PageArgs;
use crate::graphql::query::selection;
use crate::graphql::scalar::{Decimal, Uuid};
use crate::graphql::types::{
    CardArgs, ErrorCode, MockTestAttemptConnection, PriceChangedError, Purchase, PurchaseQuote, PurchaseType,
    Subject, UserError, card_page, selection_error,
};
use jishu_service::Services;
use jishu_service::card::CardFilter;
use jishu_service::purchase::{self, Outcome, OwnedSubject, PurchaseError, PurchaseRequest, Receipt};

/// What to buy, and what the buyer was shown.
#[derive(InputObject)]
pub(super) struct PurchaseInput {
    /// The course.
    course_id: ID,
    /// How subjects are chosen.
    purchase_type: PurchaseType,
    /// Exactly one for SINGLE_SUBJECT, two or more for MULTIPLE_SUBJECTS, none for FULL_BUNDLE.
    #[graphql(default)]
    subject_ids: Vec<ID>,
    /// What the buyer was shown. The server computes the price; where this differs, nothing is bought and
    /// PriceChangedError carries the new quote.
    cost: Option<Decimal>,
    /// A repeated key returns the first answer; with another body it is refused.
    idempotency_key: Option<Uuid>,
}

/// What a purchase came to. Both are successes.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum PurchaseOutcome {
    /// It was made, with its test cards.
    Created,
    /// Everything asked for was owned already; nothing was charged.
    Existing,
}

/// The response to `purchase`.
#[derive(Default, SimpleObject)]
#[graphql(complex)]
pub(super) struct PurchasePayload {
    /// Whether something was bought; null when it was refused.
    outcome: Option<PurchaseOutcome>,
    /// The purchase; for EXISTING the one that gave the first of the subjects; null when it was refused.
    purchase: Option<Purchase>,
    /// How many test cards it created.
    test_cards_created: i64,
    /// What was asked for and was owned before; it was not charged again.
    already_owned: Vec<Subject>,
    /// For people: "You already own Physics; its 50 test cards are below."
    message: String,
    /// Why it was refused; nothing was written then.
    user_errors: Vec<UserError>,
    #[graphql(skip)]
    cards: Option<(UserId, Vec<SubjectId>)>,
}

#[ComplexObject]
impl PurchasePayload {
    /// Every test card of the subjects asked for, new and old; null when the purchase was refused.
    async fn test_cards(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many, from the start or from `after`: 1 to 100, 50 if not given.")]
        first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many, from the end or from `before`: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
    ) -> Nullable<MockTestAttemptConnection> {
        let (owner, subjects) = self.cards.as_ref()?;
        let scope = CardFilter { subjects: Some(subjects.clone()), live_only: true, ..CardFilter::default() };
        let args = CardArgs { page: PageArgs::new(first, after, last, before), ..CardArgs::default() };
        Some(card_page(ctx, *owner, scope, args).await)
    }
}

#[derive(Default)]
pub(super) struct PurchaseMutation;

#[Object]
impl PurchaseMutation {
    /// Creates the purchase and its test cards, or returns the ones that exist: exactly once, however often and
    /// however concurrently it is called.
    async fn purchase(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to buy.")] input: PurchaseInput,
    ) -> ApiResult<PurchasePayload> {
        let viewer = ctx.require_viewer()?;
        let services = ctx.services()?;
        let selection = match selection(&input.course_id, input.purchase_type, &input.subject_ids) {
            Ok(selection) => selection,
            Err(error) => return Ok(refused(error)),
        };
        let request = PurchaseRequest {
            selection,
            cost: input.cost.map(|Decimal(cost)| cost),
            idempotency_key: input.idempotency_key.map(|Uuid(key)| key),
        };
        match purchase::purchase(services, viewer.user_id, request).await {
            Ok(receipt) => payload(services, receipt).await,
            Err(error) => Ok(refused(user_error(error)?)),
        }
    }
}

fn refused(error: UserError) -> PurchasePayload {
    let message = error.sentence().to_owned();
    PurchasePayload { message, user_errors: vec![error], ..PurchasePayload::default() }
}

fn user_error(error: PurchaseError) -> ApiResult<UserError> {
    let message = error.to_string();
    Ok(match error {
        PurchaseError::BuyerNotActive => UserError::field(ErrorCode::AccountInactive, message, &[]),
        PurchaseError::Selection(error) => selection_error(error)?,
        PurchaseError::PriceChanged(quote) => {
            UserError::PriceChanged(PriceChangedError::new(message, PurchaseQuote(*quote)))
        }
        PurchaseError::IdempotencyKeyReused => {
            UserError::field(ErrorCode::IdempotencyKeyReused, message, &["input", "idempotencyKey"])
        }
        PurchaseError::CardsMiscounted { .. } => return Err(ApiError::internal(message)),
        PurchaseError::Database(error) => return Err(error.into()),
    })
}

async fn payload(services: &Services, receipt: Receipt) -> ApiResult<PurchasePayload> {
    let message = message(services, &receipt).await?;
    let mut already_owned = Vec::with_capacity(receipt.already_owned.len());
    for id in &receipt.already_owned {
        already_owned.push(Subject(services.catalog.subject(*id).await?));
    }
    let (outcome, test_cards_created) = match receipt.outcome {
        Outcome::Created { test_cards } => (PurchaseOutcome::Created, test_cards),
        Outcome::Existing => (PurchaseOutcome::Existing, 0),
    };
    let subjects = receipt.subjects.iter().map(|owned| owned.subject_id).collect();
    Ok(PurchasePayload {
        outcome: Some(outcome),
        test_cards_created,
        already_owned,
        message,
        user_errors: Vec::new(),
        cards: Some((receipt.purchase.user_id, subjects)),
        purchase: Some(receipt.purchase.into()),
    })
}

/// One sentence for what was bought and one for what was owned.
async fn message(services: &Services, receipt: &Receipt) -> ApiResult<String> {
    let owned_before = |owned: &&OwnedSubject| receipt.already_owned.contains(&owned.subject_id);
    let (owned, bought): (Vec<_>, Vec<_>) = receipt.subjects.iter().partition(owned_before);
    let mut sentences = Vec::new();
    if !bought.is_empty() {
        let cards = test_cards(&bought);
        sentences.push(format!("You bought {}; {cards} are ready.", names(services, &bought).await?));
    }
    if !owned.is_empty() {
        let whose = if owned.len() == 1 { "its" } else { "their" };
        let cards = test_cards(&owned);
        sentences
            .push(format!("You already own {}; {whose} {cards} are below.", names(services, &owned).await?));
    }
    Ok(sentences.join(" "))
}

fn test_cards(subjects: &[&OwnedSubject]) -> String {
    match subjects.iter().map(|owned| i64::from(owned.test_cards)).sum() {
        1_i64 => "1 test card".to_owned(),
        cards => format!("{cards} test cards"),
    }
}

/// "Physics", "Physics and Chemistry", "Physics, Chemistry and 198 more".
async fn names(services: &Services, subjects: &[&OwnedSubject]) -> ApiResult<String> {
    const NAMED: usize = 3;
    let shown = if subjects.len() > NAMED { NAMED - 1 } else { subjects.len() };
    let mut names = Vec::with_capacity(NAMED);
    for owned in &subjects[..shown] {
        names.push(services.catalog.subject(owned.subject_id).await?.name.clone());
    }
    if shown < subjects.len() {
        names.push(format!("{} more", subjects.len() - shown));
    }
    let last = names.pop().unwrap_or_default();
    Ok(if names.is_empty() { last } else { format!("{} and {last}", names.join(", ")) })
}
