//! The demo: a realistic catalogue with a question bank, and an account for each role. Adding the demo again changes
//! nothing.

mod accounts;
mod catalogue;

use chrono::{DateTime, Utc};
use jishu_entity::question_version::Difficulty;
use jishu_entity::{CourseId, SubjectId, course, question, subject, user};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr,
    EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
};

use super::Services;
use super::account::RegisterRefusal;
use super::question_bank::{self, Defaults, Format, ImportRefusal, ImportRequest};
use crate::database::{Database, WritePolicy};
use crate::error::{Error, Refusal};
pub use accounts::{ACCOUNTS, DemoAccount, LEARNER_EMAIL, LEARNER_PASSWORD};
use catalogue::{COURSES, DemoCourse, DemoSubject, Marks};

/// Number of questions in a test of the demo. Each question bank of the demo has more questions.
const QUESTIONS_PER_TEST: i32 = 10;
/// Time limit of a test of the demo, in seconds.
const TIME_LIMIT_SECONDS: i32 = 15 * 60;

/// A reason why the demo was not added, or only in part. Adding it again continues from there.
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
    /// The questions of the demo could not be stored.
    #[error("the questions of the demo cannot be stored. {0}")]
    Questions(#[source] ImportRefusal),
}

impl Refusal for DemoRefusal {}

/// A subject of the demo that has no questions yet.
struct EmptyBank {
    id: SubjectId,
    questions: &'static [&'static str],
}

