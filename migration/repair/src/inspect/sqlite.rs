//! SQLite's catalogue: `sqlite_schema` and the pragmas.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use super::children::{QUESTIONS, SITTINGS};
use super::{
    Column, ForeignKey, Key, KeyRows, Reference, Source, TableState, are_entitlements, by_name, names,
};
use crate::error::RepairError;
use crate::sql::{TableName, rows, same};
use crate::{CARDS, LOG, OWN};

pub(super) async fn read(connection: &impl ConnectionTrait) -> Result<TableState, RepairError> {
    let taken: Vec<String> =
        strings(connection, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'index', 'view')")
            .await?;
    let tables = strings(
        connection,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         ORDER BY name",
    )
    .await?;
    let Some(name) = tables.iter().find(|name| same(name, CARDS)).cloned() else {
        return Err(RepairError::NoTable { place: "this SQLite file".to_owned() });
    };
    let log = match tables.iter().find(|table| same(table, LOG)) {
        Some(log) => Some(names(columns(connection, log).await?)),
        None => None,
    };
    let mut own = Vec::new();
    for table in tables.iter().filter(|table| OWN.iter().any(|name| same(name, table))) {
        own.push((table.clone(), names(columns(connection, table).await?)));
    }
    let mut references = Vec::new();
    for table in &tables {
        let found = references_of(connection, table, &name).await?;
        let is_old = [SITTINGS, QUESTIONS].iter().any(|old| same(old, table));
        if found.is_empty() && is_old {
            let columns = columns(connection, table).await?;
            let table_name = TableName { schema: None, name: table.clone() };
            references.extend(by_name(table_name, columns, keys(connection, table).await?));
        }
        references.extend(found);
    }
    let mut foreign_keys: Vec<ForeignKey> = Vec::new();
    for (id, _, column, _) in foreign_key_rows(connection, &name).await? {
        match foreign_keys.last_mut() {
            Some(last) if last.name == id => last.columns.push(column),
            _ => foreign_keys.push(ForeignKey { name: id, columns: vec![column] }),
        }
    }
    Ok(TableState {
        backend: DbBackend::Sqlite,
        columns: columns(connection, &name).await?,
        keys: keys(connection, &name).await?,
        foreign_keys,
        references,
        log,
        spelling: Default::default(),
        own,
        source: Some(source(connection, &name).await?),
        has_entitlements: are_entitlements(&columns(connection, "entitlements").await?),
        table: TableName { schema: None, name },
        taken,
        engine: None,
    })
}

async fn strings(connection: &impl ConnectionTrait, text: &str) -> Result<Vec<String>, DbErr> {
    rows(connection, text, []).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}

async fn columns(connection: &impl ConnectionTrait, table: &str) -> Result<Vec<Column>, DbErr> {
    // hidden: 1 is a virtual table's own, 2 and 3 are generated.
    let text =
        "SELECT name, type, hidden, \"notnull\" FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid";
    rows(connection, text, [table.into()])
        .await?
        .iter()
        .map(|row| {
            let definition: String = row.try_get_by_index(1)?;
            let upper = definition.to_ascii_uppercase();
            Ok(Column {
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

async fn keys(connection: &impl ConnectionTrait, table: &str) -> Result<Vec<Key>, DbErr> {
    let mut keys = KeyRows::default();
    // An INTEGER PRIMARY KEY is the row's own number, and has no index.
    let primary = "SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk";
    for row in rows(connection, primary, [table.into()]).await? {
        let key = Key { unique: true, primary: true, valid: true, ..Key::default() };
        keys.add(key, Some(row.try_get_by_index(0)?));
    }
    let text = "SELECT l.name, l.\"unique\", l.origin, l.partial, x.name \
                FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x \
                WHERE x.key = 1 AND l.origin <> 'pk' ORDER BY l.name, x.seqno";
    for row in rows(connection, text, [table.into()]).await? {
        let name: String = row.try_get_by_index(0)?;
        let origin: String = row.try_get_by_index(2)?;
        let key = Key {
            constraint: (origin == "u").then(|| name.clone()),
            name,
            unique: row.try_get_by_index::<i64>(1)? == 1,
            partial: row.try_get_by_index::<i64>(3)? == 1,
            valid: true,
            ..Key::default()
        };
        keys.add(key, row.try_get_by_index(4)?);
    }
    Ok(keys.0)
}

/// (number of the foreign key, table referred to, column, column referred to)
async fn foreign_key_rows(
    connection: &impl ConnectionTrait,
    table: &str,
) -> Result<Vec<(String, String, String, Option<String>)>, DbErr> {
    let text = "SELECT CAST(id AS TEXT), \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?) ORDER \
     BY id, seq";
    rows(connection, text, [table.into()])
        .await?
        .iter()
        .map(|row| {
            Ok((
                row.try_get_by_index(0)?,
                row.try_get_by_index(1)?,
                row.try_get_by_index(2)?,
                row.try_get_by_index(3)?,
            ))
        })
        .collect()
}

async fn references_of(
    connection: &impl ConnectionTrait,
    table: &str,
    cards: &str,
) -> Result<Vec<Reference>, DbErr> {
    let mut references: Vec<Reference> = Vec::new();
    for (id, target, column, card) in foreign_key_rows(connection, table).await? {
        if !same(&target, cards) {
            continue;
        }
        // Without a column named, the primary key is meant.
        let pair = (column, card.unwrap_or_else(|| "id".to_owned()));
        match references.last_mut() {
            Some(last) if last.constraint == id => last.columns.push(pair),
            _ => references.push(Reference {
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

async fn source(connection: &impl ConnectionTrait, table: &str) -> Result<Source, DbErr> {
    let mut source = Source::default();
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
