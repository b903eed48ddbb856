//! The mutations `addToCart` and `removeFromCart`.

use async_graphql::{Context, ID, Object};
use jishu_entity::UserId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::types::{Cart, ErrorCode, NO_SUCH_SUBJECT, UserError, user_errors};
use jishu_service::cart::{self, CartRefusal};

const PATH: &[&str] = &["subjectIds"];

/// The response to `addToCart` and `removeFromCart`: the cart, and the reason if the request was refused.
pub(super) struct CartPayload {
    owner: UserId,
    outcome: Result<(), UserError>,
}

/// The response to `addToCart` and `removeFromCart`.
#[Object]
impl CartPayload {
    /// The cart of the viewer after the request.
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
    /// Adds subjects to the cart of the viewer: all of them, or none if there is an error. A subject that is already in
    /// the cart stays as it is.
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

    /// Removes subjects from the cart of the viewer. Ignores subjects that are not in the cart.
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
