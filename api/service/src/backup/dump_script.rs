//! Refuses scripts of dumps that would change another database than the scratch database.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::BackupError;
use super::format::BackupFormat;

/// Maximum number of bytes that are kept of a line. The rest of the line is skipped.
const MAX_LINE_BYTES: usize = 65_536;

/// Refuses a script that would change to another database than the one to which the client connects, or run a command
/// of the client.
pub(super) fn refuse_named_database(format: BackupFormat, file: &Path) -> Result<(), BackupError> {
    let script = File::open(file).map_err(BackupError::io(file))?;
    match naming_line(format, BufReader::new(script)).map_err(BackupError::io(file))? {
        Some(line) => Err(BackupError::NamesDatabase { path: file.to_owned(), line }),
        None => Ok(()),
    }
}

/// Finds the number of the first line of a script that names a database, or is a command of the client program. Lines
/// of data cannot be mistaken for that line: `mariadb-dump` begins them with a bracket, and `pg_dump` puts them into a
/// COPY. Both programs escape line ends in values.
fn naming_line(format: BackupFormat, mut script: impl BufRead) -> std::io::Result<Option<usize>> {
    let mut line = Vec::new();
    // Whether the current line is in the rows of a COPY of PostgreSQL. The line `\.` ends these rows.
    let mut is_data = false;
    for number in 1.. {
        line.clear();
        if read_line(&mut script, &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        if is_data {
            if text.trim_end() == "\\." {
                is_data = false;
            } else if is_command_in_data(&text) {
                return Ok(Some(number));
            }
            continue;
        }
        if leaves_database(format, &text) {
            return Ok(Some(number));
        }
        is_data = format == BackupFormat::PostgresScript && begins_data(&text);
    }
    Ok(None)
}

/// Returns whether a line is a COPY statement, after which rows of data follow.
fn begins_data(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ends = |last: &[&str]| {
        words.len() > last.len()
            && words[words.len() - last.len()..]
                .iter()
                .zip(last)
                .all(|(one, other)| one.eq_ignore_ascii_case(other))
    };
    words.first().is_some_and(|word| word.eq_ignore_ascii_case("COPY")) && ends(&["FROM", "stdin;"])
}

/// Returns whether a row begins with a backslash, but not as COPY writes values. Such a row may be a command, if the
/// client does not take it for data.
fn is_command_in_data(row: &str) -> bool {
    row.strip_prefix('\\').is_some_and(|rest| !rest.starts_with(['N', '\\', 'b', 'f', 'n', 'r', 't', 'v']))
}

/// Returns whether a line makes the client change to another database, changes a whole database, or is a command of the
/// client.
fn leaves_database(format: BackupFormat, line: &str) -> bool {
    let mut text = line.trim_start();
    loop {
        // MariaDB executes the text inside a comment such as `/*!40000 … */`.
        if let Some(inside) = text.strip_prefix("/*!").or_else(|| text.strip_prefix("/*M!")) {
            text = inside.trim_start_matches(|c: char| c.is_ascii_digit() || c.is_whitespace());
        } else if let Some((_, after)) = text.strip_prefix("/*").and_then(|inside| inside.split_once("*/")) {
            text = after.trim_start();
        } else {
            break;
        }
    }
    let words: Vec<String> = text
        .split(|c: char| c.is_whitespace() || matches!(c, '`' | '"' | ';' | '('))
        .filter(|word| !word.is_empty())
        .take(4)
        .map(str::to_ascii_uppercase)
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let is_mariadb = format == BackupFormat::MariaDb;
    if text.starts_with('\\') {
        // A line with several backslashes may have several commands, so the line counts as harmful.
        if text.matches('\\').count() > 1 {
            return true;
        }
        return match words.first() {
            // Some commands are harmless in one of the two clients. `\restrict` and `\unrestrict` of psql and `\-` of
            // MariaDB only switch other commands off, or on again. `\.` ends rows of data in psql, but reads a file in
            // MariaDB.
            Some(&"\\RESTRICT" | &"\\UNRESTRICT" | &"\\.") => is_mariadb,
            Some(&"\\-") => !is_mariadb,
            _ => true,
        };
    }
    // A line that does not begin with a letter is no statement. For example, a quoted name begins the definition of a
    // column.
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return false;
    }
    let (verb, object) = match words.as_slice() {
        ["CREATE", "OR", "REPLACE", object] => ("CREATE", *object),
        [verb, object, ..] => (*verb, *object),
        [verb] => (*verb, ""),
        [] => return false,
    };
    match verb {
        "CREATE" | "DROP" | "ALTER" => object == "DATABASE" || (is_mariadb && object == "SCHEMA"),
        // The client of MariaDB accepts these commands without a backslash.
        "USE" | "CONNECT" | "SOURCE" | "SYSTEM" => is_mariadb,
        _ => false,
    }
}

