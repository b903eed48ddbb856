//! SQLite: a unique key that was part of CREATE TABLE goes only with the table. So the table is made anew, in
//! the order that <https://www.sqlite.org/lang_altertable.html#otheralter> gives.

use super::keys::free_name;
use super::{Plan, StepKind};
use crate::inspect::{Key, Source, TableState};
use crate::sql::{same, same_set};
use crate::{NEW_KEY, NEW_KEY_COLUMNS, OLD_KEY_COLUMNS};

/// The steps for the keys on SQLite. All run in one transaction.
pub(super) fn sqlite_keys(plan: &mut Plan, state: &TableState, needs_new: bool, old: &[&Key]) {
    let dialect = state.dialect();
    if old.iter().any(|key| key.constraint.is_some()) {
        // With foreign keys on, DROP TABLE deletes the rows first, and theirs with them.
        let purpose = "Make the table anew without the wrong key, which is part of its definition; with PRAGMA \
                       foreign_keys = OFF, between BEGIN IMMEDIATE and COMMIT";
        match rebuild(state, old) {
            Some(statements) => plan.step(StepKind::Rebuild, purpose, statements),
            None => plan.blockers.push(
                "the wrong key was not found in the text of the table's CREATE TABLE; make the table anew \
                 by hand"
                    .to_owned(),
            ),
        }
    } else {
        for key in old {
            let text = format!("DROP INDEX {}", dialect.quote(&key.name));
            plan.step(StepKind::Keys, "Drop the wrong key", vec![text]);
        }
    }
    if needs_new {
        let text = format!(
            "CREATE UNIQUE INDEX {} ON {} ({})",
            dialect.quote(&free_name(state, NEW_KEY, old)),
            dialect.table(&state.table),
            dialect.quote_all(NEW_KEY_COLUMNS)
        );
        plan.step(StepKind::Keys, "Add the right key", vec![text]);
    }
}

/// The new table, the rows, the old one's counter, its name, its indexes and triggers.
fn rebuild(state: &TableState, old: &[&Key]) -> Option<Vec<String>> {
    let source = state.source.as_ref()?;
    let dialect = state.dialect();
    let temporary = free_name(state, &format!("{}_rebuilt", state.table.name), &[]);
    let (was, new) = (dialect.table(&state.table), dialect.quote(&temporary));
    let columns = dialect.quote_all(
        state.columns.iter().filter(|column| !column.generated).map(|column| column.name.as_str()),
    );
    let mut statements = vec![
        without_old_key(&source.table, &new)?,
        format!("INSERT INTO {new} ({columns}) SELECT {columns} FROM {was}"),
    ];
    if source.numbered {
        let (was, new) = (literal(&state.table.name), literal(&temporary));
        statements.push(format!("DELETE FROM sqlite_sequence WHERE name = {new}"));
        statements.push(format!(
            "INSERT INTO sqlite_sequence (name, seq) SELECT {new}, seq FROM sqlite_sequence WHERE name = \
             {was}"
        ));
    }
    statements.push(format!("DROP TABLE {was}"));
    // Views and other tables' triggers speak of the table by its name, which it is about to have again. Only
    // so does the renaming leave them alone.
    statements.push("PRAGMA legacy_alter_table = ON".to_owned());
    statements.push(format!("ALTER TABLE {new} RENAME TO {was}"));
    statements.push("PRAGMA legacy_alter_table = OFF".to_owned());
    for (name, text) in &source.indexes {
        if !old.iter().any(|key| same(&key.name, name)) {
            statements.push(text.clone());
        }
    }
    statements.extend(source.triggers.iter().cloned());
    Some(statements)
}

