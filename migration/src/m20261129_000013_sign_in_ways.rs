//! The time when a session began, the program and the network of its latest token, second factors, and identities at an
//! issuer of OpenID Connect.
//!
//! The new columns of `refresh_tokens` have no constraints and can be null, because MariaDB then adds them without
//! copying the table. The new tables have CHECK constraints where a column allows only some values.

use sea_orm_migration::prelude::*;

use crate::portable::{exact, foreign_key, key, prose, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The new indexes: name, table and columns.
const INDEXES: [(&str, &str, &[&str]); 7] = [
    // An index for the search for refresh tokens that were revoked lately. Each node does that search.
    ("idx_refresh_tokens_revoked", "refresh_tokens", &["revoked_at"]),
    ("idx_recovery_codes_user", "recovery_codes", &["user_id"]),
    ("idx_sign_in_challenges_user", "sign_in_challenges", &["user_id"]),
    // An index for the search for challenges that have expired and must be erased.
    ("idx_sign_in_challenges_expiry", "sign_in_challenges", &["expires_at"]),
    ("idx_oidc_identities_user", "oidc_identities", &["user_id"]),
    ("idx_oidc_logins_user", "oidc_logins", &["user_id"]),
    // An index for the search for sign-ins at an issuer that have expired and must be erased.
    ("idx_oidc_logins_expiry", "oidc_logins", &["expires_at"]),
];

/// The new tables, in the order in which `down` drops them.
const TABLES: [&str; 5] =
    ["oidc_logins", "oidc_identities", "sign_in_challenges", "recovery_codes", "second_factors"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in session_columns(manager) {
            step(manager).add_column("refresh_tokens", column).await?;
        }
        create_second_factors(manager).await?;
        create_recovery_codes(manager).await?;
        create_sign_in_challenges(manager).await?;
        create_oidc_identities(manager).await?;
        create_oidc_logins(manager).await?;
        for (name, table, columns) in INDEXES {
            let mut index = Index::create().name(name).table(table).take();
            for column in columns {
                index.col(*column);
            }
            step(manager).create_index(index).await?;
        }
        Ok(())
    }

    /// Drops the second factors with their recovery codes, the identities at issuers, the sign-ins that have begun, and
    /// the time, program and network of sessions. Afterwards a user who had a second factor signs in with the password
    /// alone.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            step(manager).drop_table(Table::drop().table(table).take()).await?;
        }
        step(manager).drop_index("idx_refresh_tokens_revoked", "refresh_tokens").await?;
        for column in ["network", "program", "session_began_at"] {
            step(manager).drop_column("refresh_tokens", column).await?;
        }
        Ok(())
    }
}

fn session_columns(manager: &SchemaManager<'_>) -> [ColumnDef; 3] {
    [
        utc(manager, "session_began_at"),
        ColumnDef::new("program").string_len(64).take(),
        ColumnDef::new("network").string_len(64).take(),
    ]
}

/// Creates the table of second factors. The primary key allows one second factor for each user.
async fn create_second_factors(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let factors = "second_factors";
    step(manager)
        .create_table(
            Table::create()
                .table(factors)
                .col(ColumnDef::new("user_id").big_integer().not_null().primary_key())
                .col(prose(manager, "secret").not_null())
                .col(exact(manager, "sealed_by", 64).not_null())
                .col(utc(manager, "created_at").not_null())
                .col(utc(manager, "confirmed_at"))
                .col(ColumnDef::new("last_step").big_integer())
                .check(Expr::cust("last_step >= 0"))
                .check(Expr::cust("confirmed_at IS NOT NULL OR last_step IS NULL"))
                .foreign_key(&mut foreign_key("fk_second_factors_user", factors, "user_id", "users", "id"))
                .take(),
        )
        .await
}

async fn create_recovery_codes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let codes = "recovery_codes";
    step(manager)
        .create_table(
            Table::create()
                .table(codes)
                .col(key("id"))
                .col(ColumnDef::new("user_id").big_integer().not_null())
                .col(exact(manager, "code_hash", 64).not_null().unique_key())
                .col(utc(manager, "created_at").not_null())
                .col(utc(manager, "used_at"))
                .foreign_key(&mut foreign_key("fk_recovery_codes_user", codes, "user_id", "users", "id"))
                .take(),
        )
        .await
}

async fn create_sign_in_challenges(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let challenges = "sign_in_challenges";
    step(manager)
        .create_table(
            Table::create()
                .table(challenges)
                .col(key("id"))
                .col(ColumnDef::new("user_id").big_integer().not_null())
                .col(exact(manager, "token_hash", 64).not_null().unique_key())
                .col(ColumnDef::new("attempts").integer().not_null().default(0))
                .col(utc(manager, "created_at").not_null())
                .col(utc(manager, "expires_at").not_null())
                .col(utc(manager, "used_at"))
                .check(Expr::cust("attempts >= 0"))
                .foreign_key(&mut foreign_key(
                    "fk_sign_in_challenges_user",
                    challenges,
                    "user_id",
                    "users",
                    "id",
                ))
                .take(),
        )
        .await
}

async fn create_oidc_identities(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let identities = "oidc_identities";
    step(manager)
        .create_table(
            Table::create()
                .table(identities)
                .col(key("id"))
                .col(ColumnDef::new("user_id").big_integer().not_null())
                .col(exact(manager, "issuer", 255).not_null())
                .col(exact(manager, "subject", 255).not_null())
                .col(utc(manager, "created_at").not_null())
                .index(Index::create().unique().name("unique_oidc_identity").col("issuer").col("subject"))
                .foreign_key(&mut foreign_key(
                    "fk_oidc_identities_user",
                    identities,
                    "user_id",
                    "users",
                    "id",
                ))
                .take(),
        )
        .await
}

/// Creates the table of sign-ins whose browser was sent to the issuer and has not returned yet.
async fn create_oidc_logins(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let logins = "oidc_logins";
    step(manager)
        .create_table(
            Table::create()
                .table(logins)
                .col(key("id"))
                .col(ColumnDef::new("user_id").big_integer())
                .col(exact(manager, "state_hash", 64).not_null().unique_key())
                .col(exact(manager, "browser_hash", 64).not_null())
                .col(exact(manager, "nonce", 64).not_null())
                .col(prose(manager, "code_verifier").not_null())
                .col(prose(manager, "redirect_uri").not_null())
                .col(utc(manager, "created_at").not_null())
                .col(utc(manager, "expires_at").not_null())
                .foreign_key(&mut foreign_key("fk_oidc_logins_user", logins, "user_id", "users", "id"))
                .take(),
        )
        .await
}
