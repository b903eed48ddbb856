//! Reads test cards in pages, and streams their changes.

mod columns;

use std::collections::{BTreeSet, VecDeque};

use chrono::{DateTime, Datelike, Utc};
use futures_util::{Stream, stream};
use jishu_entity::mock_test_attempt::{CardStatus, Column, Entity, Model};
use jishu_entity::{MockTestAttemptId, PurchaseId, SubjectId, UserId, entitlement};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{
    ColumnTrait, DbBackend, DbErr, IntoSimpleExpr, PaginatorTrait, QueryFilter, QueryResult, Select, Value,
};
use serde::{Deserialize, Serialize};

use super::Services;
use super::events::{Watch, WatchedChange, read_with_retries};
use super::page::{self, Keyset, Page, PageDirection, PageRequest};
use crate::database::utc;

pub use columns::CardColumns;

/// A filter of the cards of one user. A card must match each field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardFilter {
    /// Only cards of these subjects. If None, of every subject.
    pub subjects: Option<Vec<SubjectId>>,
    /// Only cards of this purchase. If None, of every purchase.
    pub purchase: Option<PurchaseId>,
    /// Only cards with one of these statuses. If None, with every status.
    pub status: Option<Vec<CardStatus>>,
    /// If true, only cards whose entitlement was not ended. This field does not check whether the entitlement has
    /// expired, but `entitled` does.
    pub live_only: bool,
    /// Only cards whose entitlement is live at a time, or only cards whose entitlement is not. If None, all cards.
    pub entitled: Option<Entitled>,
}

/// A condition on the entitlement that gave a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entitled {
    /// True selects cards whose entitlement is live. False selects all other cards.
    pub holds: bool,
    /// The moment at which the entitlement is checked.
    pub at: DateTime<Utc>,
}

/// The value by which cards are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardSort {
    /// By the id of the subject of the card, then by the number of the test.
    #[default]
    SubjectTestNumber,
    /// By the start of the latest sitting. Cards without a sitting come last in both directions.
    LatestAttemptAt,
    /// By the percentage of the latest scored sitting. Cards without a scored sitting come last in both directions.
    LatestPercentage,
}

/// An order of cards. Cards with equal values are ordered by id, in the same direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardOrder {
    /// The value by which the cards are ordered.
    pub sort: CardSort,
    /// Whether the greatest value comes first.
    pub descending: bool,
}

/// The position of a card in an order: the values by which cards are ordered, then the id of the card. Cursors contain
/// the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardPosition {
    /// The id of the subject, the number of the test and the id of the card, for [`CardSort::SubjectTestNumber`].
    Number(i64, i32, i64),
    /// The start of the latest sitting and the id of the card, for [`CardSort::LatestAttemptAt`].
    Time(DateTime<Utc>, i64),
    /// The latest percentage in hundredths and the id of the card, for [`CardSort::LatestPercentage`].
    Percentage(i32, i64),
}

impl CardOrder {
    /// Returns the position of a card in this order. A card without a sitting or a result gets the position of a
    /// stand-in value.
    #[must_use]
    pub fn position(self, card: &Model) -> CardPosition {
        match self.sort {
            CardSort::SubjectTestNumber => {
                CardPosition::Number(card.subject_id.0, card.test_number, card.id.0)
            }
            CardSort::LatestAttemptAt => {
                CardPosition::Time(card.latest_attempt_at.unwrap_or_else(|| self.no_time()), card.id.0)
            }
            CardSort::LatestPercentage => CardPosition::Percentage(
                card.latest_percentage.unwrap_or_else(|| self.no_percentage()),
                card.id.0,
            ),
        }
    }

    /// Tells whether a position is one of this order, so that its values fit the compared columns.
    #[must_use]
    pub fn has(self, position: &CardPosition) -> bool {
        matches!(
            (self.sort, position),
            (CardSort::SubjectTestNumber, CardPosition::Number(..))
                | (CardSort::LatestAttemptAt, CardPosition::Time(..))
                | (CardSort::LatestPercentage, CardPosition::Percentage(..))
        )
    }

    /// Returns the columns that are compared in this order, and its direction.
    fn keyset(self, backend: DbBackend) -> Keyset {
        let id = Column::Id.into_simple_expr();
        let columns = match self.sort {
            CardSort::SubjectTestNumber => {
                vec![Column::SubjectId.into_simple_expr(), Column::TestNumber.into_simple_expr(), id]
            }
            CardSort::LatestAttemptAt => {
                vec![or_else(Column::LatestAttemptAt, utc(backend, self.no_time())), id]
            }
            CardSort::LatestPercentage => {
                vec![or_else(Column::LatestPercentage, Expr::value(self.no_percentage())), id]
            }
        };
        Keyset { columns, descending: self.descending }
    }

