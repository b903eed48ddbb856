//! `jishu migrate`.

use clap::{Args, Subcommand};

use super::{CommandResult, with_database};
use crate::config::DatabaseConfig;
use jishu_service::database::{Database, Losses};

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
    /// Revert migrations, the latest first. The data in their tables and columns is lost. Without --yes, the command
    /// only lists what would be lost.
    Down {
        #[command(flatten)]
        database: DatabaseConfig,
        /// Number of migrations to revert.
        #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// Revert the migrations, and lose the data that is listed without this flag.
        #[arg(long)]
        yes: bool,
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
            let options = if yes { database.options_of_existing() } else { database.options_to_look() };
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
        MigrateCommand::Status { database } => {
            with_database(&database.options_to_look(), async |database| {
                print_status(database).await?;
                Ok(database.refuse_newer().await?)
            })
            .await
        }
    }
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
