//! MySQL's and MariaDB's catalogue: `information_schema`.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use super::children::{QUESTIONS, SITTINGS};
use super::{Column, ForeignKey, Key, KeyRows, Reference, TableState, are_entitlements, by_name, names};
use crate::error::RepairError;
use crate::sql::{Dialect, TableName, rows, same};
use crate::{CARDS, LOG, OWN};

pub(super) async fn read(connection: &impl ConnectionTrait) -> Result<TableState, RepairError> {
    let answer = rows(connection, "SELECT CAST(DATABASE() AS CHAR)", []).await?;
    let schema: Option<String> = answer.first().map_or(Ok(None), |row| row.try_get_by_index(0))?;
    let Some(schema) = schema else {
        return Err(RepairError::Unsupported("--database-url names no database".to_owned()));
    };
    let tables = tables(connection, &schema).await?;
    let find = |wanted: &str| tables.iter().find(|(name, _)| same(name, wanted)).cloned();
    let Some((name, engine)) = find(CARDS) else {
        return Err(RepairError::NoTable { place: format!("the database `{schema}`") });
    };
    let table = TableName { schema: Some(schema.clone()), name };
    let log = match find(LOG) {
        Some((name, _)) => {
            let log = TableName { schema: Some(schema.clone()), name };
            Some(names(columns(connection, &log).await?))
        }
        None => None,
    };
    let mut own = Vec::new();
    for (name, _) in OWN.iter().filter_map(|wanted| find(wanted)) {
        let table = TableName { schema: Some(schema.clone()), name };
        let columns = names(columns(connection, &table).await?);
        own.push((table.name, columns));
    }
    let mut references = references(connection, &table).await?;
    for (name, _) in [SITTINGS, QUESTIONS].iter().filter_map(|wanted| find(wanted)) {
        let child = TableName { schema: Some(schema.clone()), name };
        if references.iter().any(|reference| reference.table == child) {
            continue;
        }
        let columns = columns(connection, &child).await?;
        let keys = keys(connection, &child).await?;
        references.extend(by_name(child, columns, keys));
    }
    let entitlements = TableName { name: "entitlements".to_owned(), ..table.clone() };
    let has_entitlements = are_entitlements(&columns(connection, &entitlements).await?);
    let keys = in_order(connection, &table, keys(connection, &table).await?).await?;
    let foreign_keys = foreign_keys(connection, &table).await?;
    Ok(TableState {
        backend: DbBackend::MySql,
        columns: columns(connection, &table).await?,
        references,
        taken: keys.iter().map(|key| key.name.clone()).collect(),
        has_entitlements,
        keys,
        foreign_keys,
        log,
        spelling: Default::default(),
        own,
        table,
        engine,
        source: None,
    })
}

async fn tables(
    connection: &impl ConnectionTrait,
    schema: &str,
) -> Result<Vec<(String, Option<String>)>, DbErr> {
    let text = "SELECT CAST(TABLE_NAME AS CHAR), CAST(ENGINE AS CHAR) FROM information_schema.TABLES \
                WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME";
    rows(connection, text, [schema.into()])
        .await?
        .iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect()
}

fn place(table: &TableName) -> [sea_orm::Value; 2] {
    [table.schema.clone().into(), table.name.clone().into()]
}

async fn columns(connection: &impl ConnectionTrait, table: &TableName) -> Result<Vec<Column>, DbErr> {
    let text = "SELECT CAST(COLUMN_NAME AS CHAR), CAST(COLUMN_TYPE AS CHAR), CAST(CHARACTER_SET_NAME AS \
     CHAR), CAST(COLLATION_NAME AS CHAR), CAST(EXTRA AS CHAR), CAST(DATA_TYPE AS CHAR), CAST(IS_NULLABLE AS CHAR) \
                FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? \
                ORDER BY ORDINAL_POSITION";
    rows(connection, text, place(table))
        .await?
        .iter()
        .map(|row| {
            let mut definition: String = row.try_get_by_index(1)?;
            if let (Some(set), Some(collation)) =
                (row.try_get_by_index::<Option<String>>(2)?, row.try_get_by_index::<Option<String>>(3)?)
            {
                definition.push_str(&format!(" CHARACTER SET {set} COLLATE {collation}"));
            }
            let extra = row.try_get_by_index::<Option<String>>(4)?.unwrap_or_default().to_ascii_uppercase();
            let data_type: String = row.try_get_by_index(5)?;
            Ok(Column {
                name: row.try_get_by_index(0)?,
                definition,
                // MySQL 8 writes DEFAULT_GENERATED for a default that is an expression.
                generated: extra.contains("VIRTUAL")
                    || extra.contains("STORED")
                    || extra.contains("PERSISTENT"),
                nullable: row.try_get_by_index::<String>(6)?.eq_ignore_ascii_case("YES"),
                self_setting: extra.contains("ON UPDATE"),
                temporal: ["date", "datetime", "timestamp"].iter().any(|name| same(name, &data_type)),
            })
        })
        .collect()
}

