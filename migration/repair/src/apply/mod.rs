//! Doing what a plan says.

mod server;
mod sqlite;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbBackend};
use serde::Serialize;

use super::error::RepairError;
use super::inspect::{Group, Inspection};
use super::merge::{Batch, Merged};
use super::plan::{Plan, Step};
use super::report::Report;
use super::session::Session;
use super::sql::rows;

/// How many merges the outcome tells one by one.
const TOLD: usize = 1_000;

/// What a repair is doing. Told as it goes; an answer of `Break` stops it there.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'p> {
    /// Another repair holds the lock.
    WaitingForOther,
    /// The next step begins.
    Step {
        /// Counted from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// Which.
        step: &'p Step,
    },
    /// This is about to run.
    Statement(&'p str),
    /// A lock was not to be had in a short wait; it is tried again after a pause.
    Locked {
        /// How often it was tried.
        attempt: u32,
    },
    /// A long statement goes on.
    Working {
        /// For how long it has.
        elapsed: Duration,
        /// What the server says it is doing.
        phase: Option<String>,
        /// How much of that is done.
        percent: Option<f64>,
    },
    /// A batch of groups was merged, and committed where each batch is a transaction.
    Merged {
        /// Groups merged in this round.
        groups: usize,
        /// Of how many, as they were counted at its start.
        of: usize,
    },
    /// All is done and about to be committed, on SQLite.
    Committing,
    /// The application inserted duplicates meanwhile, or was in the way: once more from the start.
    NextRound {
        /// Counted from 1.
        round: u32,
    },
}

/// Told of each progress.
pub(super) type Watcher<'w> = &'w mut (dyn FnMut(Progress<'_>) -> ControlFlow<()> + Send);

/// What a repair did.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The sentences of the first plan of the run.
    pub summary: Vec<String>,
    /// The statements that changed the structure, in order.
    pub statements: Vec<String>,
    /// How many cards were merged into others.
    pub merged_cards: u64,
    /// How many groups they were in.
    pub merged_groups: u64,
    /// How many other cards were corrected.
    pub corrected_cards: u64,
    /// The first thousand groups. All are in the log table.
    pub merged: Vec<Merged>,
    /// What is found now.
    pub report: Report,
}

#[derive(Default)]
struct Done {
    summary: Vec<String>,
    corrected: u64,
    statements: Vec<String>,
    cards: u64,
    groups: u64,
    told: Vec<Merged>,
}

impl Done {
    fn merged(&mut self, merged: Vec<Merged>) {
        for group in merged {
            if group.merged_ids.is_empty() {
                self.corrected += 1;
                continue;
            }
            self.groups += 1;
            self.cards += u64::try_from(group.merged_ids.len()).unwrap_or_default();
            if self.told.len() < TOLD {
                self.told.push(group);
            }
        }
    }

    fn outcome(self, inspection: &Inspection) -> Outcome {
        Outcome {
            summary: self.summary,
            corrected_cards: self.corrected,
            statements: self.statements,
            merged_cards: self.cards,
            merged_groups: self.groups,
            merged: self.told,
            report: inspection.report(),
        }
    }
}

impl Session {
    /// Repairs the database. What is right already stays as it is. Told of each step, `watch` may stop it.
    ///
    /// # Errors
    /// When a person must decide on something, the table stays locked, or the database refuses. Whatever was
    /// done till then stands, and the next run goes on from there; on SQLite nothing was done.
    pub async fn apply(&self, watch: Watcher<'_>) -> Result<Outcome, RepairError> {
        if self.connection.get_database_backend() == DbBackend::Sqlite {
            return self.apply_in_one_transaction(watch).await;
        }
        self.lock(watch).await?;
        let result = self.apply_in_steps(watch).await;
        // Closing the connection gives the lock back as well.
        if let Err(error) = self.unlock().await {
            tracing::debug!(%error, "the lock was not given back");
        }
        result
    }

    /// Waits for a statement, and tells every second that it goes on.
    async fn watched<T>(
        &self,
        running: impl Future<Output = T>,
        watch: Watcher<'_>,
    ) -> Result<T, RepairError> {
        let began = Instant::now();
        let mut running = std::pin::pin!(running);
        loop {
            tokio::select! {
                biased;
                result = &mut running => return Ok(result),
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
            let (phase, percent) = self.server_progress().await;
            tell(watch, Progress::Working { elapsed: began.elapsed(), phase, percent })?;
        }
    }

    /// What the server says of the statement that runs on the other connection; nothing where it cannot say.
    async fn server_progress(&self) -> (Option<String>, Option<f64>) {
        let Some(observer) = &self.observer else { return (None, None) };
        let text = match observer.get_database_backend() {
            DbBackend::Postgres => {
                "SELECT phase, CAST(CASE WHEN blocks_total > 0 THEN 100.0 * blocks_done / blocks_total END \
                 AS float8) \
                 FROM pg_stat_progress_create_index WHERE pid = $1"
            }
            _ => {
                "SELECT CAST(STATE AS CHAR), CAST(PROGRESS AS DOUBLE) FROM information_schema.PROCESSLIST \
                 WHERE ID = ?"
            }
        };
        match rows(observer, text, [self.process.into()]).await {
            Ok(answer) => answer.first().map_or((None, None), |row| {
                let percent: Option<f64> = row.try_get_by_index(1).ok();
                (row.try_get_by_index(0).ok(), percent.filter(|percent| *percent > 0.0))
            }),
            // MySQL has no such column.
            Err(_) => (None, None),
        }
    }
}

async fn merge_in(
    connection: &impl ConnectionTrait,
    inspection: &Inspection,
    groups: &[Group],
) -> Result<Vec<Merged>, RepairError> {
    let run = inspection.figures.run();
    Batch { connection, state: &inspection.state, run }.merge(groups).await
}

fn refuse_blocked(plan: &Plan) -> Result<(), RepairError> {
    if plan.blockers.is_empty() { Ok(()) } else { Err(RepairError::Blocked(plan.blockers.clone())) }
}

pub(super) fn tell(watch: Watcher<'_>, progress: Progress<'_>) -> Result<(), RepairError> {
    if watch(progress).is_break() { Err(RepairError::Interrupted) } else { Ok(()) }
}
