//! The server with places where the kill harness makes things go wrong.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    jishu_api::cli::main().await
}
