//! The shop: versions of courses and subjects, the time at which an offer begins, taxes, refunds, complimentary
//! purchases, allowances, and the values before and after the change that an audit event records.
//!
//! The new columns of existing tables have no CHECK constraints, because MariaDB would copy a table to add one. The new
//! tables have CHECK constraints where a column allows only some values.

use sea_orm_migration::prelude::*;

use crate::portable::{exact, foreign_key, key, prose, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The new indexes: name, table and columns.
const INDEXES: [(&str, &str, &[&str]); 5] = [
    // The sales report reads this index.
    ("idx_purchases_created", "purchases", &["created_at"]),
    // An index for the search for entitlements whose term is over and whose end is not recorded yet.
    ("idx_entitlements_expiry", "entitlements", &["live", "expires_at"]),
    // The filters of the audit trail read these indexes.
    ("idx_audit_events_actor", "audit_events", &["actor_id", "id"]),
    ("idx_audit_events_action", "audit_events", &["action", "id"]),
    ("idx_audit_events_at", "audit_events", &["at", "id"]),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in new_columns(manager) {
            step(manager).add_column(table, column).await?;
        }
        for (name, table, columns) in INDEXES {
            let mut index = Index::create().name(name).table(table).take();
            for column in columns {
                index.col(*column);
            }
            step(manager).create_index(index).await?;
        }
        create_purchase_grants(manager).await?;
        create_refunds(manager).await?;
        create_refund_lines(manager).await?;
        create_allowances(manager).await
    }

    /// Drops the refunds, the allowances, the reasons of complimentary purchases, and the new columns with their
    /// values.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["allowances", "refund_lines", "refunds", "purchase_grants"] {
            step(manager).drop_table(Table::drop().table(table).take()).await?;
        }
        for (name, table, _) in INDEXES {
            step(manager).drop_index(name, table).await?;
        }
        for (table, column) in DROPPED_COLUMNS {
            step(manager).drop_column(table, column).await?;
        }
        Ok(())
    }
}

/// The new columns in the order in which `down` drops them.
const DROPPED_COLUMNS: [(&str, &str); 15] = [
    ("audit_events", "state_after"),
    ("audit_events", "state_before"),
    ("test_sessions", "end_reason"),
    ("entitlements", "end_reason"),
    ("entitlements", "tax"),
    ("entitlements", "list_price"),
    ("purchases", "is_tax_included"),
    ("purchases", "tax_basis_points"),
    ("purchases", "tax_label"),
    ("purchases", "tax"),
    ("purchases", "subtotal"),
    ("cart_items", "price"),
    ("subjects", "offer_starts_at"),
    ("subjects", "version"),
    ("courses", "version"),
];

/// Defines the new columns, each with its table.
fn new_columns(manager: &SchemaManager<'_>) -> Vec<(&'static str, ColumnDef)> {
    let amount = |name: &'static str| ColumnDef::new(name).big_integer().take();
    let word = |name: &'static str| ColumnDef::new(name).string_len(16).take();
    let version = || ColumnDef::new("version").integer().not_null().default(1).take();
    vec![
        ("courses", version()),
        ("subjects", version()),
        ("subjects", utc(manager, "offer_starts_at")),
        ("cart_items", amount("price")),
        ("purchases", amount("subtotal")),
        ("purchases", amount("tax")),
        ("purchases", exact(manager, "tax_label", 32)),
        ("purchases", ColumnDef::new("tax_basis_points").integer().take()),
        ("purchases", ColumnDef::new("is_tax_included").boolean().take()),
        ("entitlements", amount("list_price")),
        ("entitlements", amount("tax")),
        ("entitlements", word("end_reason")),
        ("test_sessions", word("end_reason")),
        ("audit_events", prose(manager, "state_before")),
        ("audit_events", prose(manager, "state_after")),
    ]
}

/// Creates the table of complimentary purchases: each row says who granted a purchase, and why.
async fn create_purchase_grants(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let grants = "purchase_grants";
    step(manager)
        .create_table(
            Table::create()
                .table(grants)
                .col(ColumnDef::new("purchase_id").big_integer().not_null().primary_key())
                .col(ColumnDef::new("granted_by").big_integer())
                .col(prose(manager, "reason").not_null())
                .foreign_key(&mut foreign_key(
                    "fk_purchase_grants_purchase",
                    grants,
                    "purchase_id",
                    "purchases",
                    "id",
                ))
                .foreign_key(&mut foreign_key("fk_purchase_grants_user", grants, "granted_by", "users", "id"))
                .take(),
        )
        .await
}

