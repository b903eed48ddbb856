//! Extra time and extra attempts, which support grants a card.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::{MockTestAttemptId, UserId, extra_time, mock_test_attempt, paper, test_session};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait, IntoActiveModel, JoinType, QueryFilter, QuerySelect, RelationDef,
};

use super::Services;
use super::account::Support;
use super::events::{self, Event};
use super::session::SittingRules;
use crate::clock::Clock;
use crate::database::{IsFailure, WriteOptions, lock_user, locked};

/// The most seconds that each sitting of a card may take longer: a day.
pub const MOST_SECONDS: i32 = 86_400;
/// The most attempts that a card may have.
pub const MOST_ATTEMPTS: i32 = 1_000;

/// What is granted, in place of what was granted before: granting it again changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// How many seconds each sitting of the card takes longer, 0 to [`MOST_SECONDS`]; none leaves it.
    pub extra_seconds: Option<i32>,
    /// How often the card may be sat in all, 1 to [`MOST_ATTEMPTS`]; none leaves it.
    pub max_attempts: Option<i32>,
}

/// Why nothing was granted. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ExtraTimeError {
    /// The grant is empty.
    #[error("Nothing was asked for. Give `extraSeconds`, `maxAttempts` or both.")]
    NothingGranted,
    /// The seconds are out of range.
    #[error("`extraSeconds` is 0 to {MOST_SECONDS}: how much longer each sitting of the card takes, in all.")]
    SecondsOutOfRange,
    /// The attempts are out of range.
    #[error("`maxAttempts` is 1 to {MOST_ATTEMPTS}: how often the card may be sat, in all.")]
    AttemptsOutOfRange,
    /// The card was sat more often than it could be.
    #[error("The card was sat {0} times already. Give `maxAttempts` of at least {0}.")]
    FewerThanUsed(i32),
    /// There is no such card.
    #[error("There is no such test card.")]
    CardNotFound,
    /// The open sitting is over but for being scored.
    #[error(
        "The time of the open sitting is over, and it is about to be scored. Wait a few seconds; then the time can be \
         granted to the next sitting, with `maxAttempts` for one more if the card has none left."
    )]
    SittingOverdue,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl IsFailure for ExtraTimeError {
    fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

/// What a card is granted in all: no more of its learner than whoever grants has to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The card.
    pub card: mock_test_attempt::Model,
    /// How much longer each of its sittings takes.
    pub extra_seconds: i32,
    /// The deadline of its open sitting.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What came of a grant.
struct Granted {
    allowance: Allowance,
    has_changed: bool,
}

struct Command {
    by: UserId,
    owner: UserId,
    card: MockTestAttemptId,
    grant: Grant,
    rules: SittingRules,
    clock: Arc<dyn Clock>,
}

/// What was granted to these cards of this user, in seconds. Those that were granted none are left out.
///
/// # Errors
/// The database's.
pub async fn of_cards(
    services: &Services,
    owner: UserId,
    cards: impl IntoIterator<Item = MockTestAttemptId> + Send,
) -> Result<Vec<(MockTestAttemptId, i32)>, DbErr> {
    let card: RelationDef = extra_time::Entity::belongs_to(mock_test_attempt::Entity)
        .from(extra_time::Column::MockTestAttemptId)
        .to(mock_test_attempt::Column::Id)
        .into();
    extra_time::Entity::find()
        .select_only()
        .columns([extra_time::Column::MockTestAttemptId, extra_time::Column::Seconds])
        .join(JoinType::InnerJoin, card)
        .filter(mock_test_attempt::Column::UserId.eq(owner))
        .filter(extra_time::Column::MockTestAttemptId.is_in(cards))
        .into_tuple()
        .all(services.database.reader())
        .await
}

/// Grants a card, whosever it is, more time or more attempts. An open sitting gets the time at once; its deadline is
/// never moved earlier.
///
/// # Errors
/// See [`ExtraTimeError`]; none of them has written anything.
pub async fn grant(
    services: &Services,
    by: Support,
    card: MockTestAttemptId,
    grant: Grant,
) -> Result<Allowance, ExtraTimeError> {
    if grant == Grant::default() {
        return Err(ExtraTimeError::NothingGranted);
    }
    if grant.extra_seconds.is_some_and(|seconds| !(0..=MOST_SECONDS).contains(&seconds)) {
        return Err(ExtraTimeError::SecondsOutOfRange);
    }
    if grant.max_attempts.is_some_and(|attempts| !(1..=MOST_ATTEMPTS).contains(&attempts)) {
        return Err(ExtraTimeError::AttemptsOutOfRange);
    }
    let by = by.id();
    let owner = owner(services.database.reader(), card).await?.ok_or(ExtraTimeError::CardNotFound)?;
    let (rules, clock) = (services.sittings.rules, Arc::clone(&services.clock));
    let command = Command { by, owner, card, grant, rules, clock };
    let options =
        WriteOptions { name: "grant extra time", looks_before_it_writes: true, another_may_be_first: false };
    let Granted { allowance, has_changed } = services
        .database
        .write_for(owner, options, command, |transaction, command| Box::pin(run(transaction, command)))
        .await?;
    if has_changed {
        services.events.appended(allowance.card.user_id);
        tracing::info!(user = %by, card = %card, ?grant, "granted");
    }
    Ok(allowance)
}

/// Locks in the order of all that sittings do: the owner, the open sitting, the card.
async fn run(transaction: &DatabaseTransaction, command: &Command) -> Result<Granted, ExtraTimeError> {
    let backend = transaction.get_database_backend();
    let owner = command.owner;
    lock_user(transaction, owner).await?.ok_or(ExtraTimeError::CardNotFound)?;
    let open = test_session::Entity::of(owner)
        .filter(test_session::Column::MockTestAttemptId.eq(command.card))
        .filter(test_session::Column::OpenMarker.eq(1));
    let open = locked(backend, open).one(transaction).await?;
    let card = mock_test_attempt::Entity::of(owner).filter(mock_test_attempt::Column::Id.eq(command.card));
    let card = locked(backend, card).one(transaction).await?.ok_or(ExtraTimeError::CardNotFound)?;
    // After the locks: what waited for them took its time.
    let now = command.clock.now();

    let mut has_changed = false;
    let before = extra_time::Entity::find_by_id(command.card).one(transaction).await?;
    let before = before.map_or(0, |before| before.seconds);
    let mut expires_at = open.as_ref().map(|open| open.expires_at);
    if let Some(seconds) = command.grant.extra_seconds {
        if seconds != before {
            keep_seconds(transaction, command, seconds, now).await?;
            has_changed = true;
        }
        if let Some(open) = open {
            let deadline = extend(transaction, open, seconds, now, command.rules).await?;
            has_changed |= expires_at != Some(deadline);
            expires_at = Some(deadline);
        }
    }
    let extra_seconds = command.grant.extra_seconds.unwrap_or(before);
    let before = card.clone();
    let card = match command.grant.max_attempts {
        Some(attempts) => allow(transaction, card, attempts).await?,
        None => card,
    };
    has_changed |= card != before;
    if has_changed {
        events::append(transaction, now, Some(command.by), Event::CardExtended(card.id)).await?;
    }
    Ok(Granted { allowance: Allowance { card, extra_seconds, expires_at }, has_changed })
}

/// Whose card it is; of any user.
async fn owner(connection: &impl ConnectionTrait, card: MockTestAttemptId) -> Result<Option<UserId>, DbErr> {
    mock_test_attempt::Entity::find_by_id(card)
        .select_only()
        .column(mock_test_attempt::Column::UserId)
        .into_tuple()
        .one(connection)
        .await
}

/// Stores the time for the sittings to come.
async fn keep_seconds(
    connection: &impl ConnectionTrait,
    command: &Command,
    seconds: i32,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let granted = extra_time::ActiveModel {
        mock_test_attempt_id: Set(command.card),
        seconds: Set(seconds),
        granted_by: Set(command.by),
        granted_at: Set(now),
    };
    let replaced =
        [extra_time::Column::Seconds, extra_time::Column::GrantedBy, extra_time::Column::GrantedAt];
    let replace =
        OnConflict::column(extra_time::Column::MockTestAttemptId).update_columns(replaced).to_owned();
    extra_time::Entity::insert(granted).on_conflict(replace).exec_without_returning(connection).await?;
    Ok(())
}

/// Moves the deadline of an open sitting, if that is later, and tells what it is now.
async fn extend(
    connection: &impl ConnectionTrait,
    open: test_session::Model,
    seconds: i32,
    now: DateTime<Utc>,
    rules: SittingRules,
) -> Result<DateTime<Utc>, ExtraTimeError> {
    let paper = paper::Entity::find_by_id(open.paper_id).one(connection).await?;
    let paper = paper.ok_or_else(|| DbErr::RecordNotFound(format!("paper {}", open.paper_id)))?;
    let takes = TimeDelta::seconds(i64::from(paper.time_limit_seconds) + i64::from(seconds));
    let expires_at = open.started_at + takes;
    if expires_at <= open.expires_at {
        return Ok(open.expires_at);
    }
    if rules.is_overdue(open.expires_at, now) {
        return Err(ExtraTimeError::SittingOverdue);
    }
    let mut moved = open.into_active_model();
    moved.expires_at = Set(expires_at);
    moved.update(connection).await?;
    Ok(expires_at)
}

/// Sets how often the card may be sat, and whether it may be sat again.
async fn allow(
    connection: &impl ConnectionTrait,
    card: mock_test_attempt::Model,
    attempts: i32,
) -> Result<mock_test_attempt::Model, ExtraTimeError> {
    if attempts < card.attempts_used {
        return Err(ExtraTimeError::FewerThanUsed(card.attempts_used));
    }
    if attempts == card.max_attempts {
        return Ok(card);
    }
    let status = match card.status {
        CardStatus::Completed | CardStatus::Exhausted if attempts > card.attempts_used => {
            CardStatus::Completed
        }
        CardStatus::Completed | CardStatus::Exhausted => CardStatus::Exhausted,
        // What becomes of it is told when its sitting ends.
        CardStatus::InProgress | CardStatus::Available => card.status,
    };
    let mut allowed = card.into_active_model();
    allowed.max_attempts = Set(attempts);
    allowed.status = Set(status);
    Ok(allowed.update(connection).await?)
}
