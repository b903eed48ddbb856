//! Reads what a user owns.

use jishu_entity::entitlement::{Column, Entity, Model};
use jishu_entity::{SubjectId, UserId};
use sea_orm::{ColumnTrait, DbErr, QueryFilter};

use super::Services;

/// Finds the live entitlements of a user to some subjects.
///
/// # Errors
/// Returns the database's error.
#[tracing::instrument(level = "debug", name = "entitlement.live", skip_all)]
pub async fn live(
    services: &Services,
    owner: UserId,
    subjects: impl IntoIterator<Item = SubjectId> + Send,
) -> Result<Vec<Model>, DbErr> {
    Entity::live_of(owner, services.clock.now())
        .filter(Column::SubjectId.is_in(subjects))
        .all(services.database.reader())
        .await
}
