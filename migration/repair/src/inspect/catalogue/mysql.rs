//! Reads the catalogue of MariaDB and MySQL, `information_schema`.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use super::shared::{KeyCollector, are_entitlements, column_names, reference_by_name};
use crate::error::RepairError;
use crate::inspect::spelling::StatusSpelling;
use crate::inspect::state::TableState;
use crate::inspect::table::{CardForeignKey, CardReference, TableColumn, TableKey};
use crate::names::{CARD_TABLE, MERGED_CARD_TABLE, QUESTION_TABLE, RUN_LOG_TABLES, SITTING_TABLE};
use crate::sql::{Dialect, TableName, rows, same};

pub(super) async fn read(connection: &impl ConnectionTrait) -> Result<TableState, RepairError> {
    let found = rows(connection, "SELECT CAST(DATABASE() AS CHAR)", []).await?;
    let schema: Option<String> = found.first().map_or(Ok(None), |row| row.try_get_by_index(0))?;
    let Some(schema) = schema else {
        return Err(RepairError::Unsupported(
            "--database-url names no database. Add the name of the database to the URL".to_owned(),
        ));
    };
    let tables = tables(connection, &schema).await?;
    let find = |wanted: &str| tables.iter().find(|(name, _)| same(name, wanted)).cloned();
    let Some((name, engine)) = find(CARD_TABLE) else {
        return Err(RepairError::NoTable { place: format!("the database `{schema}`") });
    };
    let table = TableName { schema: Some(schema.clone()), name };
    let merged_card_columns = match find(MERGED_CARD_TABLE) {
        Some((name, _)) => {
            let table = TableName { schema: Some(schema.clone()), name };
            Some(column_names(columns(connection, &table).await?))
        }
        None => None,
    };
    let mut run_log_tables = Vec::new();
    for (name, _) in RUN_LOG_TABLES.iter().filter_map(|wanted| find(wanted)) {
        let table = TableName { schema: Some(schema.clone()), name };
        let columns = column_names(columns(connection, &table).await?);
        run_log_tables.push((table.name, columns));
    }
    let mut references = references(connection, &table).await?;
    for (name, _) in [SITTING_TABLE, QUESTION_TABLE].iter().filter_map(|wanted| find(wanted)) {
        let child = TableName { schema: Some(schema.clone()), name };
        if references.iter().any(|reference| reference.table == child) {
            continue;
        }
        let columns = columns(connection, &child).await?;
        let keys = keys(connection, &child).await?;
        references.extend(reference_by_name(child, columns, keys));
    }
    let entitlements = TableName { name: "entitlements".to_owned(), ..table.clone() };
    let has_entitlements = are_entitlements(&columns(connection, &entitlements).await?);
    let keys = in_order(connection, &table, keys(connection, &table).await?).await?;
    let foreign_keys = foreign_keys(connection, &table).await?;
    Ok(TableState {
        backend: DbBackend::MySql,
        columns: columns(connection, &table).await?,
        references,
        taken_names: keys.iter().map(|key| key.name.clone()).collect(),
        has_entitlements,
        keys,
        foreign_keys,
        merged_card_columns,
        card_spelling: StatusSpelling::default(),
        sitting_spelling: StatusSpelling::default(),
        run_log_tables,
        table,
        engine,
        definition: None,
    })
}

/// Returns the names of the tables in the schema, with their storage engines.
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

/// Returns the parameters that select a table in `information_schema`.
fn table_parameters(table: &TableName) -> [sea_orm::Value; 2] {
    [table.schema.clone().into(), table.name.clone().into()]
}

