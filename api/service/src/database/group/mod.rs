//! Group commit: transactions that wait for a connection share one transaction of the database.
//!
//! Each transaction waits for its turn and then for a connection, as every transaction of `write_for` does. Meanwhile,
//! it is offered on a board. A transaction that gets a connection executes its statements, and then does not commit at
//! once. It first takes waiting transactions from the board and executes their statements too, one transaction after
//! the other. One COMMIT stores the changes of all. So the more transactions wait, the less each costs: it needs no
//! BEGIN and no COMMIT of its own, and the database waits for its disk once for the whole group.
//!
//! If a statement fails, the whole group is rolled back, and each of its transactions runs alone. So do they if COMMIT
//! fails. Then the group may be committed after all, so only idempotent transactions can join a group.

mod board;
mod member;
#[cfg(test)]
mod tests;

pub(super) use board::Board;

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use sea_orm::DbErr;
use tokio::sync::oneshot;
use tracing::Span;

use super::attempt::roll_back;
use super::transaction::{TransactionBody, WritePolicy};
use super::{Database, QueueKey, run_detached, shutting_down};
use crate::error::Error;
use crate::metrics::{PoolName, RetryCause, TransactionOutcome};
use board::Offer;
use member::{Cause, Member, Ran, Transaction, Verdict};

/// Maximum number of transactions in a group.
const MAX_MEMBERS: usize = 8;
/// A group of several transactions that is open for longer than this is rolled back. Other nodes may miss an event that
/// is committed 10 s after it was appended.
const MAX_TIME_TO_COMMIT: Duration = Duration::from_secs(5);

/// A transaction that waits on the board, seen from its own task.
struct Pending<C, T, R> {
    policy: WritePolicy,
    body: TransactionBody<C, T, R>,
    span: Span,
    offer: Offer,
    verdict: oneshot::Receiver<Verdict<C, T, R>>,
}

/// The transactions whose statements run in one transaction of the database.
#[derive(Default)]
struct Group {
    members: Vec<Box<dyn Member>>,
    /// The keys whose turn the group holds.
    keys: Vec<QueueKey>,
}

impl Database {
    /// Does the same as [`Database::write_for`], but the transaction may share a transaction of the database with
    /// others. A group that already holds the turn of the same key may run the transaction before it gets its own turn.
    pub(super) async fn write_in_group<C, T, R>(
        &self,
        key: QueueKey,
        policy: WritePolicy,
        input: C,
        body: TransactionBody<C, T, R>,
    ) -> Result<T, Error<R>>
    where
        C: Send + Sync + 'static,
        T: Send + 'static,
        R: Send + 'static,
    {
        let span = policy.span();
        let (transaction, verdict) = Transaction::new(policy, input, body, span.clone());
        let offer = self.groups.offer(key, Box::new(transaction));
        let mut pending = Pending { policy, body, span, offer, verdict };
        let (mut turn, since) = (pin!(self.turn(key)), Instant::now());
        let (turn, verdict) = match pending.verdict_or(turn.as_mut()).await? {
            Either::Right(turn) => (turn, None),
            Either::Left(Verdict::RunAlone { input, first }) => {
                (turn.await?, Some(Verdict::RunAlone { input, first }))
            }
            Either::Left(verdict) => {
                if let (Some(metrics), Verdict::Ended { began, .. }) = (self.metrics.database(), &verdict) {
                    metrics.turn_taken(began.saturating_duration_since(since));
                }
                return self.conclude(pending, Instant::now(), Ok(verdict)).await;
            }
        };
        let (database, since) = (self.clone(), Instant::now());
        run_detached(async move {
            let _turn = turn;
            let verdict = match verdict {
                Some(verdict) => Ok(verdict),
                None => database.join_or_lead(key, &mut pending).await,
            };
            database.conclude(pending, since, verdict).await
        })
        .await
    }

    /// Waits until a group has run a transaction that has its turn, or until there is a connection. In the second case,
    /// runs a group that begins with this transaction.
    async fn join_or_lead<C, T, R>(
        &self,
        key: QueueKey,
        pending: &mut Pending<C, T, R>,
    ) -> Result<Verdict<C, T, R>, DbErr> {
        let (metrics, since) = (self.metrics.database(), Instant::now());
        let _borrowed = metrics.map(|metrics| metrics.borrowing(PoolName::Writer));
        pending.offer.allow_all_groups();
        match pending.verdict_or(self.queue.permit()).await? {
            Either::Left(verdict) => {
                if let (Some(metrics), Verdict::Ended { began, .. }) = (metrics, &verdict) {
                    metrics.connection_taken(PoolName::Writer, began.saturating_duration_since(since));
                }
                return Ok(verdict);
            }
            Either::Right(permit) => {
                if let Some(member) = pending.offer.withdraw() {
                    self.lead(key, member, since).await;
                }
                drop(permit);
            }
        }
        pending.verdict().await
    }

