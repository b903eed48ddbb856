//! The effect of a statement of a migration: the table that it changes, the operations of other transactions that it
//! blocks, and the growth of its work with the number of rows.

use sea_orm::DbBackend;

/// The effect of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The table that the statement changes or reads. None if the statement does not name it, such as `DROP INDEX` on
    /// PostgreSQL and SQLite.
    pub table: Option<String>,
    /// Whether the statement creates the table, so that no other transaction uses it yet.
    pub makes_table: bool,
    /// The other tables that the statement locks for a moment. They are the tables to which a table that it creates
    /// refers.
    pub referred: Vec<String>,
    /// The operations that other transactions cannot do with the table while the statement runs.
    pub blocked: Blocked,
    /// The growth of the statement's work with the number of rows.
    pub work: Work,
}

/// The operations that other transactions cannot do with a table while a statement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Nothing is blocked, because no other transaction uses the table yet.
    Nobody,
    /// Nothing is blocked, except for a moment at the beginning and at the end of the statement.
    Moment,
    /// Changes of the same rows that the statement changes are blocked.
    ChangedRows,
    /// All changes of rows are blocked. Reads are not blocked.
    Writes,
    /// All reads and changes are blocked.
    Everything,
    /// It is unknown what is blocked, because this version of jishu does not recognise the statement.
    Unknown,
}

/// The growth of the work of a statement with the number of rows of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// The work does not grow with the number of rows.
    Constant,
    /// The statement reads each row.
    Scan,
    /// The statement adds an entry to an index for each row.
    Index,
    /// The statement may change each row.
    Update,
    /// The statement copies each row into another table.
    Copy,
}

