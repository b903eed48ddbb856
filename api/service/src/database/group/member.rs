//! A transaction that can join a group.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::{DatabaseTransaction, DbErr};
use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use crate::database::attempt::FailedAttempt;
use crate::database::transaction::{TransactionBody, WritePolicy, failure_of};
use crate::database::{Database, Failure, observe};
use crate::error::Error;

/// A transaction that can join a group. The trait hides the types of its input and of its result.
pub(super) trait Member: fmt::Debug + Send {
    /// Executes the statements of the transaction in the transaction of a group, and keeps their result.
    fn run<'a>(&'a mut self, database: &'a Database, group: &'a DatabaseTransaction) -> BoxFuture<'a, Ran>;

    /// Sends the result to the task of the transaction, because its group has ended.
    fn conclude(self: Box<Self>);

    /// Tells the task of the transaction that the group was rolled back, or that its COMMIT failed. A failure while the
    /// transaction was alone, or a temporary failure of its own statements, counts as its first attempt.
    fn rolled_back(self: Box<Self>, cause: Cause, was_alone: bool);
}

/// How the statements of a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    Succeeded,
    /// The transaction was refused, before it wrote anything.
    Refused,
    /// A statement failed.
    Failed,
    /// The code panicked, perhaps in the middle of a statement.
    Panicked,
}

/// Why the group of a transaction was rolled back.
#[derive(Debug)]
pub(super) enum Cause {
    /// Another transaction of the group failed or panicked, the group took too long, or COMMIT failed. If COMMIT
    /// failed, the last transaction gets [`Cause::Database`] instead.
    Group,
    /// The statements of this transaction failed or panicked. It was the last of its group.
    Own,
    /// BEGIN or COMMIT failed.
    Database { error: DbErr, commit_was_sent: bool },
}

/// The outcome of a transaction that was in a group.
pub(super) enum Verdict<C, T, R> {
    /// The transaction has this result. `began` is the time when its statements began.
    Ended { result: Result<T, Error<R>>, began: Instant },
    /// The group was rolled back, so the transaction must run alone. If its own first attempt is known to have failed,
    /// `first` is that attempt.
    RunAlone { input: C, first: Option<FailedAttempt<R>> },
    /// The code of the transaction panicked.
    Panicked(Box<dyn Any + Send>),
}

/// The input of a transaction, its code, and the channel to its task.
pub(super) struct Transaction<C, T, R> {
    policy: WritePolicy,
    input: C,
    body: TransactionBody<C, T, R>,
    /// The span of the transaction in a trace, or the span of the request.
    span: Span,
    began: Instant,
    state: State<T, R>,
    verdict: oneshot::Sender<Verdict<C, T, R>>,
}

enum State<T, R> {
    New,
    Ended(Result<T, Error<R>>),
    Panicked(Box<dyn Any + Send>),
}

impl<C, T, R> Transaction<C, T, R> {
    /// Makes a transaction, and the channel of its verdict.
    pub(super) fn new(
        policy: WritePolicy,
        input: C,
        body: TransactionBody<C, T, R>,
        span: Span,
    ) -> (Self, oneshot::Receiver<Verdict<C, T, R>>) {
        let (verdict, receiver) = oneshot::channel();
        let span = if span.is_none() { Span::current() } else { span };
        (Self { policy, input, body, span, began: Instant::now(), state: State::New, verdict }, receiver)
    }
}

impl<C, T, R> fmt::Debug for Transaction<C, T, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transaction").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<C, T, R> Member for Transaction<C, T, R>
where
    C: Send + Sync + 'static,
    T: Send + 'static,
    R: Send + 'static,
{
    fn run<'a>(&'a mut self, database: &'a Database, group: &'a DatabaseTransaction) -> BoxFuture<'a, Ran> {
        self.began = Instant::now();
        Box::pin(async move {
            let body = (self.body)(group, &self.input).instrument(self.span.clone());
            let statements = observe::transaction(&database.metrics, self.policy.name(), body);
            let (state, ran) = match AssertUnwindSafe(statements).catch_unwind().await {
                Ok(result) => {
                    let ran = match &result {
                        Ok(_) => Ran::Succeeded,
                        Err(Error::Refused(_)) => Ran::Refused,
                        Err(Error::Failed(_)) => Ran::Failed,
                    };
                    (State::Ended(result), ran)
                }
                Err(panic) => (State::Panicked(panic), Ran::Panicked),
            };
            self.state = state;
            ran
        })
    }

    fn conclude(self: Box<Self>) {
        if let State::Ended(result) = self.state {
            // Sending fails if nobody waits any more. The transaction is committed nevertheless.
            let _ = self.verdict.send(Verdict::Ended { result, began: self.began });
        }
    }

    fn rolled_back(self: Box<Self>, cause: Cause, was_alone: bool) {
        let Self { input, state, verdict, .. } = *self;
        let first = match (cause, state) {
            (_, State::Panicked(panic)) => {
                let _ = verdict.send(Verdict::Panicked(panic));
                return;
            }
            // A permanent failure may have its cause in the uncommitted rows of the others.
            (Cause::Own, State::Ended(Err(error)))
                if was_alone || failure_of(&error) != Failure::Permanent =>
            {
                Some(FailedAttempt::before_commit(error))
            }
            (Cause::Database { error, commit_was_sent }, _) if was_alone => {
                Some(FailedAttempt::new(error, commit_was_sent))
            }
            _ => None,
        };
        let _ = verdict.send(Verdict::RunAlone { input, first });
    }
}