async fn columns(connection: &impl ConnectionTrait, table: &TableName) -> Result<Vec<TableColumn>, DbErr> {
    let text = "SELECT CAST(COLUMN_NAME AS CHAR), CAST(COLUMN_TYPE AS CHAR), CAST(CHARACTER_SET_NAME AS \
     CHAR), CAST(COLLATION_NAME AS CHAR), CAST(EXTRA AS CHAR), CAST(DATA_TYPE AS CHAR), CAST(IS_NULLABLE AS CHAR) \
                FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? \
                ORDER BY ORDINAL_POSITION";
    rows(connection, text, table_parameters(table))
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
            Ok(TableColumn {
                name: row.try_get_by_index(0)?,
                definition,
                // "GENERATED" alone does not show a generated column, because MySQL 8 writes DEFAULT_GENERATED for a
                // default that is an expression.
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

async fn keys(connection: &impl ConnectionTrait, table: &TableName) -> Result<Vec<TableKey>, DbErr> {
    let text = "SELECT CAST(INDEX_NAME AS CHAR), CAST(NON_UNIQUE AS SIGNED), CAST(COLUMN_NAME AS CHAR), \
                CAST(SUB_PART IS NOT NULL AS SIGNED) FROM information_schema.STATISTICS \
                WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY INDEX_NAME, SEQ_IN_INDEX";
    let mut keys = KeyCollector::default();
    for row in rows(connection, text, table_parameters(table)).await? {
        let name: String = row.try_get_by_index(0)?;
        let key = TableKey {
            primary: name == "PRIMARY",
            name,
            unique: row.try_get_by_index::<i64>(1)? == 0,
            partial: row.try_get_by_index::<i64>(3)? == 1,
            valid: true,
            ..TableKey::default()
        };
        keys.add(key, row.try_get_by_index(2)?);
    }
    Ok(keys.into_keys())
}

/// Sorts keys by their order in the CREATE TABLE statement of the table.
async fn in_order(
    connection: &impl ConnectionTrait,
    table: &TableName,
    mut keys: Vec<TableKey>,
) -> Result<Vec<TableKey>, DbErr> {
    let dialect = Dialect(DbBackend::MySql);
    let found = rows(connection, format!("SHOW CREATE TABLE {}", dialect.table(table)), []).await?;
    if let Some(text) = found.first().and_then(|row| row.try_get_by_index::<String>(1).ok()) {
        keys.sort_by_key(|key| text.find(&format!("KEY {} (", dialect.quote(&key.name))));
    }
    Ok(keys)
}

async fn foreign_keys(
    connection: &impl ConnectionTrait,
    table: &TableName,
) -> Result<Vec<CardForeignKey>, DbErr> {
    let text = "SELECT CAST(CONSTRAINT_NAME AS CHAR), CAST(COLUMN_NAME AS CHAR) \
                FROM information_schema.KEY_COLUMN_USAGE \
                WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND REFERENCED_TABLE_NAME IS NOT NULL \
                ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION";
    let mut foreign_keys: Vec<CardForeignKey> = Vec::new();
    for row in rows(connection, text, table_parameters(table)).await? {
        let name: String = row.try_get_by_index(0)?;
        let column = row.try_get_by_index(1)?;
        match foreign_keys.last_mut() {
            Some(last) if last.name == name => last.columns.push(column),
            _ => foreign_keys.push(CardForeignKey { name, columns: vec![column] }),
        }
    }
    Ok(foreign_keys)
}

async fn references(
    connection: &impl ConnectionTrait,
    table: &TableName,
) -> Result<Vec<CardReference>, DbErr> {
    let text = "SELECT CAST(TABLE_SCHEMA AS CHAR), CAST(TABLE_NAME AS CHAR), CAST(CONSTRAINT_NAME AS CHAR), \
                CAST(COLUMN_NAME AS CHAR), CAST(REFERENCED_COLUMN_NAME AS CHAR) \
                FROM information_schema.KEY_COLUMN_USAGE \
                WHERE REFERENCED_TABLE_SCHEMA = ? AND REFERENCED_TABLE_NAME = ? \
                ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION";
    let mut references: Vec<CardReference> = Vec::new();
    for row in rows(connection, text, table_parameters(table)).await? {
        let child = TableName { schema: Some(row.try_get_by_index(0)?), name: row.try_get_by_index(1)? };
        let constraint: String = row.try_get_by_index(2)?;
        let pair = (row.try_get_by_index(3)?, row.try_get_by_index(4)?);
        match references.last_mut() {
            Some(last) if last.table == child && last.constraint == constraint => last.columns.push(pair),
            _ => references.push(CardReference {
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
