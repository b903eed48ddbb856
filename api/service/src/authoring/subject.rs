//! The operations and transactions that create and change subjects.

use jishu_entity::{CourseId, SubjectId, course, subject};
use jishu_service_macros::service_call;
use sea_orm::{DatabaseTransaction, EntityTrait};

use super::{
    Authorship, CatalogueField, CurrentRow, EditRefusal, InvalidValue, NewSubject, SubjectEdit, ValueProblem,
    reload, store,
};
use crate::Services;
use crate::account::Author;
use crate::database::{WritePolicy, lock_course, lock_subject};
use crate::error::Error;
use crate::test_settings::{self, Setting, SettingsRefusal};

struct SubjectCommand {
    id: SubjectId,
    /// The version of the subject that the author read. None for archiving and restoring, which do not compare it.
    version: Option<i32>,
    edit: SubjectEdit,
    authorship: Authorship,
}

/// Creates a subject, and reads the catalogue again. The subject is on sale at once, unless it is created archived.
///
/// # Errors
/// See [`EditRefusal`].
#[service_call("authoring.create_subject")]
pub async fn create_subject(
    services: &Services,
    author: Author,
    subject: NewSubject,
) -> Result<subject::Model, Error<EditRefusal>> {
    let authorship = Authorship { by: Some(author.id()), at: services.clock.now() };
    // If the response to COMMIT was lost, a second run would find the subject of the first run, and report that the
    // code is taken.
    let policy = WritePolicy::not_idempotent("subject.create");
    let row = services
        .database
        .write_for(subject.course, policy, (subject, authorship), |transaction, (subject, authorship)| {
            Box::pin(insert(transaction, subject, *authorship))
        })
        .await?;
    reload(services).await;
    Ok(row)
}

async fn insert(
    transaction: &DatabaseTransaction,
    subject: &NewSubject,
    authorship: Authorship,
) -> Result<subject::Model, Error<EditRefusal>> {
    // Without this lock, the foreign key would wait for another transaction that changes the course, and hold a
    // connection meanwhile.
    if !lock_course(transaction, subject.course).await? {
        return Err(EditRefusal::CourseNotFound.into());
    }
    let course = course_of(transaction, subject.course).await?;
    let row = subject.row(&course.currency, authorship.at).map_err(EditRefusal::Invalid)?;
    store::insert_subject(transaction, authorship, row, &course.currency).await.map_err(store::code_taken)
}

async fn course_of(
    transaction: &DatabaseTransaction,
    id: CourseId,
) -> Result<course::Model, Error<EditRefusal>> {
    let course = course::Entity::find_by_id(id).one(transaction).await?;
    course.ok_or_else(|| EditRefusal::CourseNotFound.into())
}

/// Changes a subject if it still has this version, and reads the catalogue again.
///
/// # Errors
/// See [`EditRefusal`].
#[service_call("authoring.update_subject")]
pub async fn update_subject(
    services: &Services,
    author: Author,
    (id, version): (SubjectId, i32),
    edit: SubjectEdit,
) -> Result<subject::Model, Error<EditRefusal>> {
    let authorship = Authorship { by: Some(author.id()), at: services.clock.now() };
    let command = SubjectCommand { id, version: Some(version), edit, authorship };
    // If the response to COMMIT was lost, a second run would find the new version, and report that the author's version
    // is stale.
    change(services, WritePolicy::not_idempotent("subject.update"), command).await
}

/// Archives a subject or restores it, and reads the catalogue again. Writes nothing if the subject is in that state
/// already.
///
/// # Errors
/// See [`EditRefusal`].
#[service_call("authoring.set_subject_archived")]
pub async fn set_subject_archived(
    services: &Services,
    author: Author,
    id: SubjectId,
    archived: bool,
) -> Result<subject::Model, Error<EditRefusal>> {
    let authorship = Authorship { by: Some(author.id()), at: services.clock.now() };
    let edit = SubjectEdit { archived: Some(archived), ..SubjectEdit::default() };
    let command = SubjectCommand { id, version: None, edit, authorship };
    change(services, WritePolicy::idempotent("subject.archive"), command).await
}

async fn change(
    services: &Services,
    policy: WritePolicy,
    command: SubjectCommand,
) -> Result<subject::Model, Error<EditRefusal>> {
    let row = services
        .database
        .write_for(command.id, policy, command, |transaction, command| Box::pin(run(transaction, command)))
        .await?;
    reload(services).await;
    Ok(row)
}

async fn run(
    transaction: &DatabaseTransaction,
    command: &SubjectCommand,
) -> Result<subject::Model, Error<EditRefusal>> {
    let id = command.id;
    if !lock_subject(transaction, id).await? {
        return Err(EditRefusal::SubjectNotFound.into());
    }
    let before =
        subject::Entity::find_by_id(id).one(transaction).await?.ok_or(EditRefusal::SubjectNotFound)?;
    if command.version.is_some_and(|version| version != before.version) {
        return Err(EditRefusal::Stale(CurrentRow::Subject(id, before.version)).into());
    }
    // The currency of a course never changes, so the row of the course needs no lock.
    let course = course_of(transaction, before.course_id).await?;
    let mut after = before.clone();
    let edited = command.edit.apply_to(&mut after, &course.currency, command.authorship.at);
    edited.map_err(EditRefusal::Invalid)?;
    if after.questions_per_test != before.questions_per_test {
        let parts = test_settings::count_questions(transaction, id).await?;
        fits_blueprint(parts, after.questions_per_test)
            .map_err(|invalid| EditRefusal::Invalid(vec![invalid]))?;
    }
    store::save_subject(transaction, command.authorship, &before, after, &course.currency)
        .await
        .map_err(store::code_taken)
}

/// Checks that a number of questions for each test equals the sum `parts` of a blueprint. 0 means that there is no
/// blueprint.
pub(crate) fn fits_blueprint(parts: i32, given: i32) -> Result<(), InvalidValue> {
    if parts == 0 || parts == given {
        return Ok(());
    }
    let refusal = SettingsRefusal::Disagreement { parts: parts.into(), given };
    let field = CatalogueField::Settings(Some(Setting::QuestionsPerTest));
    Err(InvalidValue { field, problem: ValueProblem::Settings(refusal) })
}
