//! `jishu check`.

use std::error::Error;

use clap::{Args, ValueEnum};
use jishu_repair::{RepairError, Report, Session};
use serde_json::json;

use super::{CommandResult, values};
use crate::config::DatabaseConfig;

/// What the process ends with then. That something is not right is 1, as any failure of a command.
const COULD_NOT_CHECK: i32 = 2;

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    database: DatabaseConfig,

    /// How the report is written.
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// How a report is written to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object.
    Json,
}

/// Ends with 0 when all is right, 1 when something is not, and 2 when that could not be told.
pub(super) async fn run(args: CheckArgs) -> CommandResult {
    let examined = async {
        let report = examine(&args.database.database_url).await?;
        Ok::<_, Box<dyn Error + Send + Sync>>((report, values::bad_values(&args.database).await?))
    };
    match examined.await {
        Ok((report, bad)) => {
            match args.format {
                ReportFormat::Text => {
                    print!("{report}");
                    values::print(&bad);
                    if report.ok && bad.is_empty() {
                        println!("All is right.");
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
                1 => Err("1 kind of problem was found".into()),
                kinds => Err(format!("{kinds} kinds of problems were found").into()),
            }
        }
        Err(error) => {
            if args.format == ReportFormat::Json {
                println!("{:#}", json!({ "ok": false, "error": error.to_string() }));
            }
            eprintln!("jishu: the database could not be checked: {error}");
            std::process::exit(COULD_NOT_CHECK)
        }
    }
}

async fn examine(url: &str) -> Result<Report, RepairError> {
    let session = Session::open(url).await?;
    let inspection = session.inspect().await;
    session.close().await?;
    Ok(inspection?.report())
}
