//! Names of tables, columns and statuses, and the reasons in the log of changes.

/// The table of cards.
pub(crate) const CARD_TABLE: &str = "mock_test_attempts";
/// The old system's table of sittings.
pub(crate) const SITTING_TABLE: &str = "test_attempt_sessions";
/// The old system's table of questions. A question refers to one card or to no card.
pub(crate) const QUESTION_TABLE: &str = "exam_category_questions";
/// The column of the tables of sittings and questions that refers to the card.
pub(crate) const CARD_ID_COLUMN: &str = "mock_test_id";

/// The table that keeps merged cards.
pub(crate) const MERGED_CARD_TABLE: &str = "mock_test_attempts_merged";
/// The table of repair runs, with the data that an undo of each run needs.
pub(crate) const RUN_TABLE: &str = "jishu_repair_runs";
/// The table that keeps the changed cards as they were before the repair.
pub(crate) const SURVIVOR_TABLE: &str = "jishu_repair_survivors";
/// The table that keeps each changed value of a row.
pub(crate) const CHANGE_TABLE: &str = "jishu_repair_changes";
/// The tables in which a repair logs a run, except the table of merged cards.
pub(crate) const RUN_LOG_TABLES: [&str; 3] = [RUN_TABLE, SURVIVOR_TABLE, CHANGE_TABLE];

/// The name of the new unique key.
pub(crate) const NEW_KEY_NAME: &str = "unique_test_per_purchase_subject";
/// The columns of the new unique key.
pub(crate) const NEW_KEY_COLUMNS: [&str; 3] = ["purchase_id", "subject_id", "test_number"];
/// The columns of the old unique key.
pub(crate) const OLD_KEY_COLUMNS: [&str; 2] = ["purchase_id", "test_number"];

/// The columns from which the time of a sitting may be read, in order of preference.
pub(crate) const SITTING_TIME_COLUMNS: [&str; 8] = [
    "started_at",
    "start_time",
    "begun_at",
    "attempted_at",
    "created_at",
    "submitted_at",
    "completed_at",
    "updated_at",
];

/// The columns of a card that can be computed from its sittings and questions.
pub(crate) const DERIVED_CARD_COLUMNS: [&str; 11] = [
    "attempts_used",
    "max_attempts",
    "status",
    "total_questions",
    "questions_generated",
    "latest_score",
    "latest_percentage",
    "latest_time_taken",
    "latest_attempt_date",
    "first_attempt_score",
    "first_attempt_date",
];

/// The status that the repair gives to an open sitting when it closes the sitting.
pub(crate) const ABANDONED_STATUS: &str = "abandoned";

/// The log reason for a row that now refers to the survivor, because its card was merged.
pub(crate) const REASON_CARD_MERGED: &str = "its card was merged";
/// The log reason for the questions of a second set of a card. The questions stay, but no longer refer to a card.
pub(crate) const REASON_SET_DETACHED: &str = "a second set of questions, kept aside";
/// The log reason for a question that moves from a merged card to a survivor with another set of questions.
/// `jishu check` searches the logs of earlier repairs for this text, so the text must never change.
pub(crate) const REASON_SETS_TOGETHER: &str = "its card was merged, and has several sets of questions";
/// The log reason for an open sitting that the repair closes, because its card has another open sitting.
pub(crate) const REASON_SITTING_CLOSED: &str = "open beside another sitting of its card";
/// The log reason for a sitting that gets another attempt number.
pub(crate) const REASON_SITTING_NUMBERED: &str = "numbered by time among the sittings of its card";
/// The log reason for a value of a card that is computed again.
pub(crate) const REASON_CARD_RECOMPUTED: &str = "computed again";

/// Maximum number of examples that a report shows for each problem.
pub(crate) const MAX_SAMPLES: usize = 5;
