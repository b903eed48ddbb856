//! Reads the catalogue of PostgreSQL.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use super::shared::{KeyCollector, are_entitlements, column_names, reference_by_name};
use crate::error::RepairError;
use crate::inspect::spelling::StatusSpelling;
use crate::inspect::state::TableState;
use crate::inspect::table::{CardForeignKey, CardReference, TableColumn, TableKey};
use crate::names::{CARD_TABLE, MERGED_CARD_TABLE, QUESTION_TABLE, RUN_LOG_TABLES, SITTING_TABLE};
use crate::sql::{TableName, rows};

pub(super) async fn read(connection: &impl ConnectionTrait) -> Result<TableState, RepairError> {
    let Some(schema) = current_schema(connection).await? else {
        return Err(RepairError::Unsupported(
            "the search path names no existing schema on which the user has the privilege USAGE. Set `search_path` to \
             the schema of the tables"
                .to_owned(),
        ));
    };
    let Some((oid, kind)) = relation(connection, &schema, CARD_TABLE).await? else {
        return Err(RepairError::NoTable { place: format!("the schema `{schema}`") });
    };
    if kind != "r" {
        return Err(RepairError::Unsupported(format!(
            "`{CARD_TABLE}` is partitioned, and the repair works only on a plain table. Repair it by hand"
        )));
    }
    let merged_card_columns = match relation(connection, &schema, MERGED_CARD_TABLE).await? {
        Some((table, _)) => Some(column_names(columns(connection, table).await?)),
        None => None,
    };
    let mut run_log_tables = Vec::new();
    for name in RUN_LOG_TABLES {
        if let Some((table, _)) = relation(connection, &schema, name).await? {
            run_log_tables.push((name.to_owned(), column_names(columns(connection, table).await?)));
        }
    }
    let mut references = references(connection, oid).await?;
    for name in [SITTING_TABLE, QUESTION_TABLE] {
        let table = TableName { schema: Some(schema.clone()), name: name.to_owned() };
        if references.iter().any(|reference| reference.table == table) {
            continue;
        }
        if let Some((child, _)) = relation(connection, &schema, name).await? {
            let columns = columns(connection, child).await?;
            references.extend(reference_by_name(table, columns, keys(connection, child).await?));
        }
    }
    let taken_names = rows(
        connection,
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE \
         n.nspname = $1",
        [schema.as_str().into()],
    )
    .await?
    .iter()
    .map(|row| row.try_get_by_index(0))
    .collect::<Result<Vec<String>, DbErr>>()?;
    let has_entitlements = match relation(connection, &schema, "entitlements").await? {
        Some((entitlements, _)) => are_entitlements(&columns(connection, entitlements).await?),
        None => false,
    };
    Ok(TableState {
        backend: DbBackend::Postgres,
        columns: columns(connection, oid).await?,
        keys: keys(connection, oid).await?,
        foreign_keys: foreign_keys(connection, oid).await?,
        references,
        merged_card_columns,
        card_spelling: StatusSpelling::default(),
        sitting_spelling: StatusSpelling::default(),
        run_log_tables,
        taken_names,
        has_entitlements,
        table: TableName { schema: Some(schema), name: CARD_TABLE.to_owned() },
        engine: None,
        definition: None,
    })
}

async fn current_schema(connection: &impl ConnectionTrait) -> Result<Option<String>, DbErr> {
    let found = rows(connection, "SELECT current_schema()::text", []).await?;
    found.first().map_or(Ok(None), |row| row.try_get_by_index(0))
}

