//! Extra time and extra attempts, which support can grant to a single card.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::{
    MockTestAttemptId, SubjectId, UserId, entitlement, extra_time, mock_test_attempt, paper, test_session,
};
use jishu_service_macros::service_call;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait, IntoActiveModel, JoinType, QueryFilter, QuerySelect, RelationDef,
};
use serde_json::json;

use super::Services;
use super::account::Support;
use super::allowance;
use super::audit::StateChange;
use super::card_limits::{MAX_ATTEMPTS_PER_CARD, MAX_EXTRA_SECONDS};
use super::events::{self, Event};
use super::session::{self, SittingRules};
use crate::clock::Clock;
use crate::database::{WritePolicy, lock_user, locked};
use crate::error::{Error, Fault, Refusal};

/// The extra time and attempts to grant to a card. Each given value replaces the value of the previous grant, so
/// repeating a grant changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Extra seconds for each sitting of the card, 0 to [`MAX_EXTRA_SECONDS`]. None keeps the present value.
    pub extra_seconds: Option<i32>,
    /// Maximum number of attempts of the card, 1 to [`MAX_ATTEMPTS_PER_CARD`]. None keeps the present value.
    pub max_attempts: Option<i32>,
}

/// A reason to refuse a grant. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ExtraTimeRefusal {
    /// The grant to the card gives neither extra time nor a maximum number of attempts.
    #[error("Give extra time, a number of attempts, or both.")]
    NothingGranted,
    /// The extra time is negative or too long.
    #[error("The extra time for each sitting of a card must be 0 to {MAX_EXTRA_SECONDS} seconds.")]
    SecondsOutOfRange,
    /// The number of attempts is less than 1 or too great.
    #[error("The total number of attempts of a card must be 1 to {MAX_ATTEMPTS_PER_CARD}.")]
    AttemptsOutOfRange,
    /// This number of attempts of the card is used already, and the grant allows fewer attempts.
    #[error("The number of used attempts of the card is {0}. Allow at least this number.")]
    FewerThanUsed(i32),
    /// The card does not exist.
    #[error("There is no such test card.")]
    CardNotFound,
    /// The deadline and the grace time of the open sitting have passed, and the server has not closed it yet.
    #[error(
        "The time of the open sitting is over, and the server is about to score it. Wait a few seconds, then grant the \
         time for the next sitting. Grant one more attempt too if the card has none left."
    )]
    SittingOverdue,
}

impl Refusal for ExtraTimeRefusal {}

/// A card with the extra time and attempts that were granted to it. The row of the card also has the owner and the
/// scores. Support does not need them, so the response to support leaves them out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedCard {
    /// The card.
    pub card: mock_test_attempt::Model,
    /// The extra seconds for each sitting that were granted to this card alone, without allowances.
    pub extra_seconds: i32,
    /// The deadline of the open sitting. None if no sitting is open.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The result of the transaction of a grant.
struct GrantResult {
    extended: ExtendedCard,
    has_changed: bool,
}

struct GrantCommand {
    /// The member of support who grants the extra time or attempts.
    by: UserId,
    /// The owner of the card.
    owner: UserId,
    card: MockTestAttemptId,
    grant: Grant,
    rules: SittingRules,
    clock: Arc<dyn Clock>,
}

/// The id of a card, and the id of its subject.
pub type CardOfSubject = (MockTestAttemptId, SubjectId);

