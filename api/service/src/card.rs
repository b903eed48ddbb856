//! Test cards: reading them, page by page.

use std::collections::{BTreeSet, VecDeque};

use chrono::{DateTime, Datelike, Utc};
use futures_util::{Stream, stream};
use jishu_entity::mock_test_attempt::{CardStatus, Column, Entity, Model};
use jishu_entity::{MockTestAttemptId, PurchaseId, SubjectId, UserId, entitlement};
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, DbBackend, DbErr, IntoSimpleExpr, PaginatorTrait, QueryFilter, Select, Value};
use serde::{Deserialize, Serialize};

use super::Services;
use super::events::{Watch, WatchedChange, read_with_retries};
use super::page::{self, Keyset, Page, PageDirection, PageRequest};
use crate::database::utc;

/// Which cards. Every part narrows further; none widens it beyond the owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardFilter {
    /// Only of these subjects.
    pub subjects: Option<Vec<SubjectId>>,
    /// Only of this purchase.
    pub purchase: Option<PurchaseId>,
    /// Only with one of these statuses.
    pub status: Option<Vec<CardStatus>>,
    /// Only those whose entitlement has not been ended.
    pub live_only: bool,
    /// Only those whose entitlement holds, or only the others.
    pub entitled: Option<Entitled>,
}

/// Whether the entitlement that gave a card holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entitled {
    /// Whether it is to hold.
    pub holds: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// What cards can be ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardSort {
    /// By subject, then by number.
    #[default]
    SubjectTestNumber,
    /// By the start of the latest sitting; cards never sat come last, whichever the direction.
    LatestAttemptAt,
    /// By the percentage of the latest sitting; cards without one come last, whichever the direction.
    LatestPercentage,
}

/// An order of cards. The id decides between equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardOrder {
    /// By what.
    pub sort: CardSort,
    /// Greatest first.
    pub descending: bool,
}

/// A card's place in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardKey {
    /// In [`CardSort::SubjectTestNumber`].
    Number(i64, i32, i64),
    /// In [`CardSort::LatestAttemptAt`].
    Time(DateTime<Utc>, i64),
    /// In [`CardSort::LatestPercentage`].
    Percentage(i32, i64),
}

impl CardOrder {
    /// The place of a card in this order.
    #[must_use]
    pub fn key(self, card: &Model) -> CardKey {
        match self.sort {
            CardSort::SubjectTestNumber => CardKey::Number(card.subject_id.0, card.test_number, card.id.0),
            CardSort::LatestAttemptAt => {
                CardKey::Time(card.latest_attempt_at.unwrap_or_else(|| self.no_time()), card.id.0)
            }
            CardSort::LatestPercentage => {
                CardKey::Percentage(card.latest_percentage.unwrap_or_else(|| self.no_percentage()), card.id.0)
            }
        }
    }

    /// Whether a key is of this order.
    #[must_use]
    pub fn has(self, key: &CardKey) -> bool {
        matches!(
            (self.sort, key),
            (CardSort::SubjectTestNumber, CardKey::Number(..))
                | (CardSort::LatestAttemptAt, CardKey::Time(..))
                | (CardSort::LatestPercentage, CardKey::Percentage(..))
        )
    }

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

    /// What stands for "never" in the order, so that it comes last.
    fn no_time(self) -> DateTime<Utc> {
        // The years 1000 and 9999 are the ends of MariaDB's DATETIME; these are well inside.
        let seconds = if self.descending { 0 } else { 250_000_000_000 };
        DateTime::from_timestamp(seconds, 0).unwrap_or_default()
    }

    fn no_percentage(self) -> i32 {
        if self.descending { i32::MIN } else { i32::MAX }
    }
}

impl CardKey {
    /// Whether it could have been read from the database: MariaDB's times end with the year 9999.
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

fn key_values(key: CardKey) -> Vec<Value> {
    match key {
        CardKey::Number(subject, number, id) => vec![subject.into(), number.into(), id.into()],
        CardKey::Time(at, id) => vec![at.into(), id.into()],
        CardKey::Percentage(percentage, id) => vec![percentage.into(), id.into()],
    }
}

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
        let standing = entitlement::Column::EndedAt.is_null();
        select = select.filter(Expr::exists(entitlement_that(Condition::all().add(standing))));
    }
    if let Some(Entitled { holds, at }) = filter.entitled {
        let live = Expr::exists(entitlement_that(entitlement::live(at)));
        select = select.filter(if holds { live } else { live.not() });
    }
    select
}

