//! The idempotency keys of refund requests that made no refund, because they found an earlier refund of the same
//! subjects.

use sea_orm_migration::prelude::*;

use crate::portable::{exact, foreign_key, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const REPEATS: &str = "refund_repeats";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        step(manager)
            .create_table(
                Table::create()
                    .table(REPEATS)
                    .col(ColumnDef::new("purchase_id").big_integer().not_null())
                    .col(exact(manager, "idempotency_key", 36).not_null())
                    .col(exact(manager, "request_hash", 64).not_null())
                    .col(ColumnDef::new("refund_id").big_integer().not_null())
                    .col(utc(manager, "requested_at").not_null())
                    .primary_key(Index::create().col("purchase_id").col("idempotency_key"))
                    .foreign_key(&mut foreign_key(
                        "fk_refund_repeats_purchase",
                        REPEATS,
                        "purchase_id",
                        "purchases",
                        "id",
                    ))
                    .foreign_key(&mut foreign_key(
                        "fk_refund_repeats_refund",
                        REPEATS,
                        "refund_id",
                        "refunds",
                        "id",
                    ))
                    .take(),
            )
            .await
    }

    /// Drops the idempotency keys of refund requests that found an earlier refund. A later request can then use one
    /// of these keys for another refund.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        step(manager).drop_table(Table::drop().table(REPEATS).take()).await
    }
}
