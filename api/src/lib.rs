//! The server of jishu: GraphQL over HTTP, the rules behind it, and the command line.
//!
//! Dependencies point one way: `server → http → graphql → service → entity`.

pub mod cli;
pub mod config;
pub mod graphql;
pub mod http;
pub mod server;
pub mod telemetry;