    /// Returns the stand-in time of a card without a sitting. In this order, it comes after all real times.
    fn no_time(self) -> DateTime<Utc> {
        // The stand-ins are in the years 1970 and 9892. MariaDB's DATETIME stores the years 1000 to 9999.
        let seconds = if self.descending { 0 } else { 250_000_000_000 };
        DateTime::from_timestamp(seconds, 0).unwrap_or_default()
    }

    /// Returns the stand-in percentage of a card without a result. In this order, it comes after all real percentages.
    fn no_percentage(self) -> i32 {
        if self.descending { i32::MIN } else { i32::MAX }
    }
}

impl CardPosition {
    /// Tells whether the time of a position is in the years 1970 to 9999, which all databases can store. True for
    /// positions without a time.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        match self {
            Self::Time(at, _) => (1970..=9999).contains(&at.year()),
            Self::Number(..) | Self::Percentage(..) => true,
        }
    }
}

fn or_else(column: Column, value: SimpleExpr) -> SimpleExpr {
    Expr::expr(column.into_simple_expr()).if_null(value)
}

/// Returns the values of a position for the columns of its order.
fn position_values(position: CardPosition) -> Vec<Value> {
    match position {
        CardPosition::Number(subject, number, id) => vec![subject.into(), number.into(), id.into()],
        CardPosition::Time(at, id) => vec![at.into(), id.into()],
        CardPosition::Percentage(percentage, id) => vec![percentage.into(), id.into()],
    }
}

/// Selects the cards of a user that match a filter.
fn select(owner: UserId, filter: CardFilter) -> Select<Entity> {
    let mut select = Entity::of(owner);
    if let Some(subjects) = filter.subjects {
        select = select.filter(Column::SubjectId.is_in(subjects));
    }
    if let Some(purchase) = filter.purchase {
        select = select.filter(Column::PurchaseId.eq(purchase));
    }
    if let Some(status) = filter.status {
        select = select.filter(Column::Status.is_in(status));
    }
    if filter.live_only {
        let not_ended = entitlement::Column::EndedAt.is_null();
        select = select.filter(Expr::exists(entitlement_that(Condition::all().add(not_ended))));
    }
    if let Some(Entitled { holds, at }) = filter.entitled {
        let live = Expr::exists(entitlement_that(entitlement::live(at)));
        select = select.filter(if holds { live } else { live.not() });
    }
    select
}

/// Returns a subquery for the entitlement that gave a card, if the entitlement meets a condition.
fn entitlement_that(condition: Condition) -> SelectStatement {
    let entitlement = |column| Expr::col((entitlement::Entity, column));
    Query::select()
        .expr(Expr::val(1))
        .from(entitlement::Entity)
        .and_where(entitlement(entitlement::Column::PurchaseId).eq(Column::PurchaseId.into_simple_expr()))
        .and_where(entitlement(entitlement::Column::SubjectId).eq(Column::SubjectId.into_simple_expr()))
        .cond_where(condition)
        .take()
}

/// Reads a page of a user's cards that match a filter. If the order compares results of sittings, all columns are read,
/// whatever `columns` says.
///
/// # Errors
/// Returns the database's error.
#[service_call("card.page")]
pub async fn page(
    services: &Services,
    owner: UserId,
    filter: CardFilter,
    order: CardOrder,
    columns: CardColumns,
    request: PageRequest<CardPosition>,
) -> Result<Page<Model>, DbErr> {
    let columns = match order.sort {
        CardSort::SubjectTestNumber => columns,
        CardSort::LatestAttemptAt | CardSort::LatestPercentage => CardColumns::All,
    };
    let select = columns.select(select(owner, filter));
    let keyset = order.keyset(services.database.backend());
    let read = |row: &QueryResult| columns.read(row, owner);
    page::fetch_rows(services.database.reader(), select, keyset, request, position_values, read).await
}

/// Counts the cards of a user that match a filter.
///
/// # Errors
/// Returns the database's error.
#[service_call("card.count")]
pub async fn count(services: &Services, owner: UserId, filter: CardFilter) -> Result<u64, DbErr> {
    select(owner, filter).count(services.database.reader()).await
}

