//! The binary `jishu`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    jishu_api::cli::main().await
}
