//! Repairs databases in each of the five states of the keys. Also tests keys with other names, and a foreign key that
//! refers to the old key.

use std::cell::Cell;

use jishu_repair::{KeyState, RepairError, RepairProgress, StepKind, plan};
use jishu_tests::Backend;

use crate::old_database::{InitialKeys, OldDatabase, on_each};

on_each!(
    each_key_state_is_repaired,
    a_second_repair_changes_nothing,
    the_plan_changes_nothing_and_the_repair_runs_its_statements,
    an_interrupted_repair_is_finished_by_the_next_run,
    keys_are_recognised_by_their_columns,
    a_foreign_key_to_the_old_key_stops_the_repair,
);

async fn each_key_state_is_repaired(backend: Backend) {
    for start in InitialKeys::ALL {
        OldDatabase::starting(backend, start, async |old| {
            let second_subject = old.add_card(1, 1, 2, 1, 0, "available").await;
            match start {
                // This is the bug of the old system: the old key refuses a card of a second subject.
                InitialKeys::OldOnly | InitialKeys::OldAndNew => assert!(second_subject.is_err()),
                _ => {
                    second_subject.unwrap();
                    old.run("DELETE FROM mock_test_attempts WHERE purchase_id = 1 AND subject_id = 2").await;
                }
            }
            let before = old.report().await;
            let state = match start {
                InitialKeys::OldOnly => KeyState::OldOnly,
                InitialKeys::OldAndNew => KeyState::OldAndNew,
                InitialKeys::NewOnly => KeyState::NewOnly,
                InitialKeys::Neither => KeyState::Neither,
                InitialKeys::Duplicates => KeyState::NeitherWithDuplicates,
            };
            assert_eq!(before.state, state);
            assert_eq!(before.ok, start == InitialKeys::NewOnly);
            assert!(before.problems.iter().all(|problem| problem.repairable), "{before}");
            let codes: Vec<_> = before.problems.iter().map(|problem| problem.code).collect();
            let leans = "foreign_key_leans_on_old_key";
            assert_eq!(
                codes.contains(&leans),
                backend == Backend::MariaDb && start == InitialKeys::OldOnly,
                "{codes:?}"
            );

            let outcome = old.repair().await;
            assert!(outcome.report.ok, "{}", outcome.report);
            assert_eq!(outcome.merged_cards, if start == InitialKeys::Duplicates { 4 } else { 0 });
            old.assert_right(start).await;
        })
        .await;
    }
}

async fn a_second_repair_changes_nothing(backend: Backend) {
    for start in InitialKeys::ALL {
        OldDatabase::starting(backend, start, async |old| {
            old.repair().await;
            let structure = old.structure().await;
            let outcome = old.repair().await;
            assert_eq!((outcome.statements.len(), outcome.merged_groups), (0, 0), "{start:?}");
            assert_eq!(old.structure().await, structure, "{start:?}");
        })
        .await;
    }
}

async fn the_plan_changes_nothing_and_the_repair_runs_its_statements(backend: Backend) {
    for start in InitialKeys::ALL {
        OldDatabase::starting(backend, start, async |old| {
            let structure = old.structure().await;
            let session = old.open().await;
            let plan = plan(&session.inspect().await.unwrap());
            session.close().await.unwrap();
            assert_eq!(old.structure().await, structure);
            assert_eq!(plan.is_empty(), start == InitialKeys::NewOnly);
            if start == InitialKeys::OldAndNew && backend != Backend::Sqlite {
                let keys = plan.steps.iter().filter(|step| step.kind == StepKind::Keys);
                assert_eq!(
                    keys.map(|step| step.purpose.as_str()).collect::<Vec<_>>(),
                    ["Drop the old key (purchase_id, test_number)"]
                );
            }

            let mut ran = Vec::new();
            let outcome = old
                .repair_until(|progress| {
                    if let RepairProgress::Statement(statement) = progress {
                        ran.push((*statement).to_owned());
                    }
                    false
                })
                .await
                .unwrap();
            let planned: Vec<_> = plan.steps.iter().flat_map(|step| step.statements.clone()).collect();
            assert_eq!(planned, ran, "{start:?}");
            let changes = plan.steps.iter().filter(|step| step.kind != StepKind::Merge);
            let changes: Vec<_> = changes.flat_map(|step| step.statements.clone()).collect();
            assert_eq!(changes, outcome.statements, "{start:?}");
            let shown = plan.to_string();
            assert!(planned.iter().all(|statement| shown.contains(statement)));
        })
        .await;
    }
}

