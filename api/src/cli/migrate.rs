//! `jishu migrate`.

use clap::{Args, Subcommand};
use jishu_migration::{Migrator, MigratorTrait};

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
            Migrator::up(database.writer(), None).await?;
            print_status(&database).await?;
            Ok(database.close().await?)
        }
        Direction::Down { database, steps } => {
            let database = Database::connect(&database.options()).await?;
            Migrator::down(database.writer(), Some(steps)).await?;
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
    for migration in Migrator::get_migration_with_status(database.writer()).await? {
        println!("{:<9} {}", migration.status().to_string().to_lowercase(), migration.name());
    }
    Ok(())
}
