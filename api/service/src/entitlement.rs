//! Reads the live entitlements of users.

use jishu_entity::entitlement::{Column, Entity, Model};
use jishu_entity::{SubjectId, UserId};
use jishu_service_macros::service_call;
use sea_orm::{ColumnTrait, DbErr, QueryFilter};

use super::Services;

/// Finds the entitlements of a user to these subjects that are live now.
///
/// # Errors
/// Returns the database's error.
#[service_call("entitlement.live")]
pub async fn live(services: &Services, owner: UserId, subjects: Vec<SubjectId>) -> Result<Vec<Model>, DbErr> {
    Entity::live_of(owner, services.clock.now())
        .filter(Column::SubjectId.is_in(subjects))
        .all(services.database.reader())
        .await
}
