//! The migration of a next version, for the test that runs two versions side by side. It adds one thing of each kind
//! that an expanding migration may add.

use sea_orm_migration::prelude::*;

use crate::portable::{key, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["users", "purchases", "entitlements", "mock_test_attempts", "test_sessions", "test_answers"] {
            let number = ColumnDef::new("next_number").big_integer().not_null().default(7).take();
            step(manager).add_column(table, number).await?;
        }
        step(manager).add_column("purchases", utc(manager, "next_at")).await?;
        if manager.get_database_backend() != sea_orm::DbBackend::Sqlite {
            step(manager).add_checks("purchases", &[("check_next_number", "next_number > 0".to_owned())]).await?;
        }
        let index = Index::create().name("idx_next_number").table("mock_test_attempts").col("next_number").take();
        step(manager).create_index(index).await?;
        step(manager).create_table(Table::create().table("next_things").col(key("id")).take()).await
    }
}
