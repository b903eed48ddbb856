//! The commands `jishu backup`, `jishu verify-backup` and `jishu restore`: make a backup of a database, check a backup,
//! and put a backup in place of a database.

use std::path::{Path, PathBuf};

use clap::Args;

use super::CommandResult;
use super::signals::interruption;
use crate::config::DatabaseConfig;
use crate::server::key_file_beside;
use jishu_service::backup::{self, BackupReport, RestorePermissions};
use jishu_service::clock::{Clock, SystemClock};
use jishu_service::database::{is_same_database, sqlite_file};

#[derive(Args, Debug)]
pub(super) struct BackupArgs {
    /// The file to create. It must not exist. The signing keys are copied to FILE.keys.pem.
    file: PathBuf,

    #[command(flatten)]
    database: DatabaseFiles,
}

#[derive(Args, Debug)]
pub(super) struct VerifyBackupArgs {
    /// The file that `jishu backup`, `pg_dump` or `mariadb-dump` made, or the URL of a database that was restored from
    /// a backup. The command only reads that database. Other users can see the arguments of a command: give a URL with
    /// a password in the environment variable, or leave the password to the file of PGPASSFILE.
    #[arg(env = "JISHU_BACKUP_TO_VERIFY", value_name = "FILE_OR_URL", hide_env_values = true)]
    backup: String,

    /// The URL of a database server, for the file of `pg_dump` or `mariadb-dump`. The file is restored into a new
    /// database on this server, which is dropped afterwards. Do not give the server that your users use. Other users
    /// can see the arguments of a command: give a URL with a password in the environment variable.
    #[arg(long, env = "JISHU_SCRATCH_URL", value_name = "URL", hide_env_values = true)]
    scratch_url: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct RestoreArgs {
    /// The file that `jishu backup` made.
    file: PathBuf,

    /// Replace an existing database. Its old file is kept in the same folder, under a name with the time of the
    /// restore.
    #[arg(long, visible_alias = "yes")]
    replace: bool,

    /// Restore a backup even if some of its rows are wrong. The command reports these rows. It always refuses a damaged
    /// file.
    #[arg(long)]
    accept_problems: bool,

    #[command(flatten)]
    database: DatabaseFiles,
}

/// The files of a database and of its signing keys.
#[derive(Args, Debug)]
struct DatabaseFiles {
    #[command(flatten)]
    config: DatabaseConfig,

