//! The command `jishu user`: creates, lists, changes, exports and deletes accounts.

mod import;
mod leaving;

use std::io::{BufRead, stdin};
use std::num::NonZeroUsize;

use clap::{Args, Subcommand, ValueEnum};
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{UserId, user};

use super::serve::refuse_pending;
use super::{CommandResult, with_current_database, with_database};
use crate::config::DatabaseConfig;
use jishu_service::account::{self, Actor, Registration};
use jishu_service::auth::Passwords;
use jishu_service::clock::{Clock, SystemClock};
use jishu_service::database::Database;
use jishu_service::guardian::ConsentRule;

/// Maximum number of accounts that one statement of `jishu user list` reads.
const ACCOUNTS_PER_READ: u64 = 1_000;

#[derive(Args, Debug)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Create an account with any role. The password is read from the first line of standard input.
    Create {
        /// The e-mail address of the new account.
        #[arg(long)]
        email: String,
        /// The name of the new user.
        #[arg(long)]
        name: String,
        /// The role, which decides what the user may do.
        #[arg(long, value_enum, default_value_t = RoleArg::Learner)]
        role: RoleArg,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// List accounts: id, role, status, e-mail address and name, separated by tabs.
    List {
        /// List only accounts with this role.
        #[arg(long, value_enum)]
        role: Option<RoleArg>,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Give an account another role. The role of the last active admin cannot be changed.
    SetRole {
        #[command(flatten)]
        account: AccountArgs,
        /// The new role.
        #[arg(long, value_enum)]
        role: RoleArg,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Set the password of an account, and end its sessions. The password is read from the first line of standard
    /// input.
    SetPassword {
        #[command(flatten)]
        account: AccountArgs,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Deactivate an account, and end its sessions. Its data stays. The last active admin cannot be deactivated.
    Deactivate {
        #[command(flatten)]
        account: AccountArgs,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Activate an account that was deactivated.
    Activate {
        #[command(flatten)]
        account: AccountArgs,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Delete accounts for good. Their personal data is erased. Their purchases and refunds stay in the books without a
    /// name.
    Delete(leaving::DeleteArgs),
    /// List the accounts that were deleted: id, time of the registration and time of the deletion, separated by tabs.
    /// The list has no personal data. Keep it apart from the backups. A restored backup can bring deleted accounts
    /// back: `jishu user delete --from` deletes the accounts of the list again.
    ListDeleted {
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Export everything that the database stores about a person, as JSON.
    Export(leaving::ExportUserArgs),
    /// Correct the year of birth of an account.
    SetBirthYear {
        #[command(flatten)]
        account: AccountArgs,
        /// The year of birth.
        #[arg(long)]
        year: i32,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Remove the second factor of a user who has lost it, and end the sessions of the account. No mail is sent, so
    /// tell the user.
    ResetSecondFactor {
        #[command(flatten)]
        account: AccountArgs,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Create accounts and grant subjects from a CSV file with the columns email and name, and optionally role,
    /// password and grants. A wrong row is refused and reported with its line, and the other rows are carried out.
    /// Importing a file again changes nothing. Exits with 1 if a row was refused.
    Import(import::ImportUsersArgs),
}

/// The account that a command reads or changes.
#[derive(Args, Debug)]
struct AccountArgs {
    /// The e-mail address of the account.
    #[arg(long)]
    email: String,
}

impl AccountArgs {
    async fn find(&self, database: &Database) -> Result<user::Model, String> {
        let found = account::find(database, &self.email).await.map_err(|error| error.to_string())?;
        found.ok_or_else(|| {
            format!(
                "there is no account with the address {}. `jishu user list` lists all accounts",
                self.email
            )
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArg {
    Learner,
    Author,
    Support,
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Learner => Self::Learner,
            RoleArg::Author => Self::Author,
            RoleArg::Support => Self::Support,
            RoleArg::Admin => Self::Admin,
        }
    }
}

pub(super) async fn run(args: UserArgs) -> CommandResult {
    match args.command {
        UserCommand::Create { email, name, role, database } => {
            let password = read_password()?;
            let role = role.into();
            create(Registration { name, email, password, role, birth_year: None }, &database).await
        }
        UserCommand::List { role, database } => list(role.map(Role::from), &database).await,
        UserCommand::SetRole { account, role, database } => {
            with_current_database(&database, async |database| {
                let user = account.find(database).await?;
                let now = SystemClock.now();
                let changed = account::set_role(database, now, Actor::Operator, user.id, role.into()).await?;
                println!("user {} <{}> has the role {}", changed.id, changed.email, role_name(changed.role));
                Ok(())
            })
            .await
        }
        UserCommand::SetPassword { account, database } => {
            let password = read_password()?;
            with_current_database(&database, async |database| {
                let user = account.find(database).await?;
                let passwords = Passwords::new(NonZeroUsize::MIN)?;
                account::set_password(database, &passwords, SystemClock.now(), &user, password).await?;
                println!(
                    "set the password of user {} <{}>, and ended all sessions of the user",
                    user.id, user.email
                );
                Ok(())
            })
            .await
        }
        UserCommand::Deactivate { account, database } => {
            set_status(&account, UserStatus::Deactivated, &database).await
        }
        UserCommand::Activate { account, database } => {
            set_status(&account, UserStatus::Active, &database).await
        }
        UserCommand::Delete(args) => leaving::delete(args).await,
        UserCommand::ListDeleted { database } => leaving::list_deleted(&database).await,
        UserCommand::Export(args) => leaving::export(args).await,
        UserCommand::SetBirthYear { account, year, database } => {
            with_current_database(&database, async |database| {
                let user = account.find(database).await?;
                // The age in the rule does not matter here. The rule only refuses a year that nobody can have been born
                // in, such as a future one.
                let rule = ConsentRule::new(None, chrono_tz::Tz::UTC);
                account::set_birth_year(database, rule, SystemClock.now(), user.id, year).await?;
                println!("set the year of birth of user {}", user.id);
                Ok(())
            })
            .await
        }
        UserCommand::ResetSecondFactor { account, database } => {
            with_current_database(&database, async |database| {
                let user = account.find(database).await?;
                account::reset_second_factor_in(database, SystemClock.now(), user.id).await?;
                println!("user {} <{}> has no second factor", user.id, user.email);
                Ok(())
            })
            .await
        }
        UserCommand::Import(args) => import::run(args).await,
    }
}

/// Reads a password from the first line of standard input.
fn read_password() -> std::io::Result<String> {
    let mut password = String::new();
    stdin().lock().read_line(&mut password)?;
    Ok(password.trim_end_matches(['\r', '\n']).to_owned())
}

async fn create(registration: Registration, database: &DatabaseConfig) -> CommandResult {
    let is_embedded = database.is_embedded();
    with_database(&database.options(), async |database| {
        if is_embedded {
            database.migrate_up().await?;
        } else {
            refuse_pending(database).await?;
        }
        let passwords = Passwords::new(NonZeroUsize::MIN)?;
        let user = account::create_in(database, &passwords, SystemClock.now(), registration).await?;
        println!("created user {} <{}>", user.id, user.email);
        Ok(())
    })
    .await
}

async fn list(role: Option<Role>, database: &DatabaseConfig) -> CommandResult {
    with_current_database(database, async |database| {
        let mut after = UserId(0);
        loop {
            let users = account::list(database, role, after, ACCOUNTS_PER_READ).await?;
            let Some(last) = users.last() else { return Ok(()) };
            after = last.id;
            for user in &users {
                let (role, status) = (role_name(user.role), status_name(user.status));
                println!("{}\t{role}\t{status}\t{}\t{}", user.id, user.email, user.name);
            }
        }
    })
    .await
}

async fn set_status(account: &AccountArgs, status: UserStatus, database: &DatabaseConfig) -> CommandResult {
    with_current_database(database, async |database| {
        let user = account.find(database).await?;
        let now = SystemClock.now();
        let changed = account::set_status_in(database, now, Actor::Operator, user.id, status).await?;
        println!("user {} <{}> is {}", changed.id, changed.email, status_name(changed.status));
        Ok(())
    })
    .await
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Learner => "learner",
        Role::Author => "author",
        Role::Support => "support",
        Role::Admin => "admin",
    }
}

fn status_name(status: UserStatus) -> &'static str {
    match status {
        UserStatus::Active => "active",
        UserStatus::Deactivated => "deactivated",
    }
}
