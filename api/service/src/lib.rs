//! The rules of jishu and its transactions.
//!
//! A service function takes ids and values, and returns values and its own error enum. This crate depends neither on
//! async-graphql nor on axum, so no rule can depend on the interface that calls it.

pub mod account;
pub mod adopt;
pub mod allowance;
mod apportion;
mod audit;
pub mod audit_trail;
pub mod auth;
pub mod authoring;
pub mod backup;
mod bounded_map;
pub mod card;
pub mod card_limits;
pub mod cart;
pub mod cart_changes;
pub mod catalog;
pub mod catalogue_file;
pub mod clock;
pub mod data_export;
pub mod database;
pub mod demo;
mod digest;
pub mod enrolment;
pub mod entitlement;
mod error;
pub mod events;
pub mod expiry;
pub mod extra_time;
pub mod failpoint;
pub mod guardian;
pub mod integrity;
pub mod learner;
pub mod limit;
pub mod mail;
pub mod metrics;
pub mod migration_plan;
pub mod money;
pub mod name;
pub mod oidc;
pub mod order;
pub mod outbox;
pub mod page;
pub mod paper;
pub mod people;
pub mod picture;
mod placeholder;
pub mod pricing;
pub mod progress;
pub mod purchase;
pub mod question_bank;
pub mod ranking;
pub mod reason;
pub mod refund;
pub mod sales_report;
pub mod scoring;
pub mod security;
pub mod session;
pub mod tax;
pub mod test_settings;
pub mod trace;

pub use error::{Error, Fault, Refusal};

use std::sync::Arc;

use crate::auth::{AccessTokens, Passwords, Secrets};
use crate::clock::Clock;
use crate::database::Database;
use crate::limit::ClientLimits;
use crate::metrics::Metrics;
use crate::outbox::Outbox;

use account::{AccountRequests, DeactivatedAccounts, EndedSessions};
use catalog::Catalog;
use events::Events;
use guardian::ConsentRule;
use oidc::OidcProvider;
use paper::Papers;
use picture::PictureAddresses;
use session::SittingState;
use tax::TaxPolicy;

/// The resources of all service operations. The server makes them once at start, and all requests share them.
#[derive(Clone)]
pub struct Services {
    /// The database.
    pub database: Database,
    /// The metrics of this node.
    pub metrics: Metrics,
    /// The source of the current time.
    pub clock: Arc<dyn Clock>,
    /// The courses and subjects, in memory.
    pub catalog: Arc<Catalog>,
    /// Delivers changes to the subscribers of this node.
    pub events: Arc<Events>,
    /// The papers of tests, in memory.
    pub papers: Arc<Papers>,
    /// The rules of sittings, and the caches for open sittings.
    pub sittings: Arc<SittingState>,
    /// Hashes and verifies passwords.
    pub passwords: Arc<Passwords>,
    /// Issues and verifies access tokens.
    pub tokens: Arc<AccessTokens>,
    /// The accounts whose access tokens are refused.
    pub deactivated: Arc<DeactivatedAccounts>,
    /// The sessions whose access tokens are refused.
    pub ended_sessions: Arc<EndedSessions>,
    /// The budgets that limit the requests of users and addresses.
    pub limits: Arc<ClientLimits>,
    /// Computes secret codes and encrypts texts, with keys that only the nodes of this deployment have.
    pub secrets: Arc<Secrets>,
    /// The time for which a used refresh token can be exchanged again for the same new token. Zero disables this.
    pub refresh_reuse: chrono::Duration,
    /// The time for which a refresh token is valid.
    pub refresh_token_ttl: chrono::Duration,
    /// The time zone of the platform, for reports by day and month.
    pub time_zone: chrono_tz::Tz,
    /// The outbox of this node, for messages to other systems.
    pub outbox: Arc<Outbox>,
    /// The queue of requests about accounts, which are carried out after their responses were sent.
    pub account_requests: Arc<AccountRequests>,
    /// Whether an account must verify its e-mail address before it can sign in.
    pub requires_verified_email: bool,
    /// The rule that says which users need the consent of a guardian.
    pub consent: ConsentRule,
    /// Whether staff must have a second factor to use their permissions.
    pub requires_staff_second_factor: bool,
    /// The name of the platform in authenticator apps.
    pub second_factor_name: Arc<str>,
    /// The issuer with which people can sign in. None if the operator has not set one up.
    pub oidc: Option<Arc<OidcProvider>>,
    /// The tax of purchases.
    pub tax: Arc<TaxPolicy>,
    /// The way in which buyers pay. None if payments are made outside of the server.
    pub payments: Option<Arc<order::Payments>>,
    /// Computes the addresses of pictures in questions.
    pub pictures: Arc<PictureAddresses>,
}