async fn keys(connection: &impl ConnectionTrait, table: &TableName) -> Result<Vec<Key>, DbErr> {
    let text = "SELECT CAST(INDEX_NAME AS CHAR), CAST(NON_UNIQUE AS SIGNED), CAST(COLUMN_NAME AS CHAR), \
                CAST(SUB_PART IS NOT NULL AS SIGNED) FROM information_schema.STATISTICS \
                WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY INDEX_NAME, SEQ_IN_INDEX";
    let mut keys = KeyRows::default();
    for row in rows(connection, text, place(table)).await? {
        let name: String = row.try_get_by_index(0)?;
        let key = Key {
            primary: name == "PRIMARY",
            name,
            unique: row.try_get_by_index::<i64>(1)? == 0,
            partial: row.try_get_by_index::<i64>(3)? == 1,
            valid: true,
            ..Key::default()
        };
        keys.add(key, row.try_get_by_index(2)?);
    }
    Ok(keys.0)
}

/// Sorts keys into the order that the table has.
async fn in_order(
    connection: &impl ConnectionTrait,
    table: &TableName,
    mut keys: Vec<Key>,
) -> Result<Vec<Key>, DbErr> {
    let dialect = Dialect(DbBackend::MySql);
    let answer = rows(connection, format!("SHOW CREATE TABLE {}", dialect.table(table)), []).await?;
    if let Some(text) = answer.first().and_then(|row| row.try_get_by_index::<String>(1).ok()) {
        keys.sort_by_key(|key| text.find(&format!("KEY {} (", dialect.quote(&key.name))));
    }
    Ok(keys)
}

async fn foreign_keys(
    connection: &impl ConnectionTrait,
    table: &TableName,
) -> Result<Vec<ForeignKey>, DbErr> {
    let text = "SELECT CAST(CONSTRAINT_NAME AS CHAR), CAST(COLUMN_NAME AS CHAR) \
                FROM information_schema.KEY_COLUMN_USAGE \
                WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND REFERENCED_TABLE_NAME IS NOT NULL \
                ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION";
    let mut foreign_keys: Vec<ForeignKey> = Vec::new();
    for row in rows(connection, text, place(table)).await? {
        let name: String = row.try_get_by_index(0)?;
        let column = row.try_get_by_index(1)?;
        match foreign_keys.last_mut() {
            Some(last) if last.name == name => last.columns.push(column),
            _ => foreign_keys.push(ForeignKey { name, columns: vec![column] }),
        }
    }
    Ok(foreign_keys)
}

async fn references(connection: &impl ConnectionTrait, table: &TableName) -> Result<Vec<Reference>, DbErr> {
    let text = "SELECT CAST(TABLE_SCHEMA AS CHAR), CAST(TABLE_NAME AS CHAR), CAST(CONSTRAINT_NAME AS CHAR), \
                CAST(COLUMN_NAME AS CHAR), CAST(REFERENCED_COLUMN_NAME AS CHAR) \
                FROM information_schema.KEY_COLUMN_USAGE \
                WHERE REFERENCED_TABLE_SCHEMA = ? AND REFERENCED_TABLE_NAME = ? \
                ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION";
    let mut references: Vec<Reference> = Vec::new();
    for row in rows(connection, text, place(table)).await? {
        let child = TableName { schema: Some(row.try_get_by_index(0)?), name: row.try_get_by_index(1)? };
        let constraint: String = row.try_get_by_index(2)?;
        let pair = (row.try_get_by_index(3)?, row.try_get_by_index(4)?);
        match references.last_mut() {
            Some(last) if last.table == child && last.constraint == constraint => last.columns.push(pair),
            _ => references.push(Reference {
                constraint,
                columns: vec![pair],
                table_columns: columns(connection, &child).await?,
                table_keys: keys(connection, &child).await?,
                table: child,
            }),
        }
    }
    Ok(references)
}
