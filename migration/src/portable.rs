//! Column types and constraints that differ between the databases.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Defines a 64-bit primary key that numbers itself.
pub(crate) fn key<T: IntoIden>(name: T) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.big_integer().not_null().auto_increment().primary_key();
    column
}

/// Defines a time in UTC with microseconds.
///
/// MariaDB and MySQL do not use `TIMESTAMP`, because by default it has whole seconds and ends in 2038.
pub(crate) fn utc<T: IntoIden>(manager: &SchemaManager<'_>, name: T) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    match manager.get_database_backend() {
        DbBackend::MySql => column.custom("datetime(6)"),
        _ => column.timestamp_with_time_zone(),
    };
    column
}

/// Defines a text that is compared byte by byte, such as a key, a hash or a normalised e-mail address.
///
/// By default MariaDB and MySQL use a collation in which `é` equals `e`.
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

/// Defines a foreign key of one column. It refuses to delete or change a row that is still referred to.
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

/// Defines a text in any script. Without a character set, MariaDB and MySQL would use the default of the database.
pub(crate) fn prose<T: IntoIden>(manager: &SchemaManager<'_>, name: T) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    match manager.get_database_backend() {
        DbBackend::MySql => column.custom("text character set utf8mb4"),
        _ => column.text(),
    };
    column
}
