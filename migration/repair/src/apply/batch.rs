//! Helpers for both ways to run a repair: in one transaction, and step by step.

use sea_orm::ConnectionTrait;

use crate::error::RepairError;
use crate::inspect::{CardGroup, Inspection};
use crate::merge::{MergeTransaction, MergedGroup};
use crate::plan::RepairPlan;

/// Merges a batch of groups inside an open transaction.
pub(super) async fn merge_batch_in(
    connection: &impl ConnectionTrait,
    inspection: &Inspection,
    groups: &[CardGroup],
) -> Result<Vec<MergedGroup>, RepairError> {
    let run = inspection.figures.run();
    MergeTransaction { connection, state: &inspection.state, run }.merge(groups).await
}

/// Fails with the blockers of the plan, if a person must decide something before the repair can run.
pub(super) fn refuse_blocked(plan: &RepairPlan) -> Result<(), RepairError> {
    if plan.blockers.is_empty() { Ok(()) } else { Err(RepairError::Blocked(plan.blockers.clone())) }
}
