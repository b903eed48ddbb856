//! The command line: the subcommands, and what they share.

/// Prints text on standard output. If the reader of a pipe has ended, as in `jishu check | head`, the macro drops the
/// output, and the command continues. After any other failure, the macro prints a message and ends the process with
/// exit code 1.
macro_rules! print {
    ($($argument:tt)*) => {
        $crate::cli::print_text(::std::format_args!($($argument)*))
    };
}

/// Prints text and a line break on standard output, with the same handling of failures as [`print!`].
macro_rules! println {
    ($($argument:tt)*) => {
        $crate::cli::print_text(::std::format_args!("{}\n", ::std::format_args!($($argument)*)))
    };
}

mod adopt;
mod audit;
mod backup;
mod catalogue;
mod check;
mod export;
mod health;
mod import;
mod manual;
mod migrate;
mod orders;
mod outbox;
mod question;
mod repair;
mod report;
mod serve;
mod signals;
mod user;
mod values;

use std::error::Error;
use std::fmt::Arguments;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::config::{DatabaseConfig, LogFormat, ServeConfig};
use crate::telemetry;
use jishu_service::adopt::refuse_unfinished;
use jishu_service::database::{Database, DatabaseOptions};

/// GraphQL backend for exam-prep platforms: catalogue, purchases, and numbered mock tests.
#[derive(Debug, Parser)]
#[command(name = "jishu", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The subcommand. Without a subcommand, `serve` runs.
    #[command(subcommand)]
    command: Option<CliCommand>,

    /// The options of `serve`.
    #[command(flatten)]
    serve: ServeConfig,

    /// The format of log lines.
    #[arg(
        long,
        env = "JISHU_LOG_FORMAT",
        value_enum,
        default_value_t,
        global = true,
        help_heading = "Logging"
    )]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Serve the API.
    Serve(Box<ServeConfig>),
    /// Change the schema of the database, or list its migrations.
    Migrate(migrate::MigrateArgs),
    /// Report problems with the unique keys and the cards of a database, and values that cannot be read or are not
    /// allowed. Exits with 1 if there are problems, and with 2 if the check failed.
    Check(check::CheckArgs),
    /// Repair a database of the old system: its unique keys, and cards that exist twice. Without a flag, prints the
    /// plan of the repair. --apply carries out the plan, and --undo undoes the latest repair.
    Repair(repair::RepairArgs),
    /// Adopt a database of the old system: fill an empty database from it. The old database is only read. If the
    /// command is interrupted, run it again to continue the adoption.
    Adopt(Box<adopt::AdoptArgs>),
    /// Copy an SQLite database into a file, with its signing keys beside it. A server may run on the database. The copy
    /// is written under another name, verified, and then renamed.
    Backup(backup::BackupArgs),
    /// Check whether a backup is complete and consistent. Exits with 1 if it is not.
    VerifyBackup(backup::VerifyBackupArgs),
    /// Restore a backup in place of an SQLite database. No server may run on the database.
    Restore(backup::RestoreArgs),
    /// Apply a file with all courses and subjects, or export them into such a file.
    Catalogue(catalogue::CatalogueArgs),
    /// Import data from other systems.
    Import(import::ImportArgs),
    /// Export data for other systems.
    Export(export::ExportArgs),
    /// Correct the key of a question, archive a question, or restore an archived one.
    Question(question::QuestionArgs),
    /// Export the audit trail.
    Audit(audit::AuditArgs),
    /// Print what was sold and refunded.
    Report(report::ReportArgs),
    /// List orders, or show one order with the events of its payments and refunds.
    Orders(orders::OrdersArgs),
    /// List messages that were not delivered, such as mails, or retry dead messages.
    Outbox(outbox::OutboxArgs),
    /// Print the GraphQL schema.
    Schema,
    /// Ask a running server whether it is ready. Exits with 1 if it is not.
    Health(health::HealthArgs),
    /// Print a script that completes commands and flags in a shell.
    Completions(manual::CompletionsArgs),
    /// Print the manual page.
    Man(manual::ManArgs),
    /// Manage accounts.
    User(user::UserArgs),
}

/// Reads the command line and runs its command.
///
/// The function is not async. If it were, each binary that calls it would compile the code of all commands again.
pub fn main() -> ExitCode {
    let run = || -> CommandResult { Runtime::new()?.block_on(Cli::parse().run()) };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jishu: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_text(text: Arguments<'_>) {
    let printed = io::stdout().write_fmt(text);
    if let Err(error) = printed
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        eprintln!("jishu: the output cannot be written: {error}");
        std::process::exit(1);
    }
}

