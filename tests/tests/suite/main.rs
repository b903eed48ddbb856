//! Tests of jishu, mostly through its public interfaces: GraphQL over HTTP, and the command line.

// Some tests call services directly. Their futures have deeply nested types, so the compiler needs a higher limit.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where it fails")]

mod account_links;
mod accounts;
mod allowances;
mod audit;
mod authoring;
mod books;
mod cart;
mod cart_changes;
mod catalogue;
mod catalogue_file;
mod command_line;
mod compression;
mod concurrency;
mod demo;
mod docs;
mod documents;
mod expanding;
mod expiry;
mod extra_time;
mod files;
mod grant_purchase;
mod guardian;
mod http;
mod integrity;
mod kept_plans;
mod layers;
mod learner;
mod life;
mod logs;
mod mail;
mod migrations;
mod observing;
mod orders;
mod outbox;
mod pages;
mod passwords;
mod payment_providers;
mod people;
mod personal_data;
mod plan;
mod privacy;
mod progress;
mod purchase;
mod question_bank;
mod quote;
mod refresh;
mod refund;
mod refund_races;
mod roles;
mod roles_take_effect;
mod round_trips;
mod sales_report;
mod schema;
mod second_factor;
mod sign_in_sessions;
mod sittings;
mod staff;
mod stranger;
mod subject_locks;
mod subscriptions;
mod tax;
mod user_cli;
