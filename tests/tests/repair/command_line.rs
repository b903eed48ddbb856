//! Runs `jishu check` and `jishu repair` as an operator does.

use std::process::{Command, Output};

use jishu_tests::Backend;
use jishu_tests::process::binary;
use serde_json::Value;

use crate::old_database::{InitialKeys, OldDatabase, on_each};
use crate::two_cards::SchemaAge;

on_each!(check_and_repair_return_exit_codes_and_json, a_repair_is_undone_from_the_command_line);

fn jishu(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(binary("jishu"));
    command.args(arguments).env_remove("DATABASE_URL").env_remove("RUST_LOG");
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

async fn check_and_repair_return_exit_codes_and_json(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        let run = |command: &str, options: &[&str]| {
            jishu(&[&[command, "--database-url", &old.url], options].concat())
        };
        // On SQLite the file of the database exists, because the test has connected to it.
        let (code, stdout, stderr) = run("check", &["--format", "json"]);
        assert_eq!((code, json(&stdout)["ok"].clone()), (Some(2), false.into()), "{stderr}");
        assert!(stderr.contains("no table `mock_test_attempts`"), "{stderr}");
        let (code, ..) = run("repair", &["--apply"]);
        assert_eq!(code, Some(1));

        old.create(InitialKeys::OldAndNew).await;
        old.fill().await;
        let (code, stdout, _) = run("check", &["--format", "json"]);
        let report = json(&stdout);
        assert_eq!((code, report["state"].as_str()), (Some(1), Some("old_and_new")));
        assert_eq!(report["problems"][0]["code"], "old_key_present");
        assert_eq!(report["problems"][0]["repairable"], true);
        assert_eq!(report["cards"], 8);
        let (code, stdout, _) = run("check", &[]);
        assert!(code == Some(1) && stdout.contains("old_key_present"), "{stdout}");

        let structure = old.structure().await;
        let (code, stdout, _) = run("repair", &[]);
        assert!(code == Some(0) && stdout.contains("-- 1. ") && stdout.contains("--apply"), "{stdout}");
        let (code, stdout, _) = run("repair", &["--format", "json"]);
        let planned = json(&stdout)["plan"]["steps"][0]["statements"].clone();
        assert!(code == Some(0) && planned.is_array(), "{stdout}");
        assert_eq!(old.structure().await, structure);

        let (code, stdout, stderr) = run("repair", &["--apply", "--format", "json"]);
        let outcome = json(&stdout);
        assert_eq!((code, outcome["outcome"]["report"]["ok"].clone()), (Some(0), true.into()), "{stderr}");
        assert!(stderr.contains("1/"), "{stderr}");
        let (code, stdout, _) = run("check", &["--format", "json"]);
        assert_eq!((code, json(&stdout)["ok"].clone()), (Some(0), true.into()));
        let (code, stdout, _) = run("repair", &["--apply"]);
        assert!(code == Some(0) && stdout.contains("Nothing to do."), "{stdout}");
        old.assert_right(InitialKeys::OldAndNew).await;
    })
    .await;
}

async fn a_repair_is_undone_from_the_command_line(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create_two_cards(SchemaAge::Newer).await;
        old.fill_two_cards().await;
        let dump = old.dump().await;
        let run = |options: &[&str]| jishu(&[&["repair", "--database-url", &old.url], options].concat());

        let (code, stdout, _) = run(&[]);
        let words = "-- 9 duplicate cards of 4 tests will become 4 cards.";
        assert!(code == Some(0) && stdout.contains(words), "{stdout}");
        let (code, _, stderr) = run(&["--undo"]);
        assert!(code == Some(1) && stderr.contains("nothing to undo"), "{stderr}");
        let (code, _, stderr) = run(&["--undo", "--apply"]);
        assert!(code == Some(2) && stderr.contains("--undo"), "{stderr}");
        assert_eq!(old.dump().await, dump);

        assert_eq!(run(&["--apply"]).0, Some(0));
        // The statement keeps `updated_at`, which MariaDB would set automatically.
        let kept = if backend == Backend::MariaDb { ", updated_at = updated_at" } else { "" };
        old.run(&format!("UPDATE mock_test_attempts SET attempts_used = 1{kept} WHERE id = 11")).await;
        let (code, _, stderr) = run(&["--undo"]);
        let expected = "`attempts_used` of 1 cards was changed (11)";
        assert!(code == Some(1) && stderr.contains(expected), "{stderr}");
        old.run(&format!("UPDATE mock_test_attempts SET attempts_used = 4{kept} WHERE id = 11")).await;
        let (code, stdout, stderr) = run(&["--undo", "--format", "json"]);
        assert_eq!(
            (code, json(&stdout)["undone"]["restored"]["cards"].clone()),
            (Some(0), 5.into()),
            "{stderr}"
        );
        assert_eq!(old.dump().await, dump);
    })
    .await;
}
