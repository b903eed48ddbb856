//! The mutation `importQuestions` and the query `exportQuestions`.

use std::pin::Pin;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{UserError, only_error};
use crate::Client;

/// The document of [`Client::import`].
pub const IMPORT: &str = "mutation ($input: ImportQuestionsInput!) { importQuestions(input: $input) {
    createdCount updatedCount unchangedCount refused { line externalId reason } refusedCount
    losses { line externalId what } lossCount notices { line externalId text } noticeCount correctedCount
    userErrors { code message path } } }";
/// The document of [`Client::export`].
pub const EXPORT: &str = "query ($subject: ID!, $format: QuestionFormat!, $first: Int, $after: String) {
    exportQuestions(subjectId: $subject, format: $format, first: $first, after: $after) {
      text questionCount losses { line externalId what } endCursor hasNextPage } }";

/// A remark about one question of a file: a refusal, a loss or a notice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remark {
    /// The line of the file where the question begins. `None` if the remark has no line.
    pub line: Option<i64>,
    /// The external id of the question. In a refusal, the id or the name in the file, if the file gives one.
    pub external_id: Option<String>,
    /// The sentence that says what was refused, lost or noticed.
    #[serde(alias = "reason", alias = "what")]
    pub text: String,
}

/// The payload of `importQuestions`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    created_count: usize,
    updated_count: usize,
    unchanged_count: usize,
    refused_count: usize,
    /// The first refusals: remarks about questions that were refused.
    pub refused: Vec<Remark>,
    /// The first losses: remarks about parts of questions that could not be kept.
    pub losses: Vec<Remark>,
    /// The number of all losses.
    pub loss_count: i64,
    /// The first notices.
    pub notices: Vec<Remark>,
    /// The number of all notices.
    pub notice_count: i64,
    /// The number of keys that were corrected.
    pub corrected_count: i64,
    user_errors: Vec<UserError>,
}

impl Imported {
    /// Returns the numbers of questions that are new, changed, unchanged and refused, in this order.
    ///
    /// # Panics
    /// Panics if the file was refused as a whole.
    #[must_use]
    pub fn counts(&self) -> [usize; 4] {
        assert_eq!(self.user_errors, [], "the file was refused");
        [self.created_count, self.updated_count, self.unchanged_count, self.refused_count]
    }

    /// Returns the only user error: the reason for which the file was refused as a whole.
    ///
    /// # Panics
    /// Panics if the file was not refused, or if there are several user errors.
    #[must_use]
    pub fn refusal(&self) -> &UserError {
        only_error(&self.user_errors)
    }
}

/// A request to import a file of questions. Awaiting the request sends it.
pub struct ImportRequest<'a> {
    client: &'a Client,
    input: Value,
}

impl Client {
    /// Returns a request to import a file of questions into the subject with this global id.
    #[must_use]
    pub fn import(&self, subject: &str, text: &str) -> ImportRequest<'_> {
        ImportRequest { client: self, input: json!({ "subjectId": subject, "text": text }) }
    }

    /// Returns a request to export the questions of the subject with this global id.
    #[must_use]
    pub fn export(&self, subject: &str, format: &str) -> ExportRequest<'_> {
        ExportRequest { client: self, variables: json!({ "subject": subject, "format": format }) }
    }
}

impl ImportRequest<'_> {
    /// Sets fields of the input.
    ///
    /// # Panics
    /// Panics if `fields` is not an object.
    #[must_use]
    pub fn with(mut self, fields: &Value) -> Self {
        for (field, value) in fields.as_object().expect("an object") {
            self.input[field] = value.clone();
        }
        self
    }
}

impl<'a> IntoFuture for ImportRequest<'a> {
    type Output = Imported;
    type IntoFuture = Pin<Box<dyn Future<Output = Imported> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.mutate(IMPORT, "importQuestions", &self.input).await })
    }
}

/// The payload of `exportQuestions`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    /// The text of the file.
    pub text: String,
    /// The number of questions in the file.
    pub question_count: i64,
    /// The parts of questions that the format cannot hold.
    pub losses: Vec<Remark>,
    /// The cursor of the last question in the file. `None` if there are no questions.
    pub end_cursor: Option<String>,
    /// Whether the subject has more questions after the last question in the file.
    pub has_next_page: bool,
}

/// A request to export questions. Awaiting the request sends it.
pub struct ExportRequest<'a> {
    client: &'a Client,
    variables: Value,
}

impl ExportRequest<'_> {
    /// Requests the first `count` questions.
    #[must_use]
    pub fn first(mut self, count: i64) -> Self {
        self.variables["first"] = count.into();
        self
    }

    /// Requests the questions after a cursor. Without a cursor, requests questions from the first on.
    #[must_use]
    pub fn after(mut self, cursor: Option<&str>) -> Self {
        self.variables["after"] = cursor.into();
        self
    }
}

impl<'a> IntoFuture for ExportRequest<'a> {
    type Output = Export;
    type IntoFuture = Pin<Box<dyn Future<Output = Export> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.run_with(EXPORT, self.variables).await.read("/exportQuestions") })
    }
}
