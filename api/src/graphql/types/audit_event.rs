//! The GraphQL type `AuditEvent`, and connections of audit events.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graphql_engine::plain_fields;
use jishu_entity::{AuditEventId, UserId, audit_event, user};
use tokio::sync::OnceCell;

use super::User;
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, Nullable};
use crate::graphql::node::{GlobalKey, Node};
use crate::graphql::pagination::{Connection, ListNode, PageArgs, connect, wants_rows};
use crate::graphql::query::nodes;
use crate::graphql::scalar::DateTime;
use jishu_service::account::Admin;
use jishu_service::audit_trail::{self, AuditFilter, AuditTarget};
use jishu_service::page::Page;

/// The tables whose rows are objects of the API, each with the name of its GraphQL type. If a target is in another
/// table, its id contains the name of that table instead of a type.
const TYPES: [(&str, &str); 11] = [
    ("allowances", "Allowance"),
    ("audit_events", "AuditEvent"),
    ("courses", "Course"),
    ("mock_test_attempts", "MockTestAttempt"),
    ("orders", "Order"),
    ("purchases", "Purchase"),
    ("questions", "AuthoredQuestion"),
    ("refunds", "Refund"),
    ("subjects", "Subject"),
    ("test_sessions", "TestSession"),
    ("users", "User"),
];

/// Returns the id of the target of an event. It is the global id if the target is an object of the API.
fn target_id(row: &audit_event::Model) -> ID {
    let known = TYPES.iter().find(|(table, _)| *table == row.target_type);
    let name = known.map_or(row.target_type.as_str(), |(_, name)| name);
    ID(URL_SAFE_NO_PAD.encode(format!("{name}:{}", row.target_id)))
}

/// Parses the id of a target. Returns `None` if the text does not have the form of an id of a target.
pub(in crate::graphql) fn audit_target(id: &ID) -> Option<AuditTarget> {
    let bytes = URL_SAFE_NO_PAD.decode(id.as_bytes()).ok()?;
    let (name, row) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    let number: i64 = row.parse().ok().filter(|number| *number > 0)?;
    let is_table = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let table = match TYPES.iter().find(|(_, of_table)| *of_table == name) {
        Some((table, _)) => table,
        None if is_table(name) => name,
        None => return None,
    };
    (number.to_string() == row).then(|| AuditTarget { table: table.to_owned(), id: number })
}

pub(in crate::graphql) struct AuditEvent {
    row: audit_event::Model,
    page: Arc<PageUsers>,
    target: OnceCell<Option<Box<Node>>>,
}

/// The accounts that the events of a page name, read in one statement.
type PageUsers = HashMap<UserId, user::Model>;

/// A record of an action: who acted, what they did, and which values changed. The server appends it in the transaction
/// of the action. The record never changes, except that the deletion of an account erases the reasons that staff wrote
/// about the orders of the account.
#[plain_fields]
#[Object]
impl AuditEvent {
    /// The global id of the event. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.row.id.global()
    }

    /// The time of the action.
    async fn at(&self) -> DateTime {
        DateTime(self.row.at)
    }

    /// The user who acted. Null if the server, a guardian or an operator on the command line acted.
    async fn actor(&self) -> Option<User> {
        self.row.actor_id.map(|id| self.user(id))
    }

    /// The action: an object and what happened to it, such as "purchase.created".
    async fn action(&self) -> &str {
        &self.row.action
    }

    /// The object of the action. Null for the purchases, test cards and sittings of other users, and for an object
    /// without a global id.
    async fn target(&self, ctx: &Context<'_>) -> Nullable<&Node> {
        let found = self.target.get_or_try_init(|| async {
            let id = target_id(&self.row);
            if let Some(user) = UserId::parse(&id) {
                return Ok(Some(Box::new(Node::User(self.user(user)))));
            }
            Ok(nodes(ctx, &[id]).await?.pop().flatten().map(Box::new))
        });
        found.await.map(|node| node.as_deref()).transpose()
    }

    /// The id of the object of the action, for the filter of `auditEvents`. It is the global id if the object has one.
    async fn target_id(&self) -> ID {
        target_id(&self.row)
    }

    /// The old values of what the action changed, as far as the event recorded them, as a JSON object in a string. Null
    /// if the event recorded no old values.
    async fn before(&self) -> Option<&str> {
        self.row.state_before.as_deref()
    }

    /// The new values of what the action changed or set, as far as the event recorded them, as a JSON object in a
    /// string. Null if the event recorded no new values.
    async fn after(&self) -> Option<&str> {
        self.row.state_after.as_deref()
    }
}

impl AuditEvent {
    fn new(row: audit_event::Model, page: &Arc<PageUsers>) -> Self {
        Self { row, page: Arc::clone(page), target: OnceCell::new() }
    }