async fn an_interrupted_repair_is_finished_by_the_next_run(backend: Backend) {
    for start in InitialKeys::ALL {
        for stop_at in 0.. {
            let finished = Cell::new(!backend.is_selected());
            OldDatabase::starting(backend, start, async |old| {
                let (mut seen, mut merges) = (0, false);
                let result = old
                    .repair_until(|progress| {
                        if let RepairProgress::Step { step, .. } = progress {
                            merges = step.kind == StepKind::Merge;
                        }
                        // All statements of a merge are reported before the first one runs, so they are not counted.
                        seen += u32::from(!(merges && matches!(progress, RepairProgress::Statement(_))));
                        seen > stop_at
                    })
                    .await;
                match result {
                    Err(RepairError::Interrupted) => {
                        old.repair().await;
                    }
                    result => {
                        result.unwrap();
                        finished.set(true);
                    }
                }
                old.assert_right(start).await;
            })
            .await;
            if finished.get() {
                break;
            }
        }
    }
}

async fn keys_are_recognised_by_their_columns(backend: Backend) {
    OldDatabase::on(backend, async |old| {
        old.create(InitialKeys::Neither).await;
        old.fill().await;
        let quoted = |name: &str| match backend {
            Backend::MariaDb => format!("`{}`", name.replace('`', "``")),
            _ => format!("\"{}\"", name.replace('"', "\"\"")),
        };
        let old_name = quoted("the \"wrong\" `one`; DROP TABLE x --");
        old.run(&format!("CREATE UNIQUE INDEX {old_name} ON mock_test_attempts (test_number, purchase_id)"))
            .await;
        // Neither of these two indexes is the new key: `by_card` is not unique, and `wider` has a further column.
        old.run("CREATE INDEX by_card ON mock_test_attempts (purchase_id, subject_id, test_number)").await;
        old.run("CREATE UNIQUE INDEX wider ON mock_test_attempts (purchase_id, subject_id, test_number, id)")
            .await;
        assert_eq!(old.codes().await, ["old_key_present", "new_key_missing"]);
        old.repair().await;
        old.assert_right(InitialKeys::Neither).await;
    })
    .await;

    OldDatabase::on(backend, async |old| {
        old.create(InitialKeys::Neither).await;
        old.run("CREATE UNIQUE INDEX right_one ON mock_test_attempts (test_number, subject_id, purchase_id)")
            .await;
        let report = old.report().await;
        assert!(report.ok, "{report}");
        assert!(report.notes.iter().any(|note| note.contains("`right_one`")), "{report}");
        assert!(old.repair().await.statements.is_empty());
    })
    .await;

    // The old key has the name of the new key. On MariaDB the new key has its columns in an order that no foreign key
    // can use.
    OldDatabase::on(backend, async |old| {
        old.create(InitialKeys::Neither).await;
        old.fill().await;
        let table = "mock_test_attempts";
        old.run(&format!(
            "CREATE UNIQUE INDEX unique_test_per_purchase_subject ON {table} (purchase_id, test_number)"
        ))
        .await;
        if backend == Backend::MariaDb {
            // MariaDB dropped the index of the foreign key when the old key was created.
            assert!(old.codes().await.contains(&"foreign_key_leans_on_old_key"));
            old.run(&format!("CREATE UNIQUE INDEX r ON {table} (subject_id, purchase_id, test_number)"))
                .await;
        }
        old.repair().await;
        old.assert_right(InitialKeys::Neither).await;
    })
    .await;
}

async fn a_foreign_key_to_the_old_key_stops_the_repair(backend: Backend) {
    OldDatabase::starting(backend, InitialKeys::OldOnly, async |old| {
        old.run(
            "CREATE TABLE seats (purchase_id INTEGER, test_number INTEGER, \
             FOREIGN KEY (purchase_id, test_number) REFERENCES mock_test_attempts (purchase_id, \
             test_number))",
        )
        .await;
        let structure = old.structure().await;
        assert!(old.codes().await.contains(&"old_key_referenced"));
        let result = old.repair_until(|_| false).await;
        assert!(matches!(result, Err(RepairError::Blocked(_))), "{result:?}");
        assert_eq!(old.structure().await, structure);
    })
    .await;
}
