//! Verifies a dump of a database server by restoring it into a scratch database, and a database that was restored.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use sea_orm::{ConnectionTrait, DbBackend};

use super::BackupError;
use super::examine::{BackupReport, examine};
use super::verify::verify;
use crate::database::{ScratchDatabase, client_environment, connect_alone, join_task};

/// How many of the last bytes of a program's messages are shown.
const MAX_MESSAGE_BYTES: usize = 1_000;
/// How much of a file is read to find out its format.
const HEAD_BYTES: u64 = 4_096;

/// The format of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// The file of an SQLite database.
    Sqlite,
    /// The custom format of `pg_dump`.
    PostgresCustom,
    /// A script of `pg_dump`.
    PostgresScript,
    /// A script of `mariadb-dump`.
    MariaDb,
}

impl Format {
    fn of(path: &Path) -> Result<Self, BackupError> {
        let mut head = Vec::new();
        File::open(path)
            .and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head))
            .map_err(BackupError::io(path))?;
        let text = String::from_utf8_lossy(&head);
        Ok(if head.starts_with(b"PGDMP") {
            Self::PostgresCustom
        } else if text.contains("-- PostgreSQL database dump") {
            Self::PostgresScript
        } else if text.contains("-- MariaDB dump") || text.contains("-- MySQL dump") {
            Self::MariaDb
        } else {
            Self::Sqlite
        })
    }

    /// Returns the kind of server that restores it, and how the URLs of such a server begin. None for SQLite.
    fn server(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Self::Sqlite => None,
            Self::PostgresCustom | Self::PostgresScript => {
                Some(("PostgreSQL", &["postgres://", "postgresql://"]))
            }
            Self::MariaDb => Some(("MariaDB", &["mysql://", "mariadb://"])),
        }
    }
}

/// Checks a backup of any kind. A dump is restored into a scratch database on the server, which is dropped afterwards.
///
/// # Errors
/// Fails if the backup cannot be read or restored.
pub async fn verify_dump(file: &Path, server: Option<&str>) -> Result<BackupReport, BackupError> {
    if !file.is_file() {
        return verify(file).await;
    }
    let format = Format::of(file)?;
    let Some((kind, schemes)) = format.server() else { return verify(file).await };
    let fits = |url: &&str| schemes.iter().any(|scheme| url.starts_with(scheme));
    let Some(server) = server.filter(fits) else {
        return Err(BackupError::NeedsServer { path: file.to_owned(), server: kind });
    };
    if format != Format::PostgresCustom {
        refuse_named_database(format, file)?;
    }
    let scratch = ScratchDatabase::create(server).await?;
    let report = restore_and_examine(format, file, &scratch).await;
    scratch.remove().await?;
    report
}

/// Checks a database that was restored, for instance to a point in time. Changes nothing.
///
/// # Errors
/// Returns the database's error.
pub async fn verify_database(url: &str) -> Result<BackupReport, BackupError> {
    let connection = connect_alone(url, None).await?;
    let examined = async {
        let read_only = match connection.get_database_backend() {
            DbBackend::Postgres => "SET default_transaction_read_only = on",
            _ => "SET SESSION TRANSACTION READ ONLY",
        };
        connection.execute_unprepared(read_only).await?;
        examine(&connection).await
    };
    let report = examined.await;
    connection.close().await?;
    Ok(report?)
}

async fn restore_and_examine(
    format: Format,
    file: &Path,
    scratch: &ScratchDatabase,
) -> Result<BackupReport, BackupError> {
    let (file, url) = (file.to_owned(), scratch.url().to_owned());
    join_task(tokio::task::spawn_blocking(move || restore(format, &file, &url))).await??;
    let connection = scratch.connect(None).await?;
    let report = examine(&connection).await;
    connection.close().await?;
    Ok(report?)
}

