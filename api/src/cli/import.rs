//! The command `jishu import`: reads a file of questions into the bank of a subject.

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
    self, Advice, Defaults, Format, ImportFile, ImportProgress, ImportReport, ImportRequest, Notice,
    RejectedQuestion,
};

#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    command: ImportCommand,
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// Import a file of questions into the bank of a subject. A question that cannot be imported is refused, and its
    /// line is reported. The other questions are imported. Exits with 1 if a question was refused.
    Questions(Box<ImportQuestionsArgs>),
}

#[derive(Args, Debug)]
struct ImportQuestionsArgs {
    /// The file to import: a text in UTF-8, or a ZIP package with items of QTI.
    file: PathBuf,

    #[command(flatten)]
    subject: SubjectArgs,

    /// The format of the file. auto recognizes the format by the file name (.gift, .aiken, .qti), or else by the text.
    #[arg(long, value_enum, default_value_t)]
    format: ImportFormat,

    /// The topic for questions to which the file gives no topic.
    #[arg(long, default_value = "General", value_name = "NAME")]
    topic: String,

    /// The difficulty for questions to which the file gives no difficulty.
    #[arg(long, value_enum, default_value_t)]
    difficulty: DifficultyArg,

    /// Use the name of a question as its id if it has no id. The names must be unique over all imported files:
    /// otherwise a question of a later import replaces an earlier question of the same name.
    #[arg(long)]
    names_are_ids: bool,

    /// Correct keys, also in fixed tests, and record this reason. If a fixed test has another key than the file, its
    /// new sittings use the key of the file. Without this flag, fixed tests keep their keys, and the command reports
    /// the questions whose keys differ.
    #[arg(long, value_name = "REASON")]
    correct_keys: Option<String>,

    /// Report what the import would do, but write nothing.
    #[arg(long)]
    dry_run: bool,

    /// The format of the report. Progress is shown on standard error if that is a terminal.
    #[arg(long, value_enum, default_value_t)]
    report: ReportFormat,

    #[command(flatten)]
    database: DatabaseConfig,
}

/// The flags that name the course and the subject whose bank a command uses.
#[derive(Args, Debug)]
pub(super) struct SubjectArgs {
    /// The code or the numeric id of the course.
    #[arg(long, value_name = "CODE|ID")]
    course: String,

    /// The code or the numeric id of the subject.
    #[arg(long, value_name = "CODE|ID")]
    subject: String,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ImportFormat {
    #[default]
    Auto,
    Gift,
    Aiken,
    MoodleXml,
    Qti,
}

impl ImportFormat {
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
    /// Finds the subject in the database. A number is first looked up as a code, then as an id. If the course or the
    /// subject does not exist, the error lists the existing courses or subjects.
    pub(super) async fn find(
        &self,
        database: &Database,
    ) -> Result<SubjectId, Box<dyn std::error::Error + Send + Sync>> {
        // Reads only the id, the code and the name of each course. So an unreadable value in one course does not
        // prevent imports into the other courses.
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
            format!(
                "the course {course_name} has no subject {}. Its subjects are: {}",
                self.subject,
                listed(known)
            )
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

/// Imports a file of questions without its refused questions, and prints a report. Returns an error if a question was
/// refused.
pub(super) async fn run(args: ImportArgs) -> CommandResult {
    let ImportCommand::Questions(args) = args.command;
    let bytes = tokio::fs::read(&args.file)
        .await
        .map_err(|error| format!("cannot read {}: {error}", args.file.display()))?;
    let file = ImportFile::read(bytes)?;
    let name = args.file.to_string_lossy().into_owned();
    let format = args.format.format().or_else(|| Format::of_file_name(&name));
    let ImportQuestionsArgs {
        names_are_ids,
        correct_keys,
        dry_run,
        subject,
        topic,
        difficulty,
        report,
        database,
        ..
    } = *args;
    let defaults = Defaults { topic: topic.trim().to_owned(), difficulty: difficulty.into() };
    // The progress bar is drawn on standard error. It is hidden if standard error is not a terminal.
    let bar = ProgressBar::new(0).with_style(style()?);
    let progress = |ImportProgress { done, total }: ImportProgress| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let imported = with_current_database(&database, async |database| {
        let subject_id = subject.find(database).await?;
        let request = ImportRequest {
            subject_id,
            format,
            file,
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
        println!("{file}:{}: {}: {}", loss.line, loss.external_id, loss.text);
    }
    for notice in &report.notices {
        println!("{file}:{}: {}: {}", notice.line, notice.external_id, notice_text(notice));
    }
    let prefix = if dry_run { "Dry run, nothing was written: " } else { "" };
    println!(
        "{prefix}{} new, {} changed, {} unchanged, {} refused; losses: {}; corrected keys: {}",
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
        .map(|loss| json!({ "line": loss.line, "externalId": loss.external_id, "what": loss.text }));
    let notices = report
        .notices
        .iter()
        .map(|notice| json!({ "line": notice.line, "externalId": notice.external_id, "text": notice_text(notice) }));
    let output = json!({
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
    println!("{output:#}");
}

fn refusal_text(refusal: &RejectedQuestion) -> String {
    let advice = refusal.advice.map(|advice| format!(" {}", advice_text(advice))).unwrap_or_default();
    format!("{}{advice}", refusal.reason)
}

fn notice_text(notice: &Notice) -> String {
    format!("{} {}", notice.text, advice_text(notice.advice))
}

/// Returns the advice as a sentence that names commands and flags of the command line.
fn advice_text(advice: Advice) -> &'static str {
    match advice {
        Advice::CorrectKey => {
            "To use the file's key in new sittings, run `jishu question correct`, or import again with --correct-keys."
        }
        Advice::CorrectKeyOrGiveId => {
            "If the two questions are the same, correct the key with `jishu question correct`, or import with \
             --correct-keys. If they are different, give the question in the file an id."
        }
        Advice::CorrectKeyBack => {
            "If the key of the file is right, import the file again with --correct-keys."
        }
        Advice::Restore => "To restore the question, run `jishu question restore`.",
    }
}
