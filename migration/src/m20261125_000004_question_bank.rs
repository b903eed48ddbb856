//! The question bank, the blueprints and marks of tests, and the papers.

use sea_orm_migration::prelude::*;

use crate::portable::{exact, foreign_key, key, prose, utc};
use crate::steps::step;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in test_settings() {
            step(manager).add_column("subjects", column).await?;
        }
        create_topics(manager).await?;
        create_questions(manager).await?;
        create_versions(manager).await?;
        create_papers(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            "paper_scores",
            "paper_questions",
            "papers",
            "question_options",
            "question_versions",
            "questions",
            "blueprint_parts",
            "topics",
        ] {
            step(manager).drop_table(Table::drop().table(table).take()).await?;
        }
        for column in SETTINGS.iter().rev() {
            step(manager).drop_column("subjects", column).await?;
        }
        Ok(())
    }
}

const SETTINGS: [&str; 7] = [
    "marks_correct",
    "marks_wrong",
    "marks_unanswered",
    "questions_per_test",
    "time_limit_seconds",
    "grading_method",
    "review_policy",
];

/// Returns the columns of subjects for marks, test size, time limit, grading method and review policy. Marks are in
/// hundredths. By default a test has 45 questions in an hour and the marks of NEET UG: +4, -1 and 0.
fn test_settings() -> [ColumnDef; 7] {
    let [correct, wrong, unanswered, questions, seconds, grading, review] = SETTINGS;
    [
        ColumnDef::new(correct).integer().not_null().default(400).take(),
        ColumnDef::new(wrong).integer().not_null().default(-100).take(),
        ColumnDef::new(unanswered).integer().not_null().default(0).take(),
        ColumnDef::new(questions).integer().not_null().default(45).take(),
        ColumnDef::new(seconds).integer().not_null().default(3600).take(),
        ColumnDef::new(grading).string_len(16).not_null().default("highest").take(),
        ColumnDef::new(review).string_len(24).not_null().default("after_sitting").take(),
    ]
}

async fn create_topics(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    step(manager)
        .create_table(
            Table::create()
                .table("topics")
                .col(key("id"))
                .col(ColumnDef::new("subject_id").big_integer().not_null())
                .col(exact(manager, "name", 200).not_null())
                .foreign_key(&mut foreign_key("fk_topics_subject", "topics", "subject_id", "subjects", "id"))
                .take(),
        )
        .await?;
    step(manager)
        .create_index(
            Index::create()
                .name("unique_topic_per_subject")
                .unique()
                .table("topics")
                .col("subject_id")
                .col("name")
                .take(),
        )
        .await?;

    let parts = "blueprint_parts";
    step(manager)
        .create_table(
            Table::create()
                .table(parts)
                .col(ColumnDef::new("subject_id").big_integer().not_null())
                .col(ColumnDef::new("position").integer().not_null())
                .col(ColumnDef::new("topic_id").big_integer())
                .col(ColumnDef::new("difficulty").string_len(16))
                .col(ColumnDef::new("questions").integer().not_null())
                .primary_key(Index::create().col("subject_id").col("position"))
                .check(Expr::cust("questions BETWEEN 1 AND 200"))
                .foreign_key(&mut foreign_key(
                    "fk_blueprint_parts_subject",
                    parts,
                    "subject_id",
                    "subjects",
                    "id",
                ))
                .foreign_key(&mut foreign_key("fk_blueprint_parts_topic", parts, "topic_id", "topics", "id"))
                .take(),
        )
        .await
}

async fn create_questions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    step(manager)
        .create_table(
            Table::create()
                .table("questions")
                .col(key("id"))
                .col(ColumnDef::new("subject_id").big_integer().not_null())
                .col(exact(manager, "external_id", 128).not_null())
                .col(ColumnDef::new("current_version").integer().not_null())
                .col(utc(manager, "archived_at"))
                .col(utc(manager, "created_at").not_null())
                .check(Expr::cust("current_version >= 1"))
                .foreign_key(&mut foreign_key(
                    "fk_questions_subject",
                    "questions",
                    "subject_id",
                    "subjects",
                    "id",
                ))
                .take(),
        )
        .await?;
    step(manager)
        .create_index(
            Index::create()
                .name("unique_external_id_per_subject")
                .unique()
                .table("questions")
                .col("subject_id")
                .col("external_id")
                .take(),
        )
        .await
}

