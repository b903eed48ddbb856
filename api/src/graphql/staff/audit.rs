//! The query `auditEvents`.

use async_graphql::{Context, ID, InputObject, Object};
use graphql_engine::{guarded_fields, page_arguments};
use jishu_entity::UserId;

use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::PageArgs;
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::scalar::DateTime;
use crate::graphql::types::{AuditEventConnection, audit_page, audit_target};
use jishu_service::account::Admin;
use jishu_service::audit_trail::AuditFilter as Choice;

/// A filter for audit events. An event matches if it meets every condition that is given.
#[derive(InputObject)]
struct AuditFilter {
    /// Only events of actions by the user with this id.
    actor_id: Option<ID>,
    /// Only events about the object with this id: a global id, or a `targetId` of an audit event.
    target_id: Option<ID>,
    /// Only events with this action, such as "purchase.created". A text that ends with a dot, such as "purchase.",
    /// matches all actions that begin with the text.
    action: Option<String>,
    /// Only events at this time or later.
    from: Option<DateTime>,
    /// Only events before this time.
    to: Option<DateTime>,
}

impl AuditFilter {
    fn choice(self) -> ApiResult<Choice> {
        let actor = |id: ID| {
            UserId::parse(&id).ok_or_else(|| {
                ApiError::bad_input("`actorId` is not the id of a User. Take ids from responses.")
            })
        };
        let target = |id: ID| {
            audit_target(&id).ok_or_else(|| {
                ApiError::bad_input("`targetId` is not an id of this server. Take ids from responses.")
            })
        };
        Ok(Choice {
            actor: self.actor_id.map(actor).transpose()?,
            target: self.target_id.map(target).transpose()?,
            action: self.action,
            from: self.from.map(|DateTime(time)| time),
            to: self.to.map(|DateTime(time)| time),
        })
    }
}

#[derive(Default)]
pub(in crate::graphql) struct AuditQuery;

#[page_arguments]
#[guarded_fields(requires_role)]
#[Object]
impl AuditQuery {
    /// The audit trail: who did what, and when, newest first. Only for ADMIN. Events stay for ever. Only deleting an
    /// account erases the reasons that staff wrote about its orders.
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        #[guard] admin: Admin,
        #[page] page: PageArgs,
        #[graphql(desc = "Only events that match this filter.")] filter: Option<AuditFilter>,
    ) -> ApiResult<AuditEventConnection> {
        let choice = filter.map(AuditFilter::choice).transpose()?;
        audit_page(ctx, admin, choice.unwrap_or_default(), page).await
    }
}
