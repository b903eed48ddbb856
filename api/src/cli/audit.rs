//! The command `jishu audit`: exports the audit trail as JSON lines.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use jishu_entity::{AuditEventId, audit_event};
use serde_json::{Value, json};

use super::serve::refuse_pending;
use super::{CommandResult, with_database};
use crate::config::DatabaseConfig;
use jishu_service::audit_trail::{self, AuditFilter};

/// Number of events that one statement reads.
const EVENTS_PER_READ: u64 = 1_000;

/// Maximum time between the time of an event and its commit. An event can be committed after events with greater ids,
/// so an export can miss it. Therefore a later export repeats all events from the first event that was younger than
/// this time when the present export began.
const MAX_COMMIT_DELAY: TimeDelta = TimeDelta::minutes(1);

#[derive(Args, Debug)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Print the audit trail as JSON lines, one event per line, oldest first. When the export ends, standard error
    /// shows with which id a later export can continue.
    Export(ExportAuditArgs),
}

#[derive(Args, Debug)]
struct ExportAuditArgs {
    /// Export only events at this time or later, such as 2026-11-23T09:30:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<DateTime<Utc>>,

    /// Export only events before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,

    /// Export only events with this action, such as purchase.created. A beginning that ends with a dot, such as
    /// purchase., matches all actions that begin with it.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,

    /// Export only events after the event with this id, to continue an earlier export.
    #[arg(long, value_name = "ID", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,

    #[command(flatten)]
    database: DatabaseConfig,
}

pub(super) async fn run(args: AuditArgs) -> CommandResult {
    let AuditCommand::Export(args) = args.command;
    let filter =
        AuditFilter { action: args.action, from: args.since, to: args.until, ..AuditFilter::default() };
    let began = Utc::now();
    // The progress bar is drawn on standard error. It is hidden if standard error is not a terminal.
    let bar = ProgressBar::new(0).with_style(style()?);
    let exported = with_database(&args.database.options_to_read(), async |database| {
        refuse_pending(database).await?;
        let reader = database.reader();
        let last = audit_trail::greatest(reader).await?.0;
        bar.set_length(u64::try_from(last.saturating_sub(args.after)).unwrap_or_default());
        let mut exported = Exported { events: 0, resume_after: args.after, has_recent: false };
        let mut after = AuditEventId(args.after);
        loop {
            let events = audit_trail::next(reader, &filter, after, EVENTS_PER_READ).await?;
            let Some(newest) = events.last() else { break };
            after = newest.id;
            print!("{}", lines(&events)?);
            exported.count(&events, began);
            bar.set_position(u64::try_from(after.0.saturating_sub(args.after)).unwrap_or_default());
        }
        Ok(exported)
    })
    .await;
    bar.finish_and_clear();
    let Exported { events, resume_after, .. } = exported?;
    eprintln!("events: {events}; to continue later: --after {resume_after}");
    Ok(())
}

fn style() -> Result<ProgressStyle, indicatif::style::TemplateError> {
    ProgressStyle::with_template("{bar:40} {percent} %, {eta} left")
}

/// The number of events that were exported, and where a later export continues.
struct Exported {
    events: usize,
    /// The id of the event after which a later export starts. No event with this id or a smaller one can still appear
    /// in the trail.
    resume_after: i64,
    /// Whether a recent event was exported: an event that was at most [`MAX_COMMIT_DELAY`] old when the export began. A
    /// later export repeats the events from the first recent event.
    has_recent: bool,
}

impl Exported {
    /// Counts the next batch of events of an export that began at this time.
    fn count(&mut self, events: &[audit_event::Model], began: DateTime<Utc>) {
        self.events += events.len();
        for event in events {
            self.has_recent |= event.at >= began - MAX_COMMIT_DELAY;
            if !self.has_recent {
                self.resume_after = event.id.0;
            }
        }
    }
}

/// Returns the events as JSON lines.
fn lines(events: &[audit_event::Model]) -> Result<String, serde_json::Error> {
    let mut lines = String::new();
    for event in events {
        let state = |text: &Option<String>| text.as_deref().map(serde_json::from_str::<Value>).transpose();
        let line = json!({
            "id": event.id.0,
            "at": event.at.to_rfc3339_opts(SecondsFormat::Micros, true),
            "actorId": event.actor_id.map(|id| id.0),
            "action": event.action,
            "targetType": event.target_type,
            "targetId": event.target_id,
            "before": state(&event.state_before)?,
            "after": state(&event.state_after)?,
        });
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{line}");
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_export_starts_before_the_first_recent_event_of_any_batch() {
        let began = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let event = |id, age| audit_event::Model {
            id: AuditEventId(id),
            at: began - TimeDelta::seconds(age),
            actor_id: None,
            action: "purchase.created".to_owned(),
            target_type: "purchases".to_owned(),
            target_id: 1,
            state_before: None,
            state_after: None,
        };
        let mut exported = Exported { events: 0, resume_after: 0, has_recent: false };
        for (batch, resume_after) in [
            ([event(1, 600), event(2, 500)], 2),
            ([event(3, 400), event(4, 1)], 3),
            ([event(5, 300), event(6, 300)], 3),
        ] {
            exported.count(&batch, began);
            assert_eq!(exported.resume_after, resume_after);
        }
        assert_eq!(exported.events, 6);
    }
}
