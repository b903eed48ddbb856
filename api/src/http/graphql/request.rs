//! Reads GraphQL requests: the body of a POST, and the parameters of a GET.
//! <https://graphql.github.io/graphql-over-http/draft/#sec-Request>

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use crate::http::refusal::RequestRefusal;
use graphql_engine::{GraphqlRequest, JsonMap};

/// A request as JSON: the body of a POST, or the payload of a WebSocket message. A field with `null` counts as not
/// given.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct RequestBody {
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    document_id: Option<String>,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<JsonMap>,
    #[serde(default)]
    extensions: Option<JsonMap>,
}

impl From<RequestBody> for GraphqlRequest {
    fn from(body: RequestBody) -> Self {
        Self {
            query: body.query,
            document_id: body.document_id,
            operation_name: body.operation_name,
            variables: body.variables.unwrap_or_default(),
            extensions: body.extensions.unwrap_or_default(),
        }
    }
}

/// The parameters of a GET. `variables` and `extensions` are JSON texts that are not parsed yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct QueryParameters {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

impl TryFrom<QueryParameters> for GraphqlRequest {
    type Error = RequestRefusal;

    fn try_from(parameters: QueryParameters) -> Result<Self, RequestRefusal> {
        let map = |name: &str, json: Option<String>| match json.filter(|json| !json.is_empty()) {
            None => Ok(JsonMap::default()),
            Some(json) => serde_json::from_str::<Option<JsonMap>>(&json)
                .map(Option::unwrap_or_default)
                .map_err(|error| {
                    RequestRefusal::bad_request(format!(
                        "The parameter `{name}` cannot be read: {error}. Send a JSON object."
                    ))
                }),
        };
        Ok(Self {
            variables: map("variables", parameters.variables)?,
            extensions: map("extensions", parameters.extensions)?,
            query: parameters.query,
            document_id: parameters.document_id,
            operation_name: parameters.operation_name,
        })
    }
}

/// Reads the body of a POST. Accepts only JSON, because a browser sends other types across origins without a preflight.
pub(super) fn read_body(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<GraphqlRequest, RequestRefusal> {
    if !is_json(headers) {
        let message = "The header `Content-Type` does not name JSON in UTF-8. Send JSON with \
                       `Content-Type: application/json`.";
        return Err(RequestRefusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "BAD_REQUEST", message));
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => RequestRefusal::body_too_large(),
        _ => RequestRefusal::incomplete_body(),
    })?;
    // Without this check, serde would also accept an array with the fields in order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(RequestRefusal::bad_request(
            "The body is not a JSON object. Send one JSON object with one operation in each request.",
        ));
    }
    let body: RequestBody = serde_json::from_slice(&body).map_err(|error| {
        RequestRefusal::bad_request(format!(
            "The body cannot be read as a GraphQL request: {error}. Send a JSON object with `query` and, if needed, \
             `variables` and `operationName`."
        ))
    })?;
    Ok(body.into())
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let charset = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    media_type.eq_ignore_ascii_case("application/json")
        && charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8"))
}
