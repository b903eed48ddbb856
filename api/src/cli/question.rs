//! `jishu question`.

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
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Correct the key of a question. New tests and new sittings of fixed tests take the corrected version. Open
    /// and finished sittings keep the key that they started with.
    Correct(Box<CorrectArgs>),
    /// Archive a question: no new test asks it. Fixed tests keep it.
    Archive(Named),
    /// Restore an archived question.
    Restore(Named),
}

/// The question to change.
#[derive(Args, Debug)]
struct Named {
    #[command(flatten)]
    place: SubjectArgs,

    /// The external id of the question, as imports and exports have it.
    #[arg(long, value_name = "ID")]
    id: String,

    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Args, Debug)]
struct CorrectArgs {
    #[command(flatten)]
    named: Named,

    /// The letters of all correct options, in the author's order: B, or A,C.
    #[arg(long, value_delimiter = ',', value_name = "LETTERS", required_unless_present = "value")]
    key: Vec<char>,

    /// The number that is correct.
    #[arg(long, conflicts_with = "key", allow_negative_numbers = true)]
    value: Option<Decimal>,

    /// How far from the number an answer is still correct; unchanged if not given.
    #[arg(long, requires = "value")]
    tolerance: Option<Decimal>,

    /// The explanation of the key; unchanged if not given.
    #[arg(long)]
    explanation: Option<String>,

    /// The reason for the correction. It is recorded.
    #[arg(long)]
    reason: String,
}

impl Named {
    /// Opens the database, finds the question, runs the work, and closes the database.
    async fn with_question<T>(
        &self,
        work: impl AsyncFnOnce(&Database, QuestionId) -> Result<T, Box<dyn Error + Send + Sync>>,
    ) -> Result<T, Box<dyn Error + Send + Sync>> {
        with_current_database(&self.database, async |database| {
            let subject = self.place.find(database).await?;
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
    match args.action {
        Action::Correct(args) => correct(*args).await,
        Action::Archive(named) => set_archived(&named, true).await,
        Action::Restore(named) => set_archived(&named, false).await,
    }
}

async fn correct(args: CorrectArgs) -> CommandResult {
    let key = match args.value {
        Some(value) => NewKey::Number { value, tolerance: args.tolerance },
        None => {
            let position = |letter: &char| ('A'..='Z').zip(0..).find(|(other, _)| other == letter);
            let positions: Option<Vec<i32>> =
                args.key.iter().map(|letter| position(letter).map(|(_, at)| at)).collect();
            let positions = positions.ok_or("--key takes letters from A to Z, such as B or A,C")?;
            NewKey::Options { version: None, positions }
        }
    };
    let CorrectArgs { named, explanation, reason, .. } = args;
    let corrected = named
        .with_question(async |database, question_id| {
            let correction = Correction { question_id, key, explanation, reason, by: None };
            Ok(question_bank::correct(database, &SystemClock, correction).await?)
        })
        .await?;
    println!("corrected; new sittings of {} fixed tests take the correction", corrected.tests);
    Ok(())
}

async fn set_archived(named: &Named, archived: bool) -> CommandResult {
    let changed = named
        .with_question(async |database, question| {
            Ok(question_bank::set_archived(database, &SystemClock, None, question, archived).await?)
        })
        .await?;
    let state = if archived { "archived" } else { "restored" };
    println!("{}", if changed { state } else { "nothing to do" });
    Ok(())
}
