//! GraphQL over HTTP: one operation a request.
//! <https://graphql.github.io/graphql-over-http/draft/>

mod answer;
mod request;

use async_graphql::parser::types::OperationType;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use self::answer::BadRequest;
pub(super) use self::answer::Media;
use self::request::{Parameters, read_body};
use super::AppState;
use super::refusal::{Refusal, tell_when_to_retry};
use crate::auth::Viewer;
use crate::graphql::engine::Call;
use crate::graphql::{RequestId, finish};
use crate::limit::ClientAddress;

/// POST: queries and mutations.
pub(super) async fn post(
    State(state): State<AppState>,
    Extension(id): Extension<RequestId>,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(media) = Media::wanted(&headers) else { return not_acceptable() };
    match read_body(&headers, body) {
        Ok(call) => answer(&state, &id, client, &headers, media, call, true).await,
        Err(refusal) => refusal.answer(media),
    }
}

/// GET: queries only, so that a link or an image can change nothing.
pub(super) async fn get(
    State(state): State<AppState>,
    Extension(id): Extension<RequestId>,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    let Some(media) = Media::wanted(&headers) else { return not_acceptable() };
    let call = match parameters {
        Ok(Query(parameters)) => parameters.try_into(),
        Err(_) => Err(BadRequest::new(
            "Send the document as the parameter `query`, with `variables` as JSON and `operationName` where they \
             are needed, each once; or POST a JSON body.",
        )),
    };
    match call {
        Ok(call) => answer(&state, &id, client, &headers, media, call, false).await,
        Err(refusal) => refusal.answer(media),
    }
}

/// Any other method.
pub(super) async fn other(headers: HeaderMap) -> Response {
    let media = Media::wanted(&headers).unwrap_or(Media::Json);
    BadRequest::method("Use POST, or GET for queries.").answer(media)
}

fn not_acceptable() -> Response {
    let refusal = BadRequest::new(
        "Answers are `application/graphql-response+json` or `application/json`: name one in `Accept`.",
    );
    BadRequest { status: StatusCode::NOT_ACCEPTABLE, ..refusal }.answer(Media::Json)
}

async fn answer(
    state: &AppState,
    id: &RequestId,
    client: ClientAddress,
    headers: &HeaderMap,
    media: Media,
    call: Call,
    may_change: bool,
) -> Response {
    if call.query.as_deref().is_none_or(|query| query.trim().is_empty())
        && call.document_id.is_none()
        && call.extensions.get("persistedQuery").is_none()
    {
        return BadRequest::new("`query` is missing: put the document there.").answer(media);
    }
    let viewer = match viewer(state, headers) {
        Ok(viewer) => viewer,
        Err(refusal) => return refusal.answer(media),
    };
    let user = viewer.map(|viewer| viewer.user_id);
    let limits = &state.services.limits;
    // To be looked at costs 1, also where nothing is executed.
    if let Err(wait) = limits.operation(user, client, 1) {
        return Refusal::rate_limited(wait).answer(media);
    }
    let operation = match state.engine.prepare(&call) {
        Ok(operation) => operation,
        Err(refusal) => return media.refused(&refusal),
    };
    match operation.kind() {
        OperationType::Mutation if !may_change => {
            let mut response =
                BadRequest::method("GET is for queries. Send mutations with POST.").answer(media);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        _ => {}
    }
    let cost = u32::try_from(operation.cost()).unwrap_or(u32::MAX);
    if let Err(wait) = limits.operation(user, client, cost.saturating_sub(1)) {
        return Refusal::rate_limited(wait).answer(media);
    }
    let mut response = state.engine.execute(operation, state.context(viewer, client)).await;
    finish(&mut response.errors, id);
    let mut answer = media.executed(&response);
    tell_when_to_retry(&response, &mut answer);
    answer
}

/// Who asks. A token that does not verify refuses the request: answering it as a stranger's would hide from a
/// client that it has been signed out.
fn viewer(state: &AppState, headers: &HeaderMap) -> Result<Option<Viewer>, BadRequest> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let Some(token) = token else {
        return Err(BadRequest::unauthenticated(
            "Send `Authorization: Bearer` and an access token, or no such header.",
        ));
    };
    let now = state.services.clock.now();
    let verified = state.services.tokens.verify(token, now);
    verified.map(Some).map_err(|error| BadRequest::unauthenticated(error.to_string()))
}
