//! Reads accounts and purchases of all users, for support and admins.

use std::convert::Infallible;

use chrono::{DateTime, Utc};
use jishu_entity::purchase::PurchaseStatus;
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{UserId, purchase, user};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Func, LikeExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoSimpleExpr, PaginatorTrait, QueryFilter,
    Select, Value,
};

use super::account::Support;
use super::page::{self, Keyset, Page, PageRequest};
use super::{Services, audit};
use crate::database::WritePolicy;
use crate::error::{Error, Fault};

/// The action of the audit event which records that a member of staff looked at one account.
const LOOKED_UP: &str = "user.looked_up";
/// The action of the audit event which records that a member of staff read a list of accounts, purchases or orders.
const LISTED: &str = "user.listed";

/// A filter of accounts. An account must match each field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountFilter {
    /// Only accounts that the search finds. If None, all accounts.
    pub search: Option<AccountSearch>,
    /// Only accounts with this role. If None, with every role.
    pub role: Option<Role>,
    /// Only accounts with this status. If None, with every status.
    pub status: Option<UserStatus>,
}

/// A search for accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountSearch {
    /// The account with this id.
    Id(UserId),
    /// Accounts whose e-mail address begins with this text, which is in lower case. The search uses the index of the
    /// addresses.
    EmailPrefix(String),
    /// Accounts whose e-mail address begins with this text, whose name contains this text, or whose id is this number.
    /// The case of the letters A to Z does not matter. For other letters in names it can matter, because SQLite and
    /// some settings of PostgreSQL do not convert their case.
    Text(String),
}

impl AccountSearch {
    /// Makes the search for a text that staff typed. A text with an at sign is searched only at the beginning of e-mail
    /// addresses. Returns None for a blank text.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        // PostgreSQL refuses text with a NUL character, so U+FFFD replaces NUL. A search for NUL should find
        // nothing. It does no harm that the search finds an account whose name contains U+FFFD.
        let text = text.trim().replace('\0', "\u{fffd}");
        match text.as_str() {
            "" => None,
            _ if text.contains('@') => Some(Self::EmailPrefix(text.to_lowercase())),
            _ => Some(Self::Text(text)),
        }
    }

    fn condition(&self, backend: DbBackend) -> Condition {
        match self {
            Self::Id(id) => Condition::all().add(user::Column::Id.eq(*id)),
            Self::EmailPrefix(prefix) => email_prefix(backend, prefix),
            Self::Text(text) => {
                let name = || user::Column::Name.into_expr();
                let contains = |text: &str| LikeExpr::new(format!("%{}%", escaped(text))).escape('!');
                Condition::any()
                    .add(email_prefix(backend, &text.to_lowercase()))
                    .add(name().like(contains(text)))
                    .add(Expr::expr(Func::lower(name())).like(contains(&text.to_lowercase())))
                    .add_option(text.parse().ok().map(|id: i64| user::Column::Id.eq(id)))
            }
        }
    }
}

/// Returns the condition for e-mail addresses that begin with `prefix`, which must be in lower case.
///
/// SQLite uses an index only for a range. PostgreSQL uses it only for a pattern, because its collation may order the
/// addresses in another way. MariaDB uses it for both.
fn email_prefix(backend: DbBackend, prefix: &str) -> Condition {
    let pattern = LikeExpr::new(format!("{}%", escaped(prefix))).escape('!');
    let condition = Condition::all().add(user::Column::Email.into_expr().like(pattern));
    if backend == DbBackend::Postgres {
        return condition;
    }
    condition
        .add(user::Column::Email.gte(prefix))
        .add(user::Column::Email.lt(format!("{prefix}{}", char::MAX)))
}

