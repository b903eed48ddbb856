//! The operations and transactions that create and change courses.

use jishu_entity::{CourseId, course};
use jishu_service_macros::service_call;
use sea_orm::{DatabaseTransaction, EntityTrait};

use super::{Authorship, CourseEdit, CurrentRow, EditRefusal, NewCourse, reload, store};
use crate::Services;
use crate::account::Author;
use crate::database::{WritePolicy, lock_course};
use crate::error::Error;

struct CourseCommand {
    id: CourseId,
    /// The version of the course that the author read. None for archiving and restoring, which do not compare it.
    version: Option<i32>,
    edit: CourseEdit,
    authorship: Authorship,
}

/// Creates a course, and reads the catalogue again. The course is on sale at once, unless it is created archived.
///
/// # Errors
/// See [`EditRefusal`].
#[service_call("authoring.create_course")]
pub async fn create_course(
    services: &Services,
    author: Author,
    course: NewCourse,
) -> Result<course::Model, Error<EditRefusal>> {
    let authorship = Authorship { by: Some(author.id()), at: services.clock.now() };
    let row = course.row(authorship.at).map_err(EditRefusal::Invalid)?;
    // If the response to COMMIT was lost, a second run would find the course of the first run, and report that the code
    // is taken.
    let policy = WritePolicy::not_idempotent("course.create");
    let row = services
        .database
        .write(policy, (row, authorship), |transaction, (row, authorship)| {
            Box::pin(async move {
                store::insert_course(transaction, *authorship, row.clone()).await.map_err(store::code_taken)
            })
        })
        .await?;
    reload(services).await;
    Ok(row)
}

/// Changes a course if it still has this version, and reads the catalogue again.
///
/// # Errors
/// See [`EditRefusal`].
#[service_call("authoring.update_course")]
pub async fn update_course(
    services: &Services,
    author: Author,
    (id, version): (CourseId, i32),
    edit: CourseEdit,
) -> Result<course::Model, Error<EditRefusal>> {
    let authorship = Authorship { by: Some(author.id()), at: services.clock.now() };
    let command = CourseCommand { id, version: Some(version), edit, authorship };
    // If the response to COMMIT was lost, a second run would find the new version, and report that the author's version
    // is stale.
    change(services, WritePolicy::not_idempotent("course.update"), command).await
}

/// Archives a course or restores it, and reads the catalogue again. Writes nothing if the course is in that state
/// already.
///
/// # Errors
/// See [`EditRefusal`].
#[service_call("authoring.set_course_archived")]
pub async fn set_course_archived(
    services: &Services,
    author: Author,
    id: CourseId,
    archived: bool,
) -> Result<course::Model, Error<EditRefusal>> {
    let authorship = Authorship { by: Some(author.id()), at: services.clock.now() };
    let edit = CourseEdit { archived: Some(archived), ..CourseEdit::default() };
    let command = CourseCommand { id, version: None, edit, authorship };
    change(services, WritePolicy::idempotent("course.archive"), command).await
}

async fn change(
    services: &Services,
    policy: WritePolicy,
    command: CourseCommand,
) -> Result<course::Model, Error<EditRefusal>> {
    let row = services
        .database
        .write_for(command.id, policy, command, |transaction, command| Box::pin(run(transaction, command)))
        .await?;
    reload(services).await;
    Ok(row)
}

async fn run(
    transaction: &DatabaseTransaction,
    command: &CourseCommand,
) -> Result<course::Model, Error<EditRefusal>> {
    let id = command.id;
    if !lock_course(transaction, id).await? {
        return Err(EditRefusal::CourseNotFound.into());
    }
    let before = course::Entity::find_by_id(id).one(transaction).await?.ok_or(EditRefusal::CourseNotFound)?;
    if command.version.is_some_and(|version| version != before.version) {
        return Err(EditRefusal::Stale(CurrentRow::Course(id, before.version)).into());
    }
    let mut after = before.clone();
    command.edit.apply_to(&mut after, command.authorship.at).map_err(EditRefusal::Invalid)?;
    store::save_course(transaction, command.authorship, &before, after).await.map_err(store::code_taken)
}
