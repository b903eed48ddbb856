//! The configuration. Each option has a flag and an environment variable. `--help` lists both.

mod edge;
mod graphql;
mod listen;
mod live;
mod mail;
mod observe;
mod oidc;
mod payments;
mod people;
mod sign_in;
mod sittings;
mod tax;
mod time_zone;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, PossibleValue, TypedValueParser};
use clap::{Args, ValueEnum};

use jishu_service::database::DatabaseOptions;

pub use edge::{EdgeConfig, ForwardedHeader};
pub use graphql::GraphqlConfig;
pub use listen::ListenAddress;
pub use live::LiveConfig;
pub use mail::MailConfig;
pub use observe::{CollectorHeader, ObserveConfig};
pub use oidc::{OidcConfig, OidcConfigError};
pub use payments::{PaymentConfig, PaymentConfigError, PaymentMode};
pub use people::PeopleConfig;
pub use sign_in::SignInConfig;
pub use sittings::SittingsConfig;
pub use tax::TaxConfig;
pub use time_zone::TimeZoneConfig;

/// The database to use.
#[derive(Args, Clone, Debug)]
pub struct DatabaseConfig {
    /// The URL of the database: sqlite://, postgres:// or mysql://.
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite://jishu.db?mode=rwc", hide_env_values = true)]
    pub database_url: String,

    /// Number of connections to a database server, half of them for writing: 16 by default. For SQLite, number of
    /// connections for reading, besides the one for writing: by default two for each processor core, but at least eight.
    #[arg(long, env = "JISHU_DATABASE_CONNECTIONS", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub database_connections: Option<u32>,
}

impl DatabaseConfig {
    /// Returns the options to connect with.
    #[must_use]
    pub fn options(&self) -> DatabaseOptions {
        let max_connections = self.database_connections;
        DatabaseOptions { max_connections, ..DatabaseOptions::new(&self.database_url) }
    }

    /// Returns the same options for a command that needs an existing database: it creates no file.
    #[must_use]
    pub fn options_of_existing(&self) -> DatabaseOptions {
        let options = self.options();
        DatabaseOptions { url: options.url.replace("mode=rwc", "mode=rw"), ..options }
    }

    /// Returns the same options for a command that only reads: it changes no file, and creates none.
    #[must_use]
    pub fn options_to_look(&self) -> DatabaseOptions {
        DatabaseOptions { keeps_journal_mode: true, ..self.options_of_existing() }
    }

    /// Returns whether the database is embedded (SQLite). The server migrates an embedded database without being asked.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.database_url.starts_with("sqlite:")
    }
}

/// Reads a switch. An empty value counts as not given, because compose files set variables to empty values.
pub(super) fn switch(default: bool) -> impl TypedValueParser<Value = bool> {
    Switch { default }
}

#[derive(Clone)]
struct Switch {
    default: bool,
}

impl TypedValueParser for Switch {
    type Value = bool;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<bool, clap::Error> {
        if value.is_empty() {
            return Ok(self.default);
        }
        BoolishValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        BoolishValueParser::new().possible_values().map(|values| {
            let values: Vec<_> = values.collect();
            Box::new(values.into_iter()) as Box<dyn Iterator<Item = PossibleValue>>
        })
    }
}

