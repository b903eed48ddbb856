//! The demo: a realistic catalogue with a question bank, and an account for each role. Adding the demo again changes
//! nothing.

mod accounts;
mod banks;

use jishu_entity::question_version::Difficulty;
use jishu_entity::{CourseId, SubjectId, course, question, subject, user};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
};

use super::Services;
use super::account::RegisterRefusal;
use super::question_bank::{self, Defaults, Format, ImportFile, ImportRefusal, ImportRequest};
use crate::catalogue_file::{
    self, ApplyMode, CatalogueDocument, CatalogueFileRefusal, CourseDocument, SubjectDocument,
};
use crate::database::{Database, WritePolicy};
use crate::error::{Error, Refusal};
pub use accounts::{ACCOUNTS, DemoAccount, LEARNER_EMAIL, LEARNER_PASSWORD};
use banks::banks_of;

/// A reason why the demo was not added, or why only a part of it was added. Adding the demo again adds the missing
/// parts.
#[derive(Debug, thiserror::Error)]
pub enum DemoRefusal {
    /// An account of the demo could not be made.
    #[error("an account of the demo cannot be made. {0}")]
    Account(#[source] RegisterRefusal),
    /// The database has content that does not belong to the demo.
    #[error(
        "the database has content that does not belong to the demo ({0}). The demo would add its courses, and \
         accounts of staff with public passwords. Start without --demo, or give the URL of a new database with --database-url"
    )]
    OtherContent(String),
    /// A row is unreadable, so the database may have content that does not belong to the demo.
    #[error(
        "a course or a subject could not be read, and may not belong to the demo: {0}. Run `jishu check`, or start \
         without --demo"
    )]
    Unreadable(#[source] DbErr),
    /// The catalogue of the demo could not be applied.
    #[error("the catalogue of the demo cannot be applied. {0}")]
    Catalogue(#[source] CatalogueFileRefusal),
    /// The questions of the demo could not be stored.
    #[error("the questions of the demo cannot be stored. {0}")]
    Questions(#[source] ImportRefusal),
}

impl Refusal for DemoRefusal {}

/// A subject of the demo that has no questions yet, with the texts of its question bank.
struct EmptyBank {
    id: SubjectId,
    questions: &'static [&'static str],
}

/// Refuses a database with courses or subjects that do not belong to the demo. Also refuses a database that has no
/// courses but has users other than the demo's accounts. If the courses of the demo exist, any users are allowed: they
/// registered in the demo.
///
/// # Errors
/// See [`DemoRefusal`].
#[service_call]
pub async fn refuse_other_content(database: &Database) -> Result<(), Error<DemoRefusal>> {
    let connection = database.reader();
    let courses: Vec<(CourseId, Option<String>, String)> = course::Entity::find()
        .select_only()
        .columns([course::Column::Id, course::Column::Code, course::Column::Name])
        .into_tuple()
        .all(connection)
        .await
        .map_err(DemoRefusal::Unreadable)?;
    let demo = banks::catalogue().map_err(DemoRefusal::Catalogue)?;
    let of_demo = |code: Option<&str>, name: &str| {
        let mut all = demo.courses.iter();
        all.find(|course| code == Some(course.trimmed_code()) && name == course.name.value)
    };
    if let Some((_, _, name)) =
        courses.iter().find(|(_, code, name)| of_demo(code.as_deref(), name).is_none())
    {
        return Err(DemoRefusal::OtherContent(format!("the course \"{name}\"")).into());
    }
    let subjects: Vec<(CourseId, Option<String>, String)> = subject::Entity::find()
        .select_only()
        .columns([subject::Column::CourseId, subject::Column::Code, subject::Column::Name])
        .into_tuple()
        .all(connection)
        .await
        .map_err(DemoRefusal::Unreadable)?;
    for (course, code, name) in subjects {
        let demo = courses
            .iter()
            .find(|(id, ..)| *id == course)
            .and_then(|(_, code, name)| of_demo(code.as_deref(), name));
        if !demo.is_some_and(|demo| {
            demo.subjects.iter().any(|subject| code.as_deref() == Some(subject.trimmed_code()))
        }) {
            return Err(DemoRefusal::OtherContent(format!("the subject {name}")).into());
        }
    }
    if courses.is_empty() {
        let of_demo = ACCOUNTS.map(|account| account.email);
        let users =
            user::Entity::find().filter(user::Column::Email.is_not_in(of_demo)).count(connection).await?;
        if users > 0 {
            return Err(DemoRefusal::OtherContent(format!("{users} users")).into());
        }
    }
    Ok(())
}

/// Adds the missing parts of the demo: its catalogue, the questions of subjects that have none, and its accounts.
/// Returns the account of the demo learner.
///
/// # Errors
/// See [`DemoRefusal`].
#[service_call]
pub async fn seed(services: &Services) -> Result<user::Model, Error<DemoRefusal>> {
    let catalogue = banks::catalogue().map_err(DemoRefusal::Catalogue)?;
    if !is_complete(&services.database, &catalogue).await? {
        // Courses and subjects that exist are kept as they are, because an operator may have changed or archived them.
        let mode = ApplyMode { keep_existing: true, ..ApplyMode::default() };
        catalogue_file::apply_document(&services.database, services.clock.now(), catalogue.clone(), mode)
            .await
            .map_err(|error| error.map(DemoRefusal::Catalogue))?;
    }
    let policy = WritePolicy::idempotent("demo.settings");
    let empty = services
        .database
        .write(policy, catalogue, |transaction, catalogue| Box::pin(empty_banks(transaction, catalogue)))
        .await?;
    for bank in empty {
        fill(services, bank).await.map_err(|error| error.map(DemoRefusal::Questions))?;
    }
    services.catalog.reload().await?;

    let [learner, staff @ ..] = &ACCOUNTS;
    // The learner is added first, so that the learner's id does not depend on the number of accounts of staff.
    let learner = learner.find_or_add(services).await?;
    for account in staff {
        account.find_or_add(services).await?;
    }
    Ok(learner)
}

/// Returns whether all subjects of the demo exist, in courses with the right codes. Reads only the codes, so that an
/// unreadable row does not prevent the start of the server.
async fn is_complete(database: &Database, catalogue: &CatalogueDocument) -> Result<bool, DbErr> {
    let codes: Vec<(Option<String>, Option<String>)> = subject::Entity::find()
        .select_only()
        .column(course::Column::Code)
        .column(subject::Column::Code)
        .inner_join(course::Entity)
        .into_tuple()
        .all(database.reader())
        .await?;
    let exists = |course: &CourseDocument, subject: &SubjectDocument| {
        codes.iter().any(|(of_course, of_subject)| {
            of_course.as_deref() == Some(course.trimmed_code())
                && of_subject.as_deref() == Some(subject.trimmed_code())
        })
    };
    Ok(catalogue.courses.iter().all(|course| course.subjects.iter().all(|subject| exists(course, subject))))
}

/// Imports the questions of a subject. One transaction can store them all, so a bank of the demo is either full or
/// empty. If two nodes import the same bank at once, the second import finds each question already stored and changes
/// nothing.
async fn fill(services: &Services, bank: EmptyBank) -> Result<(), Error<ImportRefusal>> {
    let request = ImportRequest {
        subject_id: bank.id,
        format: Some(Format::Gift),
        file: ImportFile::Text(bank.questions.join("\n")),
        defaults: Defaults { topic: "General".to_owned(), difficulty: Difficulty::Medium },
        names_are_ids: false,
        correct_keys: None,
        dry_run: false,
        actor: None,
    };
    question_bank::import(&services.database, services.clock.as_ref(), request, &|_| {}).await?;
    Ok(())
}

/// Finds the subjects of the demo without questions, and gives these subjects the test settings of the demo.
async fn empty_banks(
    transaction: &DatabaseTransaction,
    catalogue: &CatalogueDocument,
) -> Result<Vec<EmptyBank>, Error<DemoRefusal>> {
    let mut empty = Vec::new();
    for course in &catalogue.courses {
        empty.extend(without_questions(transaction, course).await?);
    }
    Ok(empty)
}

/// Finds the subjects of a course of the demo that have no questions. Gives these subjects the test settings of the
/// demo.
///
/// Reads only the columns that are needed, so that an unreadable row does not prevent the start of the server.
async fn without_questions(
    transaction: &DatabaseTransaction,
    demo: &CourseDocument,
) -> Result<Vec<EmptyBank>, DbErr> {
    let has_question = Query::select()
        .expr(Expr::val(1))
        .from(question::Entity)
        .and_where(
            Expr::col((question::Entity, question::Column::SubjectId))
                .equals((subject::Entity, subject::Column::Id)),
        )
        .take();
    let course: Option<CourseId> = course::Entity::find()
        .select_only()
        .column(course::Column::Id)
        .filter(course::Column::Code.eq(demo.trimmed_code()))
        .into_tuple()
        .one(transaction)
        .await?;
    let Some(course) = course else { return Ok(Vec::new()) };
    let found: Vec<(SubjectId, Option<String>)> = subject::Entity::find()
        .select_only()
        .columns([subject::Column::Id, subject::Column::Code])
        .filter(subject::Column::CourseId.eq(course))
        .filter(Expr::exists(has_question).not())
        .into_tuple()
        .all(transaction)
        .await?;
    let mut empty = Vec::new();
    for (id, code) in found {
        let of_demo = |subject: &&SubjectDocument| code.as_deref() == Some(subject.trimmed_code());
        if let Some(subject) = demo.subjects.iter().find(of_demo) {
            set_tests(transaction, id, demo, subject).await?;
            let questions = banks_of(demo.trimmed_code(), subject.trimmed_code());
            empty.push(EmptyBank { id, questions });
        }
    }
    Ok(empty)
}

/// Gives a subject the marks, the number of questions and the time limit of the demo. An older version of the demo made
/// subjects with the default of 45 questions, which is too many for a question bank of the demo. Does nothing if a
/// setting of the subject is not the default.
async fn set_tests(
    transaction: &DatabaseTransaction,
    id: SubjectId,
    course: &CourseDocument,
    demo: &SubjectDocument,
) -> Result<(), DbErr> {
    use subject::Column::{
        Id, MarksCorrect, MarksUnanswered, MarksWrong, QuestionsPerTest, TimeLimitSeconds, Version,
    };
    const DEFAULTS: [(subject::Column, i32); 5] = [
        (MarksCorrect, 400),
        (MarksWrong, -100),
        (MarksUnanswered, 0),
        (QuestionsPerTest, 45),
        (TimeLimitSeconds, 3600),
    ];
    let Some(demo) = catalogue_file::subject_row(course, demo) else { return Ok(()) };
    let change = subject::Entity::update_many()
        .col_expr(MarksCorrect, demo.marks_correct.into())
        .col_expr(MarksWrong, demo.marks_wrong.into())
        .col_expr(QuestionsPerTest, demo.questions_per_test.into())
        .col_expr(TimeLimitSeconds, demo.time_limit_seconds.into())
        .col_expr(Version, Expr::col(Version).add(1))
        .filter(Id.eq(id));
    let untouched =
        DEFAULTS.into_iter().fold(change, |change, (column, value)| change.filter(column.eq(value)));
    untouched.exec(transaction).await?;
    Ok(())
}
