//! Reading a request: the body of a POST, the parameters of a GET.
//! <https://graphql.github.io/graphql-over-http/draft/#sec-Request>

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use crate::http::refusal::Refusal;
use graphql_engine::{GraphqlRequest, JsonMap};

/// The JSON of a body. `null` stands for what is not given.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Body {
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

impl From<Body> for GraphqlRequest {
    fn from(body: Body) -> Self {
        Self {
            query: body.query,
            document_id: body.document_id,
            operation_name: body.operation_name,
            variables: body.variables.unwrap_or_default(),
            extensions: body.extensions.unwrap_or_default(),
        }
    }
}

/// The parameters of a GET, with the JSON still to be read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Parameters {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

impl TryFrom<Parameters> for GraphqlRequest {
    type Error = Refusal;

    fn try_from(parameters: Parameters) -> Result<Self, Refusal> {
        let map = |name: &str, json: Option<String>| match json.filter(|json| !json.is_empty()) {
            None => Ok(JsonMap::default()),
            Some(json) => serde_json::from_str::<Option<JsonMap>>(&json)
                .map(Option::unwrap_or_default)
                .map_err(|error| {
                    Refusal::bad_request(format!("The parameter `{name}` must be a JSON object: {error}."))
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

/// Reads the body of a POST. Only JSON: anything else a browser would send across origins without asking.
pub(super) fn read_body(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<GraphqlRequest, Refusal> {
    if !is_json(headers) {
        let message = "Send the request as JSON in UTF-8, with `Content-Type: application/json`.";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "BAD_REQUEST", message));
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::too_large(),
        _ => Refusal::bad_request("The body could not be read to its end."),
    })?;
    // Serde would take a list of the fields in their order as well.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::bad_request("The body must be one JSON object; send one operation a request."));
    }
    let body: Body = serde_json::from_slice(&body).map_err(|error| {
        Refusal::bad_request(format!(
            "The body must be one JSON object with `query` and, where needed, `variables` and `operationName`: \
             {error}."
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
