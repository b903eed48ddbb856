//! Orders with their lines, payment events, payment refunds, and the channel of the outbox for requests to payment
//! providers.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

use crate::portable::{exact, foreign_key, key, prose, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The new indexes: name, table, columns, and whether they are unique.
const INDEXES: [(&str, &str, &[&str], bool); 9] = [
    ("unique_order_key_per_user", "orders", &["user_id", "idempotency_key"], true),
    ("unique_order_at_provider", "orders", &["provider", "provider_reference"], true),
    // An index for the search for orders that the reconciler must check now.
    ("idx_orders_due", "orders", &["due_at"], false),
    // An index for the list of orders in a given state.
    ("idx_orders_state", "orders", &["state", "id"], false),
    ("unique_payment_fact", "payment_events", &["provider", "fact"], true),
    ("idx_payment_events_order", "payment_events", &["order_id", "kind"], false),
    ("idx_payment_events_payment", "payment_events", &["payment"], false),
    ("unique_refund_at_provider", "payment_refunds", &["provider", "provider_refund"], true),
    ("idx_payment_refunds_order", "payment_refunds", &["order_id", "status"], false),
];

const PROVIDERS: &str = "provider IN ('razorpay', 'stripe', 'manual', 'free')";
const CHANNELS_BEFORE: &str = "channel IN ('mail', 'webhook')";
const CHANNELS: &str = "channel IN ('mail', 'webhook', 'payment')";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_orders(manager).await?;
        create_order_lines(manager).await?;
        create_payment_events(manager).await?;
        create_payment_refunds(manager).await?;
        for (name, table, columns, is_unique) in INDEXES {
            let mut index = Index::create().name(name).table(table).take();
            for column in columns {
                index.col(*column);
            }
            if is_unique {
                index.unique();
            }
            step(manager).create_index(index).await?;
        }
        replace_channels(manager, CHANNELS_BEFORE, CHANNELS).await
    }

    /// Drops the orders, their payment events and payment refunds, and all messages of the outbox to payment providers.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        step(manager).execute("DELETE FROM outbox WHERE channel = 'payment'").await?;
        replace_channels(manager, CHANNELS, CHANNELS_BEFORE).await?;
        for table in ["payment_refunds", "payment_events", "order_lines", "orders"] {
            step(manager).drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}

