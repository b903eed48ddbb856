//! The command `jishu catalogue`: applies a file with all courses and subjects, or exports them into such a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::serve::refuse_pending;
use super::{CommandResult, with_database, with_migrated_database};
use crate::config::DatabaseConfig;
use jishu_service::Error;
use jishu_service::catalogue_file::{
    self, ApplyMode, CatalogueChange, CatalogueChangeKind, CatalogueFileRefusal, CatalogueReport,
};
use jishu_service::clock::{Clock, SystemClock};

#[derive(Args, Debug)]
pub(super) struct CatalogueArgs {
    #[command(subcommand)]
    command: CatalogueCommand,
}

#[derive(Debug, Subcommand)]
enum CatalogueCommand {
    /// Change the courses and subjects so that they are as the file says, and print the changes. If anything in the
    /// file is wrong, nothing is changed. A running server shows the changes within seconds.
    Apply(ApplyArgs),
    /// Export all courses and subjects as a file for `apply`. Lists on standard error the courses and
    /// subjects without a code, because the file cannot name them.
    Export(CatalogueExportArgs),
}

#[derive(Args, Debug)]
struct ApplyArgs {
    /// The file in YAML, as `export` writes it.
    file: PathBuf,

    /// Print what would change, but write nothing.
    #[arg(long)]
    dry_run: bool,

    /// Archive the courses and subjects that the file does not name. Without this flag, they stay on sale and are
    /// listed.
    #[arg(long)]
    archive_missing: bool,

    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Args, Debug)]
struct CatalogueExportArgs {
    /// The file to write. Without it, the export goes to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    database: DatabaseConfig,
}

pub(super) async fn run(args: CatalogueArgs) -> CommandResult {
    match args.command {
        CatalogueCommand::Apply(args) => apply(args).await,
        CatalogueCommand::Export(args) => export(args).await,
    }
}

async fn apply(args: ApplyArgs) -> CommandResult {
    let ApplyArgs { file, dry_run, archive_missing, database: config } = args;
    let name = file.display().to_string();
    let text =
        tokio::fs::read_to_string(&file).await.map_err(|error| format!("cannot read {name}: {error}"))?;
    let mode = ApplyMode { dry_run, archive_missing, keep_existing: false };
    // An operator may apply the first catalogue before any server has run, so a missing embedded database is made.
    let options = if dry_run { config.options_of_existing() } else { config.options() };
    let report = with_migrated_database(&config, &options, async |database| {
        let applied = catalogue_file::apply(database, SystemClock.now(), &text, mode).await;
        applied.map_err(|error| failure(&name, error).into())
    })
    .await?;
    print_report(&report, mode);
    Ok(())
}

/// Returns the message about a file that was not applied. The message lists each problem of the file in a line, with
/// the file name and, if known, the line number.
fn failure(file: &str, error: Error<CatalogueFileRefusal>) -> String {
    let at = |line: Option<u64>| line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"));
    match error {
        Error::Refused(CatalogueFileRefusal::Unreadable { line, message }) => {
            format!("{}: {message}. Nothing was changed", at(line))
        }
        Error::Refused(CatalogueFileRefusal::Invalid(problems)) => {
            let lines: Vec<String> =
                problems.iter().map(|problem| format!("{}: {problem}", at(Some(problem.line)))).collect();
            format!("the file was not applied, and nothing was changed\n{}", lines.join("\n"))
        }
        Error::Failed(fault) => fault.to_string(),
    }
}

fn print_report(report: &CatalogueReport, mode: ApplyMode) {
    for change in &report.changes {
        print_change(change);
    }
    for name in &report.missing {
        println!("not in the file: {name}; it stays on sale. To archive it, add --archive-missing");
    }
    for name in &report.without_code {
        println!("skipped: {name} has no code. To give it one, use `updateCourse` or `updateSubject`");
    }
    let count = |kind| report.changes.iter().filter(|change| change.kind == kind).count();
    if report.changes.is_empty() {
        println!("nothing to change");
        return;
    }
    println!(
        "{}{} new, {} changed, {} archived, {} restored",
        if mode.dry_run { "Dry run, nothing was written: " } else { "" },
        count(CatalogueChangeKind::Created),
        count(CatalogueChangeKind::Updated),
        count(CatalogueChangeKind::Archived),
        count(CatalogueChangeKind::Restored),
    );
}

fn print_change(CatalogueChange { name, kind, values }: &CatalogueChange) {
    let kind = match kind {
        CatalogueChangeKind::Created => "new",
        CatalogueChangeKind::Updated => "changed",
        CatalogueChangeKind::Archived => "archived",
        CatalogueChangeKind::Restored => "restored",
    };
    println!("{kind}: {name}");
    for value in values {
        let after = value.after.as_deref().map_or_else(|| "none".to_owned(), indented);
        match value.before.as_deref().map(indented) {
            None if kind == "new" => println!("    {}: {after}", value.field),
            before => {
                let before = before.unwrap_or_else(|| "none".to_owned());
                println!("    {}: {before} -> {after}", value.field);
            }
        }
    }
}

/// Indents all lines of a text except the first.
fn indented(text: &str) -> String {
    text.replace('\n', "\n        ")
}

async fn export(args: CatalogueExportArgs) -> CommandResult {
    let CatalogueExportArgs { output, database } = args;
    let exported = with_database(&database.options_to_read(), async |database| {
        refuse_pending(database).await?;
        Ok(catalogue_file::export(database).await?)
    })
    .await?;
    for name in &exported.without_code {
        eprintln!(
            "jishu: skipped: {name} has no code. To give it one, use `updateCourse` or `updateSubject`"
        );
    }
    match output {
        None => print!("{}", exported.text),
        Some(file) => tokio::fs::write(&file, exported.text)
            .await
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?,
    }
    Ok(())
}
