//! The parts of an HTTP request that the GraphQL handlers need.

use axum::Extension;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};

use super::budgets::{RequestCharge, charge_request};
use crate::graphql::RequestId;
use crate::http::admission::TimeLimit;
use crate::http::observe::LogSpan;
use crate::http::response::{Negotiated, ResponseFormat};
use crate::http::{AppState, ShutdownSignal};
use jishu_service::account::ClientProgram;
use jishu_service::limit::ClientAddress;

/// The context of one HTTP request. Extracting the context charges the request to the budget of the client's address,
/// and refuses the request if the budget is used up.
pub(in crate::http) struct RequestContext {
    pub(super) id: RequestId,
    pub(in crate::http) client: ClientAddress,
    pub(super) shutdown: ShutdownSignal,
    pub(super) method: Method,
    /// The format of the response. None if the client accepts no format of this server.
    pub(super) format: Option<ResponseFormat>,
    pub(in crate::http) headers: HeaderMap,
    pub(super) charge: RequestCharge,
    /// The time limit of the request. None if metrics and traces are off.
    pub(super) limit: Option<TimeLimit>,
    /// The span of the log lines of the request. None if the request is not traced.
    pub(super) log_span: Option<LogSpan>,
}

impl RequestContext {
    /// Returns the program and the system that the server recognises in the `User-Agent` header. Returns None if the
    /// server recognises neither.
    pub(super) fn program(&self) -> Option<ClientProgram> {
        let header = self.headers.get(header::USER_AGENT)?;
        ClientProgram::of_user_agent(header.to_str().ok()?)
    }
}

impl FromRequestParts<AppState> for RequestContext {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let Extension(client) = extension::<ClientAddress>(parts, state).await?;
        let negotiated = Negotiated::of(&parts.extensions);
        let has_credentials = parts.headers.contains_key(header::AUTHORIZATION);
        let charge = charge_request(state, client, has_credentials)
            .map_err(|refusal| refusal.into_response(negotiated.for_refusal()))?;
        let Extension(id) = extension::<RequestId>(parts, state).await?;
        let Extension(shutdown) = extension::<ShutdownSignal>(parts, state).await?;
        Ok(Self {
            id,
            client,
            shutdown,
            method: parts.method.clone(),
            format: negotiated.0,
            headers: parts.headers.clone(),
            charge,
            limit: parts.extensions.get::<TimeLimit>().cloned(),
            log_span: parts.extensions.get::<LogSpan>().cloned(),
        })
    }
}

/// Returns an extension of the request, which a layer of the server has added.
async fn extension<T: Clone + Send + Sync + 'static>(
    parts: &mut Parts,
    state: &AppState,
) -> Result<Extension<T>, Response> {
    Extension::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)
}