    /// Runs a group: the first transaction, and others that wait when its statements have ended. The first transaction
    /// has waited for a connection since this time.
    async fn lead(&self, key: QueueKey, first: Box<dyn Member>, since: Instant) {
        debug_assert!(!self.is_cluster, "a cluster may end the transaction of a group without an error");
        let mut group = Group { members: vec![first], keys: vec![key] };
        let transaction = match self.begin().await {
            Ok(transaction) => transaction,
            Err(error) => {
                return self.roll_back_group(group, Cause::Database { error, commit_was_sent: false });
            }
        };
        if let Some(metrics) = self.metrics.database() {
            metrics.connection_taken(PoolName::Writer, since.elapsed());
        }
        let (opened, mut has_changes) = (Instant::now(), false);
        while let Some(member) = group.members.last_mut() {
            match member.run(self, &transaction).await {
                Ran::Succeeded => has_changes = true,
                Ran::Refused => {}
                Ran::Failed => {
                    roll_back(transaction).await;
                    return self.roll_back_group(group, Cause::Own);
                }
                Ran::Panicked => {
                    drop(transaction);
                    return self.roll_back_group(group, Cause::Own);
                }
            }
            if !self.add_next(&mut group, opened) {
                break;
            }
        }
        if !has_changes {
            roll_back(transaction).await;
            return group.conclude();
        }
        if group.members.len() > 1 && opened.elapsed() > MAX_TIME_TO_COMMIT {
            roll_back(transaction).await;
            return self.roll_back_group(group, Cause::Group);
        }
        match transaction.commit().await {
            Ok(()) => {
                self.probe.record_write();
                if let Some(metrics) = self.metrics.database() {
                    metrics.group(group.members.len());
                }
                group.conclude();
            }
            Err(error) => self.roll_back_group(group, Cause::Database { error, commit_was_sent: true }),
        }
    }

    /// Lets each transaction of a group run alone, because the group was rolled back, or because its COMMIT failed. If
    /// the cause is the failure of a transaction, this is the last one of the group.
    fn roll_back_group(&self, mut group: Group, cause: Cause) {
        let last = group.members.pop();
        let was_alone = group.members.is_empty();
        if !was_alone {
            self.groups.pause();
            let others = group.members.len();
            tracing::debug!(
                others,
                ?cause,
                "a group of transactions failed, and each of them now runs alone"
            );
        }
        for member in group.members {
            member.rolled_back(Cause::Group, was_alone);
        }
        if let Some(last) = last {
            last.rolled_back(cause, was_alone);
        }
    }

    /// Adds a waiting transaction to a group. Returns whether there was one that the group may take.
    fn add_next(&self, group: &mut Group, opened: Instant) -> bool {
        if group.members.len() >= MAX_MEMBERS || opened.elapsed() >= self.groups.max_open_time {
            return false;
        }
        let Some((key, member)) = self.groups.take(&group.keys) else { return false };
        group.members.push(member);
        group.keys.push(key);
        true
    }

    /// Returns the result of a transaction, or runs it alone if its group was rolled back. It has had its turn since
    /// this time.
    async fn conclude<C, T, R>(
        &self,
        pending: Pending<C, T, R>,
        since: Instant,
        verdict: Result<Verdict<C, T, R>, DbErr>,
    ) -> Result<T, Error<R>> {
        let Pending { policy, body, span, .. } = pending;
        let (result, since) = match verdict {
            Ok(Verdict::Ended { result, began }) => (result, since.min(began)),
            Ok(Verdict::Panicked(panic)) => std::panic::resume_unwind(panic),
            Ok(Verdict::RunAlone { input, first }) => {
                if let (Some(metrics), None) = (self.metrics.database(), &first) {
                    metrics.retry(policy.name(), RetryCause::Group);
                }
                return self.measure_write(policy, span, &input, body, since, first).await;
            }
            Err(error) => (Err(error.into()), since),
        };
        if let Some(metrics) = self.metrics.database() {
            metrics.transaction(policy.name(), TransactionOutcome::of(&result), since.elapsed());
        }
        result
    }
}

impl<C, T, R> Pending<C, T, R> {
    /// Waits for a turn or a connection. Returns the verdict instead if a group has run the transaction meanwhile.
    async fn verdict_or<W>(
        &mut self,
        wait: impl Future<Output = Result<W, DbErr>>,
    ) -> Result<Either<Verdict<C, T, R>, W>, DbErr> {
        match select(&mut self.verdict, pin!(wait)).await {
            Either::Left((verdict, _)) => Ok(Either::Left(verdict.map_err(|_dropped| shutting_down())?)),
            Either::Right((Ok(waited), _)) => Ok(Either::Right(waited)),
            // The wait took too long. But if a group runs the transaction, its verdict counts.
            Either::Right((Err(error), _)) => match self.offer.withdraw() {
                Some(_) => Err(error),
                None => Ok(Either::Left(self.verdict().await?)),
            },
        }
    }

    /// Waits for the verdict. If the task of the group panics, no verdict arrives, and nobody knows whether the
    /// transaction was committed.
    async fn verdict(&mut self) -> Result<Verdict<C, T, R>, DbErr> {
        (&mut self.verdict).await.map_err(|_dropped| shutting_down())
    }
}

impl Group {
    /// Sends each transaction its result. The transaction of the database has ended: it is committed, or all
    /// transactions of the group were refused.
    fn conclude(self) {
        for member in self.members {
            member.conclude();
        }
    }
}
