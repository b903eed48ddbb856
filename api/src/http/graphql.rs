//! GraphQL over HTTP: one operation a request, as JSON.

use async_graphql::parser::types::{DocumentOperations, OperationType};
use async_graphql::{ErrorExtensionValues, Request, Response as GraphqlResponse, ServerError};
use async_graphql_axum::GraphQLResponse;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::nesting::{DEEPEST_NESTING, nests_too_deep};
use super::{AppState, MAX_BODY_BYTES};
use crate::auth::Viewer;
use crate::graphql::{InternalError, Loaders, RequestId};

/// Why a request is not executed.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "BAD_REQUEST", message: message.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut error = ServerError::new(self.message, None);
        set_code(&mut error, self.code);
        let body = GraphQLResponse::from(GraphqlResponse::from_errors(vec![error]));
        let mut response = (self.status, body).into_response();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static(r#"Bearer realm="jishu", error="invalid_token""#);
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            _ => {}
        }
        response
    }
}

/// POST: queries and mutations.
pub(super) async fn post(
    State(state): State<AppState>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match read_body(&headers, body) {
        Ok(request) => execute(&state, id, &headers, request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// GET: queries only, so that a link or an image can change nothing.
pub(super) async fn get(
    State(state): State<AppState>,
    Extension(id): Extension<RequestId>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let request = match async_graphql::http::parse_query_string(&query.unwrap_or_default()) {
        Ok(request) if !request.query.trim().is_empty() => request,
        _ => {
            let refusal = Refusal::bad_request(
                "Send the document as the parameter `query`, with `variables` as JSON and `operationName` \
                 where they are needed; or POST a JSON body.",
            );
            return refusal.into_response();
        }
    };
    match check_nesting(&request) {
        Ok(()) => execute_query(&state, id, &headers, request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check_nesting(request: &Request) -> Result<(), Refusal> {
    if nests_too_deep(&request.query) {
        return Err(Refusal::bad_request(format!(
            "The document nests brackets deeper than {DEEPEST_NESTING}. Ask for less depth."
        )));
    }
    Ok(())
}

async fn execute_query(
    state: &AppState,
    id: RequestId,
    headers: &HeaderMap,
    mut request: Request,
) -> Response {
    let name = request.operation_name.clone();
    let changes = match request.parsed_query() {
        Ok(document) => match &document.operations {
            DocumentOperations::Single(operation) => operation.node.ty != OperationType::Query,
            DocumentOperations::Multiple(operations) => operations
                .iter()
                .filter(|(operation, _)| name.as_ref().is_none_or(|name| operation.as_str() == name))
                .any(|(_, operation)| operation.node.ty != OperationType::Query),
        },
        // The engine says what is wrong with it.
        Err(_) => false,
    };
    if changes {
        let refusal = Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "BAD_REQUEST",
            message: "GET is for queries. Send mutations with POST.".to_owned(),
        };
        return refusal.into_response();
    }
    execute(state, id, headers, request).await
}

/// Any other method.
pub(super) async fn other() -> Response {
    Refusal {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "BAD_REQUEST",
        message: "Use POST, or GET for queries.".to_owned(),
    }
    .into_response()
}

fn read_body(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Request, Refusal> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    // Anything else a browser would send across origins without asking.
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Refusal {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "BAD_REQUEST",
            message: "Send the request as JSON, with `Content-Type: application/json`.".to_owned(),
        });
    }
    let body = body.map_err(|rejection| match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => Refusal {
            status,
            code: "BAD_REQUEST",
            message: format!("A request may have {MAX_BODY_BYTES} bytes."),
        },
        _ => Refusal::bad_request("The body could not be read to its end."),
    })?;
    // Serde would take a list of the fields in their order as well.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::bad_request("The body must be one JSON object; send one operation a request."));
    }
    let request: Request = serde_json::from_slice(&body).map_err(|error| {
        Refusal::bad_request(format!(
            "The body must be one JSON object with `query` and, where needed, `variables` and `operationName`: \
             {error}."
        ))
    })?;
    if request.query.trim().is_empty() {
        return Err(Refusal::bad_request("`query` is missing: put the document there."));
    }
    check_nesting(&request)?;
    Ok(request)
}

async fn execute(state: &AppState, id: RequestId, headers: &HeaderMap, request: Request) -> Response {
    let viewer = match viewer(state, headers) {
        Ok(viewer) => viewer,
        Err(refusal) => return refusal.into_response(),
    };
    let mut request = request.data(Loaders::new(&state.services));
    if let Some(viewer) = viewer {
        request = request.data(viewer);
    }
    let mut response = state.schema.execute(request).await;
    for error in &mut response.errors {
        finish(error, &id);
    }
    GraphQLResponse::from(response).into_response()
}

/// Who asks. A token that does not verify refuses the request: answering it as a stranger's would hide from a
/// client that it has been signed out.
fn viewer(state: &AppState, headers: &HeaderMap) -> Result<Option<Viewer>, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let unauthenticated =
        |message: String| Refusal { status: StatusCode::UNAUTHORIZED, code: "UNAUTHENTICATED", message };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let Some(token) = token else {
        return Err(unauthenticated(
            "Send `Authorization: Bearer` and an access token, or no such header.".to_owned(),
        ));
    };
    let now = state.services.clock.now();
    state.services.tokens.verify(token, now).map(Some).map_err(|error| unauthenticated(error.to_string()))
}

/// Gives every error a code, and logs the cause of one that is our fault.
fn finish(error: &mut ServerError, RequestId(id): &RequestId) {
    if let Some(InternalError(cause)) = error.source::<InternalError>() {
        tracing::error!(request_id = id, path = ?error.path, cause = &**cause, "a resolver failed");
        error.extensions.get_or_insert_default().set("requestId", id.as_str());
        return;
    }
    let has_code = error.extensions.as_ref().is_some_and(|extensions| extensions.get("code").is_some());
    if !has_code {
        // Ours all have one: this is the engine's, about the document or its variables.
        set_code(error, "GRAPHQL_VALIDATION_FAILED");
    }
}

fn set_code(error: &mut ServerError, code: &str) {
    let extensions: &mut ErrorExtensionValues = error.extensions.get_or_insert_default();
    extensions.set("code", code);
}
