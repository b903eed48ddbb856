//! The command `jishu outbox`: lists messages that were not delivered, and retries dead messages.

use clap::{Args, Subcommand, ValueEnum};
use jishu_entity::outbox_message::OutboxState;

use super::{CommandResult, print_entries, with_current_database};
use crate::config::DatabaseConfig;
use jishu_service::clock::{Clock, SystemClock};
use jishu_service::outbox::{self, OutboxEntry};

#[derive(Args, Debug)]
pub(super) struct OutboxArgs {
    #[command(subcommand)]
    command: OutboxCommand,
}

#[derive(Debug, Subcommand)]
enum OutboxCommand {
    /// List messages, newest first: by default those that were not delivered. Neither addresses nor contents are shown.
    List {
        /// The states to list. Can be given several times.
        #[arg(long, value_enum)]
        state: Vec<MessageStateArg>,
        /// Maximum number of messages to list.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        limit: u64,
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Make dead messages pending again. A running server then tries to deliver them within seconds. A message that has
    /// expired has no content any more, so it stays dead.
    Retry {
        /// The ids of the messages, from `jishu outbox list`.
        #[arg(required_unless_present = "all")]
        ids: Vec<i64>,
        /// Retry all dead messages.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        #[command(flatten)]
        database: DatabaseConfig,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MessageStateArg {
    Pending,
    Leased,
    Sent,
    Dead,
}

impl From<MessageStateArg> for OutboxState {
    fn from(state: MessageStateArg) -> Self {
        match state {
            MessageStateArg::Pending => Self::Pending,
            MessageStateArg::Leased => Self::Leased,
            MessageStateArg::Sent => Self::Sent,
            MessageStateArg::Dead => Self::Dead,
        }
    }
}

pub(super) async fn run(args: OutboxArgs) -> CommandResult {
    match args.command {
        OutboxCommand::List { state, limit, json, database } => {
            let states: Vec<OutboxState> = state.into_iter().map(OutboxState::from).collect();
            with_current_database(&database, async |database| {
                print_entries(&outbox::list(database, &states, limit).await?, json, print_entry)
            })
            .await
        }
        OutboxCommand::Retry { mut ids, all: _, database } => {
            // An id that is given twice counts once.
            ids.sort_unstable();
            ids.dedup();
            with_current_database(&database, async |database| {
                let given = ids.len() as u64;
                let retried = outbox::retry(database, ids, SystemClock.now()).await?;
                println!("{retried} messages are pending again; a running server will try to deliver them");
                if retried < given {
                    let others = given - retried;
                    return Err(format!(
                        "{others} of the messages do not exist, are not dead, or have expired"
                    )
                    .into());
                }
                Ok(())
            })
            .await
        }
    }
}

fn print_entry(entry: &OutboxEntry) {
    let OutboxEntry { id, kind, state, attempts, created_at, last_error, .. } = entry;
    let created_at = created_at.format("%Y-%m-%d %H:%M:%S");
    let error = last_error.as_deref().map(|error| format!("  {error}")).unwrap_or_default();
    println!("{id:>8}  {created_at}  {state:<7}  {attempts:>2} attempts  {kind}{error}");
}
