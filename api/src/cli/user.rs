//! `jishu user`.

use std::io::{BufRead, stdin};
use std::num::NonZeroUsize;

use clap::{Args, Subcommand, ValueEnum};
use jishu_entity::user::Role;

use super::serve::refuse_pending;
use super::{CommandResult, with_database};
use crate::config::DatabaseConfig;
use jishu_service::account::{self, Registration};
use jishu_service::auth::Passwords;
use jishu_service::clock::{Clock, SystemClock};

#[derive(Args, Debug)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Create an account with any role. The password is read from the first line of standard input.
    Create {
        /// The e-mail address.
        #[arg(long)]
        email: String,
        /// The name of the user.
        #[arg(long)]
        name: String,
        /// The role, which decides what the user may do.
        #[arg(long, value_enum, default_value_t = RoleArg::Learner)]
        role: RoleArg,
        #[command(flatten)]
        database: DatabaseConfig,
    },
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
    let UserCommand::Create { email, name, role, database } = args.command;
    let mut password = String::new();
    stdin().lock().read_line(&mut password)?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    let registration = Registration { name, email, password, role: role.into() };
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