async fn create_refunds(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let refunds = "refunds";
    step(manager)
        .create_table(
            Table::create()
                .table(refunds)
                .col(key("id"))
                .col(ColumnDef::new("purchase_id").big_integer().not_null())
                .col(ColumnDef::new("user_id").big_integer().not_null())
                .col(exact(manager, "idempotency_key", 36).not_null())
                .col(exact(manager, "request_hash", 64).not_null())
                .col(ColumnDef::new("amount").big_integer().not_null())
                .col(ColumnDef::new("tax").big_integer())
                .col(exact(manager, "currency", 3).not_null())
                .col(prose(manager, "reason").not_null())
                .col(ColumnDef::new("status").string_len(16).not_null())
                .col(ColumnDef::new("requested_by").big_integer().not_null())
                .col(utc(manager, "requested_at").not_null())
                .col(utc(manager, "settled_at"))
                .check(Expr::cust("amount >= 0"))
                .check(Expr::cust("status IN ('requested', 'settled', 'failed')"))
                .foreign_key(&mut foreign_key(
                    "fk_refunds_purchase",
                    refunds,
                    "purchase_id",
                    "purchases",
                    "id",
                ))
                .foreign_key(&mut foreign_key("fk_refunds_user", refunds, "user_id", "users", "id"))
                .foreign_key(&mut foreign_key("fk_refunds_requester", refunds, "requested_by", "users", "id"))
                .take(),
        )
        .await?;
    // An idempotency key of a refund belongs to its purchase and not to a user. So any member of support can repeat a
    // request whose response was lost.
    step(manager)
        .create_index(
            Index::create()
                .name("unique_refund_key_per_purchase")
                .unique()
                .table(refunds)
                .col("purchase_id")
                .col("idempotency_key")
                .take(),
        )
        .await?;
    // The sales report reads this index.
    step(manager)
        .create_index(Index::create().name("idx_refunds_requested").table(refunds).col("requested_at").take())
        .await
}

/// Creates the table of the subjects in refunds. Its primary key refuses a second refund of a subject of a purchase.
async fn create_refund_lines(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let lines = "refund_lines";
    step(manager)
        .create_table(
            Table::create()
                .table(lines)
                .col(ColumnDef::new("purchase_id").big_integer().not_null())
                .col(ColumnDef::new("subject_id").big_integer().not_null())
                .col(ColumnDef::new("refund_id").big_integer().not_null())
                .col(ColumnDef::new("amount").big_integer().not_null())
                .col(ColumnDef::new("tax").big_integer())
                .primary_key(Index::create().col("purchase_id").col("subject_id"))
                .check(Expr::cust("amount >= 0"))
                .foreign_key(&mut foreign_key("fk_refund_lines_refund", lines, "refund_id", "refunds", "id"))
                .foreign_key(
                    ForeignKey::create()
                        .name("fk_refund_lines_entitlement")
                        .from(lines, ("purchase_id", "subject_id"))
                        .to("entitlements", ("purchase_id", "subject_id"))
                        .on_delete(ForeignKeyAction::Restrict)
                        .on_update(ForeignKeyAction::Restrict),
                )
                .take(),
        )
        .await
}

/// Creates the table of allowances: extra time and attempts for a learner, for a subject or a course, or for a learner
/// in one subject or course. The scope is also stored as a text with a unique index. A unique index over the nullable
/// columns would accept a second row of the same scope, because two nulls count as different.
async fn create_allowances(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let allowances = "allowances";
    step(manager)
        .create_table(
            Table::create()
                .table(allowances)
                .col(key("id"))
                .col(exact(manager, "scope", 96).not_null().unique_key())
                .col(ColumnDef::new("user_id").big_integer())
                .col(ColumnDef::new("course_id").big_integer())
                .col(ColumnDef::new("subject_id").big_integer())
                .col(ColumnDef::new("extra_seconds").integer())
                .col(ColumnDef::new("max_attempts").integer())
                .col(prose(manager, "reason"))
                .col(ColumnDef::new("granted_by").big_integer().not_null())
                .col(utc(manager, "granted_at").not_null())
                .check(Expr::cust("extra_seconds BETWEEN 0 AND 86400"))
                .check(Expr::cust("max_attempts BETWEEN 1 AND 1000"))
                .foreign_key(&mut foreign_key("fk_allowances_user", allowances, "user_id", "users", "id"))
                .foreign_key(&mut foreign_key(
                    "fk_allowances_course",
                    allowances,
                    "course_id",
                    "courses",
                    "id",
                ))
                .foreign_key(&mut foreign_key(
                    "fk_allowances_subject",
                    allowances,
                    "subject_id",
                    "subjects",
                    "id",
                ))
                .foreign_key(&mut foreign_key(
                    "fk_allowances_granter",
                    allowances,
                    "granted_by",
                    "users",
                    "id",
                ))
                .take(),
        )
        .await
}
