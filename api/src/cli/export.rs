//! `jishu export`.

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
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write the question bank of a subject: the current versions of what is not archived. What the format cannot carry
    /// is told on standard error.
    Questions(QuestionArgs),
}

#[derive(Args, Debug)]
struct QuestionArgs {
    #[command(flatten)]
    place: SubjectArgs,

    /// What to write it in.
    #[arg(long, value_enum)]
    format: FormatArg,

    /// The file to write; standard output if not given.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    Gift,
    Aiken,
    MoodleXml,
    Qti,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Gift => Self::Gift,
            FormatArg::Aiken => Self::Aiken,
            FormatArg::MoodleXml => Self::MoodleXml,
            FormatArg::Qti => Self::Qti,
        }
    }
}

pub(super) async fn run(args: ExportArgs) -> CommandResult {
    let What::Questions(args) = args.what;
    let export = with_database(&args.database.options_to_look(), async |database| {
        refuse_pending(database).await?;
        let subject = args.place.find(database).await?;
        Ok(question_bank::export_all(database.reader(), subject, args.format.into()).await?)
    })
    .await?;
    for loss in &export.losses {
        eprintln!("{}: {}", loss.external_id, loss.what);
    }
    match &args.output {
        Some(file) => std::fs::write(file, &export.text)
            .map_err(|error| format!("{} cannot be written: {error}", file.display()))?,
        None => print!("{}", export.text),
    }
    eprintln!("questions: {}; losses: {}", export.questions, export.losses.len());
    Ok(())
}
