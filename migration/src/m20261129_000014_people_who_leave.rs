//! Deleted accounts, years of birth, the consent of guardians, and links in mails that delete an account or ask a
//! guardian for consent.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

use crate::portable::{exact, foreign_key, key, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The condition on the purposes of links before this migration.
const OLD_PURPOSES: &str = "purpose IN ('verify_email', 'reset_password', 'change_email')";
/// The condition on the purposes of links after this migration.
const NEW_PURPOSES: &str = "purpose IN ('verify_email', 'reset_password', 'change_email', 'delete_account', \
                            'guardian_consent')";
/// The name of the new constraint on purposes. The old constraint has a name that the database chose.
const PURPOSE_CHECK: &str = "check_account_links_purpose";
/// The table that has a copy of the links while the table of links is made again on SQLite.
const COPY: &str = "account_links_copy";
const LINK_COLUMNS: &str = "id, user_id, purpose, token_hash, email, created_at, expires_at, used_at";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        step(manager).add_column("users", utc(manager, "deleted_at")).await?;
        step(manager).add_column("users", ColumnDef::new("birth_year").integer().take()).await?;
        create_guardian_consents(manager).await?;
        if manager.get_database_backend() == DbBackend::Sqlite {
            return rebuild_links(manager, NEW_PURPOSES).await;
        }
        drop_old_check(manager).await?;
        step(manager).add_checks("account_links", &[(PURPOSE_CHECK, condition(manager, NEW_PURPOSES))]).await
    }

    /// Drops the consents of guardians, the years of birth, and the times at which accounts were deleted. Links that
    /// delete an account or ask a guardian for consent stop working.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let delete = format!("DELETE FROM account_links WHERE NOT ({})", condition(manager, OLD_PURPOSES));
        step(manager).execute(&delete).await?;
        if manager.get_database_backend() == DbBackend::Sqlite {
            rebuild_links(manager, OLD_PURPOSES).await?;
        } else {
            step(manager)
                .drop_checks("account_links", &[(PURPOSE_CHECK, condition(manager, NEW_PURPOSES))])
                .await?;
            if check_names(manager).await?.is_empty() {
                let add = format!("ALTER TABLE account_links ADD CHECK ({OLD_PURPOSES})");
                step(manager).execute(&add).await?;
            }
        }
        step(manager).drop_table(Table::drop().table("guardian_consents").take()).await?;
        step(manager).drop_column("users", "birth_year").await?;
        step(manager).drop_column("users", "deleted_at").await
    }
}

async fn create_guardian_consents(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    step(manager)
        .create_table(
            Table::create()
                .table("guardian_consents")
                .col(key("id"))
                .col(ColumnDef::new("user_id").big_integer().not_null().unique_key())
                .col(exact(manager, "guardian_email", 254).not_null())
                .col(exact(manager, "revoke_token_hash", 64).unique_key())
                .col(utc(manager, "requested_at").not_null())
                .col(utc(manager, "consented_at"))
                .col(utc(manager, "revoked_at"))
                .check(Expr::cust("consented_at IS NULL OR revoke_token_hash IS NOT NULL"))
                .foreign_key(&mut foreign_key(
                    "fk_guardian_consents_user",
                    "guardian_consents",
                    "user_id",
                    "users",
                    "id",
                ))
                .take(),
        )
        .await
}

/// Changes the condition `purposes` so that it compares byte by byte on every database.
fn condition(manager: &SchemaManager<'_>, purposes: &str) -> String {
    match manager.get_database_backend() {
        DbBackend::MySql => purposes.replacen("purpose", "CAST(purpose AS BINARY)", 1),
        _ => purposes.to_owned(),
    }
}

/// Returns the names of the CHECK constraints of `account_links`, except [`PURPOSE_CHECK`].
async fn check_names(manager: &SchemaManager<'_>) -> Result<Vec<String>, DbErr> {
    let backend = manager.get_database_backend();
    let text = match backend {
        DbBackend::MySql => {
            "SELECT CAST(CONSTRAINT_NAME AS CHAR) FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = \
             DATABASE() AND TABLE_NAME = 'account_links' AND CONSTRAINT_TYPE = 'CHECK'"
        }
        // In `pg_constraint` a CHECK has the type `c`. A NOT NULL has no row there, or the type `n` since PostgreSQL
        // 18.
        _ => {
            "SELECT CAST(conname AS TEXT) FROM pg_constraint WHERE conrelid = 'account_links'::regclass AND \
             contype = 'c'"
        }
    };
    let rows = manager.get_connection().query_all_raw(Statement::from_string(backend, text)).await?;
    let names: Result<Vec<String>, DbErr> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
    Ok(names?.into_iter().filter(|name| name != PURPOSE_CHECK).collect())
}

async fn drop_old_check(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for name in check_names(manager).await? {
        let drop = format!("ALTER TABLE account_links DROP CONSTRAINT {name}");
        step(manager).execute(&drop).await?;
    }
    Ok(())
}

/// Makes the table of links again with this condition on SQLite, which cannot change a CHECK. Copies the rows and
/// creates the indexes again. No foreign key refers to the table, and the table has no triggers. The copy is small,
/// because the rows of links are deleted a day after the links expire.
async fn rebuild_links(manager: &SchemaManager<'_>, purposes: &str) -> Result<(), DbErr> {
    let copy = format!("CREATE TABLE {COPY} AS SELECT {LINK_COLUMNS} FROM account_links");
    step(manager).execute(&copy).await?;
    step(manager).drop_table(Table::drop().table("account_links").take()).await?;
    let mut table = Table::create()
        .table("account_links")
        .col(key("id"))
        .col(ColumnDef::new("user_id").big_integer().not_null())
        .col(ColumnDef::new("purpose").string_len(16).not_null())
        .col(exact(manager, "token_hash", 64).not_null().unique_key())
        .col(exact(manager, "email", 254).not_null())
        .col(utc(manager, "created_at").not_null())
        .col(utc(manager, "expires_at").not_null())
        .col(utc(manager, "used_at"))
        .check(Expr::cust(purposes.to_owned()))
        .take();
    table.foreign_key(&mut foreign_key("fk_account_links_user", "account_links", "user_id", "users", "id"));
    step(manager).create_table(table).await?;
    let back = format!("INSERT INTO account_links ({LINK_COLUMNS}) SELECT {LINK_COLUMNS} FROM {COPY}");
    step(manager).execute(&back).await?;
    step(manager).execute(&format!("DROP TABLE {COPY}")).await?;
    for (name, columns) in [
        ("idx_account_links_user", &["user_id", "purpose"] as &[&str]),
        ("idx_account_links_expiry", &["expires_at"]),
    ] {
        let mut index = Index::create().name(name).table("account_links").take();
        for column in columns {
            index.col(*column);
        }
        step(manager).create_index(index).await?;
    }
    Ok(())
}
