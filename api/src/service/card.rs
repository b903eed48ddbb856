//! Test cards: reading them, page by page.

use std::collections::{BTreeSet, VecDeque};

use chrono::{DateTime, Datelike, Utc};
use futures_util::{Stream, stream};
use jishu_entity::mock_test_attempt::{CardStatus, Column, Entity, Model};
use jishu_entity::{MockTestAttemptId, PurchaseId, SubjectId, UserId, entitlement};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{ColumnTrait, DbBackend, DbErr, IntoSimpleExpr, PaginatorTrait, QueryFilter, Select, Value};
use serde::{Deserialize, Serialize};

use super::Services;
use super::events::Watch;
use super::page::{self, Keyset, Page, PageRequest, Toward};
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
        let entitlement = |column| Expr::col((entitlement::Entity, column));
        let live = Query::select()
            .expr(Expr::val(1))
            .from(entitlement::Entity)
            .and_where(entitlement(entitlement::Column::PurchaseId).eq(Column::PurchaseId.into_simple_expr()))
            .and_where(entitlement(entitlement::Column::SubjectId).eq(Column::SubjectId.into_simple_expr()))
            .and_where(entitlement(entitlement::Column::EndedAt).is_null())
            .take();
        select = select.filter(Expr::exists(live));
    }
    select
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

/// The cards of a user, all or of one subject, each when it is created: from when this returns, until the database
/// fails.
///
/// # Errors
/// The database's.
pub async fn changes(
    services: &Services,
    owner: UserId,
    subject: Option<SubjectId>,
) -> Result<impl Stream<Item = Result<Model, DbErr>> + Send + use<>, DbErr> {
    let changes = Changes {
        watch: services.events.watch(owner).await?,
        services: services.clone(),
        owner,
        subject,
        purchases: BTreeSet::new(),
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
/// How often they are tried to be read before their watcher is told of the failure.
const READS: u32 = 60;
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

struct Changes {
    watch: Watch,
    services: Services,
    owner: UserId,
    subject: Option<SubjectId>,
    /// Whose cards are still to be read.
    purchases: BTreeSet<PurchaseId>,
    /// The last card that was read of the first of them.
    after: Option<CardKey>,
    cards: VecDeque<Model>,
}

impl Changes {
    async fn next(&mut self) -> Result<Model, DbErr> {
        loop {
            if let Some(card) = self.cards.pop_front() {
                return Ok(card);
            }
            match self.purchases.first() {
                Some(purchase) => self.read_again_and_again(*purchase).await?,
                None => self.purchases = self.watch.purchases().await,
            }
        }
    }

    /// A watcher cannot ask again for what was told once, so a database that is away is waited for.
    async fn read_again_and_again(&mut self, purchase: PurchaseId) -> Result<(), DbErr> {
        for _ in 1..READS {
            match self.read(purchase).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(%error, "changed cards could not be read; they are told later"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.read(purchase).await
    }

    async fn read(&mut self, purchase: PurchaseId) -> Result<(), DbErr> {
        let order = CardOrder::default();
        let subjects = self.subject.map(|subject| vec![subject]);
        let filter = CardFilter { subjects, purchase: Some(purchase), ..CardFilter::default() };
        let request = PageRequest {
            limit: CHANGES,
            toward: Toward::End,
            after: self.after,
            before: None,
            look_around: false,
        };
        let page = page(&self.services, self.owner, filter, order, request).await?;
        self.after = page.rows.last().filter(|_| page.has_next).map(|card| order.key(card));
        if !page.has_next {
            self.purchases.remove(&purchase);
        }
        self.cards = page.rows.into();
        Ok(())
    }
}