/// Reads the extra seconds for each sitting of these cards of a user. The greater of two values counts: the card's own
/// extra time, and the extra time of its allowances. Leaves out cards without extra time.
///
/// # Errors
/// Returns the database's error.
#[service_call("extra_time.of_cards")]
pub async fn of_cards(
    services: &Services,
    owner: UserId,
    cards: Vec<CardOfSubject>,
) -> Result<Vec<(CardOfSubject, i32)>, Fault> {
    let ids: Vec<MockTestAttemptId> = cards.iter().map(|(card, _)| *card).collect();
    let card: RelationDef = extra_time::Entity::belongs_to(mock_test_attempt::Entity)
        .from(extra_time::Column::MockTestAttemptId)
        .to(mock_test_attempt::Column::Id)
        .into();
    let own: Vec<(MockTestAttemptId, i32)> = extra_time::Entity::find()
        .select_only()
        .columns([extra_time::Column::MockTestAttemptId, extra_time::Column::Seconds])
        .join(JoinType::InnerJoin, card)
        .filter(mock_test_attempt::Column::UserId.eq(owner))
        .filter(extra_time::Column::MockTestAttemptId.is_in(ids))
        .into_tuple()
        .all(services.database.reader())
        .await?;
    let own: HashMap<MockTestAttemptId, i32> = own.into_iter().collect();
    let subjects: BTreeSet<SubjectId> = cards.iter().map(|(_, subject)| *subject).collect();
    let granted = allowance::extra_seconds_by_subject(services, owner, subjects).await?;
    let seconds = cards.into_iter().map(|key @ (card, subject)| {
        let own = own.get(&card).copied().unwrap_or_default();
        (key, own.max(granted.get(&subject).copied().unwrap_or_default()))
    });
    Ok(seconds.filter(|(_, seconds)| *seconds > 0).collect())
}

/// Grants a card of any user extra time or more attempts. An open sitting gets the extra time at once. Its deadline
/// never moves to an earlier time, and never beyond the end of the entitlement.
///
/// # Errors
/// See [`ExtraTimeRefusal`]. A refusal means that nothing was written.
#[service_call("extra_time.grant")]
pub async fn grant(
    services: &Services,
    by: Support,
    card: MockTestAttemptId,
    grant: Grant,
) -> Result<ExtendedCard, Error<ExtraTimeRefusal>> {
    if grant == Grant::default() {
        return Err(ExtraTimeRefusal::NothingGranted.into());
    }
    if grant.extra_seconds.is_some_and(|seconds| !(0..=MAX_EXTRA_SECONDS).contains(&seconds)) {
        return Err(ExtraTimeRefusal::SecondsOutOfRange.into());
    }
    if grant.max_attempts.is_some_and(|attempts| !(1..=MAX_ATTEMPTS_PER_CARD).contains(&attempts)) {
        return Err(ExtraTimeRefusal::AttemptsOutOfRange.into());
    }
    let by = by.id();
    let owner = owner(services.database.reader(), card).await?.ok_or(ExtraTimeRefusal::CardNotFound)?;
    let (rules, clock) = (services.sittings.rules, Arc::clone(&services.clock));
    let command = GrantCommand { by, owner, card, grant, rules, clock };
    let policy = WritePolicy::idempotent("grant extra time");
    let GrantResult { extended, has_changed } = services
        .database
        .write_for(owner, policy, command, |transaction, command| Box::pin(run(transaction, command)))
        .await?;
    if has_changed {
        services.events.appended(extended.card.user_id);
        tracing::info!(user = %by, card = %card, ?grant, "extra time or attempts were granted");
    }
    Ok(extended)
}

/// Stores a grant in a transaction. Locks the owner, then the sitting, then the card, as every write to a sitting does.
async fn run(
    transaction: &DatabaseTransaction,
    command: &GrantCommand,
) -> Result<GrantResult, Error<ExtraTimeRefusal>> {
    let backend = transaction.get_database_backend();
    let owner = command.owner;
    lock_user(transaction, owner).await?.ok_or(ExtraTimeRefusal::CardNotFound)?;
    let open = test_session::Entity::of(owner)
        .filter(test_session::Column::MockTestAttemptId.eq(command.card))
        .filter(test_session::Column::OpenMarker.eq(1));
    let open = locked(backend, open).one(transaction).await?;
    let card = mock_test_attempt::Entity::of(owner).filter(mock_test_attempt::Column::Id.eq(command.card));
    let card = locked(backend, card).one(transaction).await?.ok_or(ExtraTimeRefusal::CardNotFound)?;
    // The clock is read after the locks, because getting the locks takes time.
    let now = command.clock.now();

    let mut has_changed = false;
    let seconds_before = extra_time::Entity::find_by_id(command.card).one(transaction).await?;
    let seconds_before = seconds_before.map_or(0, |row| row.seconds);
    let mut expires_at = open.as_ref().map(|open| open.expires_at);
    if let Some(seconds) = command.grant.extra_seconds {
        if seconds != seconds_before {
            store_seconds(transaction, command, seconds, now).await?;
            has_changed = true;
        }
        if let Some(open) = open {
            let deadline = extend(transaction, open, &card, seconds, now, command.rules).await?;
            has_changed |= expires_at != Some(deadline);
            expires_at = Some(deadline);
        }
    }
    let extra_seconds = command.grant.extra_seconds.unwrap_or(seconds_before);
    let card_before = card.clone();
    let card = match command.grant.max_attempts {
        Some(attempts) => set_attempts(transaction, card, attempts).await?,
        None => card,
    };
    has_changed |= card != card_before;
    if has_changed {
        let state = |seconds: i32, card: &mock_test_attempt::Model| json!({ "extraSeconds": seconds, "maxAttempts": card.max_attempts });
        let change = StateChange::between(state(seconds_before, &card_before), state(extra_seconds, &card));
        events::append_change(transaction, now, Some(command.by), Event::CardExtended(card.id), &change)
            .await?;
    }
    Ok(GrantResult { extended: ExtendedCard { card, extra_seconds, expires_at }, has_changed })
}

