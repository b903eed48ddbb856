//! Reads how a database spells the words of its status columns.

use sea_orm::{ConnectionTrait, DbErr};

use crate::inspect::spelling::StatusSpelling;
use crate::inspect::state::TableState;
use crate::sql::{TableName, rows, same};

/// Reads the spellings of the statuses of cards and sittings into `state`. Does nothing in the new schema, which has
/// only one spelling.
pub(super) async fn read(connection: &impl ConnectionTrait, state: &mut TableState) -> Result<(), DbErr> {
    if state.has_entitlements {
        return Ok(());
    }
    let card = state.columns.iter().find(|column| same(&column.name, "status"));
    if let Some(column) = card {
        state.card_spelling = read_column(connection, state, &state.table, &column.definition).await?;
    }
    if let Some(sittings) = state.sittings().filter(|sittings| sittings.has("status")) {
        let definition = state.definition_of(&sittings.child, "status");
        state.sitting_spelling = read_column(connection, state, &sittings.child.table, definition).await?;
    }
    Ok(())
}

/// Reads the spelling from the type of the column `status` if that type is an enumeration, or else from the 20 most
/// frequent values of the column.
async fn read_column(
    connection: &impl ConnectionTrait,
    state: &TableState,
    table: &TableName,
    definition: &str,
) -> Result<StatusSpelling, DbErr> {
    let dialect = state.dialect();
    let members = if dialect.is_mysql() {
        members(definition)
    } else if dialect.is_postgres() {
        let text = format!(
            "SELECT e.enumlabel::text FROM pg_attribute a JOIN pg_enum e ON e.enumtypid = a.atttypid WHERE \
             a.attrelid = CAST({} AS regclass) AND LOWER(a.attname) = 'status' ORDER BY e.enumsortorder",
            dialect.literal(&dialect.table(table))
        );
        words(connection, text).await?
    } else {
        Vec::new()
    };
    if !members.is_empty() {
        return Ok(StatusSpelling::closed(members));
    }
    let (table, status) = (dialect.table(table), dialect.quote("status"));
    let text = format!(
        "SELECT {} FROM {table} WHERE {status} IS NOT NULL GROUP BY {status} ORDER BY COUNT(*) DESC LIMIT 20",
        dialect.text(&status)
    );
    Ok(StatusSpelling::open(words(connection, text).await?))
}

async fn words(connection: &impl ConnectionTrait, text: String) -> Result<Vec<String>, DbErr> {
    rows(connection, text, []).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// Returns the members of a type of MariaDB or MySQL such as `enum('a','b')`. Returns nothing for any other type.
fn members(definition: &str) -> Vec<String> {
    let is_enum = definition.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("enum("));
    let inner = definition.get(5..).and_then(|rest| rest.split_once(')')).filter(|_| is_enum);
    let Some((inner, _)) = inner else { return Vec::new() };
    inner.split(',').map(|word| word.trim().trim_matches('\'').to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_of_an_enum_type_are_its_words() {
        assert_eq!(members("enum('OPEN','ABANDONED') CHARACTER SET x"), ["OPEN", "ABANDONED"]);
        assert_eq!(members("varchar(20)"), [""; 0]);
    }
}
