//! The server of jishu: GraphQL over HTTP, the business rules, and the command line.
//!
//! Dependencies point one way: `server → http → graphql → service → entity`. `cli` and `config` put the parts together.

pub mod cli;
pub mod config;
pub mod graphql;
pub mod http;
pub mod server;
pub mod telemetry;
