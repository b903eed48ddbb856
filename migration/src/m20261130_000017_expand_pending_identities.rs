//! The identity that a challenge links to its account after a right code.
//!
//! The new columns have no constraints and can be null, because MariaDB then adds them without copying the table.

use sea_orm_migration::prelude::*;

use crate::portable::exact;
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const CHALLENGES: &str = "sign_in_challenges";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        step(manager).add_column(CHALLENGES, exact(manager, "pending_issuer", 255)).await?;
        step(manager).add_column(CHALLENGES, exact(manager, "pending_subject", 255)).await
    }

    /// Drops both columns, so open challenges link no identity. Linked identities stay. The next sign-in at the issuer
    /// can link the identity.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        step(manager).drop_column(CHALLENGES, "pending_subject").await?;
        step(manager).drop_column(CHALLENGES, "pending_issuer").await
    }
}