/// Creates the table of versions of questions, and the table of their options. The rows of both tables never change,
/// because papers and past results refer to them.
async fn create_versions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let versions = "question_versions";
    step(manager)
        .create_table(
            Table::create()
                .table(versions)
                .col(key("id"))
                .col(ColumnDef::new("question_id").big_integer().not_null())
                .col(ColumnDef::new("version").integer().not_null())
                .col(ColumnDef::new("topic_id").big_integer().not_null())
                .col(ColumnDef::new("difficulty").string_len(16).not_null())
                .col(ColumnDef::new("kind").string_len(24).not_null())
                .col(ColumnDef::new("text_format").string_len(16).not_null())
                .col(prose(manager, "stem").not_null())
                .col(prose(manager, "explanation"))
                .col(ColumnDef::new("numeric_value").string_len(40))
                .col(ColumnDef::new("numeric_tolerance").string_len(40))
                .col(exact(manager, "content_hash", 64).not_null())
                .col(utc(manager, "created_at").not_null())
                .check(Expr::cust("version >= 1"))
                .check(Expr::cust("(kind = 'numeric') = (numeric_value IS NOT NULL)"))
                .check(Expr::cust("(numeric_value IS NULL) = (numeric_tolerance IS NULL)"))
                .foreign_key(&mut foreign_key(
                    "fk_question_versions_question",
                    versions,
                    "question_id",
                    "questions",
                    "id",
                ))
                .foreign_key(&mut foreign_key(
                    "fk_question_versions_topic",
                    versions,
                    "topic_id",
                    "topics",
                    "id",
                ))
                .take(),
        )
        .await?;
    step(manager)
        .create_index(
            Index::create()
                .name("unique_version_per_question")
                .unique()
                .table(versions)
                .col("question_id")
                .col("version")
                .take(),
        )
        .await?;

    let options = "question_options";
    step(manager)
        .create_table(
            Table::create()
                .table(options)
                .col(ColumnDef::new("version_id").big_integer().not_null())
                .col(ColumnDef::new("position").integer().not_null())
                .col(prose(manager, "text").not_null())
                .col(ColumnDef::new("correct").boolean().not_null())
                .primary_key(Index::create().col("version_id").col("position"))
                .check(Expr::cust("position BETWEEN 0 AND 25"))
                .foreign_key(&mut foreign_key(
                    "fk_question_options_version",
                    options,
                    "version_id",
                    versions,
                    "id",
                ))
                .take(),
        )
        .await
}

/// Creates the tables of papers, of their questions, and of their scores. The paper of a test is made when the first
/// learner starts the test. From then on, the questions, marks and duration of the paper do not change. A later
/// migration adds revisions of papers, for corrected keys.
async fn create_papers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    step(manager)
        .create_table(
            Table::create()
                .table("papers")
                .col(key("id"))
                .col(ColumnDef::new("subject_id").big_integer().not_null())
                .col(ColumnDef::new("test_number").integer().not_null())
                .col(ColumnDef::new("seed").big_integer().not_null())
                .col(ColumnDef::new("marks_correct").integer().not_null())
                .col(ColumnDef::new("marks_wrong").integer().not_null())
                .col(ColumnDef::new("marks_unanswered").integer().not_null())
                .col(ColumnDef::new("time_limit_seconds").integer().not_null())
                .col(utc(manager, "created_at").not_null())
                .check(Expr::cust("test_number >= 1"))
                .check(Expr::cust("time_limit_seconds >= 1"))
                .foreign_key(&mut foreign_key("fk_papers_subject", "papers", "subject_id", "subjects", "id"))
                .take(),
        )
        .await?;
    step(manager)
        .create_index(
            Index::create()
                .name("unique_paper_per_test")
                .unique()
                .table("papers")
                .col("subject_id")
                .col("test_number")
                .take(),
        )
        .await?;

    let questions = "paper_questions";
    step(manager)
        .create_table(
            Table::create()
                .table(questions)
                .col(ColumnDef::new("paper_id").big_integer().not_null())
                .col(ColumnDef::new("slot").integer().not_null())
                .col(ColumnDef::new("question_id").big_integer().not_null())
                .col(ColumnDef::new("version_id").big_integer().not_null())
                .primary_key(Index::create().col("paper_id").col("slot"))
                .check(Expr::cust("slot >= 1"))
                .foreign_key(&mut foreign_key(
                    "fk_paper_questions_paper",
                    questions,
                    "paper_id",
                    "papers",
                    "id",
                ))
                .foreign_key(&mut foreign_key(
                    "fk_paper_questions_version",
                    questions,
                    "version_id",
                    "question_versions",
                    "id",
                ))
                .take(),
        )
        .await?;
    step(manager)
        .create_index(
            Index::create()
                .name("unique_question_per_paper")
                .unique()
                .table(questions)
                .col("paper_id")
                .col("question_id")
                .take(),
        )
        .await?;

    // For each paper and score, the number of learners who got that score in their ranked sitting. A percentile adds up
    // these rows. Their number depends on the possible scores, and not on the number of learners.
    step(manager)
        .create_table(
            Table::create()
                .table("paper_scores")
                .col(ColumnDef::new("paper_id").big_integer().not_null())
                .col(ColumnDef::new("score").integer().not_null())
                .col(ColumnDef::new("learners").big_integer().not_null())
                .primary_key(Index::create().col("paper_id").col("score"))
                .foreign_key(&mut foreign_key(
                    "fk_paper_scores_paper",
                    "paper_scores",
                    "paper_id",
                    "papers",
                    "id",
                ))
                .take(),
        )
        .await
}
