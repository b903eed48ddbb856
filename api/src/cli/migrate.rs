//! The command `jishu migrate`: applies and reverts migrations, lists them, and shows what pending migrations will
//! lock.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::signals::interruption;
use super::{CommandResult, with_database};
use crate::config::DatabaseConfig;
use jishu_service::database::{Database, Losses};
use jishu_service::migration_plan::{self, Blocked, MigrationPlan, PlannedStatement, Speed, Work};

#[derive(Args, Debug)]
pub(super) struct MigrateArgs {
    #[command(subcommand)]
    command: MigrateCommand,
}

#[derive(Debug, Subcommand)]
enum MigrateCommand {
    /// Apply all pending migrations.
    Up {
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Revert migrations, the latest first. The data in the tables and columns that these migrations added is lost.
    /// Without --yes, the command only lists what would be lost.
    Down {
        #[command(flatten)]
        database: DatabaseConfig,
        /// Number of migrations to revert.
        #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// Revert the migrations, and lose the data that the command lists without this flag.
        #[arg(long)]
        yes: bool,
    },
    /// Show what each pending migration locks, and for about how long. The database itself is not changed: the command
    /// runs the migrations in an empty scratch database, fills a table there to measure the speed, and drops the
    /// scratch database. Without --scratch-url, the scratch database is on the server of the database, and the
    /// measurement is load for that server.
    Plan {
        #[command(flatten)]
        database: DatabaseConfig,
        /// The URL of a server of the same kind on which to create the scratch database. By default it is the server of
        /// --database-url. The user in the URL must be allowed to create databases.
        #[arg(long, env = "JISHU_SCRATCH_URL", value_name = "URL", hide_env_values = true)]
        scratch_url: Option<String>,
    },
    /// Show which migrations are applied and which are pending.
    Status {
        #[command(flatten)]
        database: DatabaseConfig,
    },
}

pub(super) async fn run(args: MigrateArgs) -> CommandResult {
    match args.command {
        MigrateCommand::Up { database } => {
            with_database(&database.options(), async |database| {
                database.migrate_up().await?;
                print_status(database).await
            })
            .await
        }
        MigrateCommand::Down { database, steps, yes } => {
            let options = if yes { database.options_of_existing() } else { database.options_to_read() };
            with_database(&options, async |database| {
                let losses = database.losses(steps).await?;
                print_losses(&losses);
                if !yes {
                    return Err(
                        "nothing was changed. Make a backup, then run the command again with --yes".into()
                    );
                }
                database.migrate_down(steps).await?;
                print_status(database).await
            })
            .await
        }
        MigrateCommand::Plan { database, scratch_url } => {
            let scratch_url = scratch_url.unwrap_or_else(|| database.database_url.clone());
            with_database(&database.options_to_read(), async |database| {
                print_plan(&migration_plan::plan(database, &scratch_url, interruption()).await?);
                Ok(())
            })
            .await
        }
        MigrateCommand::Status { database } => {
            with_database(&database.options_to_read(), async |database| {
                print_status(database).await?;
                Ok(database.refuse_newer().await?)
            })
            .await
        }
    }
}

fn print_plan(plan: &MigrationPlan) {
    if let Some(left) = &plan.left {
        println!("note: {left}");
    }
    let Some(speed) = plan.speed else {
        println!("No migration is pending.");
        return;
    };
    let mut total = Duration::ZERO;
    for migration in &plan.migrations {
        println!("pending {}", migration.name);
        for statement in &migration.statements {
            total += statement.duration;
            print_statement(statement);
        }
    }
    println!("In all: {}.", in_words(total));
    if plan.is_one_transaction {
        println!(
            "All statements are one transaction, so each lock is held until the transaction ends. If one statement fails, \
             nothing is changed."
        );
    } else {
        println!(
            "Each statement is committed by itself. If the migration is interrupted, the next `jishu migrate up` \
             continues it."
        );
    }
    let Speed { scan, index, update, copy, rows } = speed;
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "The estimates are the numbers of rows in the statistics of the database, times what was measured just now with \
         {rows} rows of 80 bytes in memory: {:.2} µs to check a row, {:.2} to index, {:.2} to update, {:.2} to copy it. \
         Wide rows and a slow disk take longer. Waiting for running transactions is not included.",
        micros(scan),
        micros(index),
        micros(update),
        micros(copy)
    );
}

fn print_statement(statement: &PlannedStatement) {
    let PlannedStatement { text, effect, rows, duration } = statement;
    let table = effect.table.as_deref().unwrap_or("a table that the statement does not name");
    if effect.makes_table {
        let referred = match effect.referred.as_slice() {
            [] => "locks nothing".to_owned(),
            tables => format!("for a moment, rows of {} cannot be changed", tables.join(", ")),
        };
        println!("  makes the table {table}: {referred}");
        return;
    }
    let what = match effect.blocked {
        Blocked::Nobody => "locks nothing",
        Blocked::Moment => "other transactions wait only for a moment, when the statement begins and ends",
        Blocked::ChangedRows => "other transactions cannot change the rows that the statement changes",
        Blocked::Writes => "reads go on, and changes of rows wait",
        Blocked::Everything => "reads and changes wait",
        Blocked::Unknown => "the locks of the statement are not known: read the statement",
    };
    let work = match effect.work {
        Work::Constant => "takes the same time for any number of rows".to_owned(),
        Work::Scan => format!("checks about {rows} rows"),
        Work::Index => format!("indexes about {rows} rows"),
        Work::Update => format!("changes up to {rows} rows"),
        Work::Copy => format!("copies about {rows} rows"),
    };
    println!("  {table}: {what}; {work}; {}", in_words(*duration));
    println!("    {}", shortened(text));
}

/// Shortens a statement so that it fits into a line.
fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 140;
    let mut short: String = text.chars().take(MAX_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.1 { "under 0.1 s".to_owned() } else { format!("about {seconds:.1} s") }
}

fn print_losses(losses: &Losses) {
    println!("This reverts {}.", list_or_none(&losses.migrations));
    for (table, rows) in &losses.tables {
        println!("would be lost: table {table}, {rows} rows");
    }
    for (table, column, rows) in &losses.columns {
        println!("would be lost: column {table}.{column}, with a value in {rows} rows");
    }
    if losses.tables.is_empty() && losses.columns.is_empty() {
        println!("No table or column would be lost.");
    }
}

fn list_or_none(names: &[String]) -> String {
    if names.is_empty() { "no migration".to_owned() } else { names.join(", ") }
}

async fn print_status(database: &Database) -> CommandResult {
    for migration in database.migrations().await? {
        let state = if migration.applied { "applied" } else { "pending" };
        println!("{state} {}", migration.name);
    }
    for name in database.unknown_migrations().await? {
        println!("unknown {name}");
    }
    Ok(())
}
