//! Reads the audit trail, in pages for an admin and as an export for the operator.

use chrono::{DateTime, Utc};
use jishu_entity::{AuditEventId, UserId, audit_event, user};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Value,
};

use super::Services;
use super::account::Admin;
use crate::database::comparable_time;
use crate::page::{self, Keyset, Page, PageRequest};

/// The escape character of LIKE patterns: the character after it stands for itself.
const ESCAPE: char = '!';

/// The row that an audit event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditTarget {
    /// The name of the table.
    pub table: String,
    /// The id of the row.
    pub id: i64,
}

/// A filter of audit events. An event must match each field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only events of actions by this user. If None, by every actor.
    pub actor: Option<UserId>,
    /// Only events about this row. If None, about every row.
    pub target: Option<AuditTarget>,
    /// Only events of this action. If the text ends with a dot, events of all actions that begin with it. If None, of
    /// every action.
    pub action: Option<String>,
    /// Only events at this time or later. If None, there is no earliest time.
    pub from: Option<DateTime<Utc>>,
    /// Only events before this time. If None, there is no latest time.
    pub to: Option<DateTime<Utc>>,
}

impl AuditFilter {
    fn select(&self, backend: DbBackend) -> Select<audit_event::Entity> {
        use audit_event::Column;

        let mut events = audit_event::Entity::find();
        if let Some(actor) = self.actor {
            events = events.filter(Column::ActorId.eq(actor));
        }
        if let Some(target) = &self.target {
            let about = Column::TargetType.eq(target.table.as_str()).and(Column::TargetId.eq(target.id));
            events = events.filter(about);
        }
        match &self.action {
            // PostgreSQL refuses text with a NUL character. No action has such a character, so the filter matches no
            // event.
            Some(action) if action.contains('\0') => events = events.filter(Expr::val(1).eq(0)),
            Some(action) => events = events.filter(of_action(backend, action)),
            None => {}
        }
        if let Some(from) = self.from {
            events = events.filter(Column::At.gte(comparable_time(backend, from)));
        }
        if let Some(to) = self.to {
            events = events.filter(Column::At.lt(comparable_time(backend, to)));
        }
        events
    }
}

/// Returns the condition for events of an action. If `action` ends with a dot, returns the condition for events of all
/// actions that begin with it.
///
/// LIKE ignores the case of letters on SQLite. On MariaDB, the collation of the column ignores case, and also spaces at
/// the end of a text. So these databases compare the letters once more.
fn of_action(backend: DbBackend, action: &str) -> Expr {
    let column = || audit_event::Column::Action.into_expr();
    let (found, compared) = if action.ends_with('.') {
        let length = i32::try_from(action.chars().count()).unwrap_or(i32::MAX);
        let start = Func::cust("SUBSTR").arg(column()).arg(1).arg(length);
        (column().like(beginning(action)), Expr::expr(start))
    } else {
        (column().eq(action), column())
    };
    match backend {
        DbBackend::Postgres => found,
        DbBackend::MySql => found.and(compared.cast_as("BINARY").eq(action.cast_as("BINARY"))),
        _ => found.and(compared.eq(action)),
    }
}

/// Returns the LIKE pattern of texts that begin with `text`.
fn beginning(text: &str) -> LikeExpr {
    let mut pattern = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        if matches!(character, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(character);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape(ESCAPE)
}

/// Reads a page of the audit events that match a filter, newest first. The position of an event is its id.
///
/// # Errors
/// Returns the database's error.
#[service_call("audit_trail.page")]
pub async fn page(
    services: &Services,
    _by: Admin,
    filter: &AuditFilter,
    request: PageRequest<i64>,
) -> Result<Page<audit_event::Model>, DbErr> {
    let keyset =
        Keyset { columns: vec![Expr::col((audit_event::Entity, audit_event::Column::Id))], descending: true };
    let key_values = |id: i64| vec![Value::from(id)];
    page::fetch(
        services.database.reader(),
        filter.select(services.database.backend()),
        keyset,
        request,
        key_values,
    )
    .await
}

/// Counts the audit events that match a filter.
///
/// # Errors
/// Returns the database's error.
#[service_call("audit_trail.count")]
pub async fn count(services: &Services, _by: Admin, filter: &AuditFilter) -> Result<u64, DbErr> {
    filter.select(services.database.backend()).count(services.database.reader()).await
}

/// Finds the audit events with these ids. The list has no defined order.
///
/// # Errors
/// Returns the database's error.
#[service_call("audit_trail.by_ids")]
pub async fn by_ids(
    services: &Services,
    _by: Admin,
    ids: Vec<AuditEventId>,
) -> Result<Vec<audit_event::Model>, DbErr> {
    let events = audit_event::Entity::find().filter(audit_event::Column::Id.is_in(ids));
    events.all(services.database.reader()).await
}

/// Finds the accounts with these ids: accounts that acted, or that audit events are about.
///
/// # Errors
/// Returns the database's error.
#[service_call("audit_trail.accounts")]
pub async fn accounts(services: &Services, _by: Admin, ids: Vec<UserId>) -> Result<Vec<user::Model>, DbErr> {
    let accounts = user::Entity::find().filter(user::Column::Id.is_in(ids));
    accounts.all(services.database.reader()).await
}

/// Reads at most `limit` audit events after this id that match a filter, oldest first, for an export. This function
/// checks no role, so only the operator's commands may call it.
///
/// # Errors
/// Returns the database's error.
pub async fn next(
    connection: &impl ConnectionTrait,
    filter: &AuditFilter,
    after: AuditEventId,
    limit: u64,
) -> Result<Vec<audit_event::Model>, DbErr> {
    use audit_event::Column::Id;

    filter
        .select(connection.get_database_backend())
        .filter(Id.gt(after))
        .order_by_asc(Id)
        .limit(limit)
        .all(connection)
        .await
}

/// Returns the greatest id of an audit event, or 0 if there are no events.
///
/// # Errors
/// Returns the database's error.
pub async fn greatest(connection: &impl ConnectionTrait) -> Result<AuditEventId, DbErr> {
    use audit_event::Column::Id;

    let greatest: Option<AuditEventId> = audit_event::Entity::find()
        .select_only()
        .column(Id)
        .order_by_desc(Id)
        .limit(1)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(greatest.unwrap_or(AuditEventId(0)))
}
