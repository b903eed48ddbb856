//! Sittings, their answers, their totals by topic, and extra time.

use sea_orm_migration::prelude::*;

use crate::portable::{foreign_key, key, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_sessions(manager).await?;
        create_session_indexes(manager).await?;
        create_answers(manager).await?;
        create_totals(manager).await?;
        create_extra_times(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["extra_times", "topic_totals", "test_answers", "test_sessions"] {
            step(manager).drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}

async fn create_sessions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let sessions = "test_sessions";
    step(manager)
        .create_table(
            Table::create()
                .table(sessions)
                .col(key("id"))
                .col(ColumnDef::new("mock_test_attempt_id").big_integer().not_null())
                .col(ColumnDef::new("user_id").big_integer().not_null())
                .col(ColumnDef::new("subject_id").big_integer().not_null())
                .col(ColumnDef::new("paper_id").big_integer().not_null())
                .col(ColumnDef::new("attempt_number").integer().not_null())
                .col(ColumnDef::new("seed").big_integer().not_null())
                .col(ColumnDef::new("status").string_len(16).not_null())
                .col(ColumnDef::new("open_marker").integer())
                .col(ColumnDef::new("ranked").integer())
                .col(utc(manager, "started_at").not_null())
                .col(utc(manager, "expires_at").not_null())
                .col(utc(manager, "submitted_at"))
                .col(ColumnDef::new("score").integer())
                .col(ColumnDef::new("max_score").integer())
                .col(ColumnDef::new("percentage").integer())
                .col(ColumnDef::new("correct").integer())
                .col(ColumnDef::new("wrong").integer())
                .col(ColumnDef::new("unanswered").integer())
                .col(ColumnDef::new("time_taken_seconds").integer())
                .col(ColumnDef::new("saves").integer().not_null().default(0))
                .check(Expr::cust("attempt_number >= 1"))
                .check(Expr::cust("open_marker = 1"))
                .check(Expr::cust("ranked = 1"))
                // A sitting is open if and only if `status` is `in_progress`, `open_marker` is set, and both
                // `submitted_at` and `score` are null.
                .check(Expr::cust("(status = 'in_progress') = (open_marker IS NOT NULL)"))
                .check(Expr::cust("(open_marker IS NULL) = (submitted_at IS NOT NULL)"))
                .check(Expr::cust("(open_marker IS NULL) = (score IS NOT NULL)"))
                .foreign_key(&mut foreign_key(
                    "fk_test_sessions_card",
                    sessions,
                    "mock_test_attempt_id",
                    "mock_test_attempts",
                    "id",
                ))
                .foreign_key(&mut foreign_key("fk_test_sessions_paper", sessions, "paper_id", "papers", "id"))
                .take(),
        )
        .await
}

async fn create_session_indexes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let unique = |name: &str| Index::create().name(name).unique().table("test_sessions").take();
    step(manager)
        .create_index(
            unique("unique_attempt_per_card").col("mock_test_attempt_id").col("attempt_number").take(),
        )
        .await?;
    // A card has at most one open sitting. In a closed sitting `open_marker` is null, and a unique index accepts
    // several nulls.
    step(manager)
        .create_index(
            unique("unique_open_session_per_card").col("mock_test_attempt_id").col("open_marker").take(),
        )
        .await?;
    // The ranking of a paper counts one sitting of each learner. In other sittings `ranked` is null.
    step(manager)
        .create_index(
            unique("unique_ranked_session_per_learner").col("paper_id").col("user_id").col("ranked").take(),
        )
        .await?;
    let plain = |name: &str| Index::create().name(name).table("test_sessions").take();
    // An index for the list of a learner's sittings, newest first.
    step(manager).create_index(plain("idx_test_sessions_user").col("user_id").col("id").take()).await?;
    // An index for the search for sittings that are open after their deadline.
    step(manager)
        .create_index(plain("idx_test_sessions_deadline").col("open_marker").col("expires_at").take())
        .await
}

async fn create_answers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let answers = "test_answers";
    step(manager)
        .create_table(
            Table::create()
                .table(answers)
                .col(ColumnDef::new("session_id").big_integer().not_null())
                .col(ColumnDef::new("slot").integer().not_null())
                .col(ColumnDef::new("chosen").big_integer().not_null())
                .col(ColumnDef::new("numeric_value").string_len(40))
                .col(ColumnDef::new("flagged").boolean().not_null())
                .col(ColumnDef::new("time_spent_seconds").integer())
                .col(ColumnDef::new("sequence").integer().not_null())
                .col(utc(manager, "saved_at").not_null())
                .primary_key(Index::create().col("session_id").col("slot"))
                .check(Expr::cust("chosen >= 0"))
                .check(Expr::cust("sequence >= 1"))
                .foreign_key(&mut foreign_key(
                    "fk_test_answers_session",
                    answers,
                    "session_id",
                    "test_sessions",
                    "id",
                ))
                .take(),
        )
        .await
}

/// Creates the table of totals: for each learner and topic, the answers and the score of all ended sittings. The end of
/// a sitting updates the totals of its learner.
async fn create_totals(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let totals = "topic_totals";
    step(manager)
        .create_table(
            Table::create()
                .table(totals)
                .col(ColumnDef::new("user_id").big_integer().not_null())
                .col(ColumnDef::new("topic_id").big_integer().not_null())
                .col(ColumnDef::new("correct").integer().not_null())
                .col(ColumnDef::new("wrong").integer().not_null())
                .col(ColumnDef::new("unanswered").integer().not_null())
                .col(ColumnDef::new("score").big_integer().not_null())
                .primary_key(Index::create().col("user_id").col("topic_id"))
                .foreign_key(&mut foreign_key("fk_topic_totals_topic", totals, "topic_id", "topics", "id"))
                .take(),
        )
        .await
}

/// Creates the table of extra time, in seconds, that support grants for each sitting of a card.
async fn create_extra_times(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let extra = "extra_times";
    step(manager)
        .create_table(
            Table::create()
                .table(extra)
                .col(ColumnDef::new("mock_test_attempt_id").big_integer().not_null().primary_key())
                .col(ColumnDef::new("seconds").integer().not_null())
                .col(ColumnDef::new("granted_by").big_integer().not_null())
                .col(utc(manager, "granted_at").not_null())
                .check(Expr::cust("seconds BETWEEN 0 AND 86400"))
                .foreign_key(&mut foreign_key(
                    "fk_extra_times_card",
                    extra,
                    "mock_test_attempt_id",
                    "mock_test_attempts",
                    "id",
                ))
                .foreign_key(&mut foreign_key("fk_extra_times_user", extra, "granted_by", "users", "id"))
                .take(),
        )
        .await
}
