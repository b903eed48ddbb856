//! The server of jishu: the command line, the configuration, the server, HTTP, and the types of the GraphQL schema. The
//! business rules are in the crate `jishu-service`.
//!
//! Dependencies point one way: `server → http → graphql → service → entity`. `cli` starts the server, and both read
//! `config`.

// The future of a command is nested more deeply than the compiler allows by default. A release build counts more levels
// than a debug build.
#![recursion_limit = "256"]

pub mod cli;
pub mod config;
pub mod graphql;
pub mod http;
pub mod server;
pub mod telemetry;