/// Returns the object id of a table, and its kind: `r` for a plain table, `p` for a partitioned one. `None` if the
/// table does not exist.
async fn relation(
    connection: &impl ConnectionTrait,
    schema: &str,
    name: &str,
) -> Result<Option<(i64, String)>, DbErr> {
    let text = "SELECT c.oid::bigint, c.relkind::text FROM pg_class c \
                JOIN pg_namespace n ON n.oid = c.relnamespace \
                WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";
    let found = rows(connection, text, [schema.into(), name.into()]).await?;
    let Some(row) = found.first() else { return Ok(None) };
    Ok(Some((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
}

async fn columns(connection: &impl ConnectionTrait, oid: i64) -> Result<Vec<TableColumn>, DbErr> {
    let text = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attgenerated::text <> '', \
                t.typcategory::text = 'D', NOT a.attnotnull FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
                WHERE a.attrelid = CAST($1 AS oid) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    rows(connection, text, [oid.into()])
        .await?
        .iter()
        .map(|row| {
            Ok(TableColumn {
                name: row.try_get_by_index(0)?,
                definition: row.try_get_by_index(1)?,
                generated: row.try_get_by_index(2)?,
                temporal: row.try_get_by_index(3)?,
                nullable: row.try_get_by_index(4)?,
                self_setting: false,
            })
        })
        .collect()
}

async fn keys(connection: &impl ConnectionTrait, oid: i64) -> Result<Vec<TableKey>, DbErr> {
    let text = "SELECT c.relname::text, con.conname::text, i.indisunique, i.indisprimary, i.indisvalid, \
                i.indpred IS NOT NULL, a.attname::text FROM pg_index i \
                JOIN pg_class c ON c.oid = i.indexrelid \
                CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position) \
                LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0 \
                LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid \
                AND con.contype IN ('p', 'u', 'x') \
                WHERE i.indrelid = CAST($1 AS oid) AND k.position <= i.indnkeyatts \
                ORDER BY c.relname, k.position";
    let mut keys = KeyCollector::default();
    for row in rows(connection, text, [oid.into()]).await? {
        let key = TableKey {
            name: row.try_get_by_index(0)?,
            constraint: row.try_get_by_index(1)?,
            unique: row.try_get_by_index(2)?,
            primary: row.try_get_by_index(3)?,
            valid: row.try_get_by_index(4)?,
            partial: row.try_get_by_index(5)?,
            columns: Vec::new(),
        };
        keys.add(key, row.try_get_by_index(6)?);
    }
    Ok(keys.into_keys())
}

async fn foreign_keys(connection: &impl ConnectionTrait, oid: i64) -> Result<Vec<CardForeignKey>, DbErr> {
    let text = "SELECT con.conname::text, a.attname::text FROM pg_constraint con \
                CROSS JOIN LATERAL unnest(con.conkey) WITH ORDINALITY AS k (attnum, position) \
                JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum \
                WHERE con.contype = 'f' AND con.conrelid = CAST($1 AS oid) ORDER BY con.conname, k.position";
    let mut foreign_keys: Vec<CardForeignKey> = Vec::new();
    for row in rows(connection, text, [oid.into()]).await? {
        let name: String = row.try_get_by_index(0)?;
        let column = row.try_get_by_index(1)?;
        match foreign_keys.last_mut() {
            Some(last) if last.name == name => last.columns.push(column),
            _ => foreign_keys.push(CardForeignKey { name, columns: vec![column] }),
        }
    }
    Ok(foreign_keys)
}

/// Reads the foreign keys that refer to a table. Leaves out the copies that partitions have of their parent's foreign
/// key, because the rows of a partition are also rows of the parent.
async fn references(connection: &impl ConnectionTrait, oid: i64) -> Result<Vec<CardReference>, DbErr> {
    let text = "SELECT n.nspname::text, c.relname::text, con.conname::text, c.oid::bigint, \
                mine.attname::text, theirs.attname::text FROM pg_constraint con \
                JOIN pg_class c ON c.oid = con.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
                CROSS JOIN LATERAL unnest(con.conkey, con.confkey) WITH ORDINALITY AS k (mine, theirs, \
                position) JOIN pg_attribute mine ON mine.attrelid = con.conrelid AND mine.attnum = k.mine \
                JOIN pg_attribute theirs ON theirs.attrelid = con.confrelid AND theirs.attnum = k.theirs \
                WHERE con.contype = 'f' AND con.confrelid = CAST($1 AS oid) AND con.conparentid = 0 \
                ORDER BY n.nspname, c.relname, con.conname, k.position";
    let mut references: Vec<CardReference> = Vec::new();
    for row in rows(connection, text, [oid.into()]).await? {
        let table = TableName { schema: Some(row.try_get_by_index(0)?), name: row.try_get_by_index(1)? };
        let constraint: String = row.try_get_by_index(2)?;
        let child: i64 = row.try_get_by_index(3)?;
        let pair = (row.try_get_by_index(4)?, row.try_get_by_index(5)?);
        match references.last_mut() {
            Some(last) if last.table == table && last.constraint == constraint => last.columns.push(pair),
            _ => references.push(CardReference {
                table,
                constraint,
                columns: vec![pair],
                table_columns: columns(connection, child).await?,
                table_keys: keys(connection, child).await?,
            }),
        }
    }
    Ok(references)
}