/// The options of `jishu serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeConfig {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// The address and port to listen on. A name such as localhost:8080 stands for its first IPv4 address, or its
    /// first IPv6 address if it has no IPv4 address.
    #[arg(long, env = "JISHU_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub listen: ListenAddress,

    /// The URL at which clients reach this server, such as https://api.example.com. The addresses of pictures in questions
    /// begin with it, so that pages of other origins can show them. Without it, they begin with /media/. Every node needs
    /// the same.
    #[arg(long, env = "JISHU_PUBLIC_URL", value_name = "URL", value_parser = mail::frontend)]
    pub public_url: Option<String>,

    /// Add a demo catalogue with questions, and a learner and staff with known passwords. Print how to use them.
    #[arg(long, env = "JISHU_DEMO", value_parser = switch(false))]
    pub demo: bool,

    /// Migrate a database server at start. An embedded database is always migrated.
    #[arg(long, env = "JISHU_MIGRATE", value_parser = switch(false))]
    pub migrate: bool,

    /// A PEM file with the Ed25519 keys that sign access tokens, the current one first. Without it, a key is created
    /// and kept beside an embedded database. For a database server it is kept in jishu.keys.pem in the working
    /// folder.
    #[arg(long, env = "JISHU_SIGNING_KEYS", value_name = "FILE")]
    pub signing_keys: Option<PathBuf>,

    /// The issuer of access tokens (`iss`).
    #[arg(long, env = "JISHU_TOKEN_ISSUER", default_value = "jishu", value_name = "NAME")]
    pub token_issuer: String,

    /// The audience of access tokens (`aud`).
    #[arg(long, env = "JISHU_TOKEN_AUDIENCE", default_value = "jishu", value_name = "NAME")]
    pub token_audience: String,

    /// Seconds that an access token is valid: 60 to 3600.
    #[arg(long, env = "JISHU_ACCESS_TOKEN_SECONDS", default_value_t = 900, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(60..=3_600))]
    pub access_token_seconds: u64,

    /// Days that a refresh token is valid: 1 to 365.
    #[arg(long, env = "JISHU_REFRESH_TOKEN_DAYS", default_value_t = 30, value_name = "DAYS",
          value_parser = clap::value_parser!(i64).range(1..=365))]
    pub refresh_token_days: i64,

    /// Seconds in which a used refresh token returns the same new token again: 0 to 30. This keeps two browser tabs
    /// that refresh at once signed in, and a client that lost a response. With 0, a second use ends the session.
    #[arg(long, env = "JISHU_REFRESH_REUSE_SECONDS", default_value_t = 20, value_name = "SECONDS",
          value_parser = clap::value_parser!(i64).range(0..=30))]
    pub refresh_reuse_seconds: i64,

    /// The time zone of reports.
    #[command(flatten)]
    pub time_zone: TimeZoneConfig,

    /// Milliseconds between reads of the catalogue, which show the changes of other nodes and programs.
    #[arg(long, env = "JISHU_CATALOG_REFRESH_MS", default_value_t = 2_000, value_name = "MILLISECONDS",
          value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub catalog_refresh_ms: u64,

    /// Seconds that the server waits for running requests when it stops.
    #[arg(long, env = "JISHU_DRAIN_SECONDS", default_value_t = 20, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=600))]
    pub drain_seconds: u64,

    /// Seconds that a stopping server still serves everything, while /health/ready responds with 503 and `draining`. Behind
    /// a load balancer, choose a longer time than it takes to notice this.
    #[arg(long, env = "JISHU_DRAIN_NOTICE_SECONDS", default_value_t = 0, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=300))]
    pub drain_notice_seconds: u64,

    /// GraphQL documents.
    #[command(flatten)]
    pub graphql: GraphqlConfig,
    /// Limits and proxies.
    #[command(flatten)]
    pub edge: EdgeConfig,
    /// Metrics and traces.
    #[command(flatten)]
    pub observe: ObserveConfig,
    /// Subscriptions.
    #[command(flatten)]
    pub live: LiveConfig,
    /// Mail.
    #[command(flatten)]
    pub mail: MailConfig,
    /// People.
    #[command(flatten)]
    pub people: PeopleConfig,
    /// Second factors.
    #[command(flatten)]
    pub sign_in: SignInConfig,
    /// Single sign-on.
    #[command(flatten)]
    pub oidc: OidcConfig,
    /// Sittings.
    #[command(flatten)]
    pub sittings: SittingsConfig,
    /// Taxes.
    #[command(flatten)]
    pub tax: TaxConfig,
    /// Payments.
    #[command(flatten)]
    pub payments: PaymentConfig,
}

impl ServeConfig {
    /// Returns the interval between reads of the catalogue.
    #[must_use]
    pub fn catalog_refresh(&self) -> Duration {
        Duration::from_millis(self.catalog_refresh_ms)
    }

    /// Returns how long the phases of a stop take.
    #[must_use]
    pub fn drain(&self) -> DrainTimes {
        DrainTimes {
            notice: Duration::from_secs(self.drain_notice_seconds),
            drain: Duration::from_secs(self.drain_seconds),
        }
    }

    /// Returns the database options for requests. A slow statement ends before its request does. Each call starts new
    /// metrics, unless they are off.
    #[must_use]
    pub fn database_options(&self) -> DatabaseOptions {
        let options = self.database.options().with_request_timeout(self.edge.request_timeout());
        DatabaseOptions { metrics: self.observe.metrics(), ..options }
    }
}

/// The durations of the phases of a stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainTimes {
    /// The time for which the server serves everything and says that it is about to stop.
    pub notice: Duration,
    /// The time that running requests may take afterwards.
    pub drain: Duration,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// JSON for programs, one object per line.
    Json,
}
