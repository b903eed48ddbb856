//! Compares `api/docs/operating.md` with the flags of the command line.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

const BEGIN: &str = "<!-- flags: begin -->\n";
const END: &str = "<!-- flags: end -->";

/// Fails if the tables of flags in `operating.md` differ from the command line. With `UPDATE_DOCS=1`, rewrites the
/// tables instead.
#[test]
fn operating_md_lists_every_flag() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/docs/operating.md");
    let page = std::fs::read_to_string(file).expect("the page is in the repository");
    let (before, rest) = page.split_once(BEGIN).expect("the page has the marker where the tables begin");
    let (tables, after) = rest.split_once(END).expect("the page has the marker where the tables end");
    let expected = flag_tables(&jishu_api::cli::Cli::command());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, format!("{before}{BEGIN}{expected}{END}{after}"))
            .expect("the page can be written");
        return;
    }
    assert!(
        tables == expected,
        "The tables of flags in api/docs/operating.md differ from the command line. Write them anew: \
         UPDATE_DOCS=1 cargo test --workspace --test suite operating_md"
    );
}

/// Returns the tables of `serve`, and of every other command that has arguments of its own.
fn flag_tables(root: &Command) -> String {
    let serve = root.find_subcommand("serve").expect("the command is there");
    let mut shared: Vec<&Arg> = arguments(root).filter(|argument| argument.is_global_set()).collect();
    shared.extend(arguments(serve));
    let mut tables = "\n### `jishu serve`\n".to_owned();
    write_tables(&mut tables, &shared);
    for command in root.get_subcommands().filter(|command| command.get_name() != "serve") {
        write_command(&mut tables, command, "jishu", &shared);
    }
    tables.push('\n');
    tables
}

fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version"))
}

fn write_command(tables: &mut String, command: &Command, parent: &str, shared: &[&Arg]) {
    let name = format!("{parent} {}", command.get_name());
    let (repeated, own): (Vec<_>, Vec<_>) = arguments(command).partition(|argument| {
        shared
            .iter()
            .any(|other| other.get_id() == argument.get_id() && other.get_help() == argument.get_help())
    });
    if !own.is_empty() {
        write!(tables, "\n### `{name}`\n\n{}\n", about(command)).expect("memory");
        write_tables(tables, &own);
        if !repeated.is_empty() {
            let flags: Vec<_> = repeated.into_iter().map(flag).collect();
            write!(tables, "\nIt also takes these flags of `jishu serve`: {}.\n", flags.join(", "))
                .expect("memory");
        }
    }
    for subcommand in command.get_subcommands() {
        write_command(tables, subcommand, &name, shared);
    }
}

fn about(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let end = if about.ends_with('.') { "" } else { "." };
    format!("{}{end}", on_one_line(&about))
}

/// Appends one table for each heading of `--help`. A row of a table describes one argument.
fn write_tables(tables: &mut String, arguments: &[&Arg]) {
    let mut headings: Vec<Option<&str>> = Vec::new();
    for argument in arguments {
        if !headings.contains(&argument.get_help_heading()) {
            headings.push(argument.get_help_heading());
        }
    }
    for heading in headings {
        if let Some(heading) = heading {
            write!(tables, "\n#### {heading}\n").expect("memory");
        }
        tables.push_str("\n| flag | variable | default | meaning |\n|---|---|---|---|\n");
        for argument in arguments.iter().filter(|argument| argument.get_help_heading() == heading) {
            writeln!(
                tables,
                "| {} | {} | {} | {} |",
                flag(argument),
                argument.get_env().map_or_else(String::new, |name| format!("`{}`", name.to_string_lossy())),
                default(argument),
                meaning(argument)
            )
            .expect("memory");
        }
    }
}

fn flag(argument: &Arg) -> String {
    match argument.get_long() {
        Some(long) => format!("`--{long}`"),
        None => format!("`{}`", argument.get_id().as_str().to_uppercase()),
    }
}

fn default(argument: &Arg) -> String {
    let values: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if matches!(argument.get_action(), ArgAction::SetTrue) {
        "off".to_owned()
    } else if argument.is_required_set() {
        "required".to_owned()
    } else if values.is_empty() {
        "none".to_owned()
    } else {
        format!("`{}`", values.join(","))
    }
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string);
    let mut meaning = on_one_line(&help.unwrap_or_default());
    if !meaning.ends_with('.') {
        meaning.push('.');
    }
    let is_switch = matches!(argument.get_action(), ArgAction::SetTrue);
    let values: Vec<_> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !is_switch && !values.is_empty() {
        write!(meaning, " Values: {}.", values.join(", ")).expect("memory");
    }
    meaning
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}
