//! The server of jishu: GraphQL over HTTP, the business rules, and the command line.
//!
//! Dependencies point one way: `server → http → graphql → service → entity`. `cli` and `config` put the parts together.

pub mod auth;
pub mod backup;
mod bounded;
pub mod cli;
pub mod clock;
pub mod config;
pub mod database;
pub mod fault;
pub mod graphql;
pub mod http;
pub mod limit;
mod security;
pub mod server;
pub mod service;
pub mod telemetry;
