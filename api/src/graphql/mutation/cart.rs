//! The mutations of the cart.

use async_graphql::{Context, ID, Object};
use jishu_entity::UserId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::types::{Cart, ErrorCode, NO_SUCH_SUBJECT, UserError, user_errors};
use jishu_service::cart::{self, CartRefusal};

const PATH: &[&str] = &["subjectIds"];

/// The response to a change of the cart: done, or the reason to refuse.
pub(super) struct CartPayload {
    owner: UserId,
    outcome: Result<(), UserError>,
}

/// The response to a change of the cart.
#[Object]
impl CartPayload {
    /// The cart after the request.
    async fn cart(&self) -> Cart {
        Cart::of(self.owner)
    }

    /// The reasons why the cart was not changed. Empty on success.
    async fn user_errors(&self) -> Vec<&UserError> {
        user_errors(&self.outcome)
    }
}

#[derive(Default)]
pub(super) struct CartMutation;

#[Object]
impl CartMutation {
    /// Adds subjects to the cart. On an error it adds none of them. A subject that is already in the cart stays
    /// there.
    async fn add_to_cart(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ids of the subjects: at most 500.")] subject_ids: Vec<ID>,
    ) -> ApiResult<CartPayload> {
        let viewer = ctx.require_viewer()?;
        let owner = viewer.user_id;
        let outcome = match UserError::parse_subjects(&subject_ids, PATH) {
            Ok(ids) => refused_or(cart::add(ctx.services()?, owner, ids).await)?.map_err(UserError::from),
            Err(error) => Err(error),
        };
        Ok(CartPayload { owner, outcome })
    }

    /// Removes subjects from the cart. It ignores a subject that is not in the cart.
    async fn remove_from_cart(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ids of the subjects: at most 500.")] subject_ids: Vec<ID>,
    ) -> ApiResult<CartPayload> {
        let viewer = ctx.require_viewer()?;
        let owner = viewer.user_id;
        let outcome = match UserError::parse_subjects(&subject_ids, PATH) {
            Ok(ids) => refused_or(cart::remove(ctx.services()?, owner, ids).await)?.map_err(UserError::from),
            Err(error) => Err(error),
        };
        Ok(CartPayload { owner, outcome })
    }
}

impl From<CartRefusal> for UserError {
    fn from(refusal: CartRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            CartRefusal::OwnerNotActive => Self::field(ErrorCode::AccountInactive, message, &[]),
            CartRefusal::SubjectsNotFound(ids) => {
                Self::subjects(ErrorCode::SubjectNotFound, NO_SUCH_SUBJECT, PATH, &ids)
            }
            CartRefusal::SubjectsArchived(ids) => {
                Self::subjects(ErrorCode::SubjectArchived, message, PATH, &ids)
            }
            CartRefusal::SubjectsOwned(ids) => {
                let message =
                    "You already own this subject; its test cards are in `viewer.mockTestAttempts`.";
                Self::subjects(ErrorCode::SubjectOwned, message, PATH, &ids)
            }
            CartRefusal::TooMany(_) => Self::field(ErrorCode::SubjectCountMismatch, message, PATH),
            CartRefusal::Full => Self::field(ErrorCode::CartFull, message, PATH),
        }
    }
}
