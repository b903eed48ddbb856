//! The commands `jishu user delete`, `list-deleted` and `export`: delete accounts, list the deleted ones, and export
//! the data of a person.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use jishu_entity::UserId;

use super::{ACCOUNTS_PER_READ, AccountArgs};
use crate::cli::serve::refuse_pending;
use crate::cli::{CommandResult, with_current_database, with_database};
use crate::config::DatabaseConfig;
use jishu_service::Error;
use jishu_service::account::{self, AdministrationRefusal, DeletionRefusal};
use jishu_service::clock::{Clock, SystemClock};
use jishu_service::data_export::{self, ExportSource};
use jishu_service::database::{Database, create_private};
use jishu_service::paper::Papers;

#[derive(Args, Debug)]
pub(super) struct DeleteArgs {
    /// The e-mail address of the account.
    #[arg(value_name = "EMAIL", required_unless_present = "from", conflicts_with = "from")]
    email: Option<String>,
    /// Delete the accounts of a list that `jishu user list-deleted` has written, after a restored backup has brought
    /// them back. Accounts that are deleted already stay as they are, and so do accounts of other people that have an
    /// id of the list.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Args, Debug)]
pub(super) struct ExportUserArgs {
    /// The e-mail address of the account.
    #[arg(value_name = "EMAIL")]
    email: String,
    /// Write the export into this new file, which only its owner can read, instead of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseConfig,
}

pub(super) async fn delete(args: DeleteArgs) -> CommandResult {
    let DeleteArgs { email, from, database } = args;
    let list = from.as_deref().map(read_list).transpose()?.unwrap_or_default();
    with_current_database(&database, async |database| {
        if let Some(email) = email {
            let user = AccountArgs { email }.find(database).await?;
            account::delete_in(database, Arc::new(SystemClock), user.id, None).await?;
            println!("deleted user {}", user.id);
            return Ok(());
        }
        let (mut deleted, mut left) = (0, 0);
        for (id, registered_at) in list {
            match account::delete_in(database, Arc::new(SystemClock), id, Some(registered_at)).await {
                Ok(account) => {
                    deleted += 1;
                    println!("deleted user {}", account.id);
                }
                Err(Error::Refused(DeletionRefusal::Administration(AdministrationRefusal::UserNotFound))) => {
                    left += 1;
                }
                Err(error) => return Err(format!("user {id}: {error}").into()),
            }
        }
        println!(
            "deleted: {deleted}; not deleted: {left} (deleted before, or no account has the id and the time of registration)"
        );
        Ok(())
    })
    .await
}

/// Reads a list that `jishu user list-deleted` has written: ids of accounts and times of their registration.
fn read_list(file: &Path) -> Result<Vec<(UserId, DateTime<Utc>)>, String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let entry = |(number, line): (usize, &str)| {
        let mut fields = line.split('\t');
        let id = fields.next().and_then(|id| id.parse().ok()).map(UserId);
        let at = fields.next().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        id.zip(at).map(|(id, at)| (id, at.to_utc())).ok_or_else(|| {
            format!(
                "line {number} of {} is not an id and the time of a registration. Give a list that `jishu user \
                 list-deleted` has written",
                file.display()
            )
        })
    };
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).map(entry).collect()
}

pub(super) async fn list_deleted(database: &DatabaseConfig) -> CommandResult {
    with_current_database(database, async |database| {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut after = UserId(0);
        loop {
            let accounts = account::deleted_accounts(database, after, ACCOUNTS_PER_READ).await?;
            let Some(last) = accounts.last() else { return Ok(()) };
            after = last.id;
            for account in accounts {
                println!("{}\t{}\t{}", account.id, time(account.registered_at), time(account.deleted_at));
            }
        }
    })
    .await
}

pub(super) async fn export(args: ExportUserArgs) -> CommandResult {
    let ExportUserArgs { email, output, database } = args;
    with_database(&database.options_to_read(), async |database| {
        refuse_pending(database).await?;
        let user = AccountArgs { email }.find(database).await?;
        match output {
            Some(path) => {
                if path.exists() {
                    return Err(format!("{} exists. Name a new file", path.display()).into());
                }
                let file = create_private(&path).and_then(|()| File::options().write(true).open(&path));
                let mut file = file.map_err(|error| format!("cannot create {}: {error}", path.display()))?;
                write(database, user.id, &mut file).await
            }
            None => write(database, user.id, &mut io::stdout().lock()).await,
        }
    })
    .await
}

async fn write(database: &Database, user: UserId, out: &mut impl Write) -> CommandResult {
    let source = ExportSource {
        database: database.clone(),
        papers: Arc::new(Papers::new(database.clone())),
        clock: Arc::new(SystemClock) as Arc<dyn Clock>,
    };
    let pieces = data_export::begin(source, user).await?;
    let mut pieces = pieces.ok_or("the account was deleted while its export began")?;
    while let Some(piece) = pieces.recv().await {
        out.write_all(piece?.as_bytes())?;
    }
    Ok(out.flush()?)
}
