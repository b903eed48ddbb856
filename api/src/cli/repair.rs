//! `jishu repair`.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use clap::Args;
use jishu_repair::{Inspection, Outcome, Plan, Progress, RepairError, Report, Session, Undone, plan};
use serde_json::json;

use super::CommandResult;
use super::check::ReportFormat;
use crate::config::DatabaseConfig;

/// How many merges are told one by one.
const TOLD: usize = 20;
/// How often progress is told.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
pub(super) struct RepairArgs {
    #[command(flatten)]
    database: DatabaseConfig,

    /// Do it. Without this, the plan is printed and nothing is changed.
    ///
    /// Every changed value is logged in the tables `mock_test_attempts_merged`, `jishu_repair_survivors` and
    /// `jishu_repair_changes`.
    #[arg(long)]
    apply: bool,

    /// Undo the latest repair: its cards, sittings, questions and keys become what they were.
    ///
    /// If rows have changed since the repair, the command refuses and changes nothing.
    #[arg(long, conflicts_with = "apply")]
    undo: bool,

    /// How the plan or the outcome is written. Progress goes to standard error.
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,

    /// How long to wait for another repair of the same database to end, in seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=86_400))]
    wait: u64,
}

/// Ends with 0 when the plan was printed, or all of it was done.
pub(super) async fn run(args: RepairArgs) -> CommandResult {
    let session = Session::open(&args.database.database_url).await?;
    let session = session.with_patience(Duration::from_secs(args.wait));
    if args.undo {
        let mut teller = Teller::default();
        let result = session.undo(&mut |progress| teller.tell(&progress)).await;
        close(session).await;
        return print_undone(&result?, args.format);
    }
    if !args.apply {
        let inspection = session.inspect().await?;
        session.close().await?;
        return print_plan(&inspection, args.format);
    }
    let mut teller = Teller::default();
    let result = session.apply(&mut |progress| teller.tell(&progress)).await;
    close(session).await;
    print_outcome(&result?, args.format)
}

/// Closes the connection. An error of closing is only logged, because the command's own result matters more.
async fn close(session: Session) {
    if let Err(error) = session.close().await {
        tracing::debug!(%error, "closing the connection");
    }
}

fn print_undone(undone: &Undone, format: ReportFormat) -> CommandResult {
    if format == ReportFormat::Json {
        println!("{:#}", json!({ "undone": undone }));
        return Ok(());
    }
    let Undone { run, restored, runs_left, .. } = undone;
    println!(
        "Repair {run} was undone: {} merged cards were restored, and {} other cards are as they were.",
        restored.cards, restored.survivors
    );
    for (table, values) in &restored.values {
        println!("{values} values of `{table}` were restored.");
    }
    if *runs_left > 0 {
        println!("{runs_left} earlier repairs are still logged. `jishu repair --undo` undoes the next one.");
    }
    Ok(())
}

fn print_plan(inspection: &Inspection, format: ReportFormat) -> CommandResult {
    let Plan { summary, steps, blockers } = &plan(inspection);
    match format {
        ReportFormat::Text => {
            print!("{}", inspection.report());
            print_all_right(&inspection.report());
            print!("\n{}", plan(inspection));
            if !steps.is_empty() {
                println!("-- Nothing was changed. `jishu repair --apply` does it.");
            }
        }
        ReportFormat::Json => {
            let answer = json!({
                "applied": false,
                "report": inspection.report(),
                "plan": { "summary": summary, "steps": steps, "blockers": blockers },
            });
            println!("{answer:#}");
        }
    }
    if blockers.is_empty() { Ok(()) } else { Err(RepairError::Blocked(blockers.clone()).into()) }
}

fn print_outcome(outcome: &Outcome, format: ReportFormat) -> CommandResult {
    if format == ReportFormat::Json {
        println!("{:#}", json!({ "applied": true, "outcome": outcome }));
        return Ok(());
    }
    for sentence in &outcome.summary {
        println!("planned: {sentence}");
    }
    for merged in outcome.merged.iter().take(TOLD) {
        let ids = merged.merged_ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        println!(
            "merged into card {} (purchase {}, subject {}, number {}): {ids}",
            merged.survivor_id, merged.purchase_id, merged.subject_id, merged.test_number
        );
    }
    if outcome.merged_groups > 0 {
        println!(
            "{} cards of {} groups were merged; they are in mock_test_attempts_merged, whole",
            outcome.merged_cards, outcome.merged_groups
        );
    }
    if outcome.corrected_cards > 0 {
        println!("{} other cards were corrected", outcome.corrected_cards);
    }
    if outcome.statements.is_empty() && outcome.merged_groups == 0 && outcome.corrected_cards == 0 {
        println!("Nothing to do.");
    }
    print!("{}", outcome.report);
    print_all_right(&outcome.report);
    Ok(())
}

fn print_all_right(report: &Report) {
    if report.ok {
        println!("All is right.");
    }
}

/// Tells progress on standard error, not more than a line a second for what goes on and on.
#[derive(Default)]
struct Teller {
    told: Option<Instant>,
}

impl Teller {
    fn tell(&mut self, progress: &Progress<'_>) -> ControlFlow<()> {
        match progress {
            Progress::Step { number, of, step } => eprintln!("{number}/{of}  {}", step.purpose),
            Progress::Statement(statement) => tracing::debug!(statement, "repair"),
            Progress::NextRound { round } => {
                eprintln!("The application was in the way. Round {round}");
            }
            Progress::Committing => eprintln!("Committing"),
            _ if self.told.is_some_and(|told| told.elapsed() < EVERY) => {}
            other => {
                self.told = Some(Instant::now());
                eprintln!("      {}", Self::line(other));
            }
        }
        ControlFlow::Continue(())
    }

    fn line(progress: &Progress<'_>) -> String {
        match progress {
            Progress::WaitingForOther => "waiting for another repair to end".to_owned(),
            Progress::Locked { attempt } => format!("locked by others; tried {attempt} times"),
            Progress::Merged { groups, of } => format!("{groups} of {of} groups merged"),
            Progress::Working { elapsed, phase, percent } => {
                let phase = phase.as_deref().unwrap_or("working");
                let percent = percent.map(|percent| format!(", {percent:.0}%")).unwrap_or_default();
                format!("{} s: {phase}{percent}", elapsed.as_secs())
            }
            _ => String::new(),
        }
    }
}
