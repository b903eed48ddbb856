//! Runs statements of jishu with pgbench, the benchmark tool of PostgreSQL.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::process::postgres;

/// A script that pgbench repeats.
#[derive(Clone, Debug, Default)]
pub struct PgbenchScript {
    text: String,
}

impl PgbenchScript {
    /// Appends a command that sets a variable to an expression.
    pub fn set(&mut self, name: &str, expression: impl std::fmt::Display) {
        let _infallible = writeln!(self.text, "\\set {name} {expression}");
    }

    /// Appends a statement without parameters.
    pub fn plain(&mut self, statement: &str) {
        let _infallible = writeln!(self.text, "{statement};");
    }

    /// Appends a statement with values in place of its parameters.
    ///
    /// # Panics
    /// Panics if there are fewer values than parameters.
    pub fn statement(&mut self, statement: &str, values: &[String]) {
        self.filled(statement, values, ";");
    }

    /// Appends a statement with values in place of its parameters. The columns of the row that the statement returns
    /// become variables of the script.
    ///
    /// # Panics
    /// Panics if there are fewer values than parameters.
    pub fn returning(&mut self, statement: &str, values: &[String]) {
        self.filled(statement, values, " \\gset");
    }

    fn filled(&mut self, statement: &str, values: &[String], end: &str) {
        let mut filled = statement.to_owned();
        // Replaces the last parameter first, so that `$1` does not match the beginning of `$10`.
        for (value, number) in values.iter().zip(1..).collect::<Vec<_>>().into_iter().rev() {
            filled = filled.replace(&format!("${number}"), value);
        }
        assert!(!filled.contains('$'), "{} values: {statement}", values.len());
        let _infallible = writeln!(self.text, "{filled}{end}");
    }

    /// Runs the script with prepared statements, this number of clients, and further arguments of pgbench. Returns the
    /// transactions per second.
    ///
    /// # Panics
    /// Panics if pgbench fails.
    #[must_use]
    pub fn run(&self, url: &str, folder: &Path, clients: usize, arguments: &[String]) -> f64 {
        let file = folder.join("pgbench.sql");
        std::fs::write(&file, &self.text).expect("a script");
        let output = Command::new(postgres("pgbench"))
            .args(["-n", "-M", "prepared", "-j", "2", "-c", &clients.to_string()])
            .args(arguments)
            .arg("-f")
            .arg(file)
            .arg(url)
            // jishu sets the same option on its own connections.
            .env("PGOPTIONS", "-c plan_cache_mode=force_generic_plan")
            .output()
            .expect("pgbench runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        tps.unwrap_or_else(|| panic!("{text}"))
    }
}
