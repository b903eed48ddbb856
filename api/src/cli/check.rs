//! The command `jishu check`: reports problems with the unique keys and the cards of a database, and with its values.

use std::error::Error;

use clap::{Args, ValueEnum};
use jishu_repair::{InspectionReport, RepairError, RepairSession};
use serde_json::json;

use super::{CommandResult, values};
use crate::config::DatabaseConfig;

/// The exit code if the check itself failed. If the check found problems, the exit code is 1.
const EXIT_CODE_CHECK_FAILED: i32 = 2;

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    database: DatabaseConfig,

    /// Format of the report.
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// The format of a report on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object for programs.
    Json,
}

/// Runs `jishu check`. The exit code is 0 without problems, 1 with problems, and 2 if the check failed.
pub(super) async fn run(args: CheckArgs) -> CommandResult {
    let checked = async {
        let report = inspect(&args.database.database_url).await?;
        Ok::<_, Box<dyn Error + Send + Sync>>((report, values::bad_values(&args.database).await?))
    };
    match checked.await {
        Ok((report, bad)) => {
            match args.format {
                ReportFormat::Text => {
                    print!("{report}");
                    values::print(&bad);
                    if report.ok && bad.is_empty() {
                        println!("No problems were found.");
                    }
                }
                ReportFormat::Json => {
                    let mut report = serde_json::to_value(&report)?;
                    values::add_to(&mut report, &bad);
                    println!("{report:#}");
                }
            }
            match report.problems.len() {
                0 => values::outcome(&bad),
                1 => Err("1 kind of problem was found: see the report".into()),
                kinds => Err(format!("{kinds} kinds of problems were found: see the report").into()),
            }
        }
        Err(error) => {
            if args.format == ReportFormat::Json {
                println!("{:#}", json!({ "ok": false, "error": error.to_string() }));
            }
            eprintln!("jishu: the database could not be checked: {error}");
            std::process::exit(EXIT_CODE_CHECK_FAILED)
        }
    }
}

async fn inspect(url: &str) -> Result<InspectionReport, RepairError> {
    let session = RepairSession::open(url).await?;
    let inspection = session.inspect().await;
    session.close().await?;
    Ok(inspection?.report())
}
