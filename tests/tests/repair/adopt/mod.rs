//! Tests of `jishu adopt`.

mod at_scale;
mod journey;
mod killed;
mod old_system;
mod rows;

use std::path::PathBuf;
use std::process::Command;

use jishu_service::auth::KeyRing;
use jishu_tests::Backend;
use jishu_tests::process::binary;
use serde_json::Value;
use tempfile::TempDir;

use crate::old_database::{OldDatabase, connect};

/// A new database, into which an adoption copies an old database.
pub(super) struct NewDatabase {
    backend: Backend,
    pub(super) url: String,
    pub(super) folder: TempDir,
}

impl NewDatabase {
    pub(super) async fn create(backend: Backend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { backend, url: backend.create(folder.path()).await, folder }
    }

    /// Makes a file with a signing key, and returns its path. `jishu serve` needs it before it opens the database.
    pub(super) fn signing_keys(&self) -> PathBuf {
        let file = self.folder.path().join("keys.pem");
        KeyRing::load_or_create(&file).unwrap();
        file
    }

    /// Returns the rows of a query, with each value as text.
    pub(super) async fn rows(&self, text: &str) -> Vec<Vec<String>> {
        let connection = connect(&self.url).await;
        let rows = jishu_tests::rows(&connection, text).await;
        connection.close().await.unwrap();
        rows
    }

    pub(super) async fn remove(&self) {
        self.backend.remove(&self.url).await;
    }
}

/// Returns the command `jishu adopt` with these databases and options.
pub(super) fn command(old: &OldDatabase, new: &NewDatabase, options: &[&str]) -> Command {
    let mut command = jishu(&["adopt", "--from", &old.url, "--database-url", &new.url]);
    command.args(options);
    command
}

pub(super) fn jishu(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("jishu"));
    command.args(arguments).env_remove("DATABASE_URL").env_remove("RUST_LOG");
    command
}

/// Runs a command. Returns its exit code, its standard output and its standard error.
pub(super) fn outcome(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Runs a command that must succeed, and returns its standard output as JSON.
pub(super) fn succeed(command: Command) -> Value {
    let (code, stdout, stderr) = outcome(command);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    serde_json::from_str(&stdout).expect("JSON")
}

/// Asserts that `jishu check` and `jishu verify-backup` find nothing wrong in the new database.
pub(super) fn assert_checked(new: &NewDatabase) {
    for command in [jishu(&["check", "--database-url", &new.url]), jishu(&["verify-backup", &new.url])] {
        let (code, stdout, stderr) = outcome(command);
        assert_eq!(code, Some(0), "{stdout}{stderr}");
    }
}
