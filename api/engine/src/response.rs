//! Responses of operations.

use async_graphql::{Response, ServerError, Value};

use crate::json::{write_json, write_value};
use crate::plain::TakenFragments;

/// The response of an operation. Parts of its data can be JSON already, so write the response with
/// [`to_json`](Self::to_json).
#[derive(Debug, Default)]
pub struct ExecutedResponse {
    response: Response,
    fragments: TakenFragments,
}

impl ExecutedResponse {
    pub(crate) fn new(response: Response, fragments: TakenFragments) -> Self {
        Self { response, fragments }
    }

    /// Makes a response with these errors and without data.
    #[must_use]
    pub fn from_errors(errors: Vec<ServerError>) -> Self {
        Response::from_errors(errors).into()
    }

    #[cfg(test)]
    pub(crate) fn has_plain_parts(&self) -> bool {
        !self.fragments.is_empty()
    }

    /// Returns whether `data` of the response is null.
    #[must_use]
    pub fn has_no_data(&self) -> bool {
        self.response.data == Value::Null
    }

    /// Returns the errors of the response.
    #[must_use]
    pub fn errors(&self) -> &[ServerError] {
        &self.response.errors
    }

    /// Returns the errors of the response, so that the caller can change them.
    pub fn errors_mut(&mut self) -> &mut Vec<ServerError> {
        &mut self.response.errors
    }

    /// Returns the errors of the response, and drops its data.
    #[must_use]
    pub fn into_errors(self) -> Vec<ServerError> {
        self.response.errors
    }

    /// Drops the data of the response. Returns all else: the errors, the extensions and the headers that resolvers have
    /// set.
    #[must_use]
    pub fn without_data(self) -> Response {
        let mut response = self.response;
        response.data = Value::Null;
        response
    }

    /// Writes the response as JSON, in the form of the specification.
    /// <https://spec.graphql.org/October2021/#sec-Response-Format>
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(1024 + self.fragments.bytes());
        self.write_json(&mut json);
        json
    }

    /// Appends the response as JSON to `json`.
    pub fn write_json(&self, json: &mut Vec<u8>) {
        let Response { data, extensions, errors, .. } = &self.response;
        json.extend_from_slice(b"{\"data\":");
        write_value(data, &self.fragments, json);
        if !extensions.is_empty() {
            json.extend_from_slice(b",\"extensions\":");
            write_json(extensions, json);
        }
        if !errors.is_empty() {
            json.extend_from_slice(b",\"errors\":");
            write_json(errors, json);
        }
        json.push(b'}');
    }
}

impl From<Response> for ExecutedResponse {
    fn from(response: Response) -> Self {
        Self::new(response, TakenFragments::default())
    }
}
