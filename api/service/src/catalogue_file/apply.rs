//! Applies a catalogue file in one transaction.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use jishu_entity::{CourseId, SubjectId};
use jishu_service_macros::service_call;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};

use super::apply_mode::ApplyMode;
use super::document::CatalogueDocument;
use super::plan::{self, CataloguePlan, CourseStep, RowStep};
use super::stored::StoredCatalogue;
use super::{CatalogueFileRefusal, CatalogueReport};
use crate::authoring::{Authorship, store};
use crate::database::{Database, WritePolicy, lock_course, lock_subject};
use crate::error::Error;

struct ApplyFileCommand {
    document: CatalogueDocument,
    mode: ApplyMode,
    now: DateTime<Utc>,
}

/// Makes the courses and subjects that a catalogue file names equal to the file. If a value of the file is not allowed,
/// changes nothing. Returns the changes. With `dry_run`, returns the changes without making them.
///
/// # Errors
/// See [`CatalogueFileRefusal`].
#[service_call]
pub async fn apply(
    database: &Database,
    now: DateTime<Utc>,
    text: &str,
    mode: ApplyMode,
) -> Result<CatalogueReport, Error<CatalogueFileRefusal>> {
    apply_document(database, now, CatalogueDocument::parse(text)?, mode).await
}

/// Applies a catalogue file as [`apply`] does, after it was parsed.
///
/// # Errors
/// See [`CatalogueFileRefusal`].
pub(crate) async fn apply_document(
    database: &Database,
    now: DateTime<Utc>,
    document: CatalogueDocument,
    mode: ApplyMode,
) -> Result<CatalogueReport, Error<CatalogueFileRefusal>> {
    let command = ApplyFileCommand { document, mode, now };
    if mode.dry_run {
        return Ok(plan(database.reader(), &command).await?.report);
    }
    // If another node creates the same course at the same time, the unique key of codes refuses the row of this node.
    // The retry finds the course of the other node.
    let policy = WritePolicy::idempotent("catalogue.apply").retry_taken_keys();
    database.write(policy, command, |transaction, command| Box::pin(run(transaction, command))).await
}

/// Reads the stored catalogue and compares the file with it.
async fn plan(
    connection: &impl ConnectionTrait,
    command: &ApplyFileCommand,
) -> Result<CataloguePlan, Error<CatalogueFileRefusal>> {
    let stored = StoredCatalogue::read(connection).await?;
    let plan = plan::make(&command.document, &stored, command.mode, command.now);
    plan.map_err(|problems| CatalogueFileRefusal::Invalid(problems).into())
}

/// Locks the rows that the file changes, then changes them and inserts new rows.
///
/// A row may change before it is locked. So the file is compared with the database again after the locks, until all
/// changes are of locked rows. Rows that do not change are not locked, so that sales of other subjects continue.
async fn run(
    transaction: &DatabaseTransaction,
    command: &ApplyFileCommand,
) -> Result<CatalogueReport, Error<CatalogueFileRefusal>> {
    let mut locked = Rows::default();
    loop {
        let plan = plan(transaction, command).await?;
        let changed = Rows::changed_by(&plan);
        if changed.is_within(&locked) {
            let authorship = Authorship { by: None, at: command.now };
            for step in plan.courses {
                write(transaction, authorship, step).await?;
            }
            return Ok(plan.report);
        }
        for id in changed.courses.difference(&locked.courses) {
            lock_course(transaction, *id).await?;
        }
        for id in changed.subjects.difference(&locked.subjects) {
            lock_subject(transaction, *id).await?;
        }
        locked.courses.extend(changed.courses);
        locked.subjects.extend(changed.subjects);
    }
}

/// The ids of rows of the catalogue. Courses are locked before subjects, both in the order of their ids.
#[derive(Default)]
struct Rows {
    courses: BTreeSet<CourseId>,
    subjects: BTreeSet<SubjectId>,
}

impl Rows {
    /// Returns the existing rows that a plan changes, and the existing courses to which it adds subjects.
    fn changed_by(plan: &CataloguePlan) -> Self {
        let mut rows = Self::default();
        for CourseStep { course, subjects } in &plan.courses {
            let adds = subjects.iter().any(|subject| matches!(subject, RowStep::Create(_)));
            match course {
                RowStep::Save { before, .. } => rows.courses.extend([before.id]),
                RowStep::Keep(row) if adds => rows.courses.extend([row.id]),
                RowStep::Keep(_) | RowStep::Create(_) => {}
            }
            rows.subjects.extend(subjects.iter().filter_map(|subject| match subject {
                RowStep::Save { before, .. } => Some(before.id),
                RowStep::Create(_) | RowStep::Keep(_) => None,
            }));
        }
        rows
    }

    fn is_within(&self, locked: &Self) -> bool {
        self.courses.is_subset(&locked.courses) && self.subjects.is_subset(&locked.subjects)
    }
}

/// Stores the changes of a course and of its subjects.
async fn write(
    transaction: &DatabaseTransaction,
    authorship: Authorship,
    step: CourseStep,
) -> Result<(), DbErr> {
    let course = match step.course {
        RowStep::Create(row) => store::insert_course(transaction, authorship, row).await?,
        RowStep::Save { before, after } => {
            store::save_course(transaction, authorship, &before, after).await?
        }
        RowStep::Keep(row) => row,
    };
    let currency = &course.currency;
    for subject in step.subjects {
        match subject {
            RowStep::Create(mut row) => {
                row.course_id = course.id;
                store::insert_subject(transaction, authorship, row, currency).await?;
            }
            RowStep::Save { before, after } => {
                store::save_subject(transaction, authorship, &before, after, currency).await?;
            }
            RowStep::Keep(_) => {}
        }
    }
    Ok(())
}