    fn user(&self, id: UserId) -> User {
        self.page.get(&id).cloned().map_or_else(|| User::lazy(id), User::from)
    }

    /// Reads the audit events with these ids for an admin. Without the permission of an admin, returns no events.
    pub(in crate::graphql) async fn by_ids(
        ctx: &Context<'_>,
        admin: Option<Admin>,
        ids: Vec<AuditEventId>,
    ) -> ApiResult<HashMap<AuditEventId, audit_event::Model>> {
        let Some(admin) = admin else { return Ok(HashMap::new()) };
        let rows = audit_trail::by_ids(ctx.services()?, admin, ids).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}

impl From<audit_event::Model> for AuditEvent {
    fn from(row: audit_event::Model) -> Self {
        Self::new(row, &Arc::default())
    }
}

impl ListNode for AuditEvent {
    const NAME: &'static str = "AuditEvent";
}

pub(in crate::graphql) type AuditEventConnection = Connection<AuditEvent, AuditEventTotal>;

pub(in crate::graphql) struct AuditEventTotal {
    admin: Admin,
    filter: AuditFilter,
}

#[Object]
impl AuditEventTotal {
    /// The number of items on all pages of this list together. The server counts them only if this field is selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(audit_trail::count(ctx.services()?, self.admin, &self.filter).await?)
    }
}

const LIST_NAME: &str = "AuditEvent";

/// Reads a page of the audit events that match `filter`, newest first. Reads no rows if the client selects neither
/// `edges` nor `pageInfo`. Reads the accounts and the targets of the events only if the client selects them, with one
/// or two statements for each type of object.
pub(in crate::graphql) async fn audit_page(
    ctx: &Context<'_>,
    admin: Admin,
    filter: AuditFilter,
    args: PageArgs,
) -> ApiResult<AuditEventConnection> {
    let services = ctx.services()?;
    let request = args.request(ctx, LIST_NAME)?;
    let page = if wants_rows(ctx) {
        audit_trail::page(services, admin, &filter, request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    let selected = |name: &str| ctx.look_ahead().field("edges").field("node").field(name).exists();
    let mut accounts: Vec<UserId> = Vec::new();
    if selected("actor") {
        accounts.extend(page.rows.iter().filter_map(|row| row.actor_id));
    }
    let target_ids: Vec<ID> =
        if selected("target") { page.rows.iter().map(target_id).collect() } else { Vec::new() };
    accounts.extend(target_ids.iter().filter_map(UserId::parse));
    accounts.sort_unstable();
    accounts.dedup();
    let users: PageUsers = if accounts.is_empty() {
        HashMap::new()
    } else {
        let found = audit_trail::accounts(services, admin, accounts).await?;
        found.into_iter().map(|row| (row.id, row)).collect()
    };
    let users = Arc::new(users);
    // The accounts are read above. Reading an account with `nodes` would record a look at it.
    let is_account = |id: &ID| UserId::parse(id).is_some();
    let other_ids: Vec<ID> = target_ids.into_iter().filter(|id| !is_account(id)).collect();
    // The targets have the order of the rows, without those rows whose target is an account.
    let mut targets = nodes(ctx, &other_ids).await?.into_iter();
    let node = |row| {
        let event = AuditEvent::new(row, &users);
        if is_account(&target_id(&event.row)) {
            return event;
        }
        match targets.next() {
            Some(target) => AuditEvent { target: OnceCell::new_with(Some(target.map(Box::new))), ..event },
            None => event,
        }
    };
    Ok(connect(LIST_NAME, page, |row: &audit_event::Model| row.id.0, node, AuditEventTotal { admin, filter }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::node::GlobalId;

    fn event(table: &str, id: i64) -> audit_event::Model {
        audit_event::Model {
            id: AuditEventId(1),
            at: chrono::DateTime::UNIX_EPOCH,
            actor_id: None,
            action: "thing.changed".to_owned(),
            target_type: table.to_owned(),
            target_id: id,
            state_before: None,
            state_after: None,
        }
    }

    #[test]
    fn the_id_of_a_target_is_parsed_back_to_its_row() {
        for (table, _) in TYPES.into_iter().chain([("refresh_tokens", "")]) {
            let id = target_id(&event(table, 7));
            assert_eq!(audit_target(&id), Some(AuditTarget { table: table.to_owned(), id: 7 }));
        }
        let encoded = |text: &str| ID(URL_SAFE_NO_PAD.encode(text));
        for id in [ID("User:1".to_owned()), encoded("Secret:1"), encoded("User:01"), encoded("User:0")] {
            assert_eq!(audit_target(&id), None, "{id:?}");
        }
    }

    #[test]
    fn every_type_with_global_ids_belongs_to_a_table() {
        for name in GlobalId::TYPES {
            assert!(TYPES.iter().any(|(_, of_table)| of_table == name), "add {name} and its table to TYPES");
        }
    }
}
