//! Claims outbox messages with a lease, and records the outcomes of their deliveries.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::outbox_message::{self, Column, OutboxState};
use rand::RngExt;
use rand::seq::SliceRandom;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, UpdateMany,
};

use super::{DeliveryFailure, MAX_ATTEMPTS, Outbox};
use crate::Services;
use crate::database::WritePolicy;
use crate::error::{Error, Fault};

/// Number of messages that the search reads for each message that it claims. It picks from them at random. So nodes
/// that search at the same time claim different messages.
const CANDIDATES_PER_CLAIM: usize = 4;
/// Maximum pause before the second attempt to deliver a message. The maximum doubles with each attempt, up to
/// [`MAX_BACKOFF`]. The pause itself is random.
const FIRST_BACKOFF: Duration = Duration::from_secs(30);
/// Maximum pause before any attempt to deliver a message.
const MAX_BACKOFF: Duration = Duration::from_secs(60 * 60);

/// A claimed message. Its number of attempts includes the delivery that begins now. This number and the node that owns
/// the lease identify the lease.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) message: outbox_message::Model,
}

/// Claims messages that are due, at most `limit` of them. One statement for each message compares and sets, so no two
/// nodes get the same lease. A due message that has used all attempts is marked as dead instead.
pub(super) async fn claim(services: &Services, limit: usize) -> Result<Vec<Lease>, Fault> {
    let now = services.clock.now();
    let mut candidates = find_due(services, limit * CANDIDATES_PER_CLAIM, now).await?;
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    candidates.shuffle(&mut rand::rng());
    candidates.truncate(limit);
    // Every node locks rows in the order of their ids, so that two nodes do not lock each other out.
    candidates.sort_unstable_by_key(|message| message.id);
    let claim =
        Claim { candidates, owner: services.outbox.owner.clone(), now, until: now + services.outbox.lease() };
    // If the response to a COMMIT was lost, the retry finds these messages leased and claims none of them. They are due
    // again when these leases end.
    let policy = WritePolicy::idempotent("outbox.claim");
    let claimed =
        services.database.write(policy, claim, |transaction, claim| Box::pin(claim.run(transaction)));
    Ok(claimed.await?)
}

async fn find_due(
    services: &Services,
    limit: usize,
    now: DateTime<Utc>,
) -> Result<Vec<outbox_message::Model>, DbErr> {
    outbox_message::Entity::find()
        .filter(Column::State.is_in([OutboxState::Pending, OutboxState::Leased]))
        .filter(Column::DueAt.lte(now))
        .filter(Column::ExpiresAt.gt(now))
        .order_by_asc(Column::DueAt)
        .order_by_asc(Column::Id)
        .limit(limit as u64)
        .all(services.database.reader())
        .await
}