    /// The file with the signing keys, if it is not beside the file of the database.
    #[arg(long, env = "JISHU_SIGNING_KEYS", value_name = "FILE")]
    signing_keys: Option<PathBuf>,
}

impl DatabaseFiles {
    /// Returns the path of the SQLite file. For a database server, returns an error that names the tools of that
    /// server. A database in memory is an error, too.
    fn file(&self) -> Result<PathBuf, String> {
        let url = &self.config.database_url;
        let instead = match url.split(':').next().unwrap_or_default() {
            "postgres" | "postgresql" => {
                "Run `pg_dump --format=custom --file=FILE URL` to back up, and `pg_restore --clean --if-exists \
                 --no-owner --exit-on-error --dbname=URL FILE` to restore, with no server running"
            }
            "mysql" | "mariadb" => {
                "Run `mariadb-dump --single-transaction --routines --triggers --hex-blob \
                 --default-character-set=utf8mb4 --result-file=FILE DATABASE` to back up, and `mariadb DATABASE < FILE` \
                 to restore, with no server running"
            }
            _ => {
                return sqlite_file(url).ok_or_else(|| {
                    "a database in memory has no file to back up. Give the URL of a file with --database-url"
                        .to_owned()
                });
            }
        };
        Err(format!(
            "this command is only for SQLite; a database server has its own tools. {instead}. Copy the file of \
             --signing-keys as well: without it, messages in the outbox cannot be sent, and users with a second factor \
             need a recovery code"
        ))
    }
}

pub(super) async fn back_up(args: BackupArgs) -> CommandResult {
    let database = args.database.file()?;
    if let Some(named) = &args.database.signing_keys
        && !named.exists()
    {
        return Err(format!("the file {} of --signing-keys does not exist", named.display()).into());
    }
    let keys = args.database.signing_keys.or_else(|| key_file_beside(&args.database.config.database_url));
    let made = backup::make(&database, keys.as_deref(), &args.file).await?;
    println!("made {}, {} bytes, verified", args.file.display(), made.bytes);
    print_findings(&made.report);
    if !made.report.problems.is_empty() {
        eprintln!("the copy is complete, but some rows of the database are wrong: see the problems above");
    }
    match made.keys {
        Some(keys) => println!("made {}: keep it as secret as a password", keys.display()),
        None => println!(
            "found no file of signing keys to copy. If a server has run on this database, give the server's file with \
             --signing-keys"
        ),
    }
    Ok(())
}

pub(super) async fn verify(args: VerifyBackupArgs) -> CommandResult {
    let is_server = ["postgres:", "postgresql:", "mysql:", "mariadb:"];
    if is_server.iter().any(|scheme| args.backup.starts_with(scheme)) {
        let report = backup::verify_database(&args.backup).await?;
        return judge("the database", &report);
    }
    let file = sqlite_file(&args.backup).unwrap_or_else(|| PathBuf::from(&args.backup));
    if let Some(scratch) = &args.scratch_url
        && std::env::var("DATABASE_URL").is_ok_and(|database| is_same_database(scratch, &database))
    {
        return Err(
            "--scratch-url names the database of DATABASE_URL. Give a server without other data".into()
        );
    }
    let report = backup::verify_dump(&file, args.scratch_url.as_deref(), interruption()).await?;
    if !backup::keys_of(&file).exists() {
        println!(
            "note: no signing keys are beside the backup. After a restore without the keys, messages in the outbox \
             cannot be sent, and users with a second factor need a recovery code"
        );
    }
    judge(&file.display().to_string(), &report)
}

/// Prints the findings of a verification. Returns an error if the backup has faults.
fn judge(name: &str, report: &BackupReport) -> CommandResult {
    print_findings(report);
    if report.faults().is_empty() {
        println!("{name} is good");
        return Ok(());
    }
    Err(format!("{name} is not a good backup: see the problems above. Make a new one").into())
}

pub(super) async fn restore(args: RestoreArgs) -> CommandResult {
    let database = args.database.file()?;
    let url = &args.database.config.database_url;
    let keys = if args.database.signing_keys.is_some() { None } else { key_file_beside(url) };
    let allowed = RestorePermissions { replacing: args.replace, problems: args.accept_problems };
    let keys_in_place =
        keys.clone().or_else(|| args.database.signing_keys.clone()).filter(|keys| keys.exists());
    let restored =
        backup::restore(&args.file, &database, keys.as_deref(), allowed, SystemClock.now()).await?;
    println!("restored {}", database.display());
    print_findings(&restored.report);
    for kept in &restored.kept {
        println!("kept the old file as {}", kept.display());
    }
    match (restored.keys, args.database.signing_keys) {
        (Some(keys), _) => println!("restored {}", keys.display()),
        (None, Some(named)) if backup::keys_of(&args.file).exists() => {
            print_keys_elsewhere(&args.file, &named);
        }
        (None, _) => match keys_in_place {
            Some(kept) => println!(
                "the backup has no signing keys: {} stays as it is. Messages in the outbox and second factors work only \
                 with the keys that encrypted them",
                kept.display()
            ),
            None => {
                println!(
                    "the backup has no signing keys. Without the keys, messages in the outbox cannot be sent, and users \
                     with a second factor need a recovery code"
                );
            }
        },
    }
    Ok(())
}

fn print_keys_elsewhere(backup: &Path, named: &Path) {
    let of_backup = backup::keys_of(backup);
    println!("left {} as it is; the keys of the backup are in {}", named.display(), of_backup.display());
}

fn print_findings(report: &BackupReport) {
    let rows: Vec<_> = report.rows.iter().map(|(table, rows)| format!("{table} {rows}")).collect();
    println!("rows: {}", rows.join(", "));
    for note in &report.notes {
        println!("note: {note}");
    }
    for fault in report.faults() {
        println!("problem: {fault}");
    }
}
