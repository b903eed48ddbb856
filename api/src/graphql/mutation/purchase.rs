//! The mutation `purchase`.

use async_graphql::{Context, Enum, ID, InputObject, Object};
use graphql_engine::page_arguments;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, Nullable, refused_or};
use crate::graphql::pagination::PageArgs;
use crate::graphql::query::selection;
use crate::graphql::scalar::{Decimal, Uuid};
use crate::graphql::types::{
    CardArgs, ErrorCode, MockTestAttemptConnection, PriceChangedError, Purchase, PurchaseQuote, PurchaseType,
    Subject, UserError, card_page, user_errors,
};
use jishu_service::Services;
use jishu_service::card::CardFilter;
use jishu_service::purchase::{
    self, OwnedSubject, PurchaseRefusal, PurchaseRequest, Receipt, ReceiptOutcome,
};

/// The subjects that a buyer chose, and the price that the buyer saw.
#[derive(InputObject)]
pub(super) struct PurchaseInput {
    /// The id of the course to which the subjects belong.
    course_id: ID,
    /// The way in which the buyer chooses the subjects.
    purchase_type: PurchaseType,
    /// The ids of the subjects: one for SINGLE_SUBJECT, two or more for MULTIPLE_SUBJECTS, and an empty list for
    /// FULL_BUNDLE. At most 500.
    #[graphql(default)]
    subject_ids: Vec<ID>,
    /// The total that the buyer saw, with the tax. The server always computes the price itself. If its price differs
    /// from this total, nothing is bought, and `PriceChangedError` contains the new quote. If not given, the price is
    /// not compared.
    cost: Option<Decimal>,
    /// A key that the client makes for each purchase. Repeating the request with the same key returns the result of the
    /// first request. Using the key for a different request is an error.
    idempotency_key: Option<Uuid>,
}

/// The outcome of a purchase. Both values are successes.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum PurchaseOutcome {
    /// The purchase was made, with its test cards. A repeated request with the same idempotency key has this outcome
    /// too.
    Created,
    /// The user already owned all requested subjects. Nothing was charged.
    Existing,
}

/// The response to `purchase` and `grantPurchase`: a receipt, or the reason to refuse.
pub(super) struct PurchasePayload {
    pub(super) outcome: Result<ShownReceipt, UserError>,
}

/// A receipt with the other values that the payload shows: the subjects that the user already owned, and the message.
pub(super) struct ShownReceipt {
    receipt: Receipt,
    already_owned: Vec<Subject>,
    message: String,
}

/// The response to `purchase` and `grantPurchase`.
#[page_arguments]
#[Object]
impl PurchasePayload {
    /// The outcome of the purchase. Null if the purchase was refused.
    async fn outcome(&self) -> Option<PurchaseOutcome> {
        self.outcome.as_ref().ok().map(|shown| match shown.receipt.outcome {
            ReceiptOutcome::Created { .. } => PurchaseOutcome::Created,
            ReceiptOutcome::Existing => PurchaseOutcome::Existing,
        })
    }

    /// The purchase that was made. If the outcome is EXISTING, the purchase that gave the first of the requested
    /// subjects, in the order in which the subjects were created. Null if the purchase was refused.
    async fn purchase(&self) -> Option<Purchase> {
        self.outcome.as_ref().ok().map(|shown| shown.receipt.purchase.clone().into())
    }

    /// The number of test cards that the purchase created. 0 if the outcome is EXISTING, and if the purchase was
    /// refused.
    async fn test_cards_created(&self) -> i64 {
        match &self.outcome {
            Ok(ShownReceipt {
                receipt: Receipt { outcome: ReceiptOutcome::Created { test_cards }, .. },
                ..
            }) => *test_cards,
            _ => 0,
        }
    }

    /// The requested subjects that the user already owned. They were not charged again.
    async fn already_owned(&self) -> &[Subject] {
        self.outcome.as_ref().map_or(&[], |shown| &shown.already_owned)
    }

    /// A message for people about the outcome, such as "You already own Physics; its 50 test cards are below." If the
    /// purchase was refused, the message of the error.
    async fn message(&self) -> &str {
        match &self.outcome {
            Ok(shown) => &shown.message,
            Err(error) => error.sentence(),
        }
    }

