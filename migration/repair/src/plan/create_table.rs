//! Removes the old key from a CREATE TABLE statement.

use crate::names::OLD_KEY_COLUMNS;
use crate::sql::same_set;

/// Returns the CREATE TABLE statement with another name and without UNIQUE (purchase_id, test_number). `None` if the
/// statement does not have this key.
pub(super) fn without_old_key(text: &str, name: &str) -> Option<String> {
    let tokens = tokens(text);
    let word = |position: usize, wanted: &str| {
        tokens.get(position).is_some_and(|token: &SqlToken<'_>| token.text.eq_ignore_ascii_case(wanted))
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
                // A comma before the key is removed with the key. The comma stays if it separates the columns from a
                // constraint after the key, because SQLite allows constraints without commas between them.
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

/// Returns the columns of a key, without quotes: the first token of each part. COLLATE, ASC and DESC come after the
/// column.
fn column_names(tokens: &[SqlToken<'_>]) -> Vec<String> {
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

/// A token of an SQL statement.
#[derive(Clone, Copy, Debug)]
struct SqlToken<'t> {
    start: usize,
    text: &'t str,
}

impl SqlToken<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Splits a statement into words, quoted names, texts and single characters. Leaves out spaces and comments.
fn tokens(text: &str) -> Vec<SqlToken<'_>> {
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
            tokens.push(SqlToken { start: at, text: &rest[..length] });
        }
        at += length;
    }
    tokens
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

/// Returns the length of a quoted text, its marks included. A doubled mark does not end the text.
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
    fn the_old_key_is_removed_and_the_rest_stays() {
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
    fn the_old_key_may_be_last_or_have_no_comma() {
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
    fn a_statement_without_the_old_key_is_refused() {
        assert_eq!(
            without_old_key("CREATE TABLE t (a, b, UNIQUE (purchase_id, subject_id, test_number))", "n"),
            None
        );
        assert_eq!(without_old_key("CREATE VIRTUAL TABLE t USING x (a)", "n"), None);
    }
}
