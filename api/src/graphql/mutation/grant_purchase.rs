//! The mutation `grantPurchase`.

use async_graphql::{Context, ID, InputObject, Object};
use graphql_engine::guarded_fields;
use jishu_entity::UserId;

use super::purchase::{PurchasePayload, names, shown, test_cards};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::node::GlobalKey;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::query::{PurchaseSelection, selection_of};
use crate::graphql::scalar::Uuid;
use crate::graphql::types::{ErrorCode, UserError};
use jishu_service::Services;
use jishu_service::account::Support;
use jishu_service::purchase::{self, GrantRefusal, GrantRequest, OwnedSubject, PurchaseRefusal, Receipt};

/// A complimentary purchase for a user.
#[derive(InputObject)]
struct GrantPurchaseInput {
    /// The id of the user who gets the subjects.
    user_id: ID,
    /// The subjects that the user gets.
    selection: PurchaseSelection,
    /// The reason for the grant: 1 to 1000 characters. The reason is stored with the purchase. Only SUPPORT and ADMIN
    /// can query it. The data that the user can download from `/me/export` contains the reason too.
    reason: String,
    /// A key that the client makes for each grant. Repeating the request with the same key returns the result of the
    /// first request. Using the key for a different request is an error.
    idempotency_key: Option<Uuid>,
}

#[derive(Default)]
pub(super) struct GrantPurchaseMutation;

#[guarded_fields(requires_role)]
#[Object]
impl GrantPurchaseMutation {
    /// Gives subjects to a user as a purchase with the price 0. Only for SUPPORT and ADMIN. As with `purchase`,
    /// repeated and concurrent requests create the purchase only once, and subjects that the user already owns are not
    /// given again. The outcome is EXISTING if the user owns all of the subjects.
    async fn grant_purchase(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
        #[graphql(desc = "The user, the subjects and the reason.")] input: GrantPurchaseInput,
    ) -> ApiResult<PurchasePayload> {
        let services = ctx.services()?;
        let user = UserId::parse(&input.user_id).ok_or_else(|| UserError::from(GrantRefusal::UserNotFound));
        let selection = selection_of(&input.selection, &["input", "selection"]);
        let (user, selection) = match (user, selection) {
            (Ok(user), Ok(selection)) => (user, selection),
            (Err(error), _) | (_, Err(error)) => return Ok(PurchasePayload { outcome: Err(error) }),
        };
        let Uuid(key) = input.idempotency_key.unwrap_or_else(|| Uuid(uuid::Uuid::new_v4()));
        let request = GrantRequest { user, selection, reason: input.reason, idempotency_key: Some(key) };
        let outcome = match refused_or(purchase::grant(services, support, request).await)? {
            Ok(receipt) => {
                let message = message(services, &receipt).await?;
                Ok(shown(services, receipt, message).await?)
            }
            Err(refusal) => Err(refusal.into()),
        };
        Ok(PurchasePayload { outcome })
    }
}

impl From<GrantRefusal> for UserError {
    fn from(refusal: GrantRefusal) -> Self {
        match refusal {
            GrantRefusal::UserNotFound => Self::field(
                ErrorCode::UserNotFound,
                format!("{refusal} Take its id from `users`."),
                &["input", "userId"],
            ),
            GrantRefusal::Reason => {
                Self::field(ErrorCode::ReasonInvalid, refusal.to_string(), &["input", "reason"])
            }
            GrantRefusal::Purchase(PurchaseRefusal::BuyerNotActive) => Self::field(
                ErrorCode::AccountInactive,
                "This account is deactivated or deleted. If it is deactivated, activate it first with `setUserStatus`.",
                &["input", "userId"],
            ),
            GrantRefusal::Purchase(PurchaseRefusal::Selection(refusal)) => {
                Self::of_selection(refusal, &["input", "selection"])
            }
            GrantRefusal::Purchase(refusal) => refusal.into(),
        }
    }
}

/// Makes the message of a receipt: one sentence for the subjects that were given, and one for the subjects that the
/// user owned before.
async fn message(services: &Services, receipt: &Receipt) -> ApiResult<String> {
    let owned_before = |owned: &&OwnedSubject| receipt.already_owned.contains(&owned.subject_id);
    let (owned, given): (Vec<_>, Vec<_>) = receipt.subjects.iter().partition(owned_before);
    let mut sentences = Vec::new();
    if !given.is_empty() {
        let cards = test_cards(&given);
        sentences.push(format!("The user got {} with {cards}.", names(services, &given).await?));
    }
    if !owned.is_empty() {
        sentences.push(format!("The user already owned {}.", names(services, &owned).await?));
    }
    Ok(sentences.join(" "))
}