    /// The reasons why the purchase was refused, so that nothing was bought. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }

    /// The test cards of the requested subjects whose entitlement has not ended: new cards, and cards that the user
    /// owned before. Null if the purchase was refused.
    async fn test_cards(
        &self,
        ctx: &Context<'_>,
        #[page] page: PageArgs,
    ) -> Nullable<MockTestAttemptConnection> {
        let ShownReceipt { receipt, .. } = self.outcome.as_ref().ok()?;
        let subjects = receipt.subjects.iter().map(|owned| owned.subject_id).collect();
        let scope = CardFilter { subjects: Some(subjects), live_only: true, ..CardFilter::default() };
        let args = CardArgs { page, ..CardArgs::default() };
        Some(card_page(ctx, receipt.purchase.user_id, scope, args).await)
    }
}

#[derive(Default)]
pub(super) struct PurchaseMutation;

#[Object]
impl PurchaseMutation {
    /// Creates a purchase and its test cards, or returns the purchase and the cards that exist. Repeated and concurrent
    /// requests create them only once. If the platform takes payments, only a purchase that costs nothing can be made
    /// in this way. Any other purchase is refused with PAYMENT_REQUIRED: call `checkout` instead.
    async fn purchase(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The subjects to buy.")] input: PurchaseInput,
    ) -> ApiResult<PurchasePayload> {
        let viewer = ctx.require_viewer()?;
        let services = ctx.services()?;
        let outcome = match selection(&input.course_id, input.purchase_type, &input.subject_ids) {
            Ok(selection) => {
                let request = PurchaseRequest {
                    selection,
                    cost: input.cost.map(|Decimal(cost)| cost),
                    idempotency_key: input.idempotency_key.map(|Uuid(key)| key),
                };
                refused_or(purchase::purchase(services, viewer.user_id, request).await)?
                    .map_err(UserError::from)
            }
            Err(error) => Err(error),
        };
        let outcome = match outcome {
            Ok(receipt) => {
                let message = message(services, &receipt).await?;
                Ok(shown(services, receipt, message).await?)
            }
            Err(error) => Err(error),
        };
        Ok(PurchasePayload { outcome })
    }
}

impl From<PurchaseRefusal> for UserError {
    fn from(refusal: PurchaseRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            PurchaseRefusal::BuyerNotActive => Self::field(ErrorCode::AccountInactive, message, &[]),
            PurchaseRefusal::Consent(refusal) => refusal.into(),
            PurchaseRefusal::Selection(refusal) => refusal.into(),
            PurchaseRefusal::PriceChanged(quote) => {
                Self::PriceChanged(PriceChangedError::new(message, PurchaseQuote::from(*quote)))
            }
            PurchaseRefusal::PaymentRequired => {
                Self::field(ErrorCode::PaymentRequired, format!("{message} Call `checkout`."), &[])
            }
            PurchaseRefusal::IdempotencyKeyReused => {
                Self::field(ErrorCode::IdempotencyKeyReused, message, &["input", "idempotencyKey"])
            }
        }
    }
}

pub(super) async fn shown(services: &Services, receipt: Receipt, message: String) -> ApiResult<ShownReceipt> {
    let mut already_owned = Vec::with_capacity(receipt.already_owned.len());
    for id in &receipt.already_owned {
        already_owned.push(Subject::new(services.catalog.subject(*id).await?));
    }
    Ok(ShownReceipt { receipt, already_owned, message })
}

/// Makes the message of a receipt: one sentence for the subjects that were bought, and one for the subjects that the
/// buyer owned before.
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

pub(super) fn test_cards(subjects: &[&OwnedSubject]) -> String {
    match subjects.iter().map(|owned| i64::from(owned.test_cards)).sum() {
        1_i64 => "1 test card".to_owned(),
        cards => format!("{cards} test cards"),
    }
}

/// Lists the names of subjects: "Physics", "Physics and Chemistry", "Physics, Chemistry and 198 more".
pub(super) async fn names(services: &Services, subjects: &[&OwnedSubject]) -> ApiResult<String> {
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