/// Finds the cards with these ids. Leaves out cards of other users.
///
/// # Errors
/// Returns the database's error.
#[service_call("card.by_ids")]
pub async fn by_ids(
    services: &Services,
    owner: UserId,
    ids: Vec<MockTestAttemptId>,
) -> Result<Vec<Model>, DbErr> {
    Entity::of(owner).filter(Column::Id.is_in(ids)).all(services.database.reader()).await
}

/// Streams the cards of a user whenever they are created or change: all cards, or only those of `subject` if it is
/// given. The stream misses no change that is committed after this function returns. Changes of a card that follow each
/// other closely make one item of the stream, with the latest state. The stream ends with an error if the database
/// fails for about a minute.
///
/// # Errors
/// Returns the database's error.
#[service_call("card.changes")]
pub async fn changes(
    services: &Services,
    owner: UserId,
    subject: Option<SubjectId>,
) -> Result<impl Stream<Item = Result<Model, DbErr>> + Send + use<>, DbErr> {
    let changes = CardChanges {
        watch: services.events.watch(owner, None).await?,
        services: services.clone(),
        owner,
        subject,
        changed: BTreeSet::new(),
        after: None,
        cards: VecDeque::new(),
    };
    Ok(stream::try_unfold(changes, async |mut changes| {
        let card = changes.next().await?;
        Ok(Some((card, changes)))
    }))
}

/// Maximum number of changed cards that one statement reads.
const CARDS_PER_READ: u32 = 100;

/// The state of a stream of changed cards.
struct CardChanges {
    watch: Watch,
    services: Services,
    owner: UserId,
    subject: Option<SubjectId>,
    /// The changes whose cards were not read yet. Changes of purchases come first.
    changed: BTreeSet<WatchedChange>,
    /// The position of the last card that was read of the first purchase in `changed`. None if none of its cards was
    /// read.
    after: Option<CardPosition>,
    /// Changed cards that were read, and that the stream has not returned yet.
    cards: VecDeque<Model>,
}

impl CardChanges {
    /// Returns the next changed card. Waits until there is one.
    async fn next(&mut self) -> Result<Model, DbErr> {
        loop {
            if let Some(card) = self.cards.pop_front() {
                return Ok(card);
            }
            match self.changed.first() {
                Some(WatchedChange::Purchase(purchase)) => self.read_purchase(*purchase).await?,
                Some(_) => self.read_cards().await?,
                None => self.changed = self.watch.changes().await,
            }
        }
    }

    /// Reads the next page of the cards of a changed purchase. After the last page, removes the purchase from
    /// `changed`.
    async fn read_purchase(&mut self, purchase: PurchaseId) -> Result<(), DbErr> {
        let order = CardOrder::default();
        let read = || {
            let subjects = self.subject.map(|subject| vec![subject]);
            let filter = CardFilter { subjects, purchase: Some(purchase), ..CardFilter::default() };
            let request = PageRequest {
                limit: CARDS_PER_READ,
                direction: PageDirection::Forward,
                after: self.after,
                before: None,
                finds_previous: false,
                finds_next: false,
            };
            page(&self.services, self.owner, filter, order, CardColumns::All, request)
        };
        let page = read_with_retries(read).await?;
        self.after = page.rows.last().filter(|_| page.has_next).map(|card| order.position(card));
        if !page.has_next {
            self.changed.remove(&WatchedChange::Purchase(purchase));
        }
        self.cards = page.rows.into();
        Ok(())
    }

    /// Reads the next cards in `changed`, and removes their changes from `changed`, which must not contain purchases.
    async fn read_cards(&mut self) -> Result<(), DbErr> {
        let most = usize::try_from(CARDS_PER_READ).unwrap_or(usize::MAX);
        let next: Vec<_> = self.changed.iter().copied().take(most).collect();
        let ids = next.iter().filter_map(|change| match change {
            WatchedChange::Card(id) => Some(*id),
            WatchedChange::Purchase(_) | WatchedChange::Answers(_) | WatchedChange::Order(_) => None,
        });
        let ids: Vec<_> = ids.collect();
        let cards = read_with_retries(|| by_ids(&self.services, self.owner, ids.clone())).await?;
        let asked_for = |card: &Model| self.subject.is_none_or(|subject| subject == card.subject_id);
        self.cards = cards.into_iter().filter(asked_for).collect();
        for change in &next {
            self.changed.remove(change);
        }
        Ok(())
    }
}
