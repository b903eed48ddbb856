//! Changing the cart.

use async_graphql::{Context, ID, Object, SimpleObject};

use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::types::{Cart, ErrorCode, UserError};
use jishu_service::auth::Viewer;
use jishu_service::cart::{self, CartError};

const PATH: &[&str] = &["subjectIds"];

/// The response to a change of the cart.
#[derive(SimpleObject)]
pub(super) struct CartPayload {
    /// The cart as it is now.
    cart: Cart,
    /// Why it was not changed.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct CartMutation;

#[Object]
impl CartMutation {
    /// Puts subjects in the cart: all of them or, on an error, none. One that is there already stays.
    async fn add_to_cart(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The subjects.")] subject_ids: Vec<ID>,
    ) -> ApiResult<CartPayload> {
        let viewer = ctx.require_viewer()?;
        match UserError::parse_subjects(&subject_ids, PATH) {
            Ok(ids) => payload(viewer, cart::add(ctx.services()?, viewer.user_id, ids).await),
            Err(error) => Ok(CartPayload { cart: Cart(viewer.user_id), user_errors: vec![error] }),
        }
    }

    /// Takes subjects out of the cart. One that is not there is no error.
    async fn remove_from_cart(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The subjects.")] subject_ids: Vec<ID>,
    ) -> ApiResult<CartPayload> {
        let viewer = ctx.require_viewer()?;
        match UserError::parse_subjects(&subject_ids, PATH) {
            Ok(ids) => payload(viewer, cart::remove(ctx.services()?, viewer.user_id, ids).await),
            Err(error) => Ok(CartPayload { cart: Cart(viewer.user_id), user_errors: vec![error] }),
        }
    }
}

fn payload(viewer: Viewer, result: Result<(), CartError>) -> ApiResult<CartPayload> {
    let cart = Cart(viewer.user_id);
    let Err(error) = result else { return Ok(CartPayload { cart, user_errors: Vec::new() }) };
    let message = error.to_string();
    let user_error = match error {
        CartError::OwnerNotActive => UserError::field(ErrorCode::AccountInactive, message, &[]),
        CartError::SubjectsNotFound(ids) => {
            UserError::subjects(ErrorCode::SubjectNotFound, message, PATH, &ids)
        }
        CartError::SubjectsArchived(ids) => {
            UserError::subjects(ErrorCode::SubjectArchived, message, PATH, &ids)
        }
        CartError::SubjectsOwned(ids) => UserError::subjects(ErrorCode::SubjectOwned, message, PATH, &ids),
        CartError::TooMany(_) => UserError::field(ErrorCode::SubjectCountMismatch, message, PATH),
        CartError::Full => UserError::field(ErrorCode::CartFull, message, PATH),
        CartError::Database(error) => return Err(error.into()),
    };
    Ok(CartPayload { cart, user_errors: vec![user_error] })
}
