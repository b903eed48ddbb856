//! Definitions of columns and foreign keys. Some types of columns differ between the databases.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Defines a 64-bit primary key whose values the database assigns.
pub(crate) fn key<T: IntoIden>(name: T) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.big_integer().not_null().auto_increment().primary_key();
    column
}

/// Defines a time in UTC with microseconds.
///
/// On MariaDB and MySQL the column is a `datetime(6)`. Their `TIMESTAMP` has whole seconds by default, and ends in 2038
/// on MySQL and on MariaDB before 11.5.
pub(crate) fn utc<T: IntoIden>(manager: &SchemaManager<'_>, name: T) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    match manager.get_database_backend() {
        DbBackend::MySql => column.custom("datetime(6)"),
        _ => column.timestamp_with_time_zone(),
    };
    column
}

/// Defines a text column that is compared byte by byte, such as a hash or a normalised e-mail address. `length` is its
/// maximum number of characters.
///
/// On MariaDB and MySQL the column has a binary collation, because in their default collations `é` equals `e`. On
/// these databases, a comparison still ignores spaces at the end of a text.
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

/// Defines a foreign key from one column to another. While another row refers to a row, the foreign key
/// refuses to delete that row, and to change its referred column.
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

/// Defines a text column for any script. On MariaDB and MySQL the column has the character set `utf8mb4`, because the
/// default character set of the database may lack letters.
pub(crate) fn prose<T: IntoIden>(manager: &SchemaManager<'_>, name: T) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    match manager.get_database_backend() {
        DbBackend::MySql => column.custom("text character set utf8mb4"),
        _ => column.text(),
    };
    column
}
