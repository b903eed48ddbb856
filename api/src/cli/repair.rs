//! The command `jishu repair`: repairs the unique keys and the duplicate cards of a database of the older system, or
//! undoes the latest repair.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use clap::Args;
use jishu_repair::{
    Inspection, InspectionReport, RepairError, RepairOutcome, RepairPlan, RepairProgress, RepairSession,
    UndoOutcome, plan,
};
use serde_json::json;

use super::CommandResult;
use super::check::ReportFormat;
use crate::config::DatabaseConfig;

/// Maximum number of groups of merged cards that are printed one by one.
const MAX_PRINTED_GROUPS: usize = 20;
/// Minimum time between two printed lines about events that repeat, such as waiting for a lock.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
pub(super) struct RepairArgs {
    #[command(flatten)]
    database: DatabaseConfig,

    /// Carry out the plan. Without this option, the command prints the plan and changes nothing.
    ///
    /// Every changed value is logged in the tables `mock_test_attempts_merged`, `jishu_repair_survivors` and
    /// `jishu_repair_changes`.
    #[arg(long)]
    apply: bool,

    /// Undo the latest repair, and restore the cards, sittings, questions and keys that it changed.
    ///
    /// If the rows have changed since the repair, the command refuses and changes nothing.
    #[arg(long, conflicts_with = "apply")]
    undo: bool,

    /// Format of the plan or the outcome. Progress goes to standard error.
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,

    /// Maximum time to wait for another repair or undo of the same database to end, in seconds. On SQLite, the wait is
    /// always at most 30 seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=86_400))]
    wait: u64,
}

/// Runs `jishu repair`. Returns an error if the repair or its undoing failed, or if the printed plan has blockers.
pub(super) async fn run(args: RepairArgs) -> CommandResult {
    let session = RepairSession::open(&args.database.database_url).await?;
    let session = session.with_lock_wait(Duration::from_secs(args.wait));
    if args.undo {
        let mut printer = ProgressPrinter::default();
        let result = session.undo(&mut |progress| printer.print(&progress)).await;
        close(session).await;
        return print_undone(&result?, args.format);
    }
    if !args.apply {
        let inspection = session.inspect().await?;
        session.close().await?;
        return print_plan(&inspection, args.format);
    }
    let mut printer = ProgressPrinter::default();
    let result = session.apply(&mut |progress| printer.print(&progress)).await;
    close(session).await;
    print_outcome(&result?, args.format)
}

/// Closes the session. An error of closing is only logged, because the result of the repair matters more to its
/// operator.
async fn close(session: RepairSession) {
    if let Err(error) = session.close().await {
        tracing::debug!(%error, "the connection could not be closed");
    }
}

fn print_undone(undone: &UndoOutcome, format: ReportFormat) -> CommandResult {
    if format == ReportFormat::Json {
        println!("{:#}", json!({ "undone": undone }));
        return Ok(());
    }
    let UndoOutcome { run, restored, runs_left, .. } = undone;
    println!(
        "Repair {run} was undone. {} merged cards exist again, and {} other cards have their old values again.",
        restored.cards, restored.survivors
    );
    for (table, values) in &restored.values {
        println!("{values} values of `{table}` were restored.");
    }
    if *runs_left > 0 {
        println!(
            "{runs_left} earlier repairs are still logged. `jishu repair --undo` undoes the latest of them."
        );
    }
    Ok(())
}

fn print_plan(inspection: &Inspection, format: ReportFormat) -> CommandResult {
    let RepairPlan { summary, steps, blockers } = &plan(inspection);
    match format {
        ReportFormat::Text => {
            print!("{}", inspection.report());
            print_if_ok(&inspection.report());
            print!("\n{}", plan(inspection));
            if !steps.is_empty() {
                println!(
                    "-- Nothing was changed. `jishu repair --apply` carries out this plan, if nothing blocks it."
                );
            }
        }
        ReportFormat::Json => {
            let output = json!({
                "applied": false,
                "report": inspection.report(),
                "plan": { "summary": summary, "steps": steps, "blockers": blockers },
            });
            println!("{output:#}");
        }
    }
    if blockers.is_empty() { Ok(()) } else { Err(RepairError::Blocked(blockers.clone()).into()) }
}

fn print_outcome(outcome: &RepairOutcome, format: ReportFormat) -> CommandResult {
    if format == ReportFormat::Json {
        println!("{:#}", json!({ "applied": true, "outcome": outcome }));
        return Ok(());
    }
    for sentence in &outcome.summary {
        println!("planned: {sentence}");
    }
    for merged in outcome.merged.iter().take(MAX_PRINTED_GROUPS) {
        let ids = merged.merged_ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        println!(
            "merged into card {} (purchase {}, subject {}, number {}): {ids}",
            merged.survivor_id, merged.purchase_id, merged.subject_id, merged.test_number
        );
    }
    if outcome.merged_groups > 0 {
        println!(
            "{} cards of {} groups were merged. The merged cards are in mock_test_attempts_merged.",
            outcome.merged_cards, outcome.merged_groups
        );
    }
    if outcome.corrected_cards > 0 {
        println!("{} other cards were corrected.", outcome.corrected_cards);
    }
    if outcome.statements.is_empty() && outcome.merged_groups == 0 && outcome.corrected_cards == 0 {
        println!("Nothing to do.");
    }
    print!("{}", outcome.report);
    print_if_ok(&outcome.report);
    Ok(())
}

fn print_if_ok(report: &InspectionReport) {
    if report.ok {
        println!("No problems were found.");
    }
}

/// Prints the progress of a repair on standard error. In each step, it prints at most one line per second about events
/// that repeat, such as waiting for a lock.
#[derive(Default)]
struct ProgressPrinter {
    last_line: Option<Instant>,
}

impl ProgressPrinter {
    fn print(&mut self, progress: &RepairProgress<'_>) -> ControlFlow<()> {
        match progress {
            RepairProgress::Step { number, of, step } => {
                // The first line of progress in a step is printed at once.
                self.last_line = None;
                eprintln!("{number}/{of}  {}", step.purpose);
            }
            RepairProgress::Statement(statement) => tracing::debug!(statement, "repair"),
            RepairProgress::NextRound { round } => {
                eprintln!(
                    "Something is left to do, for instance because the application inserted duplicates. Starting \
                     round {round}"
                );
            }
            RepairProgress::Committing => eprintln!("Committing"),
            _ if self.last_line.is_some_and(|last| last.elapsed() < PROGRESS_INTERVAL) => {}
            other => {
                self.last_line = Some(Instant::now());
                eprintln!("      {}", Self::line(other));
            }
        }
        ControlFlow::Continue(())
    }

    fn line(progress: &RepairProgress<'_>) -> String {
        match progress {
            RepairProgress::WaitingForOther => "waiting for another repair or undo to end".to_owned(),
            RepairProgress::Locked { attempt } => format!("attempt {attempt} failed because of a lock"),
            RepairProgress::Merged { groups, of } => format!("{groups} of {of} groups merged"),
            RepairProgress::Working { elapsed, phase, percent } => {
                let phase = phase.as_deref().unwrap_or("working");
                let percent = percent.map(|percent| format!(", {percent:.0}%")).unwrap_or_default();
                format!("{} s: {phase}{percent}", elapsed.as_secs())
            }
            _ => String::new(),
        }
    }
}
