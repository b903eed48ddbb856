//! `jishu user`.

use std::io::{BufRead, stdin};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use jishu_entity::user::Role;

use super::CommandResult;
use crate::clock::SystemClock;
use crate::config::ServeConfig;
use crate::database::Database;
use crate::server;
use crate::service::account::{self, Registration};

#[derive(Args, Debug)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an account with any role. The password is read from the first line of standard input.
    Create {
        /// The e-mail address.
        #[arg(long)]
        email: String,
        /// What to call the person.
        #[arg(long)]
        name: String,
        /// What they may do.
        #[arg(long, value_enum, default_value_t = RoleArg::Learner)]
        role: RoleArg,
        #[command(flatten)]
        config: Box<ServeConfig>,
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
    let Action::Create { email, name, role, config } = args.action;
    let mut password = String::new();
    stdin().lock().read_line(&mut password)?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    let database = Database::connect(&config.database.options()).await?;
    if config.database.is_embedded() {
        database.migrate_up().await?;
    }
    let services = server::services(&config, database.clone(), Arc::new(SystemClock)).await?;
    let user = account::create(&services, Registration { name, email, password, role: role.into() }).await?;
    println!("made user {} <{}>", user.id, user.email);
    Ok(database.close().await?)
}