/// Refuses a database with courses or subjects that do not belong to the demo, or with users but without courses. Users
/// who registered in the demo are allowed.
///
/// # Errors
/// See [`DemoRefusal`].
pub async fn refuse_other_content(database: &Database) -> Result<(), Error<DemoRefusal>> {
    let connection = database.reader();
    let courses: Vec<(CourseId, Option<String>, String)> = course::Entity::find()
        .select_only()
        .columns([course::Column::Id, course::Column::Code, course::Column::Name])
        .into_tuple()
        .all(connection)
        .await
        .map_err(DemoRefusal::Unreadable)?;
    let of_demo = |code: Option<&str>, name: &str| {
        COURSES.iter().find(|demo| code == Some(demo.code) && name == demo.name)
    };
    if let Some((_, _, name)) =
        courses.iter().find(|(_, code, name)| of_demo(code.as_deref(), name).is_none())
    {
        return Err(DemoRefusal::OtherContent(format!("the course {name}")).into());
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
        if !demo.is_some_and(|demo| demo.subjects.iter().any(|subject| code.as_deref() == Some(subject.code)))
        {
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
/// Returns the learner.
///
/// # Errors
/// See [`DemoRefusal`].
pub async fn seed(services: &Services) -> Result<user::Model, Error<DemoRefusal>> {
    let policy = WritePolicy::idempotent("demo.seed").retry_taken_keys();
    let empty = services
        .database
        .write(policy, services.clock.now(), |transaction, now| Box::pin(add_catalogue(transaction, *now)))
        .await?;
    for bank in empty {
        fill(services, bank).await.map_err(|error| error.map(DemoRefusal::Questions))?;
    }
    services.catalog.reload().await?;

    let [learner, staff @ ..] = &ACCOUNTS;
    // The learner comes first, so that its id does not depend on how many members of staff there are.
    let learner = learner.find_or_add(services).await?;
    for account in staff {
        account.find_or_add(services).await?;
    }
    Ok(learner)
}

/// Imports the questions of a subject. There are few enough for one transaction, so a bank is either full or empty. If
/// two nodes import at once, the second one finds each question unchanged.
async fn fill(services: &Services, bank: EmptyBank) -> Result<(), Error<ImportRefusal>> {
    let request = ImportRequest {
        subject_id: bank.id,
        format: Some(Format::Gift),
        text: bank.questions.join("\n"),
        defaults: Defaults { topic: "General".to_owned(), difficulty: Difficulty::Medium },
        names_are_ids: false,
        correct_keys: None,
        dry_run: false,
        actor: None,
    };
    question_bank::import(&services.database, services.clock.as_ref(), request, &|_| {}).await?;
    Ok(())
}

/// Adds the missing courses and subjects. Returns the subjects without questions.
async fn add_catalogue(
    transaction: &DatabaseTransaction,
    now: DateTime<Utc>,
) -> Result<Vec<EmptyBank>, Error<DemoRefusal>> {
    let mut empty = Vec::new();
    for demo in COURSES {
        let id = course_id(transaction, demo, now).await?;
        // Reads only the column that is needed, so that an unreadable row does not stop the server from starting.
        let present: Vec<Option<String>> = subject::Entity::find()
            .select_only()
            .column(subject::Column::Code)
            .filter(subject::Column::CourseId.eq(id))
            .into_tuple()
            .all(transaction)
            .await?;
        let missing = demo
            .subjects
            .iter()
            .filter(|subject| !present.iter().any(|code| code.as_deref() == Some(subject.code)));
        for demo in missing {
            let row = subject::ActiveModel {
                course_id: Set(id),
                code: Set(Some(demo.code.to_owned())),
                name: Set(demo.name.to_owned()),
                list_price: Set(demo.list_price),
                offer_price: Set(demo.offer_price),
                total_mock_tests: Set(50),
                max_attempts: Set(3),
                created_at: Set(now),
                ..Default::default()
            };
            row.insert(transaction).await?;
        }
        empty.extend(without_questions(transaction, id, demo).await?);
    }
    Ok(empty)
}

/// Finds the subjects of a course that have no questions, and makes their tests fit the question bank of the demo.
async fn without_questions(
    transaction: &DatabaseTransaction,
    course: CourseId,
    demo: &DemoCourse,
) -> Result<Vec<EmptyBank>, DbErr> {
    let has_question = Query::select()
        .expr(Expr::val(1))
        .from(question::Entity)
        .and_where(
            Expr::col((question::Entity, question::Column::SubjectId))
                .equals((subject::Entity, subject::Column::Id)),
        )
        .take();
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
        let of_demo = |subject: &&DemoSubject| code.as_deref() == Some(subject.code);
        if let Some(subject) = demo.subjects.iter().find(of_demo) {
            set_tests(transaction, id, demo.marks).await?;
            empty.push(EmptyBank { id, questions: subject.questions });
        }
    }
    Ok(empty)
}

/// Shortens the tests of a subject, because the default number of questions is too large for a question bank of the
/// demo. Does nothing if the settings were changed from their defaults.
async fn set_tests(transaction: &DatabaseTransaction, id: SubjectId, marks: Marks) -> Result<(), DbErr> {
    use subject::Column::{
        Id, MarksCorrect, MarksUnanswered, MarksWrong, QuestionsPerTest, TimeLimitSeconds,
    };
    const DEFAULTS: [(subject::Column, i32); 5] = [
        (MarksCorrect, 400),
        (MarksWrong, -100),
        (MarksUnanswered, 0),
        (QuestionsPerTest, 45),
        (TimeLimitSeconds, 3600),
    ];
    let change = subject::Entity::update_many()
        .col_expr(MarksCorrect, marks.correct.into())
        .col_expr(MarksWrong, marks.wrong.into())
        .col_expr(QuestionsPerTest, QUESTIONS_PER_TEST.into())
        .col_expr(TimeLimitSeconds, TIME_LIMIT_SECONDS.into())
        .filter(Id.eq(id));
    let untouched =
        DEFAULTS.into_iter().fold(change, |change, (column, value)| change.filter(column.eq(value)));
    untouched.exec(transaction).await?;
    Ok(())
}

/// Finds a course of the demo, or adds it.
async fn course_id(
    transaction: &DatabaseTransaction,
    demo: &DemoCourse,
    now: DateTime<Utc>,
) -> Result<CourseId, DbErr> {
    let found: Option<CourseId> = course::Entity::find()
        .select_only()
        .column(course::Column::Id)
        .filter(course::Column::Code.eq(demo.code))
        .into_tuple()
        .one(transaction)
        .await?;
    if let Some(id) = found {
        return Ok(id);
    }
    let row = course::ActiveModel {
        id: NotSet,
        code: Set(Some(demo.code.to_owned())),
        name: Set(demo.name.to_owned()),
        description: Set(Some(demo.description.to_owned())),
        currency: Set("INR".to_owned()),
        bundle_price: Set(Some(demo.bundle_price)),
        validity_days: Set(None),
        version: NotSet,
        archived_at: Set(None),
        created_at: Set(now),
    };
    Ok(row.insert(transaction).await?.id)
}
