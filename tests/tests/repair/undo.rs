//! Undoes the latest repair, as the command `jishu repair --undo` does.

use std::cell::Cell;

use jishu_repair::{RepairError, RepairProgress, UndoOutcome};
use jishu_tests::Backend;
use std::ops::ControlFlow;

use crate::old_database::{InitialKeys, OldDatabase, on_each};
use crate::two_cards::SchemaAge;

on_each!(
    undo_restores_all_rows_and_keys,
    undo_covers_an_interrupted_and_continued_repair,
    an_interrupted_undo_is_finished_by_the_next_undo,
    undo_is_refused_if_rows_have_changed,
    undo_restores_the_old_key,
);

impl OldDatabase {
    pub(crate) async fn undo(&self) -> Result<UndoOutcome, RepairError> {
        self.undo_until(|_| false).await
    }

    async fn undo_until(
        &self,
        mut stop: impl FnMut(&RepairProgress<'_>) -> bool + Send,
    ) -> Result<UndoOutcome, RepairError> {
        let session = self.open().await;
        let mut watch = |progress: RepairProgress<'_>| {
            if stop(&progress) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let result = session.undo(&mut watch).await;
        session.close().await.unwrap();
        result
    }

    async fn two_cards(backend: Backend, test: impl AsyncFn(&Self)) {
        Self::on(backend, async |old| {
            old.create_two_cards(SchemaAge::Newer).await;
            old.fill_two_cards().await;
            test(old).await;
        })
        .await;
    }
}

async fn undo_restores_all_rows_and_keys(backend: Backend) {
    OldDatabase::two_cards(backend, async |old| {
        let dump = old.dump().await;
        old.repair().await;
        assert_ne!(old.dump().await, dump);
        let undone = old.undo().await.unwrap();
        assert_eq!((undone.run, undone.restored.cards, undone.runs_left), (1, 5, 0));
        assert_eq!(old.dump().await, dump);
        assert!(matches!(old.undo().await, Err(RepairError::NothingToUndo { earlier: 0 })));
        // The database can be repaired again.
        assert!(old.repair().await.report.ok);
        old.undo().await.unwrap();
        assert_eq!(old.dump().await, dump);
    })
    .await;
    // This database has a unique key over card and attempt number, and a check of the attempt number.
    OldDatabase::starting(backend, InitialKeys::Duplicates, async |old| {
        let dump = old.dump().await;
        old.repair().await;
        old.undo().await.unwrap();
        assert_eq!(old.dump().await, dump);
    })
    .await;
}

async fn undo_covers_an_interrupted_and_continued_repair(backend: Backend) {
    for stop_at in 0.. {
        let finished = Cell::new(!backend.is_selected());
        OldDatabase::two_cards(backend, async |old| {
            let dump = old.dump().await;
            let mut seen = 0;
            let result = old
                .repair_until(|progress| {
                    // Statements are not counted, because a merge reports all its statements before the first statement
                    // runs.
                    seen += u32::from(!matches!(progress, RepairProgress::Statement(_)));
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
            assert!(old.codes().await.is_empty());
            let undone = old.undo().await.unwrap();
            assert_eq!(undone.runs_left, 0);
            assert_eq!(old.dump().await, dump, "the repair was interrupted at report {stop_at}");
        })
        .await;
        if finished.get() {
            break;
        }
    }
}

async fn an_interrupted_undo_is_finished_by_the_next_undo(backend: Backend) {
    for stop_at in 0.. {
        let finished = Cell::new(!backend.is_selected());
        OldDatabase::two_cards(backend, async |old| {
            let dump = old.dump().await;
            old.repair().await;
            let mut seen = 0;
            let result = old
                .undo_until(|_| {
                    seen += 1;
                    seen > stop_at
                })
                .await;
            match result {
                Err(RepairError::Interrupted) => match old.undo().await {
                    // `NothingToUndo`: all rows were already restored, and only the empty log was left.
                    Ok(_) | Err(RepairError::NothingToUndo { .. }) => {}
                    Err(error) => panic!("{error}"),
                },
                result => {
                    result.unwrap();
                    finished.set(true);
                }
            }
            assert_eq!(old.dump().await, dump, "the undo was stopped at report {stop_at}");
        })
        .await;
        if finished.get() {
            break;
        }
    }
}

async fn undo_is_refused_if_rows_have_changed(backend: Backend) {
    OldDatabase::two_cards(backend, async |old| {
        old.repair().await;
        let question = "INSERT INTO exam_category_questions (id, subject_id, question, mock_test_id) VALUES (99, 1, \
                        'new', 11)";
        for (change, revert, expected) in [
            (
                "UPDATE mock_test_attempts SET attempts_used = 1 WHERE id = 11",
                "UPDATE mock_test_attempts SET attempts_used = 4 WHERE id = 11",
                "`attempts_used` of 1 cards was changed (11)",
            ),
            (
                "UPDATE mock_test_attempts SET latest_score = 0 WHERE id = 21",
                "UPDATE mock_test_attempts SET latest_score = 1 WHERE id = 21",
                "`latest_score` of 1 cards was changed (21)",
            ),
            (
                "UPDATE test_attempt_sessions SET attempt_number = 9 WHERE id = 103",
                "UPDATE test_attempt_sessions SET attempt_number = 2 WHERE id = 103",
                "1 rows of `test_attempt_sessions` were deleted, or their `attempt_number` was changed",
            ),
            (
                "UPDATE test_attempt_sessions SET status = 'completed' WHERE id = 202",
                "UPDATE test_attempt_sessions SET status = 'abandoned' WHERE id = 202",
                "1 rows of `test_attempt_sessions` were deleted, or their `status` was changed",
            ),
            (
                "UPDATE exam_category_questions SET mock_test_id = 11 WHERE id = 3",
                "UPDATE exam_category_questions SET mock_test_id = NULL WHERE id = 3",
                "1 rows of `exam_category_questions` were deleted, or their `mock_test_id` was changed",
            ),
            (question, "DELETE FROM exam_category_questions WHERE id = 99", "1 rows of `exam_category_questions` (99) \
              were added to the surviving cards"),
        ] {
            old.run(change).await;
            let dump = old.dump().await;
            let error = old.undo().await.unwrap_err();
            assert!(matches!(error, RepairError::CannotUndo(_)), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(old.dump().await, dump, "{change}");
            old.run(revert).await;
        }
        old.undo().await.unwrap();
    })
    .await;
}

async fn undo_restores_the_old_key(backend: Backend) {
    OldDatabase::starting(backend, InitialKeys::OldOnly, async |old| {
        // The database has a single wrong card in addition to the old key.
        old.run("UPDATE mock_test_attempts SET attempts_used = 0 WHERE id = 6").await;
        let dump = old.dump().await;
        let outcome = old.repair().await;
        assert_eq!((outcome.corrected_cards, outcome.report.ok), (1, true), "{}", outcome.report);
        old.add_card(1, 1, 2, 1, 0, "available").await.unwrap();
        let error = old.undo().await.unwrap_err().to_string();
        assert!(error.contains("the old key (purchase_id, test_number) cannot be added again"), "{error}");
        old.run("DELETE FROM mock_test_attempts WHERE subject_id = 2 AND purchase_id = 1").await;
        old.undo().await.unwrap();
        assert_eq!(old.dump().await[1..], dump[1..]);
        assert!(
            old.add_card(1, 1, 2, 1, 0, "available").await.is_err(),
            "the old key accepts a second subject"
        );
        assert!(old.codes().await.contains(&"old_key_present"));
    })
    .await;
}
