//! Pictures in questions, and the secret from which their addresses are computed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement, Value};

use crate::portable::{exact, foreign_key, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The name of the secret for the addresses of pictures in the table `server_secrets`.
const SECRET: &str = "pictures";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_secrets(manager).await?;
        create_pictures(manager).await?;
        step(manager)
            .create_table(
                Table::create()
                    .table("question_version_pictures")
                    .col(ColumnDef::new("version_id").big_integer().not_null())
                    .col(exact(manager, "hash", 64).not_null())
                    .primary_key(Index::create().col("version_id").col("hash"))
                    .foreign_key(&mut foreign_key(
                        "fk_version_pictures_version",
                        "question_version_pictures",
                        "version_id",
                        "question_versions",
                        "id",
                    ))
                    .foreign_key(&mut foreign_key(
                        "fk_version_pictures_picture",
                        "question_version_pictures",
                        "hash",
                        "pictures",
                        "hash",
                    ))
                    .take(),
            )
            .await?;
        // No query searches by the hash. The index is for the foreign key: when a picture is deleted, the database
        // looks for versions of questions that show the picture.
        let index = Index::create()
            .name("idx_version_pictures_hash")
            .table("question_version_pictures")
            .col("hash")
            .take();
        step(manager).create_index(index).await
    }

    /// Drops the pictures, and all server secrets. The only secret at this point is that of the addresses of pictures.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["question_version_pictures", "pictures", "server_secrets"] {
            step(manager).drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}

/// Creates the table of secrets, and inserts a random secret for the addresses of pictures if there is none yet. The
/// secret is in the database, so that every node uses the same secret and a backup contains it.
async fn create_secrets(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    step(manager)
        .create_table(
            Table::create()
                .table("server_secrets")
                .col(exact(manager, "name", 64).not_null().primary_key())
                .col(exact(manager, "secret", 64).not_null())
                .take(),
        )
        .await?;
    if has_secret(manager).await? {
        return Ok(());
    }
    let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = match manager.get_database_backend() {
        DbBackend::Postgres => "INSERT INTO server_secrets (name, secret) VALUES ($1, $2)",
        _ => "INSERT INTO server_secrets (name, secret) VALUES (?, ?)",
    };
    let values: [Value; 2] = [SECRET.into(), secret.into()];
    let statement = Statement::from_sql_and_values(manager.get_database_backend(), text, values);
    let Err(error) = manager.get_connection().execute_raw(statement).await else { return Ok(()) };
    // On a Galera cluster, a node on another server may have inserted the secret meanwhile.
    if manager.get_database_backend() == DbBackend::MySql && has_secret(manager).await? {
        return Ok(());
    }
    Err(error)
}

async fn has_secret(manager: &SchemaManager<'_>) -> Result<bool, DbErr> {
    let text = format!("SELECT secret FROM server_secrets WHERE name = '{SECRET}'");
    let statement = Statement::from_string(manager.get_database_backend(), text);
    Ok(manager.get_connection().query_one_raw(statement).await?.is_some())
}

async fn create_pictures(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut bytes = ColumnDef::new("bytes");
    match manager.get_database_backend() {
        // A BLOB of MariaDB and MySQL has at most 64 KiB.
        DbBackend::MySql => bytes.custom("mediumblob"),
        _ => bytes.blob(),
    };
    step(manager)
        .create_table(
            Table::create()
                .table("pictures")
                .col(exact(manager, "hash", 64).not_null().primary_key())
                .col(exact(manager, "address_key", 64).not_null().unique_key())
                .col(ColumnDef::new("media_type").string_len(16).not_null())
                .col(ColumnDef::new("size").integer().not_null())
                .col(bytes.not_null())
                .col(utc(manager, "created_at").not_null())
                .check(Expr::cust(
                    "media_type IN ('image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif')",
                ))
                .check(Expr::cust("size > 0"))
                .take(),
        )
        .await
}
