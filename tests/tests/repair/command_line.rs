//! The real binary, as an operator runs it.

use std::process::{Command, Output};

use jishu_tests::Backend;
use jishu_tests::process::binary;
use serde_json::Value;

use crate::old::{Old, Start, on_each};

on_each!(check_and_repair_answer_by_their_exit_code_and_in_json);

fn jishu(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(binary("jishu"));
    command.args(arguments).env_remove("DATABASE_URL").env_remove("RUST_LOG");
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

async fn check_and_repair_answer_by_their_exit_code_and_in_json(backend: Backend) {
    Old::on(backend, async |old| {
        let run = |command: &str, options: &[&str]| {
            jishu(&[&[command, "--database-url", &old.url], options].concat())
        };
        let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");

        // SQLite makes its file when the test connects.
        let (code, stdout, stderr) = run("check", &["--format", "json"]);
        assert_eq!((code, json(&stdout)["ok"].clone()), (Some(2), false.into()), "{stderr}");
        assert!(stderr.contains("no table `mock_test_attempts`"), "{stderr}");
        let (code, ..) = run("repair", &["--apply"]);
        assert_eq!(code, Some(1));

        old.create(Start::OldAndNew).await;
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
        old.assert_right(Start::OldAndNew).await;
    })
    .await;
}
