//! Sign-in: the successor of a used refresh token, which is kept for a short time, and the networks from which a user
//! signed in.

use sea_orm_migration::prelude::*;

use crate::portable::{exact, foreign_key, key, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        step(manager).add_column("refresh_tokens", exact(manager, "successor", 128)).await?;
        step(manager).add_column("refresh_tokens", utc(manager, "successor_until")).await?;
        step(manager)
            .create_index(
                Index::create()
                    .name("idx_refresh_tokens_successor_until")
                    .table("refresh_tokens")
                    .col("successor_until")
                    .take(),
            )
            .await?;

        step(manager)
            .create_table(
                Table::create()
                    .table("sign_in_networks")
                    .col(key("id"))
                    .col(ColumnDef::new("user_id").big_integer().not_null())
                    .col(exact(manager, "network", 64).not_null())
                    .col(utc(manager, "seen_at").not_null())
                    .foreign_key(&mut foreign_key(
                        "fk_sign_in_networks_user",
                        "sign_in_networks",
                        "user_id",
                        "users",
                        "id",
                    ))
                    .take(),
            )
            .await?;
        step(manager)
            .create_index(
                Index::create()
                    .name("unique_network_per_user")
                    .table("sign_in_networks")
                    .col("user_id")
                    .col("network")
                    .unique()
                    .take(),
            )
            .await?;
        step(manager)
            .create_index(
                Index::create()
                    .name("idx_sign_in_networks_seen_at")
                    .table("sign_in_networks")
                    .col("seen_at")
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        step(manager).drop_table(Table::drop().table("sign_in_networks").take()).await?;
        step(manager).drop_index("idx_refresh_tokens_successor_until", "refresh_tokens").await?;
        step(manager).drop_column("refresh_tokens", "successor_until").await?;
        step(manager).drop_column("refresh_tokens", "successor").await
    }
}
