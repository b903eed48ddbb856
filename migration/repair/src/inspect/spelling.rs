//! How a database spells the words of a status: SQLAlchemy stores the names of an enumeration's members, which
//! are often in capitals.

use sea_orm::{ConnectionTrait, DbErr};

use super::{TableName, TableState};
use crate::sql::{rows, same};

/// The words that a column of a status has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    words: Vec<String>,
    /// Whether the column's type admits no other words.
    is_closed: bool,
}

impl Spelling {
    /// The word as this column spells it. None where the column's type does not admit it.
    pub(crate) fn of(&self, word: &str) -> Option<String> {
        if let Some(known) = self.words.iter().find(|known| same(known, word)) {
            return Some(known.clone());
        }
        let in_capitals = |known: &String| known.to_ascii_uppercase() == *known;
        let all_in_capitals = !self.words.is_empty() && self.words.iter().all(in_capitals);
        let word = if all_in_capitals { word.to_ascii_uppercase() } else { word.to_owned() };
        (!self.is_closed).then_some(word)
    }
}

/// The words of the cards' status and of the sittings' status.
pub(super) async fn read(
    connection: &impl ConnectionTrait,
    state: &TableState,
) -> Result<[Spelling; 2], DbErr> {
    let mut found = [Spelling::default(), Spelling::default()];
    if state.has_entitlements {
        return Ok(found);
    }
    let card = state.columns.iter().find(|column| same(&column.name, "status"));
    if let Some(column) = card {
        found[0] = of_column(connection, state, &state.table, &column.definition).await?;
    }
    if let Some(sittings) = state.sittings().filter(|sittings| sittings.has("status")) {
        let table = &sittings.child.table;
        let definition = state.definition_of(&sittings.child, "status");
        found[1] = of_column(connection, state, table, definition).await?;
    }
    Ok(found)
}

async fn of_column(
    connection: &impl ConnectionTrait,
    state: &TableState,
    table: &TableName,
    definition: &str,
) -> Result<Spelling, DbErr> {
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
        return Ok(Spelling { words: members, is_closed: true });
    }
    let (table, status) = (dialect.table(table), dialect.quote("status"));
    let text = format!(
        "SELECT {} FROM {table} WHERE {status} IS NOT NULL GROUP BY {status} ORDER BY COUNT(*) DESC LIMIT 20",
        dialect.text(&status)
    );
    Ok(Spelling { words: words(connection, text).await?, is_closed: false })
}

async fn words(connection: &impl ConnectionTrait, text: String) -> Result<Vec<String>, DbErr> {
    rows(connection, text, []).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// The members that MySQL's `enum('a','b')` names.
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
    fn a_word_is_spelled_as_its_column_spells_it() {
        let closed = Spelling { words: members("enum('OPEN','ABANDONED') CHARACTER SET x"), is_closed: true };
        assert_eq!(closed.of("abandoned").as_deref(), Some("ABANDONED"));
        assert_eq!(closed.of("completed"), None);
        let open = |words: &[&str]| Spelling {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            is_closed: false,
        };
        assert_eq!(open(&["IN_PROGRESS"]).of("abandoned").as_deref(), Some("ABANDONED"));
        assert_eq!(open(&["IN_PROGRESS", "new"]).of("abandoned").as_deref(), Some("abandoned"));
        assert_eq!(open(&[]).of("abandoned").as_deref(), Some("abandoned"));
        assert_eq!(members("varchar(20)"), [""; 0]);
    }
}
