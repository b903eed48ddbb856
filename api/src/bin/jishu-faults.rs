//! The server for the kill tests. It is the same as `jishu`, but a test can end its process at the boundaries of
//! `jishu_service::failpoint`.

use std::process::ExitCode;

fn main() -> ExitCode {
    jishu_api::cli::main()
}
