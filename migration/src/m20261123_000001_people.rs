//! Users, their refresh tokens, and the audit log.

use sea_orm_migration::prelude::*;

use crate::portable::{exact, foreign_key, key, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        step(manager)
            .create_table(
                Table::create()
                    .table("users")
                    .col(key("id"))
                    .col(ColumnDef::new("name").string_len(200).not_null())
                    .col(exact(manager, "email", 254).not_null().unique_key())
                    .col(ColumnDef::new("password_hash").string_len(255).not_null())
                    .col(ColumnDef::new("role").string_len(16).not_null())
                    .col(ColumnDef::new("status").string_len(16).not_null())
                    .col(utc(manager, "created_at").not_null())
                    .take(),
            )
            .await?;

        step(manager)
            .create_table(
                Table::create()
                    .table("refresh_tokens")
                    .col(key("id"))
                    .col(ColumnDef::new("user_id").big_integer().not_null())
                    .col(exact(manager, "token_hash", 64).not_null().unique_key())
                    .col(exact(manager, "family_id", 36).not_null())
                    .col(utc(manager, "created_at").not_null())
                    .col(utc(manager, "expires_at").not_null())
                    .col(utc(manager, "used_at"))
                    .col(utc(manager, "revoked_at"))
                    .foreign_key(&mut foreign_key(
                        "fk_refresh_tokens_user",
                        "refresh_tokens",
                        "user_id",
                        "users",
                        "id",
                    ))
                    .take(),
            )
            .await?;
        for (name, column) in
            [("idx_refresh_tokens_user", "user_id"), ("idx_refresh_tokens_family", "family_id")]
        {
            step(manager)
                .create_index(Index::create().name(name).table("refresh_tokens").col(column).take())
                .await?;
        }

        // Audit events have no foreign key to users, so that an event stays even if the row of its user is deleted.
        step(manager)
            .create_table(
                Table::create()
                    .table("audit_events")
                    .col(key("id"))
                    .col(utc(manager, "at").not_null())
                    .col(ColumnDef::new("actor_id").big_integer())
                    .col(ColumnDef::new("action").string_len(64).not_null())
                    .col(ColumnDef::new("target_type").string_len(64).not_null())
                    .col(ColumnDef::new("target_id").big_integer().not_null())
                    .take(),
            )
            .await?;
        step(manager)
            .create_index(
                Index::create()
                    .name("idx_audit_events_target")
                    .table("audit_events")
                    .col("target_type")
                    .col("target_id")
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["audit_events", "refresh_tokens", "users"] {
            step(manager).drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}
