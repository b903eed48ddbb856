//! GraphQL over HTTP: one operation a request, answered once or as a stream of events; and over WebSocket.
//! <https://graphql.github.io/graphql-over-http/draft/>

mod admitted;
mod answer;
mod credentials;
mod event_stream;
mod request;
mod running;
mod websocket;

use async_graphql::parser::types::OperationType;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use self::admitted::{Looked, Refused, look, prepare, turn_away};
pub(super) use self::answer::Media;
use self::answer::Wanted;
use self::request::{Parameters, read_body};
use self::running::Running;
use super::refusal::Refusal;
use super::{AllowedOrigins, AppState, Stopping};
use crate::auth::Identity;
use crate::graphql::{RequestId, finish};
use crate::limit::ClientAddress;
use graphql_engine::GraphqlRequest;

/// What every request comes with.
type Common = (Extension<RequestId>, Extension<ClientAddress>, Extension<Stopping>, HeaderMap);

/// POST: queries, mutations and subscriptions.
pub(super) async fn post(
    State(state): State<AppState>,
    common: Common,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let headers = &common.3;
    let looked = match look(&state, common.1.0, headers.contains_key(header::AUTHORIZATION)) {
        Ok(looked) => looked,
        Err(refusal) => return refusal.answer(Media::wanted(headers).unwrap_or(Media::Json)),
    };
    let Some(wanted) = Wanted::by(headers) else { return not_acceptable() };
    match read_body(headers, body) {
        Ok(call) => answer(&state, looked, common, wanted, call, true).await,
        Err(refusal) => refusal.answer(wanted.media),
    }
}

/// GET: queries and subscriptions only, so that a link or an image can change nothing (what support looks
/// up is recorded, for which it takes a token); or a WebSocket.
pub(super) async fn get(
    State(state): State<AppState>,
    common: Common,
    Extension(origins): Extension<AllowedOrigins>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let headers = &common.3;
    let looked = match look(&state, common.1.0, headers.contains_key(header::AUTHORIZATION)) {
        Ok(looked) => looked,
        Err(refusal) => return refusal.answer(Media::wanted(headers).unwrap_or(Media::Json)),
    };
    match upgrade {
        Ok(upgrade) => return websocket::accept(state, common, &origins, upgrade),
        Err(rejection) if wants_websocket(headers) => {
            return Refusal::bad_request(format!("This is no handshake of a WebSocket: {rejection}."))
                .answer(Media::Json);
        }
        Err(_) => {}
    }
    let Some(wanted) = Wanted::by(headers) else { return not_acceptable() };
    let call = match parameters {
        Ok(Query(parameters)) => parameters.try_into(),
        Err(_) => Err(Refusal::bad_request(
            "Send the document as the parameter `query`, with `variables` as JSON and `operationName` where they \
             are needed, each once; or POST a JSON body.",
        )),
    };
    match call {
        Ok(call) => answer(&state, looked, common, wanted, call, false).await,
        Err(refusal) => refusal.answer(wanted.media),
    }
}

/// Any other method.
pub(super) async fn other(headers: HeaderMap) -> Response {
    let media = Media::wanted(&headers).unwrap_or(Media::Json);
    Refusal::method("GET, POST", "Use POST, or GET for queries and subscriptions.").answer(media)
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|upgrade| upgrade.to_str().ok());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

fn not_acceptable() -> Response {
    let message = "Answers are `application/graphql-response+json`, `application/json` or `text/event-stream`: name one in \
         `Accept`.";
    Refusal::new(StatusCode::NOT_ACCEPTABLE, "BAD_REQUEST", message).answer(Media::Json)
}

async fn answer(
    state: &AppState,
    looked: Looked,
    (Extension(id), Extension(client), Extension(stopping), headers): Common,
    wanted: Wanted,
    call: GraphqlRequest,
    may_change: bool,
) -> Response {
    let media = wanted.media;
    if !call.names_a_document() {
        return Refusal::bad_request("`query` is missing: put the document there.").answer(media);
    }
    let identity = match credentials::of_request(state, client, &headers) {
        Ok(identity) => identity,
        Err(refusal) => return turn_away(state, client, refusal, media),
    };
    let common = (Extension(id), Extension(client), Extension(stopping), headers);
    let response = operate(state, looked, common, wanted, call, identity, may_change).await;
    state.with_user(response, identity.as_ref())
}

async fn operate(
    state: &AppState,
    looked: Looked,
    (Extension(id), Extension(client), Extension(stopping), _): Common,
    wanted: Wanted,
    call: GraphqlRequest,
    identity: Option<Identity>,
    may_change: bool,
) -> Response {
    let (media, viewer) = (wanted.media, identity.map(|identity| identity.viewer));
    let operation = match prepare(state, looked, viewer, client, &call) {
        Ok(operation) => operation,
        Err(Refused::Spent(refusal)) => return refusal.answer(media),
        Err(Refused::Document(refusal)) if wanted.events_first => {
            return event_stream::refused(&refusal.errors);
        }
        Err(Refused::Document(refusal)) => return media.refused(&refusal),
    };
    match operation.kind() {
        OperationType::Mutation if !may_change => {
            return Refusal::method("POST", "GET is for queries. Send mutations with POST.").answer(media);
        }
        OperationType::Subscription if !wanted.events => {
            return Refusal::bad_request(
                "A subscription has many answers: send it with `Accept: text/event-stream`, or over a WebSocket on \
                 this path that speaks `graphql-transport-ws`.",
            )
            .answer(media);
        }
        OperationType::Subscription => {
            let mut running = Running::start(state, &id, viewer, client, operation, Some(state.live.stall()));
            // What is asked once the head is there is asked of a subscription that has begun.
            if let Some(begun) = running.begun() {
                begun.await;
            }
            return event_stream::subscribed(state, identity.as_ref(), stopping, running);
        }
        OperationType::Query | OperationType::Mutation => {}
    }
    let mut response = state.engine.execute(operation, state.context(viewer, client)).await;
    finish(&mut response.errors, &id);
    if wanted.events_first {
        return event_stream::executed(&response);
    }
    media.executed(response)
}
