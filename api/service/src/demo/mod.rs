//! A believable catalogue with a question bank, and a learner to try jishu with. Running it again changes nothing.

mod catalogue;

use chrono::{DateTime, Utc};
use jishu_entity::question_version::Difficulty;
use jishu_entity::user::Role;
use jishu_entity::{CourseId, SubjectId, course, question, subject, user};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr,
    EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
};

use super::Services;
use super::account::{self, RegisterError, Registration};
use super::question_bank::{self, Defaults, Format, ImportError, ImportRequest};
use crate::database::{Database, WriteOptions};
use catalogue::{COURSES, DemoCourse, DemoSubject, Marks};

/// The demo learner's address. Nobody can receive mail there: RFC 2606 reserves the domain.
pub const EMAIL: &str = "learner@example.com";
/// The demo learner's password, known to everybody.
pub const PASSWORD: &str = "learn-with-jishu";

/// How many questions a test of the demo has: fewer than any of its banks.
const QUESTIONS_PER_TEST: i32 = 10;
/// How long a sitting of the demo takes.
const TIME_LIMIT_SECONDS: i32 = 15 * 60;

/// Why the demo is not there, or only in part. Adding it again goes on where it ended.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Its learner could not be made.
    #[error("the demo learner cannot be made. {0}")]
    Learner(#[from] RegisterError),
    /// The database has content that is not the demo's.
    #[error(
        "the database has content that is not the demo's ({0}). The demo would sell its courses there, and let anybody \
         sign in with a known password. Start without --demo, or with --database-url of a new database"
    )]
    OtherContent(String),
    /// Nobody can tell whether the database is the demo's.
    #[error(
        "a course or a subject of the database could not be read, and it may not be the demo's: {0}. Run `jishu check`, or \
         start without --demo"
    )]
    Unreadable(#[source] DbErr),
    /// Its questions could not be stored.
    #[error("the questions of the demo cannot be stored. {0}")]
    Questions(#[from] ImportError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// A subject of the demo that has no question yet.
struct EmptyBank {
    id: SubjectId,
    questions: &'static [&'static str],
}

/// Refuses a database with courses or subjects that are not the demo's, or with users but without the demo. Users
/// who register in the demo may stay there.
///
/// # Errors
/// See [`DemoError`].
pub async fn refuse_other_content(database: &Database) -> Result<(), DemoError> {
    let connection = database.reader();
    let courses: Vec<(CourseId, Option<String>, String)> = course::Entity::find()
        .select_only()
        .columns([course::Column::Id, course::Column::Code, course::Column::Name])
        .into_tuple()
        .all(connection)
        .await
        .map_err(DemoError::Unreadable)?;
    let of_demo = |code: Option<&str>, name: &str| {
        COURSES.iter().find(|demo| code == Some(demo.code) && name == demo.name)
    };
    if let Some((_, _, name)) =
        courses.iter().find(|(_, code, name)| of_demo(code.as_deref(), name).is_none())
    {
        return Err(DemoError::OtherContent(format!("the course {name}")));
    }
    let subjects: Vec<(CourseId, Option<String>, String)> = subject::Entity::find()
        .select_only()
        .columns([subject::Column::CourseId, subject::Column::Code, subject::Column::Name])
        .into_tuple()
        .all(connection)
        .await
        .map_err(DemoError::Unreadable)?;
    for (course, code, name) in subjects {
        let demo = courses
            .iter()
            .find(|(id, ..)| *id == course)
            .and_then(|(_, code, name)| of_demo(code.as_deref(), name));
        if !demo.is_some_and(|demo| demo.subjects.iter().any(|subject| code.as_deref() == Some(subject.code)))
        {
            return Err(DemoError::OtherContent(format!("the subject {name}")));
        }
    }
    if courses.is_empty() {
        let users = user::Entity::find().filter(user::Column::Email.ne(EMAIL)).count(connection).await?;
        if users > 0 {
            return Err(DemoError::OtherContent(format!("{users} users")));
        }
    }
    Ok(())
}

/// Adds what is missing of the demo: its catalogue, the questions of subjects that have none, and its learner. Returns
/// the learner.
///
/// # Errors
/// See [`DemoError`].
pub async fn seed(services: &Services) -> Result<user::Model, DemoError> {
    let options =
        WriteOptions { name: "demo.seed", looks_before_it_writes: true, another_may_be_first: true };
    let empty = services
        .database
        .write(options, services.clock.now(), |transaction, now| Box::pin(add_catalogue(transaction, *now)))
        .await?;
    for bank in empty {
        fill(services, bank).await?;
    }
    services.catalog.reload().await?;

    let learner = Registration {
        name: "Demo Learner".to_owned(),
        email: EMAIL.to_owned(),
        password: PASSWORD.to_owned(),
        role: Role::Learner,
    };
    if let Some(learner) = learner_in(services).await? {
        return Ok(learner);
    }
    match account::create(services, learner).await {
        // Another node was first.
        Err(RegisterError::EmailTaken) => learner_in(services)
            .await?
            .ok_or_else(|| DbErr::RecordNotFound("the demo learner".to_owned()).into()),
        made => Ok(made?),
    }
}

async fn learner_in(services: &Services) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find().filter(user::Column::Email.eq(EMAIL)).one(services.database.reader()).await
}

/// In one transaction, since the import stores so few questions in one: a bank is filled or empty. Of two nodes at once
/// the second finds each question as it is.
async fn fill(services: &Services, bank: EmptyBank) -> Result<(), ImportError> {
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

async fn add_catalogue(
    transaction: &DatabaseTransaction,
    now: DateTime<Utc>,
) -> Result<Vec<EmptyBank>, DbErr> {
    let mut empty = Vec::new();
    for demo in COURSES {
        let id = course_id(transaction, demo, now).await?;
        // Reads only these columns: an unreadable row must not keep the server from starting.
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

/// The demo's subjects of a course that have no question, ready for the demo's.
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

/// Makes the tests of a subject as short as the demo's bank is small, unless somebody has set how they are: what a
/// subject has by default is too long for it.
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
        archived_at: Set(None),
        created_at: Set(now),
    };
    Ok(row.insert(transaction).await?.id)
}
