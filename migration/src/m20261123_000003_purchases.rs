//! Purchases, entitlements, and the test cards.

use sea_orm_migration::prelude::*;

use crate::portable::{exact, foreign_key, key, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_purchases(manager).await?;
        create_entitlements(manager).await?;
        create_purchase_requests(manager).await?;
        create_mock_test_attempts(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in
            ["mock_test_attempts", "purchase_request_owned", "purchase_requests", "entitlements", "purchases"]
        {
            step(manager).drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}

async fn create_purchases(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    step(manager)
        .create_table(
            Table::create()
                .table("purchases")
                .col(key("id"))
                .col(ColumnDef::new("user_id").big_integer().not_null())
                .col(ColumnDef::new("course_id").big_integer().not_null())
                .col(ColumnDef::new("purchase_type").string_len(24).not_null())
                .col(ColumnDef::new("cost").big_integer().not_null())
                .col(exact(manager, "currency", 3).not_null())
                .col(ColumnDef::new("status").string_len(16).not_null())
                .col(utc(manager, "created_at").not_null())
                .col(utc(manager, "expires_at"))
                .check(Expr::cust("cost >= 0"))
                .foreign_key(&mut foreign_key("fk_purchases_user", "purchases", "user_id", "users", "id"))
                .foreign_key(&mut foreign_key(
                    "fk_purchases_course",
                    "purchases",
                    "course_id",
                    "courses",
                    "id",
                ))
                .take(),
        )
        .await?;
    // An index for the list of a user's purchases, newest first.
    step(manager)
        .create_index(
            Index::create().name("idx_purchases_user").table("purchases").col("user_id").col("id").take(),
        )
        .await
}

async fn create_entitlements(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    step(manager)
        .create_table(
            Table::create()
                .table("entitlements")
                .col(ColumnDef::new("purchase_id").big_integer().not_null())
                .col(ColumnDef::new("subject_id").big_integer().not_null())
                .col(ColumnDef::new("user_id").big_integer().not_null())
                .col(ColumnDef::new("price_paid").big_integer().not_null())
                .col(ColumnDef::new("test_cards").integer().not_null())
                .col(utc(manager, "granted_at").not_null())
                .col(utc(manager, "expires_at"))
                .col(utc(manager, "ended_at"))
                .col(
                    ColumnDef::new("live")
                        .integer()
                        .generated(Expr::cust("CASE WHEN ended_at IS NULL THEN 1 END"), true),
                )
                .primary_key(Index::create().col("purchase_id").col("subject_id"))
                .check(Expr::cust("price_paid >= 0"))
                .check(Expr::cust("test_cards >= 1"))
                .foreign_key(&mut foreign_key(
                    "fk_entitlements_purchase",
                    "entitlements",
                    "purchase_id",
                    "purchases",
                    "id",
                ))
                .foreign_key(&mut foreign_key(
                    "fk_entitlements_subject",
                    "entitlements",
                    "subject_id",
                    "subjects",
                    "id",
                ))
                .foreign_key(&mut foreign_key(
                    "fk_entitlements_user",
                    "entitlements",
                    "user_id",
                    "users",
                    "id",
                ))
                .take(),
        )
        .await?;
    // A user has at most one live entitlement to a subject. In an ended entitlement `live` is null, and a unique index
    // accepts several nulls.
    step(manager)
        .create_index(
            Index::create()
                .name("unique_live_entitlement")
                .unique()
                .table("entitlements")
                .col("user_id")
                .col("subject_id")
                .col("live")
                .take(),
        )
        .await
}

/// Creates the table of purchase requests, and the table of the subjects that the buyer already owned at each request.
/// With these tables, a repeated idempotency key gets the first response again, even if entitlements have ended since
/// the first request, or the clocks of several nodes differ.
async fn create_purchase_requests(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let requests = "purchase_requests";
    step(manager)
        .create_table(
            Table::create()
                .table(requests)
                .col(key("id"))
                .col(ColumnDef::new("user_id").big_integer().not_null())
                .col(exact(manager, "idempotency_key", 36).not_null())
                .col(exact(manager, "request_hash", 64).not_null())
                .col(ColumnDef::new("outcome").string_len(16).not_null())
                .col(ColumnDef::new("purchase_id").big_integer().not_null())
                .col(utc(manager, "created_at").not_null())
                .foreign_key(&mut foreign_key("fk_requests_user", requests, "user_id", "users", "id"))
                .foreign_key(&mut foreign_key(
                    "fk_requests_purchase",
                    requests,
                    "purchase_id",
                    "purchases",
                    "id",
                ))
                .take(),
        )
        .await?;
    step(manager)
        .create_index(
            Index::create()
                .name("unique_idempotency_key_per_user")
                .unique()
                .table(requests)
                .col("user_id")
                .col("idempotency_key")
                .take(),
        )
        .await?;

    let owned = "purchase_request_owned";
    step(manager)
        .create_table(
            Table::create()
                .table(owned)
                .col(ColumnDef::new("request_id").big_integer().not_null())
                .col(ColumnDef::new("subject_id").big_integer().not_null())
                .col(ColumnDef::new("granted_by").big_integer().not_null())
                .primary_key(Index::create().col("request_id").col("subject_id"))
                .foreign_key(&mut foreign_key("fk_owned_request", owned, "request_id", requests, "id"))
                .foreign_key(
                    ForeignKey::create()
                        .name("fk_owned_entitlement")
                        .from(owned, ("granted_by", "subject_id"))
                        .to("entitlements", ("purchase_id", "subject_id"))
                        .on_delete(ForeignKeyAction::Restrict)
                        .on_update(ForeignKeyAction::Restrict),
                )
                .take(),
        )
        .await
}

/// Creates the table of cards. A purchase spends most of its time on writing cards, so a card is a narrow row with only
/// one foreign key. That key refers to an entitlement, whose own foreign keys make sure that the purchase and the
/// subject exist.
async fn create_mock_test_attempts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    step(manager)
        .create_table(
            Table::create()
                .table("mock_test_attempts")
                .col(key("id"))
                .col(ColumnDef::new("purchase_id").big_integer().not_null())
                .col(ColumnDef::new("user_id").big_integer().not_null())
                .col(ColumnDef::new("subject_id").big_integer().not_null())
                .col(ColumnDef::new("test_number").integer().not_null())
                .col(ColumnDef::new("status").string_len(16).not_null())
                .col(ColumnDef::new("max_attempts").integer().not_null())
                .col(ColumnDef::new("attempts_used").integer().not_null().default(0))
                .col(utc(manager, "latest_attempt_at"))
                .col(ColumnDef::new("latest_score").integer())
                .col(ColumnDef::new("latest_percentage").integer())
                .col(ColumnDef::new("first_score").integer())
                .col(ColumnDef::new("best_score").integer())
                .check(Expr::cust("test_number >= 1"))
                .check(Expr::cust("attempts_used BETWEEN 0 AND max_attempts"))
                .foreign_key(
                    ForeignKey::create()
                        .name("fk_mock_test_attempts_entitlement")
                        .from("mock_test_attempts", ("purchase_id", "subject_id"))
                        .to("entitlements", ("purchase_id", "subject_id"))
                        .on_delete(ForeignKeyAction::Restrict)
                        .on_update(ForeignKeyAction::Restrict),
                )
                .take(),
        )
        .await?;
    step(manager)
        .create_index(
            Index::create()
                .name("unique_test_per_purchase_subject")
                .unique()
                .table("mock_test_attempts")
                .col("purchase_id")
                .col("subject_id")
                .col("test_number")
                .take(),
        )
        .await?;
    // An index for the list of a user's cards in its default order. `id` separates the cards of a subject that the user
    // got again after the first entitlement had ended.
    step(manager)
        .create_index(
            Index::create()
                .name("idx_mock_test_attempts_page")
                .table("mock_test_attempts")
                .col("user_id")
                .col("subject_id")
                .col("test_number")
                .col("id")
                .take(),
        )
        .await
}
