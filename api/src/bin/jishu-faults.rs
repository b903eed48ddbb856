//! The server for the kill tests. The server is the same as `jishu`, but a test can end the process of the server at
//! the boundaries of `jishu_service::failpoint`.

use std::process::ExitCode;

fn main() -> ExitCode {
    jishu_api::cli::main()
}
