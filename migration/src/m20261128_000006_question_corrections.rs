//! Corrections of keys, and the revisions of papers that they cause.

use sea_orm_migration::prelude::*;

use crate::portable::{foreign_key, key, prose, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Gives revision 1 to all existing papers and sittings, and creates the tables of corrections and revisions.
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        step(manager).add_column("papers", revision("revision")).await?;
        step(manager).add_column("test_sessions", revision("paper_revision")).await?;
        create_corrections(manager).await?;
        create_revisions(manager).await
    }

    /// Drops the corrections and the revisions. All papers then have the keys of their revision 1 again, and sittings
    /// that were scored with a corrected key are shown with the wrong key. The stored scores stay.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["paper_revisions", "question_corrections"] {
            step(manager).drop_table(Table::drop().table(table).take()).await?;
        }
        step(manager).drop_column("test_sessions", "paper_revision").await?;
        step(manager).drop_column("papers", "revision").await
    }
}

fn revision(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).integer().not_null().default(1).take()
}

async fn create_corrections(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let corrections = "question_corrections";
    let version =
        |name: &str, column: &'static str| foreign_key(name, corrections, column, "question_versions", "id");
    step(manager)
        .create_table(
            Table::create()
                .table(corrections)
                .col(key("id"))
                .col(ColumnDef::new("question_id").big_integer().not_null())
                .col(ColumnDef::new("previous_version_id").big_integer().not_null())
                .col(ColumnDef::new("version_id").big_integer().not_null())
                .col(ColumnDef::new("corrected_by").big_integer())
                .col(prose(manager, "reason").not_null())
                .col(utc(manager, "corrected_at").not_null())
                .check(Expr::cust("previous_version_id <> version_id"))
                .foreign_key(&mut foreign_key(
                    "fk_question_corrections_question",
                    corrections,
                    "question_id",
                    "questions",
                    "id",
                ))
                .foreign_key(&mut version("fk_question_corrections_previous", "previous_version_id"))
                .foreign_key(&mut version("fk_question_corrections_version", "version_id"))
                .foreign_key(&mut foreign_key(
                    "fk_question_corrections_user",
                    corrections,
                    "corrected_by",
                    "users",
                    "id",
                ))
                .take(),
        )
        .await?;
    step(manager)
        .create_index(
            Index::create()
                .name("idx_question_corrections_question")
                .table(corrections)
                .col("question_id")
                .col("id")
                .take(),
        )
        .await
}

async fn create_revisions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let revisions = "paper_revisions";
    step(manager)
        .create_table(
            Table::create()
                .table(revisions)
                .col(ColumnDef::new("paper_id").big_integer().not_null())
                .col(ColumnDef::new("revision").integer().not_null())
                .col(ColumnDef::new("slot").integer().not_null())
                .col(ColumnDef::new("version_id").big_integer().not_null())
                .col(ColumnDef::new("correction_id").big_integer().not_null())
                .primary_key(Index::create().col("paper_id").col("revision").col("slot"))
                .check(Expr::cust("revision >= 2"))
                .check(Expr::cust("slot >= 1"))
                .foreign_key(&mut foreign_key(
                    "fk_paper_revisions_paper",
                    revisions,
                    "paper_id",
                    "papers",
                    "id",
                ))
                .foreign_key(&mut foreign_key(
                    "fk_paper_revisions_version",
                    revisions,
                    "version_id",
                    "question_versions",
                    "id",
                ))
                .foreign_key(&mut foreign_key(
                    "fk_paper_revisions_correction",
                    revisions,
                    "correction_id",
                    "question_corrections",
                    "id",
                ))
                .take(),
        )
        .await
}
