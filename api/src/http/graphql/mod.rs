//! GraphQL over HTTP: each request has one operation, and gets a single response or a stream of events. GraphQL over
//! WebSocket is served on the same path.
//! <https://graphql.github.io/graphql-over-http/draft/>

pub(super) mod budgets;
mod caller;
pub(super) mod credentials;
mod event_stream;
mod execution;
mod observed;
mod request;
pub(super) mod request_context;
mod websocket;

use async_graphql::parser::types::OperationType;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use tracing::Instrument;

use self::budgets::{OperationRefusal, prepare_operation, reject_credentials};
pub(super) use self::caller::Caller;
use self::execution::Execution;
use self::observed::ObservedOperation;
use self::request::{QueryParameters, read_body};
use self::request_context::RequestContext;
use super::refusal::RequestRefusal;
use super::response::{MediaType, Negotiated, ResponseFormat};
use super::{AllowedOrigins, AppState};
use crate::graphql::finish_errors;
use graphql_engine::GraphqlRequest;
use jishu_service::auth::AuthenticatedViewer;
use jishu_service::metrics::OperationTransport;

/// Handles a POST request: a query, a mutation or a subscription.
pub(super) async fn post(
    State(state): State<AppState>,
    context: RequestContext,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let call = read_body(&context.headers, body);
    respond(&state, context, call).await
}

/// Handles a GET request: a query, a subscription, or the handshake of a WebSocket. Refuses mutations, so a link or an
/// image on a page cannot change data. Some reads by support are recorded, but they need a token, which a link cannot
/// send.
pub(super) async fn get(
    State(state): State<AppState>,
    context: RequestContext,
    Extension(origins): Extension<AllowedOrigins>,
    parameters: Result<Query<QueryParameters>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match upgrade {
        Ok(upgrade) => return websocket::accept(&state, context, &origins, upgrade),
        Err(rejection) if wants_websocket(&context.headers) => {
            let message = format!(
                "This is not a valid WebSocket handshake: {rejection}. Correct it, or leave out the `Upgrade` header."
            );
            return RequestRefusal::bad_request(message).into_response(MediaType::Json);
        }
        Err(_) => {}
    }
    let call = match parameters {
        Ok(Query(parameters)) => parameters.try_into(),
        Err(_) => Err(RequestRefusal::bad_request(
            "The parameters of this request cannot be read. Send the document as `query` and, if needed, \
             `variables` as JSON and `operationName`, each once. Or send a POST request with a JSON body.",
        )),
    };
    respond(&state, context, call).await
}

/// Refuses a request with any method other than GET and POST.
pub(super) async fn method_not_allowed(headers: HeaderMap) -> Response {
    let message = "This path does not support the method of this request. Use POST, or GET for queries and \
                   subscriptions.";
    RequestRefusal::method_not_allowed("GET, POST", message).into_response(MediaType::for_refusal(&headers))
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|upgrade| upgrade.to_str().ok());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

/// Authenticates a request, runs its operation and returns the response.
async fn respond(
    state: &AppState,
    context: RequestContext,
    call: Result<GraphqlRequest, RequestRefusal>,
) -> Response {
    let Some(format) = context.format else {
        let message = "The `Accept` header names no type that this server can send. Name \
                       `application/graphql-response+json`, `application/json` or `text/event-stream`.";
        return RequestRefusal::new(StatusCode::NOT_ACCEPTABLE, "BAD_REQUEST", message)
            .into_response(MediaType::Json);
    };
    let media_type = format.media_type;
    let call = match call {
        Ok(call) if call.names_a_document() => call,
        Ok(_) => {
            let message = "The request has no document. Send one in `query`.";
            return RequestRefusal::bad_request(message).into_response(media_type);
        }
        Err(refusal) => return refusal.into_response(media_type),
    };
    let identity = match credentials::authenticate(state, context.client, &context.headers) {
        Ok(identity) => identity,
        Err(refusal) => return reject_credentials(state, context.client, refusal, media_type),
    };
    let executed = execute(state, context, format, &call, identity).await;
    let response = executed.unwrap_or_else(|refusal| refusal.into_response(media_type));
    state.with_viewer(response, identity.as_ref())
}

/// Executes the operation of a request.
async fn execute(
    state: &AppState,
    context: RequestContext,
    format: ResponseFormat,
    call: &GraphqlRequest,
    identity: Option<AuthenticatedViewer>,
) -> Result<Response, RequestRefusal> {
    let viewer = identity.map(|identity| identity.viewer);
    let caller = Caller { client: context.client, program: context.program(), viewer };
    let transport = Negotiated(Some(format)).transport(&context.method);
    let operation = match prepare_operation(state, context.charge, caller, call, transport) {
        Ok(operation) => operation,
        Err(OperationRefusal::OverBudget(refusal)) => return Err(refusal),
        Err(OperationRefusal::Document(refusal)) if format.prefers_events => {
            return Ok(event_stream::refused(&refusal.errors));
        }
        Err(OperationRefusal::Document(refusal)) => return Ok(format.media_type.refused(&refusal)),
    };
    match operation.kind() {
        OperationType::Mutation if context.method != Method::POST => {
            let message = "A GET request cannot run a mutation. Send the mutation with POST.";
            return Err(RequestRefusal::method_not_allowed("POST", message));
        }
        OperationType::Subscription if !format.accepts_events => {
            return Err(RequestRefusal::bad_request(
                "A subscription has more than one response. Send it with `Accept: text/event-stream`, or over a \
                 WebSocket on this path with the protocol `graphql-transport-ws`.",
            ));
        }
        OperationType::Subscription => {
            let stall_timeout = Some(state.live.stall());
            let transport = OperationTransport::EventStream;
            let observed = ObservedOperation::begin(state, &operation, transport, context.limit);
            let mut execution =
                Execution::start(state, &context.id, caller, (operation, observed), stall_timeout);
            // The client sees the head of the response only after the subscription has started. So the client misses no
            // event that it causes after that.
            if let Some(started) = execution.started() {
                started.await;
            }
            return Ok(event_stream::subscribed(state, identity.as_ref(), context.shutdown, execution));
        }
        OperationType::Query | OperationType::Mutation => {}
    }
    let has_secrets = operation.selects_secrets();
    let mut observed = ObservedOperation::begin(state, &operation, transport, context.limit);
    let executed = state.engine.execute(operation, state.resolver_data(caller));
    let mut response = executed.instrument(observed.span()).await;
    finish_errors(response.errors_mut(), &context.id);
    observed.responded(response.errors());
    if format.prefers_events {
        return Ok(event_stream::executed(&response));
    }
    Ok(format.media_type.executed(response, |json| {
        // The size of a compressed response depends on its content, so a response with secrets is not compressed.
        if has_secrets { None } else { state.compression.compress(&context.headers, json) }
    }))
}
