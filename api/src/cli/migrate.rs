//! `jishu migrate`.

use clap::{Args, Subcommand};

use super::CommandResult;
use crate::config::DatabaseConfig;
use crate::database::Database;

#[derive(Args, Debug)]
pub(super) struct MigrateArgs {
    #[command(subcommand)]
    direction: Direction,
}

#[derive(Debug, Subcommand)]
enum Direction {
    /// Apply all pending migrations.
    Up {
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Take back migrations, the latest first. What their tables hold is lost.
    Down {
        #[command(flatten)]
        database: DatabaseConfig,
        /// How many to take back.
        #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
    },
    /// Show which migrations are applied and which are pending.
    Status {
        #[command(flatten)]
        database: DatabaseConfig,
    },
}

pub(super) async fn run(args: MigrateArgs) -> CommandResult {
    match args.direction {
        Direction::Up { database } => {
            let database = Database::connect(&database.options()).await?;
            database.migrate_up().await?;
            print_status(&database).await?;
            Ok(database.close().await?)
        }
        Direction::Down { database, steps } => {
            let database = Database::connect(&database.options()).await?;
            database.migrate_down(steps).await?;
            print_status(&database).await?;
            Ok(database.close().await?)
        }
        Direction::Status { database } => {
            let database = Database::connect(&database.options()).await?;
            print_status(&database).await?;
            Ok(database.close().await?)
        }
    }
}

async fn print_status(database: &Database) -> CommandResult {
    for migration in database.migrations().await? {
        let state = if migration.applied { "applied" } else { "pending" };
        println!("{state} {}", migration.name);
    }
    Ok(())
}
