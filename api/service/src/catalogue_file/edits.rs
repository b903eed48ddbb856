//! Converts the courses and subjects of a catalogue file to edits, and invalid values to problems with their lines.

use chrono::DateTime;
use jishu_entity::{CourseId, subject};

use super::document::{CourseDocument, Exact, MarkingDocument, OfferDocument, SubjectDocument, Word};
use super::lined::{Lined, line_of};
use super::{CatalogueName, FileProblem};
use crate::authoring::{
    CatalogueField, CourseEdit, InvalidValue, NewCourse, NewSubject, OfferTerms, SubjectEdit, blank_subject,
};
use crate::test_settings::{Setting, TestSettingsChange};

impl CourseDocument {
    /// Returns the values of the course as an edit. A value that the file leaves out is removed.
    pub(super) fn values(&self) -> CourseEdit {
        CourseEdit {
            code: Some(self.code.value.clone()),
            name: Some(self.name.value.clone()),
            description: Some(self.description.as_ref().map(|text| text.value.clone())),
            bundle_price: Some(self.bundle_price.as_ref().map(|price| price.value.0)),
            validity_days: Some(self.validity_days.as_ref().map(|days| days.value)),
            archived: Some(self.archived),
        }
    }

    pub(super) fn new_course(&self) -> NewCourse {
        NewCourse { currency: self.currency.value.clone(), values: self.values() }
    }

    /// Returns the code without white space at its ends, as the database stores codes.
    pub(crate) fn trimmed_code(&self) -> &str {
        self.code.value.trim()
    }

    /// Describes an invalid value with its line. If the file does not have the value, takes the line of the code.
    pub(super) fn problem(&self, field: CatalogueField, message: String) -> FileProblem {
        let line = match field {
            CatalogueField::Name => Some(self.name.line),
            CatalogueField::Description => line_of(self.description.as_ref()),
            CatalogueField::Currency => Some(self.currency.line),
            CatalogueField::BundlePrice => line_of(self.bundle_price.as_ref()),
            CatalogueField::ValidityDays => line_of(self.validity_days.as_ref()),
            _ => None,
        };
        let name = CatalogueName::course(self.trimmed_code());
        FileProblem { line: line.unwrap_or(self.code.line), name, field: key_of(field), message }
    }

    pub(super) fn problems(&self, invalid: Vec<InvalidValue>) -> impl Iterator<Item = FileProblem> {
        invalid.into_iter().map(|invalid| self.problem(invalid.field, invalid.problem.to_string()))
    }
}

impl SubjectDocument {
    /// Returns the values of the subject as an edit. A value that the file leaves out gets its default. If the stored
    /// subject has a blueprint, the number of questions stays as it is instead.
    pub(super) fn values(&self, before: Option<&subject::Model>, has_blueprint: bool) -> SubjectEdit {
        let default = blank_subject(CourseId(0), DateTime::UNIX_EPOCH);
        let empty = MarkingDocument::default();
        let given = self.marking_scheme.as_ref().unwrap_or(&empty);
        let marks = |given: Option<&Lined<Exact>>, hundredths: i32| {
            let default = rust_decimal::Decimal::new(hundredths.into(), 2);
            Some(given.map_or(default, |given| given.value.0))
        };
        let number = |given: Option<&Lined<i32>>, default: i32| given.map_or(default, |given| given.value);
        let questions = match before {
            Some(before) if has_blueprint => before.questions_per_test,
            _ => default.questions_per_test,
        };
        let settings = TestSettingsChange {
            correct: marks(given.correct.as_ref(), default.marks_correct),
            wrong: marks(given.wrong.as_ref(), default.marks_wrong),
            unanswered: marks(given.unanswered.as_ref(), default.marks_unanswered),
            questions_per_test: Some(number(given.questions_per_test.as_ref(), questions)),
            time_limit_seconds: Some(number(given.time_limit_seconds.as_ref(), default.time_limit_seconds)),
            max_attempts: Some(number(given.max_attempts.as_ref(), default.max_attempts)),
            grading_method: Some(given.grading_method.map_or(default.grading_method, |Word(method)| method)),
            review_policy: Some(given.review.map_or(default.review_policy, |Word(policy)| policy)),
            blueprint: None,
        };
        SubjectEdit {
            code: Some(self.code.value.clone()),
            name: Some(self.name.value.clone()),
            list_price: Some(self.list_price.value.0),
            offer: Some(self.offer.as_ref().map(OfferTerms::from)),
            total_mock_tests: Some(number(self.total_mock_tests.as_ref(), default.total_mock_tests)),
            settings,
            archived: Some(self.archived),
        }
    }

