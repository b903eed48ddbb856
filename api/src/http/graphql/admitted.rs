//! Operations that may be executed: prepared, and paid for.

use crate::auth::Viewer;
use crate::graphql::engine::{self, Call, Operation};
use crate::http::AppState;
use crate::http::refusal::Refusal;
use crate::limit::ClientAddress;

/// Why an operation is not executed.
pub(super) enum Refused {
    /// The client has spent its budget.
    Spent(Refusal),
    /// For what the document says.
    Document(engine::Refusal),
}

/// Prepares an operation, at the cost of the user or the address that asks for it.
pub(super) fn prepare(
    state: &AppState,
    viewer: Option<Viewer>,
    client: ClientAddress,
    call: &Call,
) -> Result<Operation, Refused> {
    let user = viewer.map(|viewer| viewer.user_id);
    let charge = |cost| {
        let charged = state.services.limits.operation(user, client, cost);
        charged.map_err(|wait| Refused::Spent(Refusal::rate_limited(wait)))
    };
    // To be looked at costs 1, also where nothing is executed.
    charge(1)?;
    let operation = state.engine.prepare(call).map_err(Refused::Document)?;
    charge(u32::try_from(operation.cost()).unwrap_or(u32::MAX).saturating_sub(1))?;
    Ok(operation)
}
