//! The server of the kill harness, which can be ended at the boundaries of `jishu_service::fault`.

// The future of a command is nested deeply. A release build counts more levels than a debug build.
#![recursion_limit = "256"]

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    jishu_api::cli::main().await
}