/// Restores a dump with the program of its server.
fn restore(format: Format, file: &Path, url: &str) -> Result<(), BackupError> {
    let (program, mut command) = match format {
        Format::PostgresCustom => {
            let mut command = Command::new("pg_restore");
            command.args(["--no-owner", "--no-privileges", "--exit-on-error"]).arg(file);
            ("pg_restore", command)
        }
        Format::PostgresScript => {
            let mut command = Command::new("psql");
            command
                .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "--file"])
                .arg(file);
            command.stdout(Stdio::null());
            ("psql", command)
        }
        Format::MariaDb | Format::Sqlite => {
            let mut command = Command::new("mariadb");
            command.args(["--no-defaults", "--batch", "--default-character-set=utf8mb4"]);
            command.stdin(File::open(file).map_err(BackupError::io(file))?);
            ("mariadb", command)
        }
    };
    let failed = |message: String| BackupError::Program { program, message };
    let Some((variables, target)) = client_environment(url) else {
        return Err(failed("the URL of the scratch database cannot be read".to_owned()));
    };
    command.envs(variables);
    match format {
        Format::MariaDb | Format::Sqlite => {
            command.arg(format!("--host={}", target.host)).arg(format!("--port={}", target.port));
            if !target.user.is_empty() {
                command.arg(format!("--user={}", target.user));
            }
            command.args(["--protocol=tcp", "--database"]).arg(target.database);
        }
        Format::PostgresCustom | Format::PostgresScript => {
            command.arg(format!("--dbname={}", target.database));
        }
    }
    let output = command.stderr(Stdio::piped()).output().map_err(|error| {
        failed(format!(
            "{error}. Install the clients of the database server, such as the package {}",
            package(format)
        ))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let start = output.stderr.len().saturating_sub(MAX_MESSAGE_BYTES);
    Err(failed(String::from_utf8_lossy(&output.stderr[start..]).trim().to_owned()))
}

fn package(format: Format) -> &'static str {
    match format {
        Format::MariaDb | Format::Sqlite => "mariadb-client",
        Format::PostgresCustom | Format::PostgresScript => "postgresql-client",
    }
}

/// Refuses a script that leaves the database to which the client connects.
fn refuse_named_database(format: Format, file: &Path) -> Result<(), BackupError> {
    let script = File::open(file).map_err(BackupError::io(file))?;
    match naming_line(format, BufReader::new(script)).map_err(BackupError::io(file))? {
        Some(line) => Err(BackupError::NamesDatabase { path: file.to_owned(), line }),
        None => Ok(()),
    }
}

/// Finds the first line of a script that names a database. Data cannot look like one: `mariadb-dump` begins its lines with a
/// bracket, and both programs write line ends and backslashes of data in another form.
fn naming_line(format: Format, mut script: impl BufRead) -> std::io::Result<Option<usize>> {
    let statements: &[&str] = match format {
        Format::MariaDb => &["USE ", "USE`", "CREATE DATABASE", "DROP DATABASE", "ALTER DATABASE"],
        _ => &["\\C ", "\\CONNECT", "CREATE DATABASE", "DROP DATABASE", "ALTER DATABASE"],
    };
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if read_line(&mut script, &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line).trim_start().to_ascii_uppercase();
        // MariaDB runs what is inside of a comment with a version.
        let inside = text.strip_prefix("/*!").or_else(|| text.strip_prefix("/*M!"));
        let text = inside
            .map_or(text.as_str(), |text| text.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' '));
        if statements.iter().any(|statement| text.starts_with(statement)) {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Reads a line and keeps at most its first bytes. Returns how many bytes the line has.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    const KEPT_BYTES: usize = 256;
    let mut read = 0;
    loop {
        let buffer = from.fill_buf()?;
        if buffer.is_empty() {
            return Ok(read);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        let kept = KEPT_BYTES.saturating_sub(line.len()).min(taken);
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

    #[test]
    fn scripts_that_name_a_database_are_found() {
        let line = |format, script: &str| naming_line(format, script.as_bytes()).unwrap();
        let long = "x".repeat(100_000);
        let harmless = format!("-- Current Database: `a`\nINSERT INTO t VALUES ('{long}'),\n('USE `a`');\n");
        assert_eq!(line(Format::MariaDb, &harmless), None);
        for named in
            ["USE `a`;", "/*!40000 DROP DATABASE IF EXISTS `a`*/;", "create database /*!32312 IF NOT */ `a`;"]
        {
            assert_eq!(line(Format::MariaDb, &format!("--\n{named}\n")), Some(2), "{named}");
        }
        for named in ["\\connect a", "\\c a", "CREATE DATABASE a;"] {
            assert_eq!(line(Format::PostgresScript, &format!("--\n{named}\n")), Some(2), "{named}");
        }
        assert_eq!(line(Format::PostgresScript, "COPY t FROM stdin;\nuse \\\\connect\n\\.\n"), None);
    }
}
