//! The commands `jishu completions` and `jishu man`: print completions for a shell, and the manual. Both come from the
//! definitions that `--help` shows.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Cli, CommandResult};

#[derive(Args, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell for which the script is printed.
    shell: Shell,
}

#[derive(Args, Debug)]
pub(super) struct ManArgs {
    /// A folder to which one page per command is written, such as jishu-serve.1. Without it, the page of `jishu` goes
    /// to standard output.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Prints the completions for a shell.
pub(super) fn completions(args: &CompletionsArgs) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "jishu", &mut script);
    print_bytes(&script)
}

/// Prints the manual page, or writes the pages of all commands.
pub(super) fn manual(args: &ManArgs) -> CommandResult {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page)?;
        return print_bytes(&page);
    };
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), folder));
    written.map_err(|error| {
        format!("{} cannot be written: {error}. Give another --folder", folder.display()).into()
    })
}

fn print_bytes(bytes: &[u8]) -> CommandResult {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
