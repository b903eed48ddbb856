//! Makes courses for the tests of this repository.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jishu_entity::{CourseId, SubjectId, course, subject};
use jishu_service::clock::Clock;
use sea_orm::ActiveModelTrait;
use sea_orm::ActiveValue::Set;

use crate::TestApp;

/// Builds a course. By default each subject costs 100.00 and has 50 cards.
pub struct CourseBuilder {
    name: String,
    bundle_price: Option<i64>,
    validity_days: Option<i32>,
    subjects: Vec<(String, i64, i32)>,
}

/// A course in the database, with the global ids that clients use.
#[derive(Clone, Debug)]
pub struct TestCourse {
    /// The global id of the course.
    pub id: String,
    /// The database id of the course.
    pub row: CourseId,
    /// The global ids of the course's subjects.
    pub subjects: Vec<String>,
    /// The database ids of the course's subjects.
    pub subject_rows: Vec<SubjectId>,
}

impl TestApp {
    /// Returns a builder of a course with one subject for each name.
    #[must_use]
    pub fn course(&self, subjects: &[&str]) -> CourseBuilder {
        CourseBuilder {
            name: "Course".to_owned(),
            bundle_price: None,
            validity_days: None,
            subjects: subjects.iter().map(|name| ((*name).to_owned(), 100_00, 50)).collect(),
        }
    }

    /// Returns the global id of the object of type `kind` with the database id `row`.
    #[must_use]
    pub fn global(&self, kind: &str, row: i64) -> String {
        global_id(kind, row)
    }
}

/// Returns the global id of the object of type `kind` with the database id `row`.
#[must_use]
pub fn global_id(kind: &str, row: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{kind}:{row}"))
}

impl CourseBuilder {
    /// Sets the name of the course.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets the price of the whole course, in minor units.
    #[must_use]
    pub fn bundle(mut self, price: i64) -> Self {
        self.bundle_price = Some(price);
        self
    }

    /// Sets the number of days for which a purchase gives access.
    #[must_use]
    pub fn valid_for_days(mut self, days: i32) -> Self {
        self.validity_days = Some(days);
        self
    }

    /// Sets the number of cards of each subject.
    #[must_use]
    pub fn cards(mut self, cards: i32) -> Self {
        for subject in &mut self.subjects {
            subject.2 = cards;
        }
        self
    }

    /// Sets the price of each subject, in minor units.
    #[must_use]
    pub fn price(mut self, price: i64) -> Self {
        for subject in &mut self.subjects {
            subject.1 = price;
        }
        self
    }

    /// Writes the course with its subjects to the database, and reloads the catalogue.
    pub async fn create(self, app: &TestApp) -> TestCourse {
        let now = app.clock.now();
        let course = course::ActiveModel {
            name: Set(self.name),
            currency: Set("INR".to_owned()),
            bundle_price: Set(self.bundle_price),
            validity_days: Set(self.validity_days),
            created_at: Set(now),
            ..Default::default()
        };
        let row = course.insert(app.connection()).await.expect("a course").id;
        let mut subject_rows = Vec::new();
        for (name, price, cards) in self.subjects {
            let subject = subject::ActiveModel {
                course_id: Set(row),
                name: Set(name),
                list_price: Set(price),
                total_mock_tests: Set(cards),
                max_attempts: Set(3),
                created_at: Set(now),
                ..Default::default()
            };
            subject_rows.push(subject.insert(app.connection()).await.expect("a subject").id);
        }
        app.services.catalog.reload().await.expect("the catalogue can be read");
        TestCourse {
            id: app.global("Course", row.0),
            row,
            subjects: subject_rows.iter().map(|id| app.global("Subject", id.0)).collect(),
            subject_rows,
        }
    }
}