struct Claim {
    candidates: Vec<outbox_message::Model>,
    owner: String,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Claim {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<Vec<Lease>, Error<Infallible>> {
        let mut leases = Vec::with_capacity(self.candidates.len());
        for message in &self.candidates {
            // The number of attempts grows with each claim. If it is unchanged, no node has claimed the message since
            // it was read.
            let unclaimed = outbox_message::Entity::update_many()
                .filter(Column::Id.eq(message.id))
                .filter(Column::State.is_in([OutboxState::Pending, OutboxState::Leased]))
                .filter(Column::Attempts.eq(message.attempts))
                .filter(Column::DueAt.lte(self.now));
            if message.attempts >= MAX_ATTEMPTS {
                // The last lease ended without a recorded outcome. The message may be the cause that stops the nodes,
                // so it is not tried again.
                let reason = "the outcome of the last attempt is unknown: its node did not record it in time";
                end(unclaimed, OutboxState::Dead, self.now, Some(reason)).exec(transaction).await?;
                continue;
            }
            let claimed = unclaimed
                .col_expr(Column::State, Expr::value(OutboxState::Leased))
                .col_expr(Column::LeaseOwner, Expr::value(self.owner.as_str()))
                .col_expr(Column::DueAt, Expr::value(self.until))
                .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
                .exec(transaction)
                .await?;
            if claimed.rows_affected == 1 {
                let mut message = message.clone();
                message.attempts += 1;
                leases.push(Lease { message });
            }
        }
        Ok(leases)
    }
}

/// The outcome of a delivery. Recording the outcome ends the lease.
struct Ended {
    lease: Lease,
    owner: String,
    outcome: Result<(), DeliveryFailure>,
    now: DateTime<Utc>,
}

/// Records the outcome of a delivery: the message is sent, dead, or pending for another attempt. Changes nothing if
/// this node no longer has the lease.
pub(super) async fn record(
    services: &Services,
    lease: Lease,
    outcome: Result<(), DeliveryFailure>,
) -> Result<(), Fault> {
    let Outbox { owner, .. } = &*services.outbox;
    let ended = Ended { lease, owner: owner.clone(), outcome, now: services.clock.now() };
    let policy = WritePolicy::idempotent("outbox.record");
    services
        .database
        .write(policy, ended, |transaction, ended| {
            Box::pin(async move {
                ended.update().exec(transaction).await?;
                Ok::<_, Error<Infallible>>(())
            })
        })
        .await?;
    Ok(())
}

impl Ended {
    fn update(&self) -> UpdateMany<outbox_message::Entity> {
        let message = &self.lease.message;
        let held = outbox_message::Entity::update_many()
            .filter(Column::Id.eq(message.id))
            .filter(Column::State.eq(OutboxState::Leased))
            .filter(Column::LeaseOwner.eq(self.owner.as_str()))
            .filter(Column::Attempts.eq(message.attempts));
        match &self.outcome {
            Ok(()) => end(held, OutboxState::Sent, self.now, None)
                .col_expr(Column::SentAt, Expr::value(self.now))
                .col_expr(Column::Payload, Expr::value(None::<String>)),
            Err(failure) if failure.is_final || message.attempts >= MAX_ATTEMPTS => {
                end(held, OutboxState::Dead, self.now, Some(&failure.reason))
            }
            Err(failure) => {
                let due_at = self.now + backoff(message.attempts);
                end(held, OutboxState::Pending, due_at, Some(&failure.reason))
            }
        }
    }
}

/// Adds columns to an update: they end the lease of a message, and set its state, the time when it is due, and the
/// latest error.
fn end(
    update: UpdateMany<outbox_message::Entity>,
    state: OutboxState,
    due_at: DateTime<Utc>,
    error: Option<&str>,
) -> UpdateMany<outbox_message::Entity> {
    update
        .col_expr(Column::State, Expr::value(state))
        .col_expr(Column::DueAt, Expr::value(due_at))
        .col_expr(Column::LeaseOwner, Expr::value(None::<String>))
        .col_expr(Column::LastError, Expr::value(error.map(str::to_owned)))
}

/// Returns the pause after this many attempts: a random 50 to 100 per cent of the maximum pause. So messages that
/// failed together are not retried together.
fn backoff(attempts: i32) -> TimeDelta {
    let doublings = Ord::min(u32::try_from(attempts - 1).unwrap_or_default(), 16);
    let ceiling = Ord::min(FIRST_BACKOFF.saturating_mul(1 << doublings), MAX_BACKOFF);
    TimeDelta::from_std(ceiling.mul_f64(rand::rng().random_range(0.5..1.0))).unwrap_or(TimeDelta::hours(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_up_to_an_hour() {
        for (attempts, seconds) in [(1, 30), (2, 60), (3, 120), (7, 1_920), (8, 3_600), (10, 3_600)] {
            let pause = backoff(attempts);
            assert!(
                pause >= TimeDelta::seconds(seconds) / 2 && pause <= TimeDelta::seconds(seconds),
                "{attempts}: {pause}"
            );
        }
    }
}
