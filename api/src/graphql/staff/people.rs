//! The queries for accounts, allowances and purchases of all users.

use async_graphql::{Context, ID, Object};
use graphql_engine::{guarded_fields, page_arguments};
use jishu_entity::UserId;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::PageArgs;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::types::{
    AllowanceConnection, PurchaseConnection, PurchaseStatus, Role, UserConnection, UserStatus,
    all_purchases_page, allowance_page, user_page,
};
use jishu_service::account::Support;
use jishu_service::allowance::{AllowanceFilter, AllowancePlace};
use jishu_service::people::{AccountFilter, AccountSearch, PurchaseFilter, PurchaseState};

/// The maximum number of characters of a search text. No e-mail address and no name is longer.
const MAX_SEARCH_CHARS: usize = 254;

/// The queries for accounts, allowances and purchases of all users.
#[derive(Default)]
pub(in crate::graphql) struct PeopleQuery;

#[page_arguments]
#[guarded_fields(requires_role)]
#[Object]
impl PeopleQuery {
    /// The accounts of all users, oldest first. Only for SUPPORT and ADMIN. The audit trail records each use that reads
    /// accounts. It also records each account of another user whose purchases, orders, test cards, sittings, cart,
    /// consent or progress the viewer reads.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection, a search and two filters")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
        #[page] page: PageArgs,
        #[graphql(
            desc = "Only accounts whose e-mail address begins with this text, whose name contains it, or that have it as their id. If \
                    the text has an `@`, only e-mail addresses are searched, which is faster. The case of the letters \
                    A to Z does not matter. For other letters in names it can matter."
        )]
        search: Option<String>,
        #[graphql(desc = "Only accounts with this role.")] role: Option<Role>,
        #[graphql(desc = "Only accounts with this status.")] status: Option<UserStatus>,
    ) -> ApiResult<UserConnection> {
        let search = search.map(|text| account_search(&text)).transpose()?.flatten();
        let filter = AccountFilter { search, role: role.map(Into::into), status: status.map(Into::into) };
        user_page(ctx, support, filter, page).await
    }

    /// The allowances of extra time and attempts, newest first. Only for SUPPORT and ADMIN.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection and three filters")]
    async fn allowances(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
        #[page] page: PageArgs,
        #[graphql(desc = "Only allowances for this user.")] user_id: Option<ID>,
        #[graphql(desc = "Only allowances for this one subject.")] subject_id: Option<ID>,
        #[graphql(desc = "Only allowances for all subjects of this course.")] course_id: Option<ID>,
    ) -> ApiResult<AllowanceConnection> {
        let place = match (subject_id, course_id) {
            (None, None) => None,
            (Some(id), None) => Some(AllowancePlace::Subject(parse_id("subjectId", &id)?)),
            (None, Some(id)) => Some(AllowancePlace::Course(parse_id("courseId", &id)?)),
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_input(
                    "`subjectId` and `courseId` are both given. Leave out one of them.",
                ));
            }
        };
        let user = user_id.map(|id| parse_id("userId", &id)).transpose()?;
        allowance_page(ctx, support, AllowanceFilter { user, place }, page).await
    }

    /// The purchases of all users, newest first. Only for SUPPORT and ADMIN. The audit trail records each use that
    /// reads purchases.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection and two filters")]
    async fn purchases(
        &self,
        ctx: &Context<'_>,
        #[guard] support: Support,
        #[page] page: PageArgs,
        #[graphql(desc = "Only purchases of this user.")] user_id: Option<ID>,
        #[graphql(desc = "Only purchases with this status.")] status: Option<PurchaseStatus>,
    ) -> ApiResult<PurchaseConnection> {
        let buyer = user_id.map(|id| parse_id("userId", &id));
        let now = ctx.services()?.clock.now();
        let state = status.map(|status| match status {
            PurchaseStatus::Active => PurchaseState::ActiveAt(now),
            PurchaseStatus::Expired => PurchaseState::ExpiredAt(now),
            PurchaseStatus::Refunded => PurchaseState::Refunded,
        });
        let filter = PurchaseFilter { buyer: buyer.transpose()?, state };
        all_purchases_page(ctx, support, filter, page).await
    }
}

fn parse_id<K: GlobalKey>(name: &str, id: &ID) -> ApiResult<K> {
    K::parse(id).ok_or_else(|| {
        ApiError::bad_input(format!("`{name}` is not the id of a {}. Take ids from responses.", K::TYPE))
    })
}

/// Makes a search for accounts from the text of a client. Returns None for a blank text. Fails with `BAD_USER_INPUT` if
/// the text is too long.
fn account_search(text: &str) -> ApiResult<Option<AccountSearch>> {
    if text.chars().count() > MAX_SEARCH_CHARS {
        return Err(ApiError::bad_input(format!(
            "`search` takes at most {MAX_SEARCH_CHARS} characters. Give a shorter text."
        )));
    }
    let id = UserId::parse(&ID(text.trim().to_owned()));
    Ok(id.map(AccountSearch::Id).or_else(|| AccountSearch::of_text(text)))
}
