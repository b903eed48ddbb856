//! The mutations with which authors change the catalogue.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Amount, UserError};
use crate::Client;

const COURSE: &str = "id code version name description archived validityDays bundlePrice { amount currency }";
const SUBJECT: &str = "id code version name archived listPrice { amount currency } price { amount currency } totalMockTests
    offer { price { amount currency } startsAt endsAt } course { id }
    markingScheme { correct wrong unanswered questionsPerTest timeLimitSeconds maxAttempts gradingMethod review }";

/// A course as an author sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthoredCourse {
    /// The global id of the course.
    pub id: String,
    /// The code of the course.
    pub code: Option<String>,
    /// The version of the course.
    pub version: i64,
    /// The name of the course.
    pub name: String,
    /// The description of the course.
    pub description: Option<String>,
    /// Whether the course is archived.
    pub archived: bool,
    /// The number of days for which a purchase gives access. None if access never ends.
    pub validity_days: Option<i64>,
    /// The price of the whole course. None if the course is not sold as a bundle.
    pub bundle_price: Option<Amount>,
}

/// A subject as an author sees it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthoredSubject {
    /// The global id of the subject.
    pub id: String,
    /// The code of the subject.
    pub code: Option<String>,
    /// The version of the subject.
    pub version: i64,
    /// The name of the subject.
    pub name: String,
    /// Whether the subject is archived.
    pub archived: bool,
    /// The price without an offer.
    pub list_price: Amount,
    /// The price now.
    pub price: Amount,
    /// The number of cards that a purchase of the subject makes.
    pub total_mock_tests: i64,
    /// The offer of the subject, or null.
    pub offer: Value,
    /// The settings of the subject's tests: the object `markingScheme` of the response.
    pub marking_scheme: Value,
}

/// The payload of a change of a course or of a subject.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authored<T> {
    /// The course or the subject after the change.
    #[serde(alias = "course", alias = "subject")]
    pub row: Option<T>,
    /// The reasons why nothing was changed.
    pub user_errors: Vec<UserError>,
}

impl<T> Authored<T> {
    /// Returns the course or the subject after the change.
    ///
    /// # Panics
    /// Panics if the change was refused.
    pub fn done(self) -> T {
        self.row.unwrap_or_else(|| panic!("refused: {:#?}", self.user_errors))
    }

    /// Returns the code of each user error, with the path of the wrong input.
    #[must_use]
    pub fn refusals(&self) -> Vec<(&str, String)> {
        self.user_errors.iter().map(|error| (error.code.as_str(), error.path.join("."))).collect()
    }
}

fn document(field: &str, input: &str) -> String {
    let (of, selection) = if field.contains("Course") { ("course", COURSE) } else { ("subject", SUBJECT) };
    format!(
        "mutation ($input: {input}!) {{ {field}(input: $input) {{ {of} {{ {selection} }} userErrors {{ __typename code message path
           ... on StaleEditError {{ version course {{ {COURSE} }} subject {{ {SUBJECT} }} }} }} }} }}"
    )
}

fn archiving(field: &str) -> String {
    let (of, selection) = if field.contains("Course") { ("course", COURSE) } else { ("subject", SUBJECT) };
    format!(
        "mutation ($id: ID!, $archived: Boolean!) {{ {field}(id: $id, archived: $archived) {{ {of} {{ {selection} }}
           userErrors {{ __typename code message path }} }} }}"
    )
}

impl Client {
    /// Creates a course.
    pub async fn create_course(&self, input: Value) -> Authored<AuthoredCourse> {
        self.mutate(&document("createCourse", "CreateCourseInput"), "createCourse", &input).await
    }

    /// Changes a course.
    pub async fn update_course(&self, input: Value) -> Authored<AuthoredCourse> {
        self.mutate(&document("updateCourse", "UpdateCourseInput"), "updateCourse", &input).await
    }

    /// Archives a course, or restores it.
    pub async fn set_course_archived(&self, id: &str, archived: bool) -> Authored<AuthoredCourse> {
        let variables = json!({ "id": id, "archived": archived });
        self.run_with(&archiving("setCourseArchived"), variables).await.read("/setCourseArchived")
    }

    /// Creates a subject.
    pub async fn create_subject(&self, input: Value) -> Authored<AuthoredSubject> {
        self.mutate(&document("createSubject", "CreateSubjectInput"), "createSubject", &input).await
    }

    /// Changes a subject.
    pub async fn update_subject(&self, input: Value) -> Authored<AuthoredSubject> {
        self.mutate(&document("updateSubject", "UpdateSubjectInput"), "updateSubject", &input).await
    }

    /// Archives a subject, or restores it.
    pub async fn set_subject_archived(&self, id: &str, archived: bool) -> Authored<AuthoredSubject> {
        let variables = json!({ "id": id, "archived": archived });
        self.run_with(&archiving("setSubjectArchived"), variables).await.read("/setSubjectArchived")
    }
}