fn amount(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

fn word(name: &'static str, length: u32) -> ColumnDef {
    ColumnDef::new(name).string_len(length).take()
}

async fn create_orders(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let orders = "orders";
    step(manager)
        .create_table(
            Table::create()
                .table(orders)
                .col(key("id"))
                .col(ColumnDef::new("user_id").big_integer().not_null())
                .col(ColumnDef::new("course_id").big_integer().not_null())
                .col(word("purchase_type", 24).not_null())
                .col(exact(manager, "receipt_number", 40).not_null().unique_key())
                .col(exact(manager, "reference", 36).not_null().unique_key())
                .col(exact(manager, "idempotency_key", 36).not_null())
                .col(exact(manager, "request_hash", 64).not_null())
                .col(word("provider", 16).not_null())
                .col(exact(manager, "provider_reference", 128))
                .col(exact(manager, "payment_reference", 128))
                .col(amount("amount"))
                .col(amount("subtotal"))
                .col(amount("tax"))
                .col(exact(manager, "tax_label", 32).not_null())
                .col(ColumnDef::new("tax_basis_points").integer().not_null())
                .col(ColumnDef::new("is_tax_included").boolean().not_null())
                .col(exact(manager, "currency", 3).not_null())
                .col(word("state", 16).not_null())
                .col(word("reason", 24))
                .col(ColumnDef::new("purchase_id").big_integer().unique_key())
                .col(utc(manager, "created_at").not_null())
                .col(utc(manager, "expires_at").not_null())
                .col(utc(manager, "paid_at"))
                .col(utc(manager, "changed_at").not_null())
                .col(utc(manager, "disputed_at"))
                .col(utc(manager, "due_at"))
                .col(ColumnDef::new("checks").integer().not_null().default(0))
                .check(Expr::cust("purchase_type IN ('single_subject', 'multiple_subjects', 'full_bundle')"))
                .check(Expr::cust(PROVIDERS))
                .check(Expr::cust(
                    "state IN ('pending', 'paid', 'granted', 'expired', 'cancelled', 'refunding', 'refunded', \
                     'needs_attention')",
                ))
                .check(Expr::cust("amount >= 0 AND subtotal >= 0 AND tax >= 0"))
                // A granted order has a purchase.
                .check(Expr::cust("state <> 'granted' OR purchase_id IS NOT NULL"))
                .foreign_key(&mut foreign_key("fk_orders_user", orders, "user_id", "users", "id"))
                .foreign_key(&mut foreign_key("fk_orders_course", orders, "course_id", "courses", "id"))
                .foreign_key(&mut foreign_key("fk_orders_purchase", orders, "purchase_id", "purchases", "id"))
                .take(),
        )
        .await
}

async fn create_order_lines(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let lines = "order_lines";
    step(manager)
        .create_table(
            Table::create()
                .table(lines)
                .col(ColumnDef::new("order_id").big_integer().not_null())
                .col(ColumnDef::new("subject_id").big_integer().not_null())
                .col(amount("list_price"))
                .col(amount("price"))
                .col(amount("tax"))
                .col(ColumnDef::new("test_cards").integer().not_null())
                .primary_key(Index::create().col("order_id").col("subject_id"))
                .check(Expr::cust("list_price >= 0 AND price >= 0 AND tax >= 0"))
                .foreign_key(&mut foreign_key("fk_order_lines_order", lines, "order_id", "orders", "id"))
                .foreign_key(&mut foreign_key(
                    "fk_order_lines_subject",
                    lines,
                    "subject_id",
                    "subjects",
                    "id",
                ))
                .take(),
        )
        .await
}

async fn create_payment_events(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let events = "payment_events";
    step(manager)
        .create_table(
            Table::create()
                .table(events)
                .col(key("id"))
                .col(ColumnDef::new("order_id").big_integer())
                .col(word("provider", 16).not_null())
                .col(exact(manager, "fact", 191).not_null())
                .col(exact(manager, "event_id", 128))
                .col(word("kind", 24).not_null())
                .col(exact(manager, "payment", 128))
                .col(exact(manager, "object", 128))
                .col(exact(manager, "reference", 64))
                .col(ColumnDef::new("amount").big_integer())
                .col(exact(manager, "currency", 3))
                .col(word("source", 16).not_null())
                .col(utc(manager, "recorded_at").not_null())
                .check(Expr::cust(PROVIDERS))
                .check(Expr::cust("amount >= 0"))
                .foreign_key(&mut foreign_key("fk_payment_events_order", events, "order_id", "orders", "id"))
                .take(),
        )
        .await
}

async fn create_payment_refunds(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let refunds = "payment_refunds";
    step(manager)
        .create_table(
            Table::create()
                .table(refunds)
                .col(key("id"))
                .col(ColumnDef::new("order_id").big_integer().not_null())
                .col(ColumnDef::new("refund_id").big_integer().unique_key())
                .col(word("provider", 16).not_null())
                .col(exact(manager, "payment", 128).not_null())
                .col(exact(manager, "reference", 36).not_null().unique_key())
                .col(exact(manager, "provider_refund", 128))
                .col(amount("amount"))
                .col(exact(manager, "currency", 3).not_null())
                .col(word("reason", 24).not_null())
                .col(word("status", 16).not_null())
                .col(ColumnDef::new("tries").integer().not_null())
                .col(exact(manager, "message_id", 36))
                .col(prose(manager, "failure"))
                .col(utc(manager, "requested_at").not_null())
                .col(utc(manager, "settled_at"))
                .check(Expr::cust(PROVIDERS))
                .check(Expr::cust("amount > 0"))
                .check(Expr::cust("status IN ('requested', 'settled', 'failed')"))
                .foreign_key(&mut foreign_key(
                    "fk_payment_refunds_order",
                    refunds,
                    "order_id",
                    "orders",
                    "id",
                ))
                .foreign_key(&mut foreign_key(
                    "fk_payment_refunds_refund",
                    refunds,
                    "refund_id",
                    "refunds",
                    "id",
                ))
                .take(),
        )
        .await
}

/// Replaces the condition `before` on the channels of the outbox with the condition `after`. An earlier migration made
/// the constraint without a name, so this function finds the constraint by its condition. On SQLite, makes the table
/// again. On the other databases, does nothing if an earlier run has already replaced the constraint.
async fn replace_channels(manager: &SchemaManager<'_>, before: &str, after: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Sqlite {
        return rebuild_outbox(manager, before, after).await;
    }
    let is_widened = after == CHANNELS;
    let Some(name) = channel_constraint(manager, is_widened).await? else { return Ok(()) };
    let quote = if manager.get_database_backend() == DbBackend::MySql { '`' } else { '"' };
    let new_name = if is_widened { "check_outbox_channels" } else { "check_outbox_channel" };
    let text = format!(
        "ALTER TABLE outbox DROP CONSTRAINT {quote}{name}{quote}, ADD CONSTRAINT {new_name} CHECK ({after})"
    );
    step(manager).execute(&text).await
}

