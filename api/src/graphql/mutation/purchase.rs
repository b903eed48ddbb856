//! The mutation `purchase`.

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

/// The choice of a buyer, and the price that the buyer saw.
#[derive(InputObject)]
pub(super) struct PurchaseInput {
    /// The id of the course.
    course_id: ID,
    /// The way in which the subjects are chosen.
    purchase_type: PurchaseType,
    /// The ids of the subjects: one for SINGLE_SUBJECT, two or more for MULTIPLE_SUBJECTS, and an empty list for
    /// FULL_BUNDLE. At most 500.
    #[graphql(default)]
    subject_ids: Vec<ID>,
    /// The total that the buyer saw. The server always computes the price itself. If the two differ, nothing is
    /// bought, and `PriceChangedError` contains the new quote.
    cost: Option<Decimal>,
    /// A key that the client makes for each purchase. Repeating the request with the same key returns the first
    /// result. Using the key for a different purchase is an error.
    idempotency_key: Option<Uuid>,
}

/// The outcome of a purchase. Both values are successes.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum PurchaseOutcome {
    /// The purchase was made, with its test cards.
    Created,
    /// The user already owned all requested subjects. Nothing was charged.
    Existing,
}

/// The response to `purchase`.
#[derive(Default, SimpleObject)]
#[graphql(complex)]
pub(super) struct PurchasePayload {
    /// The outcome. Null if the purchase was refused.
    outcome: Option<PurchaseOutcome>,
    /// The purchase. For EXISTING, the purchase that gave the first of the subjects. Null if the purchase was
    /// refused.
    purchase: Option<Purchase>,
    /// The number of test cards that the purchase created.
    test_cards_created: i64,
    /// The requested subjects that the user already owned. They were not charged again.
    already_owned: Vec<Subject>,
    /// A message for people, such as "You already own Physics; its 50 test cards are below".
    message: String,
    /// The reasons why the purchase was refused. If there are any, nothing was written. Empty on success.
    user_errors: Vec<UserError>,
    #[graphql(skip)]
    cards: Option<(UserId, Vec<SubjectId>)>,
}

#[ComplexObject]
impl PurchasePayload {
    /// All test cards of the requested subjects, both new ones and those owned before. Null if the purchase was
    /// refused.
    async fn test_cards(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The maximum number of items, counted from the start or from `after`: 1 to 100, default 50."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "The maximum number of items, counted from the end or from `before`: 1 to 100.")]
        last: Option<i32>,
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
    /// Creates a purchase and its test cards, or returns the existing ones. Repeated and concurrent requests create
    /// them only once.
    async fn purchase(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The subjects to buy.")] input: PurchaseInput,
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
            UserError::PriceChanged(PriceChangedError::new(message, PurchaseQuote::from(*quote)))
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
        already_owned.push(Subject::new(services.catalog.subject(*id).await?));
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

/// Makes one sentence for the subjects that were bought and one for those owned before.
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

/// Lists names: "Physics", "Physics and Chemistry", "Physics, Chemistry and 198 more".
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
