//! Verifies a dump of a database server by restoring it into a scratch database. Also verifies a database that an
//! operator has restored.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jishu_service_macros::service_call;

use super::BackupError;
use super::dump_script::refuse_named_database;
use super::examine::{BackupReport, examine};
use super::format::BackupFormat;
use super::verify::verify;
use crate::database::{ScratchDatabase, client_environment, connect_alone, join_task};

/// Maximum number of bytes that an error shows of a program's messages. The error shows the end of the messages.
const MAX_MESSAGE_BYTES: usize = 1_000;
/// Time between two checks whether a program has ended or must be killed.
const PROGRAM_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Checks a backup of any kind. The file of an SQLite database is checked without `server` and `stop`.
///
/// A dump is restored into a scratch database on the server with the URL `server`. The scratch database is dropped
/// afterwards, even if `stop` completes first. If it cannot be dropped, a note of the report or the error says so.
///
/// # Errors
/// Fails if the backup cannot be read. For a dump, also fails if no suitable server is given, if the script names a
/// database or runs a command of the client program, if the dump cannot be restored, or if `stop` completes.
pub async fn verify_dump(
    file: &Path,
    server: Option<&str>,
    stop: impl Future<Output = ()>,
) -> Result<BackupReport, BackupError> {
    if !file.is_file() {
        return verify(file).await;
    }
    let format = BackupFormat::of(file)?;
    let Some((kind, schemes)) = format.server() else { return verify(file).await };
    let fits = |url: &&str| schemes.iter().any(|scheme| url.starts_with(scheme));
    let Some(server) = server.filter(fits) else {
        return Err(BackupError::NeedsServer { path: file.to_owned(), server: kind });
    };
    if format != BackupFormat::PostgresCustom {
        refuse_named_database(format, file)?;
    }
    // Refuses a URL that cannot be passed to the client programs of the server, before a scratch database is made.
    client_environment(server)?;
    let scratch = ScratchDatabase::create(server).await?;
    let report = restore_and_examine(format, file, &scratch, pin!(stop)).await;
    match (report, scratch.remove().await) {
        (report, Ok(())) => report,
        (Ok(mut report), Err(left)) => {
            report.notes.push(left.to_string());
            Ok(report)
        }
        (Err(error), Err(left)) => Err(BackupError::Left { error: Box::new(error), left }),
    }
}

/// Checks a database that was restored, for instance to a point in time. Changes nothing.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn verify_database(url: &str) -> Result<BackupReport, BackupError> {
    let connection = connect_alone(url, None).await?;
    let report = examine(&connection).await;
    connection.close().await?;
    Ok(report?)
}

async fn restore_and_examine(
    format: BackupFormat,
    file: &Path,
    scratch: &ScratchDatabase,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<BackupReport, BackupError> {
    let (file, url) = (file.to_owned(), scratch.url().to_owned());
    let is_stopped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_stopped);
    let mut restored =
        pin!(join_task(tokio::task::spawn_blocking(move || restore(format, &file, &url, &told))));
    tokio::select! {
        restored = restored.as_mut() => restored??,
        () = stop.as_mut() => {
            is_stopped.store(true, Ordering::Relaxed);
            // The program must have ended before the scratch database is dropped.
            restored.await??;
            return Err(BackupError::Interrupted);
        }
    }
    let examined = async {
        let connection = scratch.connect(None).await?;
        let report = examine(&connection).await;
        connection.close().await?;
        Ok::<_, BackupError>(report?)
    };
    tokio::select! {
        report = examined => report,
        () = stop => Err(BackupError::Interrupted),
    }
}

/// Restores a dump with the client program of its server. Kills the program and fails if `is_stopped` becomes true.
fn restore(format: BackupFormat, file: &Path, url: &str, is_stopped: &AtomicBool) -> Result<(), BackupError> {
    let (program, mut command) = match format {
        BackupFormat::PostgresCustom => {
            let mut command = Command::new("pg_restore");
            command.args(["--no-owner", "--no-privileges", "--exit-on-error"]).arg(file);
            command.stdin(Stdio::null());
            ("pg_restore", command)
        }
        BackupFormat::PostgresScript => {
            let mut command = Command::new("psql");
            command
                .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "--file"])
                .arg(file);
            command.stdin(Stdio::null());
            ("psql", command)
        }
        BackupFormat::MariaDb | BackupFormat::Sqlite => {
            let mut command = Command::new("mariadb");
            command.args(["--no-defaults", "--batch", "--default-character-set=utf8mb4"]);
            command.stdin(File::open(file).map_err(BackupError::io(file))?);
            ("mariadb", command)
        }
    };
    let failed = |message: String| BackupError::Program { program, message };
    let (variables, target) = client_environment(url)?;
    command.envs(variables);
    match format {
        BackupFormat::MariaDb | BackupFormat::Sqlite => {
            command.arg(format!("--host={}", target.host)).arg(format!("--port={}", target.port));
            if !target.user.is_empty() {
                command.arg(format!("--user={}", target.user));
            }
            command.args(target.tls);
            command.args(["--protocol=tcp", "--database"]).arg(target.database);
        }
        BackupFormat::PostgresCustom | BackupFormat::PostgresScript => {
            command.arg(format!("--dbname={}", target.database));
        }
    }
    let (status, messages) = run(&mut command, is_stopped).map_err(|error| {
        failed(format!(
            "{error}. Install the clients of the database server, such as the package {}",
            package(format)
        ))
    })?;
    if is_stopped.load(Ordering::Relaxed) {
        return Err(BackupError::Interrupted);
    }
    if status.success() {
        return Ok(());
    }
    let start = messages.len().saturating_sub(MAX_MESSAGE_BYTES);
    Err(failed(String::from_utf8_lossy(&messages[start..]).trim().to_owned()))
}

/// Runs a program to its end, or kills it when `is_stopped` becomes true. Returns its status and its messages.
fn run(command: &mut Command, is_stopped: &AtomicBool) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let messages = child.stderr.take();
    // If nothing read the messages of the program, the program would wait for ever as soon as the pipe is full.
    let reading = std::thread::spawn(move || {
        let mut read = Vec::new();
        if let Some(mut messages) = messages {
            let _ = messages.read_to_end(&mut read);
        }
        read
    });
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if is_stopped.load(Ordering::Relaxed) {
            // The kill fails if the program has ended by itself meanwhile.
            let _ = child.kill();
            break child.wait()?;
        }
        std::thread::sleep(PROGRAM_POLL_INTERVAL);
    };
    Ok((status, reading.join().unwrap_or_default()))
}

fn package(format: BackupFormat) -> &'static str {
    match format {
        BackupFormat::MariaDb | BackupFormat::Sqlite => "mariadb-client",
        BackupFormat::PostgresCustom | BackupFormat::PostgresScript => "postgresql-client",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_program_ends_when_it_is_stopped() {
        let started = Instant::now();
        let mut command = Command::new("sleep");
        let (status, _) = run(command.arg("60"), &AtomicBool::new(true)).unwrap();
        assert!(!status.success());
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn the_messages_of_a_program_are_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "head -c 200000 /dev/zero >&2; echo the end >&2; exit 3"]);
        let (status, messages) = run(&mut command, &AtomicBool::new(false)).unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(messages.len(), 200_000 + "the end\n".len());
    }
}
