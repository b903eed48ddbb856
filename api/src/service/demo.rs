//! A believable catalogue and a learner to try jishu with. Running it again changes nothing.

use chrono::{DateTime, Utc};
use jishu_entity::user::Role;
use jishu_entity::{CourseId, course, subject, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter,
};

use super::Services;
use super::account::{self, RegisterError, Registration};
use crate::database::WriteOptions;

/// The demo learner's address. Nobody can receive mail there: RFC 2606 reserves the domain.
pub const EMAIL: &str = "learner@example.com";
/// The demo learner's password, known to everybody.
pub const PASSWORD: &str = "learn-with-jishu";

struct DemoCourse {
    code: &'static str,
    name: &'static str,
    description: &'static str,
    bundle_price: i64,
    subjects: &'static [DemoSubject],
}

struct DemoSubject {
    code: &'static str,
    name: &'static str,
    list_price: i64,
    offer_price: Option<i64>,
}

const fn subject(
    code: &'static str,
    name: &'static str,
    list_price: i64,
    offer_price: Option<i64>,
) -> DemoSubject {
    DemoSubject { code, name, list_price, offer_price }
}

/// Prices are in paise.
const COURSES: &[DemoCourse] = &[
    DemoCourse {
        code: "neet-ug",
        name: "NEET UG",
        description: "Full-length mock tests for the medical entrance examination.",
        bundle_price: 1_499_00,
        subjects: &[
            subject("physics", "Physics", 599_00, Some(499_00)),
            subject("chemistry", "Chemistry", 599_00, None),
            subject("botany", "Botany", 449_00, None),
            subject("zoology", "Zoology", 449_00, Some(399_00)),
        ],
    },
    DemoCourse {
        code: "jee-main",
        name: "JEE Main",
        description: "Mock tests for the engineering entrance examination, numeric questions included.",
        bundle_price: 1_299_00,
        subjects: &[
            subject("physics", "Physics", 549_00, None),
            subject("chemistry", "Chemistry", 549_00, Some(449_00)),
            subject("mathematics", "Mathematics", 599_00, None),
        ],
    },
    DemoCourse {
        code: "cuet-ug",
        name: "CUET UG",
        description: "Mock tests for admission to the central universities.",
        bundle_price: 699_00,
        subjects: &[
            subject("english", "English", 249_00, None),
            subject("general-test", "General Test", 299_00, Some(199_00)),
            subject("economics", "Economics", 299_00, None),
        ],
    },
    DemoCourse {
        code: "ssc-cgl",
        name: "SSC CGL Tier I",
        description: "Mock tests for the combined graduate level examination.",
        bundle_price: 799_00,
        subjects: &[
            subject("quantitative-aptitude", "Quantitative Aptitude", 299_00, None),
            subject("reasoning", "General Intelligence and Reasoning", 299_00, Some(249_00)),
            subject("english", "English Comprehension", 249_00, None),
            subject("general-awareness", "General Awareness", 199_00, None),
        ],
    },
];

/// Adds what is missing of the demo catalogue and its learner, and returns the learner.
///
/// # Errors
/// When the database fails, or the learner cannot be made.
pub async fn seed(services: &Services) -> Result<user::Model, RegisterError> {
    let options =
        WriteOptions { name: "demo.seed", looks_before_it_writes: true, another_may_be_first: false };
    services
        .database
        .write(options, services.clock.now(), |transaction, now| Box::pin(add_catalogue(transaction, *now)))
        .await?;
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
        made => made,
    }
}

async fn learner_in(services: &Services) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find().filter(user::Column::Email.eq(EMAIL)).one(services.database.reader()).await
}

async fn add_catalogue(transaction: &DatabaseTransaction, now: DateTime<Utc>) -> Result<(), DbErr> {
    for demo in COURSES {
        let id = course_id(transaction, demo, now).await?;
        let present: Vec<_> = subject::Entity::find()
            .filter(subject::Column::CourseId.eq(id))
            .all(transaction)
            .await?
            .into_iter()
            .filter_map(|subject| subject.code)
            .collect();
        let missing = demo.subjects.iter().filter(|subject| !present.iter().any(|code| code == subject.code));
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
    }
    Ok(())
}

async fn course_id(
    transaction: &DatabaseTransaction,
    demo: &DemoCourse,
    now: DateTime<Utc>,
) -> Result<CourseId, DbErr> {
    let found = course::Entity::find().filter(course::Column::Code.eq(demo.code)).one(transaction).await?;
    if let Some(course) = found {
        return Ok(course.id);
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