/// The entitlement that gave a card, if this is so of it.
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

/// A page of a user's cards, in one statement.
///
/// # Errors
/// The database's.
pub async fn page(
    services: &Services,
    owner: UserId,
    filter: CardFilter,
    order: CardOrder,
    request: PageRequest<CardKey>,
) -> Result<Page<Model>, DbErr> {
    let select = select(owner, filter);
    let keyset = order.keyset(services.database.backend());
    page::fetch(services.database.reader(), select, &keyset, request, key_values).await
}

/// How many cards a filter leaves.
///
/// # Errors
/// The database's.
pub async fn count(services: &Services, owner: UserId, filter: CardFilter) -> Result<u64, DbErr> {
    select(owner, filter).count(services.database.reader()).await
}

/// Those of these cards that are this user's.
///
/// # Errors
/// The database's.
pub async fn by_ids(
    services: &Services,
    owner: UserId,
    ids: impl IntoIterator<Item = MockTestAttemptId> + Send,
) -> Result<Vec<Model>, DbErr> {
    Entity::of(owner).filter(Column::Id.is_in(ids)).all(services.database.reader()).await
}

/// The cards of a user, all or of one subject, each when it is created or changes: from when this returns, until the
/// database fails.
///
/// # Errors
/// The database's.
pub async fn changes(
    services: &Services,
    owner: UserId,
    subject: Option<SubjectId>,
) -> Result<impl Stream<Item = Result<Model, DbErr>> + Send + use<>, DbErr> {
    let changes = Changes {
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

/// How many changed cards are read at once.
const CHANGES: u32 = 100;

struct Changes {
    watch: Watch,
    services: Services,
    owner: UserId,
    subject: Option<SubjectId>,
    /// What is still to be read, purchases first.
    changed: BTreeSet<WatchedChange>,
    /// The last card that was read of the first purchase.
    after: Option<CardKey>,
    cards: VecDeque<Model>,
}

impl Changes {
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

    /// The next page of the cards of the first purchase.
    async fn read_purchase(&mut self, purchase: PurchaseId) -> Result<(), DbErr> {
        let order = CardOrder::default();
        let read = || {
            let subjects = self.subject.map(|subject| vec![subject]);
            let filter = CardFilter { subjects, purchase: Some(purchase), ..CardFilter::default() };
            let request = PageRequest {
                limit: CHANGES,
                direction: PageDirection::Forward,
                after: self.after,
                before: None,
                check_far_side: false,
            };
            page(&self.services, self.owner, filter, order, request)
        };
        let page = read_with_retries(read).await?;
        self.after = page.rows.last().filter(|_| page.has_next).map(|card| order.key(card));
        if !page.has_next {
            self.changed.remove(&WatchedChange::Purchase(purchase));
        }
        self.cards = page.rows.into();
        Ok(())
    }

    /// Cards that changed by themselves: no purchase is left.
    async fn read_cards(&mut self) -> Result<(), DbErr> {
        let most = usize::try_from(CHANGES).unwrap_or(usize::MAX);
        let next: Vec<_> = self.changed.iter().copied().take(most).collect();
        let ids = next.iter().filter_map(|change| match change {
            WatchedChange::Card(id) => Some(*id),
            WatchedChange::Purchase(_) | WatchedChange::Answers(_) => None,
        });
        let ids: Vec<_> = ids.collect();
        let cards = read_with_retries(|| by_ids(&self.services, self.owner, ids.iter().copied())).await?;
        let asked_for = |card: &Model| self.subject.is_none_or(|subject| subject == card.subject_id);
        self.cards = cards.into_iter().filter(asked_for).collect();
        for change in &next {
            self.changed.remove(change);
        }
        Ok(())
    }
}
