//! Access to the data of one account. The owner reads the data freely. If staff read the data, the audit trail records
//! the look.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use async_graphql::Context;
use jishu_entity::UserId;

use super::context::ContextExt;
use super::error::{ApiError, ApiResult};
use super::permission::Permission;
use jishu_service::account::Support;
use jishu_service::people::{self, Look};

/// The accounts that one request has opened: by signing in, or by a recorded look of staff.
#[derive(Debug, Default)]
pub struct RequestAccess {
    /// The accounts to which the request itself has signed in.
    signed_in: Mutex<HashSet<UserId>>,
    /// The accounts of other users at which the viewer has looked in this request. Each look is recorded once in a
    /// request.
    looked_at: tokio::sync::Mutex<HashSet<UserId>>,
}

/// Tells whether an account belongs to the viewer, or the request has signed in to it. A request that signs in sends no
/// access token, so it has no viewer.
pub(super) fn is_own(ctx: &Context<'_>, user: UserId) -> bool {
    if ctx.viewer().is_some_and(|viewer| viewer.user_id == user) {
        return true;
    }
    let Some(access) = ctx.data_opt::<RequestAccess>() else { return false };
    access.signed_in.lock().unwrap_or_else(PoisonError::into_inner).contains(&user)
}

/// Makes an account readable for the later fields of the request, because the request has signed in to it.
pub(super) fn sign_in(ctx: &Context<'_>, user: UserId) {
    if let Some(access) = ctx.data_opt::<RequestAccess>() {
        access.signed_in.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
    }
}

/// Checks that the viewer may read the data of an account, such as its cart, purchases, cards, sittings and progress. A
/// viewer who is not the owner needs the permission of support, and the look is recorded in the audit trail. Fails
/// without this permission.
pub(super) async fn open_account(ctx: &Context<'_>, user: UserId) -> ApiResult<()> {
    if is_own(ctx, user) {
        return Ok(());
    }
    record_look(ctx, Support::check(ctx).await?, user).await
}

/// Finds the rows with these ids that the viewer may see. `find_own` finds the rows of the viewer. If the viewer has
/// the permission of support, `find_all` finds the other rows, and a look at the owner of each row is recorded. Leaves
/// out all rows that the viewer may not see.
pub(super) async fn visible_rows<Id, Row, E>(
    ctx: &Context<'_>,
    ids: Vec<Id>,
    find_own: impl AsyncFnOnce(UserId, Vec<Id>) -> Result<Vec<Row>, E>,
    find_all: impl AsyncFnOnce(Support, Vec<Id>) -> Result<Vec<Row>, E>,
    id_and_owner: impl Fn(&Row) -> (Id, UserId),
) -> ApiResult<HashMap<Id, Row>>
where
    Id: Copy + Eq + Hash,
    ApiError: From<E>,
{
    let (Some(viewer), false) = (ctx.viewer(), ids.is_empty()) else { return Ok(HashMap::new()) };
    let own = find_own(viewer.user_id, ids.clone()).await?;
    let mut rows: HashMap<Id, Row> = own.into_iter().map(|row| (id_and_owner(&row).0, row)).collect();
    let others: Vec<Id> = ids.into_iter().filter(|id| !rows.contains_key(id)).collect();
    if others.is_empty() {
        return Ok(rows);
    }
    match Support::check(ctx).await {
        Ok(support) => {
            for row in find_all(support, others).await? {
                let (id, owner) = id_and_owner(&row);
                record_look(ctx, support, owner).await?;
                rows.insert(id, row);
            }
        }
        Err(ApiError::Forbidden(_) | ApiError::Unauthenticated) => {}
        Err(error) => return Err(error),
    }
    Ok(rows)
}

/// Records in the audit trail that a member of support looks at an account, unless this request has recorded the look
/// before.
pub(super) async fn record_look(ctx: &Context<'_>, by: Support, user: UserId) -> ApiResult<()> {
    let services = ctx.services()?;
    let Some(access) = ctx.data_opt::<RequestAccess>() else {
        return Ok(people::record(services, by, Look::Account(user)).await?);
    };
    // The lock is held during the write, so that fields that run at the same time record only one look at the account.
    let mut looked_at = access.looked_at.lock().await;
    if !looked_at.contains(&user) {
        people::record(services, by, Look::Account(user)).await?;
        looked_at.insert(user);
    }
    Ok(())
}
