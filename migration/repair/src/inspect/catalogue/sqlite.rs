//! Reads the catalogue of SQLite, `sqlite_schema` and the pragmas.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use super::shared::{KeyCollector, are_entitlements, column_names, reference_by_name};
use crate::error::RepairError;
use crate::inspect::spelling::StatusSpelling;
use crate::inspect::state::TableState;
use crate::inspect::table::{CardForeignKey, CardReference, SqliteDefinition, TableColumn, TableKey};
use crate::names::{CARD_TABLE, MERGED_CARD_TABLE, QUESTION_TABLE, RUN_LOG_TABLES, SITTING_TABLE};
use crate::sql::{TableName, rows, same};

pub(super) async fn read(connection: &impl ConnectionTrait) -> Result<TableState, RepairError> {
    let taken_names: Vec<String> =
        strings(connection, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'index', 'view')")
            .await?;
    let tables = strings(
        connection,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         ORDER BY name",
    )
    .await?;
    let Some(name) = tables.iter().find(|name| same(name, CARD_TABLE)).cloned() else {
        return Err(RepairError::NoTable { place: "this SQLite file".to_owned() });
    };
    let merged_card_columns = match tables.iter().find(|table| same(table, MERGED_CARD_TABLE)) {
        Some(table) => Some(column_names(columns(connection, table).await?)),
        None => None,
    };
    let mut run_log_tables = Vec::new();
    for table in tables.iter().filter(|table| RUN_LOG_TABLES.iter().any(|name| same(name, table))) {
        run_log_tables.push((table.clone(), column_names(columns(connection, table).await?)));
    }
    let mut references = Vec::new();
    for table in &tables {
        let found = references_of(connection, table, &name).await?;
        let is_old = [SITTING_TABLE, QUESTION_TABLE].iter().any(|old| same(old, table));
        if found.is_empty() && is_old {
            let columns = columns(connection, table).await?;
            let table_name = TableName { schema: None, name: table.clone() };
            references.extend(reference_by_name(table_name, columns, keys(connection, table).await?));
        }
        references.extend(found);
    }
    let mut foreign_keys: Vec<CardForeignKey> = Vec::new();
    for ForeignKeyRow { id, column, .. } in foreign_key_rows(connection, &name).await? {
        match foreign_keys.last_mut() {
            Some(last) if last.name == id => last.columns.push(column),
            _ => foreign_keys.push(CardForeignKey { name: id, columns: vec![column] }),
        }
    }
    Ok(TableState {
        backend: DbBackend::Sqlite,
        columns: columns(connection, &name).await?,
        keys: keys(connection, &name).await?,
        foreign_keys,
        references,
        merged_card_columns,
        card_spelling: StatusSpelling::default(),
        sitting_spelling: StatusSpelling::default(),
        run_log_tables,
        definition: Some(definition(connection, &name).await?),
        has_entitlements: are_entitlements(&columns(connection, "entitlements").await?),
        table: TableName { schema: None, name },
        taken_names,
        engine: None,
    })
}

async fn strings(connection: &impl ConnectionTrait, text: &str) -> Result<Vec<String>, DbErr> {
    rows(connection, text, []).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}

async fn columns(connection: &impl ConnectionTrait, table: &str) -> Result<Vec<TableColumn>, DbErr> {
    // `hidden` is 1 for a hidden column of a virtual table, and 2 or 3 for a generated column.
    let text =
        "SELECT name, type, hidden, \"notnull\" FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid";
    rows(connection, text, [table.into()])
        .await?
        .iter()
        .map(|row| {
            let definition: String = row.try_get_by_index(1)?;
            let upper = definition.to_ascii_uppercase();
            Ok(TableColumn {
                name: row.try_get_by_index(0)?,
                temporal: upper.contains("DATE") || upper.contains("TIME"),
                definition,
                generated: row.try_get_by_index::<i64>(2)? > 1,
                nullable: row.try_get_by_index::<i64>(3)? == 0,
                self_setting: false,
            })
        })
        .collect()
}

