//! Charges requests and operations to the budgets of clients.

use axum::response::Response;

use super::caller::Caller;
use super::observed::count_refusal;
use crate::http::AppState;
use crate::http::refusal::RequestRefusal;
use crate::http::response::MediaType;
use graphql_engine::{GraphqlRequest, PreparedOperation};
use jishu_service::limit::ClientAddress;
use jishu_service::metrics::{CostResult, OperationTransport};
use jishu_service::trace::{self, TRACE_TARGET};

/// The reason why an operation is not executed.
pub(super) enum OperationRefusal {
    /// The client has used up its budget.
    OverBudget(RequestRefusal),
    /// The engine refuses the document.
    Document(graphql_engine::Rejection),
}

/// Proof that a request was charged to the budget of the client's address. Each request must be charged before its
/// document is parsed.
pub(super) struct RequestCharge(());

/// Takes 1 from a budget of the client's address for a request, even if the request turns out to be invalid. A request
/// with credentials is charged to the budget of signed-in users at the address. A request without credentials is
/// charged to the anonymous budget of the address. Refuses the request if the budget is used up.
pub(super) fn charge_request(
    state: &AppState,
    client: ClientAddress,
    has_credentials: bool,
) -> Result<RequestCharge, RequestRefusal> {
    let charged = state.services.limits.take_for_request(client, has_credentials);
    charged.map(|()| RequestCharge(())).map_err(|wait| {
        if let Some(metrics) = state.services.metrics.requests() {
            metrics.cost(CostResult::Refused, 1);
            metrics.error("RATE_LIMITED");
        }
        RequestRefusal::rate_limited(client, wait)
    })
}

/// Rejects a request whose token does not verify, and charges the request to the anonymous budget of the client's
/// address. If this budget is used up, the response reports that instead.
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

/// Prepares an operation, and charges its cost to the budgets of the user and of the client's address. Counts a refusal
/// in the metrics.
pub(super) fn prepare_operation(
    state: &AppState,
    _: RequestCharge,
    caller: Caller,
    call: &GraphqlRequest,
    transport: OperationTransport,
) -> Result<PreparedOperation, OperationRefusal> {
    let prepared = prepare_uncounted(state, caller, call);
    match &prepared {
        Ok(_) => {}
        Err(OperationRefusal::OverBudget(refusal)) => count_refusal(state, transport, &[refusal.error()]),
        Err(OperationRefusal::Document(refusal)) => count_refusal(state, transport, &refusal.errors),
    }
    prepared
}

fn prepare_uncounted(
    state: &AppState,
    caller: Caller,
    call: &GraphqlRequest,
) -> Result<PreparedOperation, OperationRefusal> {
    let limits = &state.services.limits;
    let over_budget = |wait| OperationRefusal::OverBudget(RequestRefusal::rate_limited(caller.client, wait));
    let count_cost = |result, cost: u32| {
        if let Some(metrics) = state.services.metrics.requests() {
            metrics.cost(result, u64::from(cost));
        }
    };
    let user = caller.viewer.map(|viewer| viewer.user_id);
    if let Some(user) = user {
        limits
            .take_for_document(user)
            .inspect_err(|_| count_cost(CostResult::Refused, 1))
            .map_err(over_budget)?;
    }
    let plan = trace::span(|| tracing::debug_span!(target: TRACE_TARGET, "plan"));
    let operation = plan.in_scope(|| state.engine.prepare(call)).map_err(OperationRefusal::Document)?;
    let cost = u32::try_from(operation.cost()).unwrap_or(u32::MAX);
    let taken = limits.take_for_operation(user, caller.client, cost);
    count_cost(if taken.is_ok() { CostResult::Charged } else { CostResult::Refused }, cost);
    taken.map_err(over_budget)?;
    Ok(operation)
}
