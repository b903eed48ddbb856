//! The rules of jishu and its transactions.
//!
//! A service function takes ids and values, and returns values and its own error enum. This crate depends neither on
//! async-graphql nor on axum, so no rule can know how it is reached.

pub mod account;
mod audit;
pub mod auth;
pub mod backup;
mod bounded;
pub mod card;
pub mod cart;
pub mod catalog;
pub mod clock;
pub mod database;
pub mod demo;
pub mod entitlement;
mod error;
pub mod events;
pub mod extra_time;
pub mod failpoint;
pub mod integrity;
pub mod learner;
pub mod limit;
pub mod money;
pub mod name;
pub mod page;
pub mod paper;
pub mod pricing;
pub mod progress;
pub mod purchase;
pub mod question_bank;
pub mod ranking;
mod salvage;
pub mod scoring;
pub mod security;
pub mod session;
pub mod test_settings;

pub use error::{Error, Fault, Refusal};

use std::sync::Arc;

use crate::auth::{AccessTokens, Passwords, Secrets};
use crate::clock::Clock;
use crate::database::Database;
use crate::limit::Limits;

use catalog::Catalog;
use events::Events;
use money::TaxRate;
use paper::Papers;
use session::SittingState;

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
    /// The papers of tests, in memory.
    pub papers: Arc<Papers>,
    /// How tests are sat.
    pub sittings: Arc<SittingState>,
    /// Hashes passwords and checks them.
    pub passwords: Arc<Passwords>,
    /// Issues access tokens and checks them.
    pub tokens: Arc<AccessTokens>,
    /// Who may do how much.
    pub limits: Arc<Limits>,
    /// Computes codes that only the nodes of this deployment can compute.
    pub secrets: Arc<Secrets>,
    /// How long a used refresh token returns its successor again; zero disables it.
    pub refresh_reuse: chrono::Duration,
    /// How long a refresh token works.
    pub refresh_token_ttl: chrono::Duration,
    /// The tax that prices include.
    pub tax: TaxRate,
}