/// Escapes the wildcards of LIKE in a text, with `!` as escape character.
fn escaped(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

fn select_accounts(backend: DbBackend, filter: &AccountFilter) -> Select<user::Entity> {
    let mut select = user::Entity::find();
    if let Some(search) = &filter.search {
        select = select.filter(search.condition(backend));
    }
    if let Some(role) = filter.role {
        select = select.filter(user::Column::Role.eq(role));
    }
    if let Some(status) = filter.status {
        select = select.filter(user::Column::Status.eq(status));
    }
    select
}

/// The position of a row in a list of accounts or purchases: its id. Cursors contain it.
pub type RowPosition = i64;

/// Reads a page of the accounts that match a filter, oldest first.
///
/// # Errors
/// Returns the database's error.
#[service_call("people.accounts")]
pub async fn accounts(
    services: &Services,
    _: Support,
    filter: &AccountFilter,
    request: PageRequest<RowPosition>,
) -> Result<Page<user::Model>, DbErr> {
    let keyset = Keyset { columns: vec![user::Column::Id.into_simple_expr()], descending: false };
    let reader = services.database.reader();
    let select = select_accounts(reader.get_database_backend(), filter);
    page::fetch(reader, select, keyset, request, |id| vec![Value::from(id)]).await
}

/// Counts the accounts that match a filter.
///
/// # Errors
/// Returns the database's error.
#[service_call("people.count_accounts")]
pub async fn count_accounts(services: &Services, _: Support, filter: &AccountFilter) -> Result<u64, DbErr> {
    let reader = services.database.reader();
    select_accounts(reader.get_database_backend(), filter).count(reader).await
}

/// Finds the accounts with these ids, for support.
///
/// # Errors
/// Returns the database's error.
#[service_call("people.accounts_by_ids")]
pub async fn accounts_by_ids(
    services: &Services,
    _: Support,
    ids: Vec<UserId>,
) -> Result<Vec<user::Model>, DbErr> {
    super::account::by_ids(services, ids).await
}

/// A filter of purchases. A purchase must match each field that is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurchaseFilter {
    /// Only purchases of this user. If None, of every user.
    pub buyer: Option<UserId>,
    /// Only purchases in this state. If None, in every state.
    pub state: Option<PurchaseState>,
}

/// The state of a purchase at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurchaseState {
    /// The purchase is not refunded as a whole, and its term is not over at this time.
    ActiveAt(DateTime<Utc>),
    /// The purchase is not refunded as a whole, and its term is over at this time.
    ExpiredAt(DateTime<Utc>),
    /// The purchase was refunded as a whole.
    Refunded,
}

fn select_purchases(filter: PurchaseFilter) -> Select<purchase::Entity> {
    let mut select = match filter.buyer {
        Some(buyer) => purchase::Entity::of(buyer),
        None => purchase::Entity::find(),
    };
    let stored = |status: PurchaseStatus| purchase::Column::Status.eq(status);
    match filter.state {
        None => {}
        Some(PurchaseState::Refunded) => select = select.filter(stored(PurchaseStatus::Refunded)),
        Some(PurchaseState::ExpiredAt(now)) => {
            select =
                select.filter(stored(PurchaseStatus::Active)).filter(purchase::Column::ExpiresAt.lte(now));
        }
        Some(PurchaseState::ActiveAt(now)) => {
            let lasts = Condition::any()
                .add(purchase::Column::ExpiresAt.is_null())
                .add(purchase::Column::ExpiresAt.gt(now));
            select = select.filter(stored(PurchaseStatus::Active)).filter(lasts);
        }
    }
    select
}

/// Reads a page of the purchases of all users that match a filter, newest first.
///
/// # Errors
/// Returns the database's error.
#[service_call("people.purchases")]
pub async fn purchases(
    services: &Services,
    _: Support,
    filter: PurchaseFilter,
    request: PageRequest<RowPosition>,
) -> Result<Page<purchase::Model>, DbErr> {
    let keyset = Keyset { columns: vec![purchase::Column::Id.into_simple_expr()], descending: true };
    let select = select_purchases(filter);
    page::fetch(services.database.reader(), select, keyset, request, |id| vec![Value::from(id)]).await
}

/// Counts the purchases of all users that match a filter.
///
/// # Errors
/// Returns the database's error.
#[service_call("people.count_purchases")]
pub async fn count_purchases(services: &Services, _: Support, filter: PurchaseFilter) -> Result<u64, DbErr> {
    select_purchases(filter).count(services.database.reader()).await
}

/// The data of users that a member of staff looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The data of one account, such as its cart, purchases, orders, refunds, cards, sittings or progress.
    Account(UserId),
    /// A list of accounts, purchases or orders of any users. The target of its audit event is the account of the member
    /// of staff.
    List,
}

/// Appends an audit event which records that a member of staff looked at data of users.
///
/// # Errors
/// Returns the database's error.
#[service_call("people.record")]
pub async fn record(services: &Services, by: Support, look: Look) -> Result<(), Fault> {
    let by = by.id();
    let (action, target) = match look {
        Look::Account(user) => (LOOKED_UP, user),
        Look::List => (LISTED, by),
    };
    // If the response to COMMIT was lost, a second run would append a second audit event for the same look.
    let policy = WritePolicy::not_idempotent("record a look");
    let input = (services.clock.now(), by, action, target);
    let recorded: Result<(), Error<Infallible>> = services
        .database
        .write(policy, input, |transaction, (now, by, action, target)| {
            Box::pin(async move {
                Ok(audit::append(transaction, *now, Some(*by), action, ("users", target.0)).await?)
            })
        })
        .await;
    recorded?;
    tracing::info!(user = %by, ?look, "staff looked at data of users");
    Ok(())
}