/// Finds the name of the constraint on channels that must be replaced. If `is_narrow` is true, finds the constraint
/// that lacks the channel `payment`. Otherwise finds the constraint that allows this channel. `None` if an earlier run
/// has already replaced the constraint.
async fn channel_constraint(manager: &SchemaManager<'_>, is_narrow: bool) -> Result<Option<String>, DbErr> {
    let text = match manager.get_database_backend() {
        DbBackend::MySql => {
            "SELECT CAST(t.CONSTRAINT_NAME AS CHAR), CAST(c.CHECK_CLAUSE AS CHAR) FROM \
             information_schema.TABLE_CONSTRAINTS t JOIN information_schema.CHECK_CONSTRAINTS c ON \
             c.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA AND c.CONSTRAINT_NAME = t.CONSTRAINT_NAME WHERE \
             t.TABLE_SCHEMA = DATABASE() AND t.TABLE_NAME = 'outbox' AND t.CONSTRAINT_TYPE = 'CHECK'"
        }
        _ => {
            "SELECT CAST(conname AS TEXT), pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = \
             'outbox'::regclass AND contype = 'c'"
        }
    };
    let statement = Statement::from_string(manager.get_database_backend(), text);
    for row in manager.get_connection().query_all_raw(statement).await? {
        let (name, clause): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if clause.contains("channel") && clause.contains("mail") && clause.contains("payment") != is_narrow {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Makes the table `outbox` again with the condition `after` instead of `before`, and copies its rows, indexes and
/// triggers. SQLite cannot change a constraint. No foreign key refers to this table, so it can be dropped inside the
/// transaction of the migration.
async fn rebuild_outbox(manager: &SchemaManager<'_>, before: &str, after: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let text = "SELECT type, sql FROM sqlite_schema WHERE tbl_name = 'outbox' AND sql IS NOT NULL";
    let statement = Statement::from_string(DbBackend::Sqlite, text);
    let (mut table, mut others) = (String::new(), Vec::new());
    for row in connection.query_all_raw(statement).await? {
        let (kind, sql): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if kind == "table" { table = sql } else { others.push(sql) }
    }
    let copied = table.replacen("\"outbox\"", "\"outbox_copy\"", 1).replace(before, after);
    if !copied.contains(after) || !copied.contains("\"outbox_copy\"") {
        return Err(DbErr::Migration(
            "the table `outbox` does not have the definition that jishu gave it, so this migration was rolled back. Restore a \
             backup"
                .to_owned(),
        ));
    }
    step(manager).execute(&copied).await?;
    step(manager).execute("INSERT INTO outbox_copy SELECT * FROM outbox").await?;
    step(manager).execute("DROP TABLE outbox").await?;
    step(manager).execute("ALTER TABLE outbox_copy RENAME TO outbox").await?;
    for sql in others {
        step(manager).execute(&sql).await?;
    }
    Ok(())
}
