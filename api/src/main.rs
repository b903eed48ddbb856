//! The binary `jishu`.

use std::process::ExitCode;

use clap::Parser;
use jishu_api::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jishu: {error}");
            ExitCode::FAILURE
        }
    }
}