impl Effect {
    /// Finds out the effect of a statement from its words. Returns None if the statement changes nothing.
    pub(super) fn of(backend: DbBackend, text: &str) -> Option<Self> {
        let words: Vec<String> = text
            .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | ';'))
            .filter(|word| !word.is_empty())
            .map(|word| word.trim_matches(['"', '`']).to_owned())
            .collect();
        let upper: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
        let starts = |expected: &str| expected.split(' ').zip(&upper).all(|(one, other)| one == other);
        // Returns the word after `marker`, without IF, NOT and EXISTS.
        let after = |marker: &str| {
            let start = upper.iter().position(|word| word == marker)? + 1;
            let name = (start..words.len())
                .find(|index| !matches!(upper[*index].as_str(), "IF" | "NOT" | "EXISTS"))?;
            Some(words[name].clone())
        };
        let table = |table: Option<String>, blocked, work| {
            Some(Self { table, makes_table: false, referred: Vec::new(), blocked, work })
        };
        let is_sqlite = backend == DbBackend::Sqlite;
        // On SQLite the migration is one transaction, which blocks all other writes to the database.
        let on = |server: Blocked| if is_sqlite { Blocked::Writes } else { server };
        if starts("CREATE TABLE") {
            let mut referred: Vec<String> = upper
                .iter()
                .zip(words.iter().skip(1))
                .filter(|(word, _)| *word == "REFERENCES")
                .map(|(_, name)| name.clone())
                .collect();
            referred.sort();
            referred.dedup();
            let mut effect = table(after("TABLE"), Blocked::Nobody, Work::Constant)?;
            // `CREATE TABLE … AS SELECT` copies the rows of another table.
            if let (Some(source), true) = (after("FROM"), upper.contains(&"SELECT".to_owned())) {
                return table(Some(source), on(Blocked::Moment), Work::Copy);
            }
            referred.retain(|name| Some(name) != effect.table.as_ref());
            (effect.makes_table, effect.referred) = (true, referred);
            return Some(effect);
        }
        if starts("CREATE INDEX") || starts("CREATE UNIQUE INDEX") {
            // MariaDB builds an index while other transactions change rows.
            let blocked = if backend == DbBackend::MySql { Blocked::Moment } else { Blocked::Writes };
            return table(after("ON"), blocked, Work::Index);
        }
        if starts("CREATE TRIGGER") || starts("DROP TRIGGER") {
            return table(after("ON"), on(Blocked::Everything), Work::Constant);
        }
        if starts("ALTER TABLE") {
            let name = after("TABLE");
            let adds_constraint = upper.windows(2).any(|pair| {
                pair[0] == "ADD" && matches!(pair[1].as_str(), "CONSTRAINT" | "CHECK" | "FOREIGN" | "UNIQUE")
            });
            return match (adds_constraint, backend) {
                (false, DbBackend::MySql) => table(name, Blocked::Moment, Work::Constant),
                (false, _) => table(name, on(Blocked::Everything), Work::Constant),
                // To add a constraint, MariaDB copies the table.
                (true, DbBackend::MySql) => table(name, Blocked::Writes, Work::Copy),
                (true, _) => table(name, on(Blocked::Everything), Work::Scan),
            };
        }
        if starts("UPDATE") {
            return table(words.get(1).cloned(), on(Blocked::ChangedRows), Work::Update);
        }
        if starts("DELETE") {
            return table(after("FROM"), on(Blocked::ChangedRows), Work::Update);
        }
        if starts("INSERT") {
            return match after("FROM") {
                Some(source) => table(Some(source), on(Blocked::Moment), Work::Copy),
                None => table(after("INTO"), on(Blocked::ChangedRows), Work::Constant),
            };
        }
        if starts("DROP TABLE") {
            return table(after("TABLE"), on(Blocked::Everything), Work::Constant);
        }
        if starts("DROP INDEX") {
            return table(after("ON"), on(Blocked::Everything), Work::Constant);
        }
        let reads = ["SELECT", "SHOW", "SET", "PRAGMA", "SAVEPOINT", "RELEASE", "BEGIN", "COMMIT", "WITH"];
        if upper.first().is_none_or(|word| reads.contains(&word.as_str())) {
            return None;
        }
        table(None, Blocked::Unknown, Work::Constant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_name_their_tables_and_what_they_block() {
        let of = |backend, text| {
            let effect = Effect::of(backend, text).unwrap();
            (effect.table.unwrap_or_default(), effect.blocked, effect.work)
        };
        let (postgres, mariadb, sqlite) = (DbBackend::Postgres, DbBackend::MySql, DbBackend::Sqlite);
        let add = "ALTER TABLE \"users\" ADD COLUMN \"birth_year\" integer";
        assert_eq!(of(postgres, add), ("users".into(), Blocked::Everything, Work::Constant));
        assert_eq!(
            of(mariadb, "ALTER TABLE `users` ADD COLUMN `birth_year` integer"),
            ("users".into(), Blocked::Moment, Work::Constant)
        );
        assert_eq!(of(sqlite, add), ("users".into(), Blocked::Writes, Work::Constant));
        let check = "ALTER TABLE outbox DROP CONSTRAINT a, ADD CONSTRAINT b CHECK (x IN ('y'))";
        assert_eq!(of(postgres, check), ("outbox".into(), Blocked::Everything, Work::Scan));
        assert_eq!(of(mariadb, check), ("outbox".into(), Blocked::Writes, Work::Copy));
        let index = "CREATE UNIQUE INDEX IF NOT EXISTS \"i\" ON \"orders\" (\"a\")";
        assert_eq!(of(postgres, index), ("orders".into(), Blocked::Writes, Work::Index));
        assert_eq!(of(mariadb, index), ("orders".into(), Blocked::Moment, Work::Index));
        assert_eq!(of(postgres, "UPDATE papers SET x = 1").2, Work::Update);
        assert_eq!(
            of(sqlite, "INSERT INTO a_copy SELECT * FROM a"),
            ("a".into(), Blocked::Writes, Work::Copy)
        );
        assert_eq!(of(sqlite, "VACUUM").1, Blocked::Unknown);
        assert_eq!(Effect::of(postgres, "SELECT 1"), None);
    }

    #[test]
    fn a_new_table_names_the_tables_to_which_it_refers() {
        let text = "CREATE TABLE IF NOT EXISTS \"orders\" ( \"id\" bigint, FOREIGN KEY (\"user_id\") REFERENCES \"users\" \
                    (\"id\"), FOREIGN KEY (\"self\") REFERENCES \"orders\" (\"id\") )";
        let effect = Effect::of(DbBackend::Postgres, text).unwrap();
        assert!(effect.makes_table);
        assert_eq!((effect.table.as_deref(), effect.referred), (Some("orders"), vec!["users".to_owned()]));
    }

    #[test]
    fn a_statement_without_a_table_has_none() {
        let (postgres, mariadb, sqlite) = (DbBackend::Postgres, DbBackend::MySql, DbBackend::Sqlite);
        for (backend, text, table) in [
            (postgres, "DROP INDEX \"i\"", None),
            (sqlite, "DROP INDEX IF EXISTS \"i\"", None),
            (mariadb, "DROP INDEX `i` ON `orders`", Some("orders")),
            (sqlite, "DROP TRIGGER t", None),
            (postgres, "DROP TRIGGER t ON orders", Some("orders")),
            (sqlite, "VACUUM", None),
        ] {
            assert_eq!(Effect::of(backend, text).unwrap().table.as_deref(), table, "{text}");
        }
    }
}
