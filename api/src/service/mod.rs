//! The rules of jishu and its transactions. A service takes ids and values and returns values and its own error
//! enum; it knows nothing of GraphQL or HTTP.

pub mod account;
pub mod card;
pub mod cart;
pub mod catalog;
pub mod demo;
pub mod entitlement;
pub mod events;
pub mod extra_time;
pub mod money;
pub mod page;
pub mod pricing;
pub mod progress;
pub mod purchase;
pub mod ranking;
pub mod scoring;
pub mod session_clock;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::auth::{AccessTokens, Passwords};
use crate::clock::Clock;
use crate::database::Database;
use crate::limit::Limits;

use catalog::Catalog;
use events::Events;
use money::TaxRate;

/// What every service operation stands on; made once at start, shared by all requests.
#[derive(Clone)]
pub struct Services {
    /// Where everything is kept.
    pub database: Database,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Courses and subjects, in memory.
    pub catalog: Arc<Catalog>,
    /// Tells who watches what has changed.
    pub events: Arc<Events>,
    /// Hashes passwords and checks them.
    pub passwords: Arc<Passwords>,
    /// Issues access tokens and checks them.
    pub tokens: Arc<AccessTokens>,
    /// Who may do how much.
    pub limits: Arc<Limits>,
    /// How long a refresh token works.
    pub refresh_token_ttl: chrono::Duration,
    /// The tax that prices include.
    pub tax: TaxRate,
    /// How sittings are treated.
    pub sittings: SittingRules,
}

/// How sittings are treated.
#[derive(Clone, Copy, Debug)]
pub struct SittingRules {
    /// How long after the deadline answers are still taken.
    pub grace: TimeDelta,
}

impl SittingRules {
    /// Whether a sitting with this deadline takes no answers any more, and only waits to be closed.
    #[must_use]
    pub fn is_overdue(&self, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        now > expires_at + self.grace
    }
}