async fn keys(connection: &impl ConnectionTrait, table: &str) -> Result<Vec<TableKey>, DbErr> {
    let mut keys = KeyCollector::default();
    // `pragma_index_list` lacks an INTEGER PRIMARY KEY, which is an alias of the rowid and has no index. So the primary
    // key is read from the columns.
    let primary = "SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk";
    for row in rows(connection, primary, [table.into()]).await? {
        let key = TableKey { unique: true, primary: true, valid: true, ..TableKey::default() };
        keys.add(key, Some(row.try_get_by_index(0)?));
    }
    let text = "SELECT l.name, l.\"unique\", l.origin, l.partial, x.name \
                FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x \
                WHERE x.key = 1 AND l.origin <> 'pk' ORDER BY l.name, x.seqno";
    for row in rows(connection, text, [table.into()]).await? {
        let name: String = row.try_get_by_index(0)?;
        let origin: String = row.try_get_by_index(2)?;
        let key = TableKey {
            constraint: (origin == "u").then(|| name.clone()),
            name,
            unique: row.try_get_by_index::<i64>(1)? == 1,
            partial: row.try_get_by_index::<i64>(3)? == 1,
            valid: true,
            ..TableKey::default()
        };
        keys.add(key, row.try_get_by_index(4)?);
    }
    Ok(keys.into_keys())
}

/// One column of a foreign key.
struct ForeignKeyRow {
    /// The number that SQLite gives to the foreign key, as text.
    id: String,
    /// The table that the foreign key refers to.
    target: String,
    column: String,
    /// The column that the foreign key refers to. `None` stands for the primary key.
    target_column: Option<String>,
}

async fn foreign_key_rows(
    connection: &impl ConnectionTrait,
    table: &str,
) -> Result<Vec<ForeignKeyRow>, DbErr> {
    let text = "SELECT CAST(id AS TEXT), \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?) ORDER \
     BY id, seq";
    rows(connection, text, [table.into()])
        .await?
        .iter()
        .map(|row| {
            Ok(ForeignKeyRow {
                id: row.try_get_by_index(0)?,
                target: row.try_get_by_index(1)?,
                column: row.try_get_by_index(2)?,
                target_column: row.try_get_by_index(3)?,
            })
        })
        .collect()
}

async fn references_of(
    connection: &impl ConnectionTrait,
    table: &str,
    cards: &str,
) -> Result<Vec<CardReference>, DbErr> {
    let mut references: Vec<CardReference> = Vec::new();
    for ForeignKeyRow { id, target, column, target_column } in foreign_key_rows(connection, table).await? {
        if !same(&target, cards) {
            continue;
        }
        let pair = (column, target_column.unwrap_or_else(|| "id".to_owned()));
        match references.last_mut() {
            Some(last) if last.constraint == id => last.columns.push(pair),
            _ => references.push(CardReference {
                table: TableName { schema: None, name: table.to_owned() },
                constraint: id,
                columns: vec![pair],
                table_columns: columns(connection, table).await?,
                table_keys: keys(connection, table).await?,
            }),
        }
    }
    Ok(references)
}

async fn definition(connection: &impl ConnectionTrait, table: &str) -> Result<SqliteDefinition, DbErr> {
    let mut source = SqliteDefinition::default();
    let text = "SELECT type, name, sql FROM sqlite_schema \
                WHERE tbl_name = ? COLLATE NOCASE AND sql IS NOT NULL ORDER BY rowid";
    for row in rows(connection, text, [table.into()]).await? {
        let name: String = row.try_get_by_index(1)?;
        let definition: String = row.try_get_by_index(2)?;
        match row.try_get_by_index::<String>(0)?.as_str() {
            "table" => source.table = definition,
            "index" => source.indexes.push((name, definition)),
            "trigger" => source.triggers.push(definition),
            _ => {}
        }
    }
    let sequence = "SELECT name FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    if !rows(connection, sequence, []).await?.is_empty() {
        let text = "SELECT 1 FROM sqlite_sequence WHERE name = ?";
        source.numbered = !rows(connection, text, [table.into()]).await?.is_empty();
    }
    Ok(source)
}
