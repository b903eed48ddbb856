//! Courses, subjects, and the cart.

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
                    .table("courses")
                    .col(key("id"))
                    .col(exact(manager, "code", 64).unique_key())
                    .col(ColumnDef::new("name").string_len(200).not_null())
                    .col(ColumnDef::new("description").text())
                    .col(exact(manager, "currency", 3).not_null())
                    .col(ColumnDef::new("bundle_price").big_integer())
                    .col(ColumnDef::new("validity_days").integer())
                    .col(utc(manager, "archived_at"))
                    .col(utc(manager, "created_at").not_null())
                    .check(Expr::cust("bundle_price BETWEEN 0 AND 1000000000000"))
                    .check(Expr::cust("validity_days BETWEEN 1 AND 36500"))
                    .take(),
            )
            .await?;

        // Prices have an upper bound, so that the sum of the prices of any selection of subjects does not overflow.
        // A purchase gets at most 1000 cards for a subject, because MariaDB by default silently ends a recursive query
        // after 1000 rounds.
        step(manager)
            .create_table(
                Table::create()
                    .table("subjects")
                    .col(key("id"))
                    .col(ColumnDef::new("course_id").big_integer().not_null())
                    .col(exact(manager, "code", 64))
                    .col(ColumnDef::new("name").string_len(200).not_null())
                    .col(ColumnDef::new("list_price").big_integer().not_null())
                    .col(ColumnDef::new("offer_price").big_integer())
                    .col(utc(manager, "offer_ends_at"))
                    .col(ColumnDef::new("total_mock_tests").integer().not_null().default(50))
                    .col(ColumnDef::new("max_attempts").integer().not_null().default(3))
                    .col(utc(manager, "archived_at"))
                    .col(utc(manager, "created_at").not_null())
                    .check(Expr::cust("list_price BETWEEN 0 AND 1000000000000"))
                    .check(Expr::cust("offer_price BETWEEN 0 AND 1000000000000"))
                    .check(Expr::cust("total_mock_tests BETWEEN 1 AND 1000"))
                    .check(Expr::cust("max_attempts BETWEEN 1 AND 1000"))
                    .foreign_key(&mut foreign_key(
                        "fk_subjects_course",
                        "subjects",
                        "course_id",
                        "courses",
                        "id",
                    ))
                    .take(),
            )
            .await?;
        step(manager)
            .create_index(
                Index::create()
                    .name("unique_subject_code_per_course")
                    .unique()
                    .table("subjects")
                    .col("course_id")
                    .col("code")
                    .take(),
            )
            .await?;

        step(manager)
            .create_table(
                Table::create()
                    .table("cart_items")
                    .col(ColumnDef::new("user_id").big_integer().not_null())
                    .col(ColumnDef::new("subject_id").big_integer().not_null())
                    .col(utc(manager, "added_at").not_null())
                    .primary_key(Index::create().col("user_id").col("subject_id"))
                    .foreign_key(&mut foreign_key(
                        "fk_cart_items_user",
                        "cart_items",
                        "user_id",
                        "users",
                        "id",
                    ))
                    .foreign_key(&mut foreign_key(
                        "fk_cart_items_subject",
                        "cart_items",
                        "subject_id",
                        "subjects",
                        "id",
                    ))
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["cart_items", "subjects", "courses"] {
            step(manager).drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}
