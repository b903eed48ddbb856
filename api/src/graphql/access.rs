//! Access to the data of one account: its owner reads it freely, and a look of staff is recorded.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use async_graphql::Context;
use jishu_entity::UserId;

use super::context::ContextExt;
use super::error::ApiResult;
use super::permission::Permission;
use jishu_service::account::Support;
use jishu_service::people::{self, Look};

/// The accounts whose data a request may read.
#[derive(Debug, Default)]
pub struct RequestAccess {
    /// The accounts to which the request itself signs in.
    signed_in: Mutex<HashSet<UserId>>,
    /// The accounts of others at which the viewer has looked. A look is recorded once in a request.
    looked_at: tokio::sync::Mutex<HashSet<UserId>>,
}

/// Tells whether an account belongs to the viewer, or the request signs in to it. A sign-in does not need to send an
/// access token.
pub(super) fn is_own(ctx: &Context<'_>, user: UserId) -> bool {
    if ctx.viewer().is_some_and(|viewer| viewer.user_id == user) {
        return true;
    }
    let Some(access) = ctx.data_opt::<RequestAccess>() else { return false };
    access.signed_in.lock().unwrap_or_else(PoisonError::into_inner).contains(&user)
}

/// Makes an account readable for the rest of the request, because the request signed in to it.
pub(super) fn sign_in(ctx: &Context<'_>, user: UserId) {
    if let Some(access) = ctx.data_opt::<RequestAccess>() {
        access.signed_in.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
    }
}

/// Allows the viewer to read the data of an account: its cart, purchases, cards, sittings and progress. Others than its
/// owner need the permission of support, and the look is recorded.
pub(super) async fn open_account(ctx: &Context<'_>, user: UserId) -> ApiResult<()> {
    if is_own(ctx, user) {
        return Ok(());
    }
    record_look(ctx, Support::check(ctx).await?, user).await
}

/// Records that a member of support looks at an account, unless this request recorded it before.
pub(super) async fn record_look(ctx: &Context<'_>, by: Support, user: UserId) -> ApiResult<()> {
    let services = ctx.services()?;
    let Some(access) = ctx.data_opt::<RequestAccess>() else {
        return Ok(people::record(services, by, Look::Account(user)).await?);
    };
    // The lock is held during the write, so that fields that run at the same time record one look.
    let mut looked_at = access.looked_at.lock().await;
    if !looked_at.contains(&user) {
        people::record(services, by, Look::Account(user)).await?;
        looked_at.insert(user);
    }
    Ok(())
}