/// Makes the table again as it was before, from the text that SQLite stored. The present table is renamed first,
/// so that the earlier text is kept exactly.
pub(crate) fn rebuild_as(state: &TableState, earlier: &Source) -> Option<Vec<String>> {
    let now = state.source.as_ref()?;
    let dialect = state.dialect();
    let aside = free_name(state, &format!("{}_replaced", state.table.name), &[]);
    let (name, aside) = (dialect.table(&state.table), dialect.quote(&aside));
    let columns = dialect.quote_all(
        state.columns.iter().filter(|column| !column.generated).map(|column| column.name.as_str()),
    );
    let mut statements = vec!["PRAGMA legacy_alter_table = ON".to_owned()];
    statements.extend(now.indexes.iter().map(|(index, _)| format!("DROP INDEX {}", dialect.quote(index))));
    statements.push(format!("ALTER TABLE {name} RENAME TO {aside}"));
    statements.push("PRAGMA legacy_alter_table = OFF".to_owned());
    statements.push(earlier.table.clone());
    statements.push(format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {aside}"));
    if earlier.numbered && now.numbered {
        statements.push(format!("DELETE FROM sqlite_sequence WHERE name = {}", literal(&state.table.name)));
        statements.push(format!(
            "UPDATE sqlite_sequence SET name = {} WHERE name = {}",
            literal(&state.table.name),
            literal(aside.trim_matches('"')),
        ));
    }
    statements.push(format!("DROP TABLE {aside}"));
    statements.extend(earlier.indexes.iter().map(|(_, text)| text.clone()));
    statements.extend(earlier.triggers.iter().cloned());
    Some(statements)
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The CREATE TABLE under another name and without UNIQUE (purchase_id, test_number). None where that is not
/// found.
fn without_old_key(text: &str, name: &str) -> Option<String> {
    let tokens = tokens(text);
    let word = |position: usize, wanted: &str| {
        tokens.get(position).is_some_and(|token: &Token<'_>| token.text.eq_ignore_ascii_case(wanted))
    };
    if !(word(0, "CREATE") && word(1, "TABLE") && word(3, "(")) {
        return None;
    }
    let mut result = format!("CREATE TABLE {name}");
    let mut copied = tokens[2].end();
    let mut found = false;
    let mut depth = 0_usize;
    for (position, token) in tokens.iter().enumerate().skip(3) {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ if depth == 1 && word(position, "UNIQUE") && word(position + 1, "(") => {
                let close = (position..tokens.len()).find(|&at| tokens[at].text == ")")?;
                let columns = column_names(&tokens[position + 2..close]);
                if !same_set(&columns, &OLD_KEY_COLUMNS) {
                    continue;
                }
                let mut first = position;
                if position >= 2 && word(position - 2, "CONSTRAINT") {
                    first = position - 2;
                }
                let mut last = close;
                if word(close + 1, "ON") && word(close + 2, "CONFLICT") {
                    last = close + 3;
                }
                // One comma goes with it; commas between constraints may be left out.
                if word(first - 1, ",") && (word(last + 1, ",") || word(last + 1, ")")) {
                    first -= 1;
                }
                result.push_str(text.get(copied..tokens[first].start)?);
                copied = tokens.get(last)?.end();
                found = true;
            }
            _ => {}
        }
    }
    result.push_str(text.get(copied..)?);
    found.then_some(result)
}

/// The columns of an index: the first word of each part; COLLATE, ASC and DESC follow it.
fn column_names(tokens: &[Token<'_>]) -> Vec<String> {
    tokens
        .split(|token| token.text == ",")
        .filter_map(|part| part.first())
        .map(|token| match token.text.chars().next() {
            Some(mark @ ('"' | '`' | '\'')) => {
                let inner = &token.text[1..token.text.len() - 1];
                inner.replace(&format!("{mark}{mark}"), &mark.to_string())
            }
            Some('[') => token.text[1..token.text.len() - 1].to_owned(),
            _ => token.text.to_owned(),
        })
        .collect()
}

#[derive(Clone, Copy, Debug)]
struct Token<'t> {
    start: usize,
    text: &'t str,
}

impl Token<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Words, quoted names and texts, and single marks; neither blanks nor comments.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = match first {
            _ if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '\'' | '"' | '`' => quoted(rest, first),
            '[' => rest.find(']').map_or(rest.len(), |end| end + 1),
            _ if is_word(first) => rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let is_comment = rest.starts_with("--") || rest.starts_with("/*");
        if !is_comment && !first.is_whitespace() {
            tokens.push(Token { start: at, text: &rest[..length] });
        }
        at += length;
    }
    tokens
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

/// The length of what stands between these marks, marks included; a doubled mark does not end it.
fn quoted(text: &str, mark: char) -> usize {
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == mark {
            if letters.peek().is_some_and(|(_, next)| *next == mark) {
                letters.next();
            } else {
                return at + mark.len_utf8();
            }
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_key_is_cut_out_and_all_else_stays() {
        let table = "CREATE TABLE \"mock_test_attempts\" (id INTEGER PRIMARY KEY, -- a, comment (\n \
                     note TEXT DEFAULT 'UNIQUE (purchase_id, test_number)', \
                     CONSTRAINT \"old, one\" UNIQUE (\"test_number\", [purchase_id] DESC) ON CONFLICT ABORT, \
                     UNIQUE (a, b), CHECK (id > 0)) STRICT";
        assert_eq!(
            without_old_key(table, "\"n\"").as_deref(),
            Some(
                "CREATE TABLE \"n\" (id INTEGER PRIMARY KEY, -- a, comment (\n \
                 note TEXT DEFAULT 'UNIQUE (purchase_id, test_number)', UNIQUE (a, b), CHECK (id > 0)) STRICT"
            )
        );
    }

    #[test]
    fn it_may_be_the_last_or_stand_without_commas() {
        let last = "CREATE TABLE t (a, purchase_id, test_number, /* c */ unique(purchase_id,test_number) )";
        assert_eq!(
            without_old_key(last, "n").as_deref(),
            Some("CREATE TABLE n (a, purchase_id, test_number )")
        );
        let bare = "CREATE TABLE t (a, b, UNIQUE (purchase_id, test_number) CHECK (a > 0))";
        assert_eq!(without_old_key(bare, "n").as_deref(), Some("CREATE TABLE n (a, b,  CHECK (a > 0))"));
        let after = "CREATE TABLE t (a, b, CHECK (a > 0) UNIQUE (purchase_id, test_number), UNIQUE (a))";
        assert_eq!(
            without_old_key(after, "n").as_deref(),
            Some("CREATE TABLE n (a, b, CHECK (a > 0) , UNIQUE (a))")
        );
    }

    #[test]
    fn without_it_there_is_nothing_to_make() {
        assert_eq!(
            without_old_key("CREATE TABLE t (a, b, UNIQUE (purchase_id, subject_id, test_number))", "n"),
            None
        );
        assert_eq!(without_old_key("CREATE VIRTUAL TABLE t USING x (a)", "n"), None);
    }
}
