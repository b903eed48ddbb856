//! The export of the data of a person in all tables, as one JSON object.
//!
//! The object is written piece by piece, so that an account with thousands of sittings takes no more memory than a
//! small account. Rows are read in pages with short statements. So an export is no snapshot: a purchase that is made
//! meanwhile may be missing.
//!
//! A test compares the export with all columns of all tables. The test fails if a column is neither exported nor listed
//! as left out with a reason.

mod account;
mod orders;
mod pages;
mod shop;
mod sign_in;
mod sittings;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use jishu_entity::{CourseId, SubjectId, UserId, course, subject, user};
use jishu_service_macros::service_call;
use sea_orm::{EntityTrait, QuerySelect};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::database::Database;
use crate::error::Fault;
use crate::limit::{KeyPermit, PermitsPerKey};
use crate::paper::Papers;
use writer::{Stop, Writer};

/// The name of the format of the export. The name changes with each change of the format that breaks programs that read
/// the export.
const FORMAT: &str = "jishu-export-1";
/// Maximum number of pieces that wait for a slow reader.
const MAX_WAITING_PIECES: usize = 4;
/// Maximum number of rows that one statement reads.
const ROWS_PER_READ: u64 = 1_000;

/// The receiver of the pieces of an export. An error among the pieces means that the export is not complete. Dropping
/// the receiver stops the export.
pub type ExportPieces = mpsc::Receiver<Result<String, Fault>>;

/// The permits of running exports. They limit how many exports of one account run at once.
pub type ExportPermits = PermitsPerKey<UserId>;
/// The permit of one running export. It counts as taken until it is dropped.
pub type ExportPermit = KeyPermit<UserId>;

/// The database and the helpers from which an export is made.
#[derive(Clone)]
pub struct ExportSource {
    /// The database.
    pub database: Database,
    /// The papers, which say in which order a sitting showed its options.
    pub papers: Arc<Papers>,
    /// The source of the current time.
    pub clock: Arc<dyn Clock>,
}

/// Begins the export of an account in a task of its own. Returns None if the account does not exist or was deleted.
///
/// # Errors
/// Fails if the account or the names of courses and subjects cannot be read.
#[service_call]
pub async fn begin(source: ExportSource, user: UserId) -> Result<Option<ExportPieces>, Fault> {
    let row = user::Entity::find_by_id(user).one(source.database.reader()).await?;
    let Some(row) = row.filter(|row| row.deleted_at.is_none()) else { return Ok(None) };
    let names = CatalogueNames::read(&source.database).await?;
    let (sender, pieces) = mpsc::channel(MAX_WAITING_PIECES);
    tokio::spawn(async move {
        let export = UserExport { source, user, names };
        let written = export.write(&row, Writer::new(sender.clone())).await;
        if let Err(Stop::Failed(fault)) = written {
            // If the send fails, the receiver was dropped and nobody needs the error.
            let _ = sender.send(Err(fault)).await;
        }
    });
    Ok(Some(pieces))
}

/// The names of all courses and subjects, by id.
struct CatalogueNames {
    courses: BTreeMap<CourseId, String>,
    subjects: BTreeMap<SubjectId, String>,
}

impl CatalogueNames {
    async fn read(database: &Database) -> Result<Self, Fault> {
        let reader = database.reader();
        let courses =
            course::Entity::find().select_only().columns([course::Column::Id, course::Column::Name]);
        let courses: Vec<(CourseId, String)> = courses.into_tuple().all(reader).await?;
        let subjects =
            subject::Entity::find().select_only().columns([subject::Column::Id, subject::Column::Name]);
        let subjects: Vec<(SubjectId, String)> = subjects.into_tuple().all(reader).await?;
        Ok(Self { courses: courses.into_iter().collect(), subjects: subjects.into_iter().collect() })
    }

    fn subject(&self, id: SubjectId) -> Value {
        json!({ "id": id.0, "name": self.subjects.get(&id) })
    }

    fn course(&self, id: CourseId) -> Value {
        json!({ "id": id.0, "name": self.courses.get(&id) })
    }
}

/// An export that is being written.
struct UserExport {
    source: ExportSource,
    user: UserId,
    names: CatalogueNames,
}

impl UserExport {
    async fn write(&self, row: &user::Model, mut writer: Writer) -> Result<(), Stop> {
        writer.field("format", &FORMAT.into()).await?;
        writer.field("exportedAt", &time(self.source.clock.now())).await?;
        self.write_account(row, &mut writer).await?;
        self.write_sign_in_ways(&mut writer).await?;
        self.write_shop(&mut writer).await?;
        self.write_orders(&mut writer).await?;
        self.write_sittings(&mut writer).await?;
        writer.end().await
    }
}

/// Returns a time as a JSON text, in UTC with microseconds.
fn time(at: DateTime<Utc>) -> Value {
    at.to_rfc3339_opts(SecondsFormat::Micros, true).into()
}

/// Returns a time as a JSON text, or null for None.
fn time_or_null(at: Option<DateTime<Utc>>) -> Value {
    at.map_or(Value::Null, time)
}
