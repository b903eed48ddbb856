//! The server of the kill harness, which can be ended at the boundaries of `jishu_service::fault`.

use std::process::ExitCode;

fn main() -> ExitCode {
    jishu_api::cli::main()
}