/// The result of a command. The error is shown to the person who ran it.
type CommandResult = Result<(), Box<dyn Error + Send + Sync>>;

/// Prints each entry of a list: as one JSON object per line if `as_json` is true, and with `print_entry` otherwise.
fn print_entries<T: Serialize>(entries: &[T], as_json: bool, print_entry: impl Fn(&T)) -> CommandResult {
    for entry in entries {
        if as_json {
            println!("{}", serde_json::to_string(entry)?);
        } else {
            print_entry(entry);
        }
    }
    Ok(())
}

/// Opens a database, runs the work, and closes the database even after an error. Closing an SQLite database leaves one
/// complete file, without a write-ahead log.
async fn with_database<T>(
    options: &DatabaseOptions,
    work: impl AsyncFnOnce(&Database) -> Result<T, Box<dyn Error + Send + Sync>>,
) -> Result<T, Box<dyn Error + Send + Sync>> {
    let database = Database::connect(options).await?;
    let result = work(&database).await;
    let closed = database.close().await;
    let value = result?;
    closed?;
    Ok(value)
}

/// Runs the work as [`with_database`] does, but only in an existing database with all migrations. Migrates an embedded
/// database (SQLite) first. Refuses a database server with pending migrations, and a database with an unfinished
/// adoption.
async fn with_current_database<T>(
    config: &DatabaseConfig,
    work: impl AsyncFnOnce(&Database) -> Result<T, Box<dyn Error + Send + Sync>>,
) -> Result<T, Box<dyn Error + Send + Sync>> {
    with_migrated_database(config, &config.options_of_existing(), work).await
}

/// Runs the work as [`with_current_database`] does, in the database of these options. The options decide whether a
/// missing embedded database is made.
async fn with_migrated_database<T>(
    config: &DatabaseConfig,
    options: &DatabaseOptions,
    work: impl AsyncFnOnce(&Database) -> Result<T, Box<dyn Error + Send + Sync>>,
) -> Result<T, Box<dyn Error + Send + Sync>> {
    let is_embedded = config.is_embedded();
    with_database(options, async |database| {
        if is_embedded {
            database.migrate_up().await?;
        } else {
            serve::refuse_pending(database).await?;
        }
        refuse_unfinished(database).await?;
        work(database).await
    })
    .await
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns a sentence for the person who ran the command.
    pub async fn run(self) -> CommandResult {
        let served = match &self.command {
            None => Some(&self.serve),
            Some(CliCommand::Serve(config)) => Some(&**config),
            Some(_) => None,
        };
        let traces = telemetry::init(self.log_format, served.map(|config| &config.observe))?;
        let result = self.run_command().await;
        if let Some(traces) = traces {
            traces.stop().await;
        }
        result
    }

    async fn run_command(self) -> CommandResult {
        match self.command {
            None => serve::run(self.serve).await,
            Some(CliCommand::Serve(config)) => serve::run(*config).await,
            Some(CliCommand::Migrate(args)) => migrate::run(args).await,
            Some(CliCommand::Check(args)) => check::run(args).await,
            Some(CliCommand::Repair(args)) => repair::run(args).await,
            Some(CliCommand::Adopt(args)) => adopt::run(*args).await,
            Some(CliCommand::Backup(args)) => backup::back_up(args).await,
            Some(CliCommand::VerifyBackup(args)) => backup::verify(args).await,
            Some(CliCommand::Restore(args)) => backup::restore(args).await,
            Some(CliCommand::Catalogue(args)) => catalogue::run(args).await,
            Some(CliCommand::Import(args)) => import::run(args).await,
            Some(CliCommand::Export(args)) => export::run(args).await,
            Some(CliCommand::Question(args)) => question::run(args).await,
            Some(CliCommand::Audit(args)) => audit::run(args).await,
            Some(CliCommand::Report(args)) => report::run(args).await,
            Some(CliCommand::Orders(args)) => orders::run(args).await,
            Some(CliCommand::Outbox(args)) => outbox::run(args).await,
            Some(CliCommand::Schema) => {
                print!("{}", crate::graphql::sdl());
                Ok(())
            }
            Some(CliCommand::Health(args)) => health::run(args).await,
            Some(CliCommand::Completions(args)) => manual::completions(&args),
            Some(CliCommand::Man(args)) => manual::manual(&args),
            Some(CliCommand::User(args)) => user::run(args).await,
        }
    }
}
