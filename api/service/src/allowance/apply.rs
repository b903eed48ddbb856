//! Applies allowances to the cards and open sittings of one learner.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use jishu_entity::mock_test_attempt::{self, CardStatus};
use jishu_entity::{CourseId, MockTestAttemptId, PurchaseId, SubjectId, UserId, extra_time, test_session};
use sea_orm::sea_query::{CaseStatement, Condition, Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::AppliedChanges;
use super::read::{UserAllowances, courses_of};
use crate::Services;
use crate::clock::Clock;
use crate::database::{WritePolicy, lock_user, locked};
use crate::error::{Error, Fault};
use crate::events::{self, Event};
use crate::extra_time::{ExtraTimeRefusal, extend};
use crate::session::SittingRules;

struct ApplyAllowanceCommand {
    /// The member of support who granted the allowance.
    by: UserId,
    learner: UserId,
    /// The subjects of the allowance's scope. None for all subjects.
    subjects: Option<Vec<SubjectId>>,
    rules: SittingRules,
    clock: Arc<dyn Clock>,
}

/// Applies all allowances of a learner to the learner's cards and open sittings, in these subjects or, with None, in
/// all subjects. Does nothing if they were applied before.
///
/// # Errors
/// Returns the database's error.
pub(super) async fn apply(
    services: &Services,
    by: UserId,
    learner: UserId,
    subjects: Option<Vec<SubjectId>>,
) -> Result<AppliedChanges, Fault> {
    let (rules, clock) = (services.sittings.rules, Arc::clone(&services.clock));
    let command = ApplyAllowanceCommand { by, learner, subjects, rules, clock };
    let policy = WritePolicy::idempotent("apply allowances");
    let changes: Result<AppliedChanges, Error<Infallible>> = services
        .database
        .write_for(learner, policy, command, |transaction, command| Box::pin(run(transaction, command)))
        .await;
    let changes = changes?;
    if changes.is_any() {
        services.events.appended(learner);
    }
    Ok(changes)
}

/// Applies the allowances in a transaction. Locks the learner, then the sittings, then the cards, as every write to a
/// sitting does.
async fn run(
    transaction: &DatabaseTransaction,
    command: &ApplyAllowanceCommand,
) -> Result<AppliedChanges, Error<Infallible>> {
    lock_user(transaction, command.learner).await?;
    let mut owned = mock_test_attempt::Entity::of(command.learner)
        .select_only()
        .column(mock_test_attempt::Column::SubjectId)
        .distinct();
    if let Some(subjects) = &command.subjects {
        owned = owned.filter(mock_test_attempt::Column::SubjectId.is_in(subjects.iter().copied()));
    }
    let owned: Vec<SubjectId> = owned.into_tuple().all(transaction).await?;
    let courses = courses_of(transaction, owned).await?;
    let allowances = UserAllowances::read(transaction, command.learner, &courses).await?;
    let mut changes = AppliedChanges::default();
    extend_open(transaction, command, &courses, &allowances, &mut changes).await?;
    raise(transaction, command, &courses, &allowances, &mut changes).await?;
    Ok(changes)
}

/// Gives the open sittings of the learner the greatest extra time of the allowances and of their cards. Counts the
/// sittings in `changes`, and appends an audit event for each extended sitting. Skips a sitting whose deadline has
/// passed.
async fn extend_open(
    transaction: &DatabaseTransaction,
    command: &ApplyAllowanceCommand,
    courses: &BTreeMap<SubjectId, CourseId>,
    allowances: &UserAllowances,
    changes: &mut AppliedChanges,
) -> Result<(), Error<Infallible>> {
    let open = test_session::Entity::of(command.learner)
        .filter(test_session::Column::OpenMarker.eq(1))
        .filter(test_session::Column::SubjectId.is_in(courses.keys().copied()))
        .order_by_asc(test_session::Column::Id);
    let open = locked(transaction.get_database_backend(), open).all(transaction).await?;
    let cards = cards_of(transaction, &open).await?;
    let own = own_seconds(transaction, open.iter().map(|open| open.mock_test_attempt_id)).await?;
    // The clock is read after the locks, because getting the locks takes time.
    let now = command.clock.now();
    for open in open {
        let Some(course) = courses.get(&open.subject_id) else { continue };
        let card = open.mock_test_attempt_id;
        let row = cards.get(&card).ok_or_else(|| Fault::missing(format_args!("card {card}")))?;
        let granted = allowances.extra_seconds(open.subject_id, *course);
        let seconds = Ord::max(granted, own.get(&card).copied().unwrap_or_default());
        let before = open.expires_at;
        match extend(transaction, open, row, seconds, now, command.rules).await {
            Ok(deadline) if deadline != before => {
                changes.extended_sittings += 1;
                events::append(transaction, now, Some(command.by), Event::CardExtended(card)).await?;
            }
            Ok(_) => {}
            Err(Error::Refused(ExtraTimeRefusal::SittingOverdue)) => changes.overdue_sittings += 1,
            Err(Error::Refused(refusal)) => return Err(Fault::Inconsistent(refusal.to_string()).into()),
            Err(Error::Failed(fault)) => return Err(fault.into()),
        }
    }
    Ok(())
}

/// Reads the cards of these sittings, by id.
async fn cards_of(
    connection: &impl ConnectionTrait,
    sittings: &[test_session::Model],
) -> Result<BTreeMap<MockTestAttemptId, mock_test_attempt::Model>, DbErr> {
    let ids = sittings.iter().map(|sitting| sitting.mock_test_attempt_id);
    let rows = mock_test_attempt::Entity::find().filter(mock_test_attempt::Column::Id.is_in(ids));
    Ok(rows.all(connection).await?.into_iter().map(|card| (card.id, card)).collect())
}

/// Reads the extra time in seconds that support granted to these single cards, without allowances.
async fn own_seconds(
    connection: &impl ConnectionTrait,
    cards: impl Iterator<Item = MockTestAttemptId>,
) -> Result<BTreeMap<MockTestAttemptId, i32>, DbErr> {
    let rows = extra_time::Entity::find().filter(extra_time::Column::MockTestAttemptId.is_in(cards));
    let rows = rows.all(connection).await?.into_iter();
    Ok(rows.map(|row| (row.mock_test_attempt_id, row.seconds)).collect())
}

/// Raises the maximum number of attempts of the learner's cards to the number that allowances grant, if that number is
/// greater. A card that has attempts left again can be sat again. Appends an audit event for each purchase with raised
/// cards.
async fn raise(
    transaction: &DatabaseTransaction,
    command: &ApplyAllowanceCommand,
    courses: &BTreeMap<SubjectId, CourseId>,
    allowances: &UserAllowances,
    changes: &mut AppliedChanges,
) -> Result<(), Error<Infallible>> {
    use mock_test_attempt::Column;
    let granted = courses
        .iter()
        .filter_map(|(subject, course)| Some((*subject, allowances.max_attempts(*subject, *course)?)));
    for (subject, attempts) in granted {
        let fewer = Condition::all()
            .add(Column::UserId.eq(command.learner))
            .add(Column::SubjectId.eq(subject))
            .add(Column::MaxAttempts.lt(attempts));
        let purchases: Vec<PurchaseId> = mock_test_attempt::Entity::find()
            .select_only()
            .column(Column::PurchaseId)
            .distinct()
            .filter(fewer.clone())
            .into_tuple()
            .all(transaction)
            .await?;
        if purchases.is_empty() {
            continue;
        }
        let has_attempts = Column::Status.eq(CardStatus::Exhausted).and(Column::AttemptsUsed.lt(attempts));
        let status = CaseStatement::new()
            .case(has_attempts, Expr::value(CardStatus::Completed))
            .finally(Expr::col(Column::Status));
        let raised = mock_test_attempt::Entity::update_many()
            .col_expr(Column::Status, status.into())
            .col_expr(Column::MaxAttempts, Expr::value(attempts))
            .filter(fewer)
            .exec(transaction)
            .await?;
        changes.raised_cards += raised.rows_affected;
        let now = command.clock.now();
        for purchase in purchases {
            events::append(transaction, now, Some(command.by), Event::CardsExtended(purchase)).await?;
        }
    }
    Ok(())
}
