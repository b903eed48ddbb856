//! Charges requests and operations to the budgets of clients.

use axum::response::Response;

use super::caller::Caller;
use crate::http::AppState;
use crate::http::refusal::RequestRefusal;
use crate::http::response::MediaType;
use graphql_engine::{GraphqlRequest, PreparedOperation};
use jishu_service::limit::ClientAddress;

/// The reason why an operation is not executed.
pub(super) enum OperationRefusal {
    /// The client has used up its budget.
    OverBudget(RequestRefusal),
    /// The engine refuses the document.
    Document(graphql_engine::Rejection),
}

/// Proof that a request was charged to the budget of its address. Each request must be charged before it is parsed.
pub(super) struct RequestCharge(());

/// Charges 1 to the address of a request, even if the request turns out to be invalid.
pub(super) fn charge_request(
    state: &AppState,
    client: ClientAddress,
    has_credentials: bool,
) -> Result<RequestCharge, RequestRefusal> {
    let charged = state.services.limits.take_for_request(client, has_credentials);
    charged.map(|()| RequestCharge(())).map_err(|wait| RequestRefusal::rate_limited(client, wait))
}

/// Rejects a request whose token does not verify, and charges it to the anonymous budget of its address.
pub(in crate::http) fn reject_credentials(
    state: &AppState,
    client: ClientAddress,
    refusal: RequestRefusal,
    media_type: MediaType,
) -> Response {
    match charge_request(state, client, false) {
        Ok(RequestCharge(())) => refusal.into_response(media_type),
        Err(over_budget) => over_budget.into_response(media_type),
    }
}

/// Prepares an operation and charges its cost to its user and its address.
pub(super) fn prepare_operation(
    state: &AppState,
    _: RequestCharge,
    caller: Caller,
    call: &GraphqlRequest,
) -> Result<PreparedOperation, OperationRefusal> {
    let limits = &state.services.limits;
    let over_budget = |wait| OperationRefusal::OverBudget(RequestRefusal::rate_limited(caller.client, wait));
    let user = caller.viewer.map(|viewer| viewer.user_id);
    if let Some(user) = user {
        limits.take_for_document(user).map_err(over_budget)?;
    }
    let operation = state.engine.prepare(call).map_err(OperationRefusal::Document)?;
    let cost = u32::try_from(operation.cost()).unwrap_or(u32::MAX);
    limits.take_for_operation(user, caller.client, cost).map_err(over_budget)?;
    Ok(operation)
}