/// Finds the owner of a card. Does not check whether the caller may know it.
async fn owner(connection: &impl ConnectionTrait, card: MockTestAttemptId) -> Result<Option<UserId>, DbErr> {
    mock_test_attempt::Entity::find_by_id(card)
        .select_only()
        .column(mock_test_attempt::Column::UserId)
        .into_tuple()
        .one(connection)
        .await
}

/// Stores the extra seconds of a card, for its later sittings. Replaces the previous value.
async fn store_seconds(
    connection: &impl ConnectionTrait,
    command: &GrantCommand,
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

/// Moves the deadline of an open sitting to its start plus the time limit plus `seconds`, if that is later than the
/// present deadline. The deadline stays within the term of the entitlement. Returns the deadline. Refuses a later
/// deadline if the sitting no longer accepts answers.
pub(super) async fn extend(
    connection: &impl ConnectionTrait,
    open: test_session::Model,
    card: &mock_test_attempt::Model,
    seconds: i32,
    now: DateTime<Utc>,
    rules: SittingRules,
) -> Result<DateTime<Utc>, Error<ExtraTimeRefusal>> {
    let paper = paper::Entity::find_by_id(open.paper_id).one(connection).await?;
    let paper = paper.ok_or_else(|| Fault::missing(format_args!("paper {}", open.paper_id)))?;
    let right = entitlement::Entity::find_by_id((card.purchase_id, card.subject_id)).one(connection).await?;
    let right = right.ok_or_else(|| Fault::missing(format_args!("the entitlement to card {}", card.id)))?;
    let expires_at = session::deadline(open.started_at, paper.time_limit_seconds + seconds, &right);
    if expires_at <= open.expires_at {
        return Ok(open.expires_at);
    }
    if rules.is_overdue(open.expires_at, now) {
        return Err(ExtraTimeRefusal::SittingOverdue.into());
    }
    let mut moved = open.into_active_model();
    moved.expires_at = Set(expires_at);
    moved.update(connection).await?;
    Ok(expires_at)
}

/// Sets the maximum number of attempts of a card, and the status that follows from it. Refuses a number below the
/// attempts that were used.
async fn set_attempts(
    connection: &impl ConnectionTrait,
    card: mock_test_attempt::Model,
    attempts: i32,
) -> Result<mock_test_attempt::Model, Error<ExtraTimeRefusal>> {
    if attempts < card.attempts_used {
        return Err(ExtraTimeRefusal::FewerThanUsed(card.attempts_used).into());
    }
    if attempts == card.max_attempts {
        return Ok(card);
    }
    let status = match card.status {
        CardStatus::Completed | CardStatus::Exhausted if attempts > card.attempts_used => {
            CardStatus::Completed
        }
        CardStatus::Completed | CardStatus::Exhausted => CardStatus::Exhausted,
        // The status does not change now. It is set when the open sitting ends, or when the first sitting starts.
        CardStatus::InProgress | CardStatus::Available => card.status,
    };
    let mut allowed = card.into_active_model();
    allowed.max_attempts = Set(attempts);
    allowed.status = Set(status);
    Ok(allowed.update(connection).await?)
}
