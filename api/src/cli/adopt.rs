//! The command `jishu adopt`: fills an empty database from a database of the older system.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jishu_service::adopt::{
    self, AdoptProgress, AdoptReport, AdoptRequest, AdoptionScratch, TableCounts, write_id_map, write_rows,
};
use jishu_service::clock::SystemClock;
use jishu_service::database::{Database, sqlite_file};
use serde_json::{Value, json};

use super::check::ReportFormat;
use super::{CommandResult, with_database};
use crate::config::DatabaseConfig;

#[derive(Args, Debug)]
pub(super) struct AdoptArgs {
    /// The URL of the old database: sqlite://, postgres:// or mysql://. The command only reads this database.
    #[arg(long, env = "JISHU_OLD_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    from: String,

    #[command(flatten)]
    database: DatabaseConfig,

    /// Report what the adoption would do, but write nothing in either database. Needs space for a copy of the old data
    /// in the folder for temporary files.
    #[arg(long)]
    dry_run: bool,

    /// The currency of the amounts in the old database, as a code of ISO 4217.
    #[arg(long, default_value = "INR", value_name = "CODE")]
    currency: String,

    /// Make the admins of the old system admins of jishu. Without this flag they become learners, and the report lists
    /// them.
    #[arg(long)]
    admins: bool,

    /// A file to write, with one JSON object per line: the old rows that were merged or not carried, with the reasons,
    /// and remarks about rows.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// A CSV file to write: the old and the new id of each carried or merged row. A merged row has the id of the row
    /// that replaces it. Answers are left out.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    id_map: Option<PathBuf>,

    /// Maximum number of old rows that one transaction handles. A purchase with its cards counts as ten rows.
    #[arg(long, default_value_t = 500, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..=5_000))]
    batch: u64,

    /// The format of the report on standard output. Progress is shown on standard error if that is a terminal.
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// Runs `jishu adopt`. Returns an error if a count of rows or a sum of amounts does not agree.
pub(super) async fn run(args: AdoptArgs) -> CommandResult {
    let report = match args.dry_run {
        true => dry_run(&args).await?,
        false => {
            with_database(&args.database.options(), async |database| {
                database.migrate_up().await?;
                adopt_into(database, &args).await
            })
            .await?
        }
    };
    match args.format {
        ReportFormat::Text => print_text(&report, &args),
        ReportFormat::Json => println!("{:#}", to_json(&report, args.dry_run)),
    }
    match report.problems.as_slice() {
        [] => Ok(()),
        problems => Err(format!(
            "the adoption has ended, but some counts of rows or sums do not agree: {}",
            problems.join("; ")
        )
        .into()),
    }
}

/// Adopts into a temporary database, which is deleted afterwards. Writes nothing in the database of the command. If
/// that database exists, only checks that an adoption would not refuse it.
async fn dry_run(args: &AdoptArgs) -> Result<AdoptReport, Box<dyn Error + Send + Sync>> {
    let is_missing = sqlite_file(&args.database.database_url).is_some_and(|file| !file.exists());
    if !is_missing {
        with_database(&args.database.options_to_read(), async |database| {
            database.refuse_newer().await?;
            database.refuse_old_system().await?;
            Ok(adopt::refuse_filled(database).await?)
        })
        .await?;
    }
    let scratch = AdoptionScratch::create().await?;
    let report = adopt_into(&scratch.database, args).await;
    scratch.delete().await;
    report
}

async fn adopt_into(
    database: &Database,
    args: &AdoptArgs,
) -> Result<AdoptReport, Box<dyn Error + Send + Sync>> {
    let request = AdoptRequest {
        from: args.from.clone(),
        currency: args.currency.clone(),
        admins: args.admins,
        rows_per_batch: args.batch,
    };
    let bar = ProgressBar::new(0)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {eta} left")?);
    let progress = |AdoptProgress { done, total }: AdoptProgress| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let adopted = adopt::adopt(database, &SystemClock, &request, &progress).await;
    bar.finish_and_clear();
    let report = adopted?;
    if let Some(path) = &args.report {
        let mut file = create(path)?;
        write_rows(database, &mut file).await?;
    }
    if let Some(path) = &args.id_map {
        let mut file = create(path)?;
        write_id_map(database, &mut file).await?;
    }
    Ok(report)
}

fn create(path: &PathBuf) -> Result<BufWriter<File>, String> {
    let file = File::create(path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(BufWriter::new(file))
}

fn print_text(report: &AdoptReport, args: &AdoptArgs) {
    println!(
        "{:24} {:>10} {:>10} {:>10} {:>12} {:>8}",
        "table", "read", "carried", "merged", "not carried", "made"
    );
    for (table, TableCounts { read, carried, merged, not_carried, made }) in &report.tables {
        println!("{table:24} {read:>10} {carried:>10} {merged:>10} {not_carried:>12} {made:>8}");
    }
    let (money, currency) = (report.money, &report.currency);
    println!(
        "Total price of the purchases, in {currency}: {} read, {} carried, {} not carried.",
        money.read, money.carried, money.not_carried
    );
    for (table, rows) in report.tables_left_behind.iter().filter(|(_, rows)| **rows > 0) {
        println!("not carried: table {table}, {rows} rows");
    }
    for (column, values) in report.values_left_behind.iter().filter(|(_, values)| **values > 0) {
        println!("not carried: column {column}, {values} values");
    }
    for bank in &report.short_banks {
        println!(
            "The bank of subject {} ({}) has {} of the {} questions of a test. Import more questions, or make the \
             tests of the subject shorter.",
            bank.subject_id, bank.name, bank.questions, bank.needed
        );
    }
    if report.without_password > 0 {
        println!(
            "{} accounts have no password that can be used, such as those of Google. Their owners choose one through \
             \"forgotten password\" by mail, or `jishu user set-password` sets one.",
            report.without_password
        );
    }
    let file = args.report.as_ref().map_or("--report FILE".to_owned(), |path| path.display().to_string());
    println!("{file} lists the rows that were merged or not carried, with the reasons.");
    match args.dry_run {
        true => println!("This was a dry run. Nothing was written in either database."),
        false if report.problems.is_empty() => {
            println!("The counts of rows and the sums of amounts agree, and include what was not carried.");
        }
        false => {}
    }
}

fn to_json(report: &AdoptReport, dry_run: bool) -> Value {
    let tables: serde_json::Map<String, Value> =
        report.tables.iter().map(|(table, counts)| ((*table).to_owned(), json!(counts))).collect();
    let banks = report.short_banks.iter().map(|bank| {
        json!({ "subjectId": bank.subject_id.0, "name": bank.name, "questions": bank.questions, "needed": bank.needed })
    });
    let money = json!({
        "currency": report.currency,
        "read": report.money.read.to_string(),
        "carried": report.money.carried.to_string(),
        "notCarried": report.money.not_carried.to_string(),
    });
    json!({
        "dryRun": dry_run,
        "ok": report.problems.is_empty(),
        "tables": tables,
        "money": money,
        "tablesLeftBehind": report.tables_left_behind,
        "valuesLeftBehind": report.values_left_behind,
        "withoutPassword": report.without_password,
        "shortBanks": banks.collect::<Vec<_>>(),
        "problems": report.problems,
    })
}
