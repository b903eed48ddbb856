//! The rules of jishu and its transactions.
//!
//! A service function takes ids and values, and returns values and its own error enum. This crate depends neither on
//! async-graphql nor on axum, so no rule can know how it is reached.

pub mod account;
mod audit;
pub mod auth;
pub mod backup;
mod bounded_map;
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
pub mod mail;
pub mod money;
pub mod name;
pub mod outbox;
pub mod page;
pub mod paper;
mod placeholder;
pub mod pricing;
pub mod progress;
pub mod purchase;
pub mod question_bank;
pub mod ranking;
pub mod scoring;
pub mod security;
pub mod session;
pub mod test_settings;

pub use error::{Error, Fault, Refusal};

use std::sync::Arc;

use crate::auth::{AccessTokens, Passwords, Secrets};
use crate::clock::Clock;
use crate::database::Database;
use crate::limit::ClientLimits;
use crate::outbox::Outbox;

use account::AccountRequests;
use catalog::Catalog;
use events::Events;
use money::TaxRate;
use paper::Papers;
use session::SittingState;

/// The resources of all service operations. The server makes them once at start, and all requests share them.
#[derive(Clone)]
pub struct Services {
    /// The database.
    pub database: Database,
    /// The source of the current time.
    pub clock: Arc<dyn Clock>,
    /// The courses and subjects, kept in memory.
    pub catalog: Arc<Catalog>,
    /// Delivers changes to the subscribers of this node.
    pub events: Arc<Events>,
    /// The papers of tests, kept in memory.
    pub papers: Arc<Papers>,
    /// The rules of sittings, and the caches for running ones.
    pub sittings: Arc<SittingState>,
    /// Hashes and verifies passwords.
    pub passwords: Arc<Passwords>,
    /// Issues and verifies access tokens.
    pub tokens: Arc<AccessTokens>,
    /// The budgets of clients.
    pub limits: Arc<ClientLimits>,
    /// Computes codes that only the nodes of this deployment can compute.
    pub secrets: Arc<Secrets>,
    /// How long a used refresh token can be exchanged again for the same successor. Zero disables this.
    pub refresh_reuse: chrono::Duration,
    /// How long a refresh token is valid.
    pub refresh_token_ttl: chrono::Duration,
    /// The messages that other systems get.
    pub outbox: Arc<Outbox>,
    /// The requests about accounts that are answered before they are carried out.
    pub account_requests: Arc<AccountRequests>,
    /// Whether an account must verify its e-mail address before it can sign in.
    pub requires_verified_email: bool,
    /// The tax that is included in prices.
    pub tax: TaxRate,
}
