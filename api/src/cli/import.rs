//! `jishu import`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use jishu_entity::question_version::Difficulty;
use jishu_entity::{CourseId, SubjectId, course, subject};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;

use super::check::ReportFormat;
use super::{CommandResult, with_current_database};
use crate::config::DatabaseConfig;
use jishu_service::clock::SystemClock;
use jishu_service::database::Database;
use jishu_service::question_bank::{
    self, Advice, Defaults, Format, ImportReport, ImportRequest, Notice, Progress, Refusal,
};

#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Import a file of questions into the bank of a subject. What cannot be read is refused, line by line, and the
    /// rest is imported; exits with 1 when something was refused.
    Questions(Box<QuestionArgs>),
}

#[derive(Args, Debug)]
struct QuestionArgs {
    /// The file, in UTF-8.
    file: PathBuf,

    #[command(flatten)]
    place: SubjectArgs,

    /// What the file is written in; auto tells from its name (.gift, .aiken, .qti) and, where that does not tell, from
    /// its text.
    #[arg(long, value_enum, default_value_t)]
    format: FormatArg,

    /// The topic of questions that name none.
    #[arg(long, default_value = "General", value_name = "NAME")]
    topic: String,

    /// The difficulty of questions that name none.
    #[arg(long, value_enum, default_value_t)]
    difficulty: DifficultyArg,

    /// Take the name of a question that has no id for its id. Only where no two questions, of this file and of others,
    /// have the same name; else one replaces the other.
    #[arg(long)]
    names_are_ids: bool,

    /// Correct keys, for this reason. Where a fixed test has another key than the file, its new sittings take the
    /// key of the file. Without this flag fixed tests keep their keys, and the command says so.
    #[arg(long, value_name = "REASON")]
    correct_keys: Option<String>,

    /// Only report what would be done, and write nothing.
    #[arg(long)]
    dry_run: bool,

    /// How the report is written. Progress goes to standard error, and only to a terminal.
    #[arg(long, value_enum, default_value_t)]
    report: ReportFormat,

    #[command(flatten)]
    database: DatabaseConfig,
}

/// Which subject.
#[derive(Args, Debug)]
pub(super) struct SubjectArgs {
    /// The course: its code or its number.
    #[arg(long, value_name = "CODE|ID")]
    course: String,

