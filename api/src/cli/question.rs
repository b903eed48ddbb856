//! The command `jishu question`: corrects the key of a question, archives a question, or restores an archived one.

use std::error::Error;

use clap::{Args, Subcommand};
use jishu_entity::QuestionId;
use rust_decimal::Decimal;

use super::import::SubjectArgs;
use super::{CommandResult, with_current_database};
use crate::config::DatabaseConfig;
use jishu_service::clock::SystemClock;
use jishu_service::database::Database;
use jishu_service::question_bank::{self, Correction, NewKey};

#[derive(Args, Debug)]
pub(super) struct QuestionArgs {
    #[command(subcommand)]
    command: QuestionCommand,
}

#[derive(Debug, Subcommand)]
enum QuestionCommand {
    /// Correct the key of a question. New tests and new sittings of fixed tests use the corrected version. Open and
    /// finished sittings keep the key that they started with.
    Correct(Box<CorrectQuestionArgs>),
    /// Archive a question. New tests leave the question out. Fixed tests keep it.
    Archive(QuestionSelector),
    /// Restore an archived question.
    Restore(QuestionSelector),
}

/// The question to change.
#[derive(Args, Debug)]
struct QuestionSelector {
    #[command(flatten)]
    subject: SubjectArgs,

    /// The external id of the question, which imports and exports use.
    #[arg(long, value_name = "ID")]
    id: String,

    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Args, Debug)]
struct CorrectQuestionArgs {
    #[command(flatten)]
    question: QuestionSelector,

    /// The letters of all correct options, such as B or A,C. A is the first option in the order in which the author
    /// wrote them.
    #[arg(long, value_delimiter = ',', value_name = "LETTERS", required_unless_present_any = ["value", "text"])]
    key: Vec<char>,

    /// The correct number of a numeric question.
    #[arg(long, conflicts_with = "key", allow_negative_numbers = true)]
    value: Option<Decimal>,

    /// The largest distance from the number at which an answer is still correct. Unchanged if not given.
    #[arg(long, requires = "value")]
    tolerance: Option<Decimal>,

    /// A correct text of a short answer. Give the flag once for each text. `*` stands for any characters.
    #[arg(long, conflicts_with_all = ["key", "value"])]
    text: Vec<String>,

    /// Whether capital and small letters count as different in a short answer. Unchanged if not given.
    #[arg(long, requires = "text", value_name = "BOOL")]
    case_sensitive: Option<bool>,

    /// The explanation of the key. Unchanged if not given.
    #[arg(long)]
    explanation: Option<String>,

    /// The reason for the correction. It is recorded.
    #[arg(long)]
    reason: String,
}

impl QuestionSelector {
    /// Opens the database, finds the question, runs the work, and closes the database.
    async fn with_question<T>(
        &self,
        work: impl AsyncFnOnce(&Database, QuestionId) -> Result<T, Box<dyn Error + Send + Sync>>,
    ) -> Result<T, Box<dyn Error + Send + Sync>> {
        with_current_database(&self.database, async |database| {
            let subject = self.subject.find(database).await?;
            let found = question_bank::find(database.reader(), subject, &self.id).await?;
            let id = found.ok_or_else(|| {
                format!(
                    "the subject has no question {}. Export the subject to see the ids of its questions. Exports leave \
                     archived questions out: the query `questions(archived: true)` lists them.",
                    self.id
                )
            })?;
            work(database, id).await
        })
        .await
    }
}

pub(super) async fn run(args: QuestionArgs) -> CommandResult {
    match args.command {
        QuestionCommand::Correct(args) => correct(*args).await,
        QuestionCommand::Archive(question) => set_archived(&question, true).await,
        QuestionCommand::Restore(question) => set_archived(&question, false).await,
    }
}

async fn correct(args: CorrectQuestionArgs) -> CommandResult {
    let key = match args.value {
        Some(value) => NewKey::Number { value, tolerance: args.tolerance },
        None if !args.text.is_empty() => {
            NewKey::Texts { texts: args.text, is_case_sensitive: args.case_sensitive }
        }
        None => {
            let position = |letter: &char| ('A'..='Z').zip(0..).find(|(other, _)| other == letter);
            let positions: Option<Vec<i32>> =
                args.key.iter().map(|letter| position(letter).map(|(_, index)| index)).collect();
            let positions = positions.ok_or("--key takes letters from A to Z, such as B or A,C")?;
            NewKey::Options { version: None, positions }
        }
    };
    let CorrectQuestionArgs { question, explanation, reason, .. } = args;
    let corrected = question
        .with_question(async |database, question_id| {
            let correction = Correction { question_id, key, explanation, reason, by: None };
            Ok(question_bank::correct(database, &SystemClock, correction).await?)
        })
        .await?;
    println!("corrected the key; new sittings of {} fixed tests use the correction", corrected.tests);
    Ok(())
}

async fn set_archived(question: &QuestionSelector, archived: bool) -> CommandResult {
    let changed = question
        .with_question(async |database, question_id| {
            Ok(question_bank::set_archived(database, &SystemClock, None, question_id, archived).await?)
        })
        .await?;
    let state = if archived { "archived" } else { "restored" };
    println!("{}", if changed { state } else { "nothing to do" });
    Ok(())
}