    /// Returns the code without white space at its ends, as the database stores codes.
    pub(crate) fn trimmed_code(&self) -> &str {
        self.code.value.trim()
    }

    /// Describes an invalid value with its line. If the file does not have the value, takes the line of the code.
    pub(super) fn problem(&self, course: &str, field: CatalogueField, message: String) -> FileProblem {
        let offer = self.offer.as_ref();
        let marking = self.marking_scheme.as_ref();
        let line = match field {
            CatalogueField::Name => Some(self.name.line),
            CatalogueField::ListPrice => Some(self.list_price.line),
            CatalogueField::OfferPrice => offer.map(|offer| offer.price.line),
            CatalogueField::OfferStart => offer.and_then(|offer| line_of(offer.starts_at.as_ref())),
            CatalogueField::OfferEnd => offer.and_then(|offer| line_of(offer.ends_at.as_ref())),
            CatalogueField::TotalMockTests => line_of(self.total_mock_tests.as_ref()),
            CatalogueField::Settings(setting) => marking.and_then(|marking| marking.line(setting)),
            _ => None,
        };
        let name = CatalogueName::subject(course, self.trimmed_code());
        FileProblem { line: line.unwrap_or(self.code.line), name, field: key_of(field), message }
    }

    pub(super) fn problems(
        &self,
        course: &str,
        invalid: Vec<InvalidValue>,
    ) -> impl Iterator<Item = FileProblem> {
        invalid
            .into_iter()
            .map(move |invalid| self.problem(course, invalid.field, invalid.problem.to_string()))
    }
}

impl MarkingDocument {
    fn line(&self, setting: Option<Setting>) -> Option<u64> {
        match setting? {
            Setting::Correct => line_of(self.correct.as_ref()),
            Setting::Wrong => line_of(self.wrong.as_ref()),
            Setting::Unanswered => line_of(self.unanswered.as_ref()),
            Setting::QuestionsPerTest => line_of(self.questions_per_test.as_ref()),
            Setting::TimeLimit => line_of(self.time_limit_seconds.as_ref()),
            Setting::MaxAttempts => line_of(self.max_attempts.as_ref()),
            Setting::Blueprint | Setting::BlueprintSum | Setting::BlueprintQuestions => None,
        }
    }
}

impl From<&OfferDocument> for OfferTerms {
    fn from(offer: &OfferDocument) -> Self {
        Self {
            price: offer.price.value.0,
            starts_at: offer.starts_at.as_ref().map(|at| at.value.0),
            ends_at: offer.ends_at.as_ref().map(|at| at.value.0),
        }
    }
}

/// Returns a subject of a file as a new row. Returns None if a value is not allowed.
pub(crate) fn subject_row(course: &CourseDocument, subject: &SubjectDocument) -> Option<subject::Model> {
    let subject = NewSubject { course: CourseId(0), values: subject.values(None, false) };
    subject.row(course.currency.value.trim(), DateTime::UNIX_EPOCH).ok()
}

/// Returns the path of the key in the file for a field, such as `offer.price`.
fn key_of(field: CatalogueField) -> &'static str {
    match field {
        CatalogueField::Code => "code",
        CatalogueField::Name => "name",
        CatalogueField::Description => "description",
        CatalogueField::Currency => "currency",
        CatalogueField::BundlePrice => "bundlePrice",
        CatalogueField::ValidityDays => "validityDays",
        CatalogueField::ListPrice => "listPrice",
        CatalogueField::OfferPrice => "offer.price",
        CatalogueField::OfferStart => "offer.startsAt",
        CatalogueField::OfferEnd => "offer.endsAt",
        CatalogueField::TotalMockTests => "totalMockTests",
        CatalogueField::Settings(Some(setting)) => match setting {
            Setting::Correct => "markingScheme.correct",
            Setting::Wrong => "markingScheme.wrong",
            Setting::Unanswered => "markingScheme.unanswered",
            Setting::QuestionsPerTest => "markingScheme.questionsPerTest",
            Setting::TimeLimit => "markingScheme.timeLimitSeconds",
            Setting::MaxAttempts => "markingScheme.maxAttempts",
            Setting::Blueprint | Setting::BlueprintSum | Setting::BlueprintQuestions => "markingScheme",
        },
        CatalogueField::Settings(None) => "markingScheme",
    }
}