/// Reads a line, and appends at most its first [`MAX_LINE_BYTES`] bytes to `line`. Returns the number of bytes of the
/// line, which is 0 at the end of the file.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut read = 0;
    loop {
        let buffer = from.fill_buf()?;
        if buffer.is_empty() {
            return Ok(read);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        let kept = MAX_LINE_BYTES.saturating_sub(line.len()).min(taken);
        line.extend_from_slice(&buffer[..kept]);
        from.consume(taken);
        read += taken;
        if end.is_some() {
            return Ok(read);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: BackupFormat, script: &str) -> Option<usize> {
        naming_line(format, script.as_bytes()).unwrap()
    }

    #[test]
    fn scripts_of_mariadb_that_name_a_database_are_found() {
        let long = "x".repeat(100_000);
        let harmless = format!(
            "/*M!999999\\- enable the sandbox mode */\n-- Current Database: `a`\nCREATE TABLE `use` (\n  `source` int\n);\n\
             INSERT INTO t VALUES ('{long}'),\n('USE `a`');\n"
        );
        assert_eq!(line(BackupFormat::MariaDb, &harmless), None);
        for named in [
            "USE `a`;",
            "use`a`;",
            "/*!40000 DROP DATABASE IF EXISTS `a`*/;",
            "create database /*!32312 IF NOT */ `a`;",
            "CREATE  OR REPLACE\tDATABASE a;",
            "/* a */ Drop  Schema a;",
            "\\u a",
            "\\U a",
            "\\! id",
            "\\. a.sql",
            "\\r a",
            "source a.sql",
            "connect a",
        ] {
            assert_eq!(line(BackupFormat::MariaDb, &format!("--\n{named}\n")), Some(2), "{named}");
        }
    }

    #[test]
    fn scripts_of_postgresql_that_name_a_database_are_found() {
        for named in [
            "\\connect a",
            "\\c a",
            "\\c\ta",
            "\\C\ta",
            "\\! id",
            "\\i a.sql",
            "\\ir a.sql",
            "  \\c a",
            "\\unrestrict x \\c a",
            "CREATE DATABASE a;",
            "drop  database\ta;",
        ] {
            assert_eq!(line(BackupFormat::PostgresScript, &format!("--\n{named}\n")), Some(2), "{named}");
            let after_data = format!("COPY t (a) FROM stdin;\n1\n\\.\n{named}\n");
            assert_eq!(line(BackupFormat::PostgresScript, &after_data), Some(4), "{named}");
        }
        let columns = "a_column, ".repeat(100);
        let harmless = format!(
            "\\restrict x\nDROP SCHEMA public;\nCOPY t ({columns}a) FROM stdin;\nuse \\\\connect\n\\N\t1\n\\\\x00\n\
             \\tdrop database a\ndrop database a\n\\.\nSELECT 1;\n\\unrestrict x\n"
        );
        assert_eq!(line(BackupFormat::PostgresScript, &harmless), None);
        assert_eq!(line(BackupFormat::PostgresScript, "COPY t FROM stdin;\n\\connect a\n"), Some(2));
    }
}
