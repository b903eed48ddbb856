//! Operations that may be executed: prepared, and paid for.

use axum::response::Response;

use super::answer::Media;
use crate::auth::Viewer;
use crate::http::AppState;
use crate::http::refusal::Refusal;
use crate::limit::ClientAddress;
use graphql_engine::{GraphqlRequest, PreparedOperation};

/// Why an operation is not executed.
pub(super) enum Refused {
    /// The client has spent its budget.
    Spent(Refusal),
    /// For what the document says.
    Document(graphql_engine::Refusal),
}

/// A request that may be looked at: its address has paid for that.
pub(super) struct Looked(());

/// Looks at a request, which costs its address 1, also where it turns out to be none.
pub(super) fn look(
    state: &AppState,
    client: ClientAddress,
    has_credentials: bool,
) -> Result<Looked, Refusal> {
    let looked = state.services.limits.look(client, has_credentials);
    looked.map(|()| Looked(())).map_err(|wait| Refusal::rate_limited(client, wait))
}

/// Turns away who came with credentials that are none: a stranger, who pays as one.
pub(super) fn turn_away(state: &AppState, client: ClientAddress, refusal: Refusal, media: Media) -> Response {
    match look(state, client, false) {
        Ok(Looked(())) => refusal.answer(media),
        Err(spent) => spent.answer(media),
    }
}

/// Prepares an operation, at the cost of the user and the address that ask for it.
pub(super) fn prepare(
    state: &AppState,
    _: Looked,
    viewer: Option<Viewer>,
    client: ClientAddress,
    call: &GraphqlRequest,
) -> Result<PreparedOperation, Refused> {
    let limits = &state.services.limits;
    let spent = |wait| Refused::Spent(Refusal::rate_limited(client, wait));
    let user = viewer.map(|viewer| viewer.user_id);
    if let Some(user) = user {
        limits.look_for(user).map_err(spent)?;
    }
    let operation = state.engine.prepare(call).map_err(Refused::Document)?;
    let cost = u32::try_from(operation.cost()).unwrap_or(u32::MAX);
    limits.operation(user, client, cost).map_err(spent)?;
    Ok(operation)
}
