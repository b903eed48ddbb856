//! The outbox, the links in mails, and the time at which an address was verified.

use sea_orm_migration::prelude::*;

use crate::portable::{exact, foreign_key, key, prose, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The new indexes: name, table and columns.
const INDEXES: [(&str, &str, &[&str]); 5] = [
    // An index for the search for messages that must be delivered now.
    ("idx_outbox_due", "outbox", &["state", "due_at"]),
    // An index for the search for messages that have expired: their content must be erased, and later their rows.
    ("idx_outbox_expiry", "outbox", &["expires_at"]),
    // An index for the search for the messages of a user.
    ("idx_outbox_user", "outbox", &["user_id"]),
    ("idx_account_links_user", "account_links", &["user_id", "purpose"]),
    // An index for the search for links that expired at least a day ago and must be erased.
    ("idx_account_links_expiry", "account_links", &["expires_at"]),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        step(manager).add_column("users", utc(manager, "email_verified_at")).await?;
        create_outbox(manager).await?;
        create_account_links(manager).await?;
        for (name, table, columns) in INDEXES {
            let mut index = Index::create().name(name).table(table).take();
            for column in columns {
                index.col(*column);
            }
            step(manager).create_index(index).await?;
        }
        Ok(())
    }

    /// Drops all messages of the outbox, also those that were not delivered, all links in mails, and the times at which
    /// addresses were verified.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["account_links", "outbox"] {
            step(manager).drop_table(Table::drop().table(table).take()).await?;
        }
        step(manager).drop_column("users", "email_verified_at").await
    }
}

async fn create_outbox(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    step(manager)
        .create_table(
            Table::create()
                .table("outbox")
                .col(key("id"))
                .col(exact(manager, "message_id", 36).not_null().unique_key())
                .col(ColumnDef::new("channel").string_len(16).not_null())
                .col(exact(manager, "kind", 64).not_null())
                .col(ColumnDef::new("user_id").big_integer())
                .col(prose(manager, "payload"))
                .col(ColumnDef::new("state").string_len(16).not_null())
                .col(ColumnDef::new("attempts").integer().not_null().default(0))
                .col(utc(manager, "due_at").not_null())
                .col(exact(manager, "lease_owner", 36))
                .col(prose(manager, "last_error"))
                .col(utc(manager, "created_at").not_null())
                .col(utc(manager, "expires_at").not_null())
                .col(utc(manager, "sent_at"))
                .check(Expr::cust("channel IN ('mail', 'webhook')"))
                .check(Expr::cust("state IN ('pending', 'leased', 'sent', 'dead')"))
                .check(Expr::cust("attempts >= 0"))
                .check(Expr::cust("state <> 'sent' OR payload IS NULL"))
                .foreign_key(&mut foreign_key("fk_outbox_user", "outbox", "user_id", "users", "id"))
                .take(),
        )
        .await
}

async fn create_account_links(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    step(manager)
        .create_table(
            Table::create()
                .table("account_links")
                .col(key("id"))
                .col(ColumnDef::new("user_id").big_integer().not_null())
                .col(ColumnDef::new("purpose").string_len(16).not_null())
                .col(exact(manager, "token_hash", 64).not_null().unique_key())
                .col(exact(manager, "email", 254).not_null())
                .col(utc(manager, "created_at").not_null())
                .col(utc(manager, "expires_at").not_null())
                .col(utc(manager, "used_at"))
                .check(Expr::cust("purpose IN ('verify_email', 'reset_password', 'change_email')"))
                .foreign_key(&mut foreign_key(
                    "fk_account_links_user",
                    "account_links",
                    "user_id",
                    "users",
                    "id",
                ))
                .take(),
        )
        .await
}
