//! The command `jishu export`: writes the question bank of a subject in a format of another system.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::import::SubjectArgs;
use super::serve::refuse_pending;
use super::{CommandResult, with_database};
use crate::config::DatabaseConfig;
use jishu_service::question_bank::{self, Format};

#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    #[command(subcommand)]
    command: ExportCommand,
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    /// Export the question bank of a subject: the current version of each question that is not archived. Reports on
    /// standard error everything that the format cannot store.
    Questions(ExportQuestionsArgs),
}

#[derive(Args, Debug)]
struct ExportQuestionsArgs {
    #[command(flatten)]
    subject: SubjectArgs,

    /// The format of the export.
    #[arg(long, value_enum)]
    format: ExportFormat,

    /// The file to write. Without it, the export goes to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExportFormat {
    Gift,
    Aiken,
    MoodleXml,
    Qti,
}

impl From<ExportFormat> for Format {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Gift => Self::Gift,
            ExportFormat::Aiken => Self::Aiken,
            ExportFormat::MoodleXml => Self::MoodleXml,
            ExportFormat::Qti => Self::Qti,
        }
    }
}

pub(super) async fn run(args: ExportArgs) -> CommandResult {
    let ExportCommand::Questions(args) = args.command;
    let export = with_database(&args.database.options_to_read(), async |database| {
        refuse_pending(database).await?;
        let subject = args.subject.find(database).await?;
        Ok(question_bank::export_all(database.reader(), subject, args.format.into()).await?)
    })
    .await?;
    for loss in &export.losses {
        eprintln!("{}: {}", loss.external_id, loss.text);
    }
    match &args.output {
        Some(file) => std::fs::write(file, &export.text)
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?,
        None => print!("{}", export.text),
    }
    eprintln!("questions: {}; losses: {}", export.questions, export.losses.len());
    Ok(())
}