    /// The subject: its code in the course, or its number.
    #[arg(long, value_name = "CODE|ID")]
    subject: String,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FormatArg {
    #[default]
    Auto,
    Gift,
    Aiken,
    MoodleXml,
    Qti,
}

impl FormatArg {
    fn format(self) -> Option<Format> {
        match self {
            Self::Auto => None,
            Self::Gift => Some(Format::Gift),
            Self::Aiken => Some(Format::Aiken),
            Self::MoodleXml => Some(Format::MoodleXml),
            Self::Qti => Some(Format::Qti),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum DifficultyArg {
    Easy,
    #[default]
    Medium,
    Hard,
}

impl From<DifficultyArg> for Difficulty {
    fn from(difficulty: DifficultyArg) -> Self {
        match difficulty {
            DifficultyArg::Easy => Self::Easy,
            DifficultyArg::Medium => Self::Medium,
            DifficultyArg::Hard => Self::Hard,
        }
    }
}

impl SubjectArgs {
    /// The row of the subject. A code that looks like a number is a code first.
    pub(super) async fn find(
        &self,
        database: &Database,
    ) -> Result<SubjectId, Box<dyn std::error::Error + Send + Sync>> {
        // Reads only these columns: an unreadable row must not keep questions from the other courses.
        let courses: Vec<(CourseId, Option<String>, String)> = course::Entity::find()
            .select_only()
            .columns([course::Column::Id, course::Column::Code, course::Column::Name])
            .into_tuple()
            .all(database.reader())
            .await?;
        let by_code = courses.iter().find(|(_, code, _)| code.as_deref() == Some(&self.course));
        let by_id = || courses.iter().find(|(id, ..)| id.to_string() == self.course);
        let (course, _, course_name) = by_code.or_else(by_id).ok_or_else(|| {
            let known = courses.iter().map(|(id, code, title)| name(code.as_deref(), id.0, title));
            format!("there is no course {}. There are: {}", self.course, listed(known))
        })?;
        let subjects: Vec<(SubjectId, Option<String>, String)> = subject::Entity::find()
            .select_only()
            .columns([subject::Column::Id, subject::Column::Code, subject::Column::Name])
            .filter(subject::Column::CourseId.eq(*course))
            .into_tuple()
            .all(database.reader())
            .await?;
        let by_code = subjects.iter().find(|(_, code, _)| code.as_deref() == Some(&self.subject));
        let by_id = || subjects.iter().find(|(id, ..)| id.to_string() == self.subject);
        let (subject, ..) = by_code.or_else(by_id).ok_or_else(|| {
            let known = subjects.iter().map(|(id, code, title)| name(code.as_deref(), id.0, title));
            format!("the course {course_name} has no subject {}. It has: {}", self.subject, listed(known))
        })?;
        Ok(*subject)
    }
}

fn name(code: Option<&str>, id: i64, name: &str) -> String {
    format!("{} ({name})", code.map_or_else(|| id.to_string(), str::to_owned))
}

fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Ends with 0 when every question of the file is in the bank.
pub(super) async fn run(args: ImportArgs) -> CommandResult {
    let What::Questions(args) = args.what;
    let bytes = tokio::fs::read(&args.file)
        .await
        .map_err(|error| format!("{} cannot be read: {error}", args.file.display()))?;
    let text = question_bank::decode(&bytes)?.to_owned();
    let name = args.file.to_string_lossy().into_owned();
    let format = args.format.format().or_else(|| Format::of_file_name(&name));
    let QuestionArgs {
        names_are_ids, correct_keys, dry_run, place, topic, difficulty, report, database, ..
    } = *args;
    let defaults = Defaults { topic: topic.trim().to_owned(), difficulty: difficulty.into() };
    // Draws on standard error, and nothing where that is no terminal.
    let bar = ProgressBar::new(0).with_style(style()?);
    let progress = |Progress { done, of }: Progress| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    };
    let imported = with_current_database(&database, async |database| {
        let subject_id = place.find(database).await?;
        let request = ImportRequest {
            subject_id,
            format,
            text,
            defaults,
            names_are_ids,
            correct_keys,
            dry_run,
            actor: None,
        };
        Ok(question_bank::import(database, &SystemClock, request, &progress).await?)
    })
    .await;
    bar.finish_and_clear();
    let imported = imported?;
    match report {
        ReportFormat::Text => print_text(&imported, &name, dry_run),
        ReportFormat::Json => print_json(&imported, dry_run),
    }
    match imported.refused_count {
        0 => Ok(()),
        1 => Err("1 question was refused".into()),
        refused => Err(format!("{refused} questions were refused").into()),
    }
}

fn style() -> Result<ProgressStyle, indicatif::style::TemplateError> {
    ProgressStyle::with_template("{bar:40} {pos}/{len} questions, {eta} left")
}

fn print_text(report: &ImportReport, file: &str, dry_run: bool) {
    for refusal in &report.refused {
        let id = refusal.external_id.as_ref().map(|id| format!(" {id}:")).unwrap_or_default();
        println!("{file}:{}: refused:{id} {}", refusal.line, refusal_text(refusal));
    }
    match report.refused_count - report.refused.len() {
        0 => {}
        more => println!("{file}: {more} more were refused"),
    }
    for loss in &report.losses {
        println!("{file}:{}: {}: {}", loss.line, loss.external_id, loss.what);
    }
    for notice in &report.notices {
        println!("{file}:{}: {}: {}", notice.line, notice.external_id, notice_text(notice));
    }
    let would = if dry_run { "A dry run, nothing was written: " } else { "" };
    println!(
        "{would}{} new, {} changed, {} unchanged, {} refused; losses: {}; corrected keys: {}",
        report.created,
        report.updated,
        report.unchanged,
        report.refused_count,
        report.losses.len(),
        report.corrected
    );
}

fn print_json(report: &ImportReport, dry_run: bool) {
    let refused = report.refused.iter().map(|refusal| {
        json!({ "line": refusal.line, "externalId": refusal.external_id, "reason": refusal_text(refusal) })
    });
    let losses = report
        .losses
        .iter()
        .map(|loss| json!({ "line": loss.line, "externalId": loss.external_id, "what": loss.what }));
    let notices = report
        .notices
        .iter()
        .map(|notice| json!({ "line": notice.line, "externalId": notice.external_id, "text": notice_text(notice) }));
    let answer = json!({
        "dryRun": dry_run,
        "created": report.created,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "refused": refused.collect::<Vec<_>>(),
        "refusedCount": report.refused_count,
        "losses": losses.collect::<Vec<_>>(),
        "notices": notices.collect::<Vec<_>>(),
        "corrected": report.corrected,
    });
    println!("{answer:#}");
}

fn refusal_text(refusal: &Refusal) -> String {
    let advice = refusal.advice.map(|advice| format!(" {}", advised(advice))).unwrap_or_default();
    format!("{}{advice}", refusal.reason)
}

fn notice_text(notice: &Notice) -> String {
    format!("{} {}", notice.text, advised(notice.advice))
}

/// Returns the advice in terms of the command line.
fn advised(advice: Advice) -> &'static str {
    match advice {
        Advice::CorrectKey => {
            "To use the file's key in new sittings, run `jishu question correct`, or import again with --correct-keys."
        }
        Advice::CorrectKeyOrGiveId => {
            "If both are the same question, correct the key with `jishu question correct`, or import with \
             --correct-keys. If not, give this one an id."
        }
        Advice::CorrectKeyBack => "If the key of the file is right, import it with `--correct-keys`.",
        Advice::Restore => "To restore it, run `jishu question restore`.",
    }
}
