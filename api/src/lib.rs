//! The server of jishu: GraphQL over HTTP, the business rules, and the command line.
//!
//! Dependencies point one way: `server → http → graphql → service → entity`. `cli` and `config` put the parts together.

// The future of a command is nested deeply. A release build counts more levels than a debug build.
#![recursion_limit = "256"]

pub mod cli;
pub mod config;
pub mod graphql;
pub mod http;
pub mod server;
pub mod telemetry;
