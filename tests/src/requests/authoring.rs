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
    /// The global id.
    pub id: String,
    /// The code.
    pub code: Option<String>,
    /// The version.
    pub version: i64,
    /// The name.
    pub name: String,
    /// The description.
    pub description: Option<String>,
    /// Whether it is archived.
    pub archived: bool,
    /// The validity of a purchase.
    pub validity_days: Option<i64>,
    /// The price of the whole course.
    pub bundle_price: Option<Amount>,
}

/// A subject as an author sees it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthoredSubject {
    /// The global id.
    pub id: String,
    /// The code.
    pub code: Option<String>,
    /// The version.
    pub version: i64,
    /// The name.
    pub name: String,
    /// Whether it is archived.
    pub archived: bool,
    /// The price without an offer.
    pub list_price: Amount,
    /// The price now.
    pub price: Amount,
    /// The number of its cards.
    pub total_mock_tests: i64,
    /// The offer.
    pub offer: Value,
    /// The settings of its tests.
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
    /// Returns the course or the subject.
    ///
    /// # Panics
    /// Panics if the change was refused.
    pub fn done(self) -> T {
        self.row.unwrap_or_else(|| panic!("refused: {:#?}", self.user_errors))
    }

    /// Returns the codes of the errors, each with the path of the argument.
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
