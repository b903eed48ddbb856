//! Column types and constraints where the three databases differ.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// A 64-bit primary key that numbers itself.
pub(crate) fn key<T: IntoIden>(name: T) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.big_integer().not_null().auto_increment().primary_key();
    column
}

/// A point in time, UTC, to the microsecond.
///
/// Not `TIMESTAMP` on MariaDB/MySQL: it keeps whole seconds by default and ends in 2038.
pub(crate) fn utc<T: IntoIden>(manager: &SchemaManager<'_>, name: T) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    match manager.get_database_backend() {
        DbBackend::MySql => column.custom("datetime(6)"),
        _ => column.timestamp_with_time_zone(),
    };
    column
}

/// Text that is equal only when it is the same, letter for letter: keys, hashes, folded e-mail addresses.
///
/// MariaDB/MySQL compares by a collation in which `é` is `e` unless told otherwise.
pub(crate) fn exact<T: IntoIden>(manager: &SchemaManager<'_>, name: T, length: u32) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    match manager.get_database_backend() {
        DbBackend::MySql => {
            column.custom(format!("varchar({length}) character set utf8mb4 collate utf8mb4_bin"))
        }
        _ => column.string_len(length),
    };
    column
}

/// A foreign key of one column that refuses to orphan a row.
pub(crate) fn foreign_key<F, C, T, R>(
    name: &str,
    from: F,
    column: C,
    to: T,
    referred: R,
) -> ForeignKeyCreateStatement
where
    F: IntoIden,
    C: IntoIden,
    T: IntoIden,
    R: IntoIden,
{
    ForeignKey::create()
        .name(name)
        .from(from.into_iden(), column.into_iden())
        .to(to.into_iden(), referred.into_iden())
        .on_delete(ForeignKeyAction::Restrict)
        .on_update(ForeignKeyAction::Restrict)
        .to_owned()
}

/// Prose of people, in any script: MariaDB/MySQL would otherwise keep it in the database's default character set.
pub(crate) fn prose<T: IntoIden>(manager: &SchemaManager<'_>, name: T) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    match manager.get_database_backend() {
        DbBackend::MySql => column.custom("text character set utf8mb4"),
        _ => column.text(),
    };
    column
}
