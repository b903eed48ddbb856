//! Exports the test cards, the sittings with their answers, and the totals by topic.

use std::collections::BTreeMap;

use jishu_entity::{
    MockTestAttemptId, TestSessionId, TopicId, extra_time, mock_test_attempt, test_answer, test_session,
    topic, topic_total,
};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Value, json};

use super::pages::Pages;
use super::writer::{Stop, Writer};
use super::{ROWS_PER_READ, UserExport, time, time_or_null};
use crate::database::MAX_IDS_PER_STATEMENT;
use crate::paper::Paper;
use crate::session::shown_options;

/// Maximum number of sittings that are read at once, with their answers.
const SITTINGS_PER_READ: u64 = 50;

impl UserExport {
    pub(super) async fn write_sittings(&self, writer: &mut Writer) -> Result<(), Stop> {
        self.write_cards(writer).await?;
        writer.begin_list("sittings");
        let reader = self.source.database.reader();
        let mut pages = Pages::new(
            test_session::Entity::of(self.user),
            test_session::Column::Id,
            |row| row.id.0,
            SITTINGS_PER_READ,
        );
        while let Some(rows) = pages.next(reader).await? {
            let mut answers: BTreeMap<TestSessionId, Vec<test_answer::Model>> = BTreeMap::new();
            let stored = test_answer::Entity::find()
                .filter(test_answer::Column::SessionId.is_in(rows.iter().map(|row| row.id)))
                .order_by_asc(test_answer::Column::SessionId)
                .order_by_asc(test_answer::Column::Slot)
                .all(reader)
                .await?;
            for answer in stored {
                answers.entry(answer.session_id).or_default().push(answer);
            }
            for row in rows {
                let answers = answers.remove(&row.id).unwrap_or_default();
                let paper = self.source.papers.get((&row).into()).await?;
                writer.item(&self.sitting(&row, &paper, &answers)).await?;
            }
        }
        writer.end_list();
        self.write_progress(writer).await
    }

    async fn write_cards(&self, writer: &mut Writer) -> Result<(), Stop> {
        let reader = self.source.database.reader();
        writer.begin_list("testCards");
        let mut pages = Pages::new(
            mock_test_attempt::Entity::of(self.user),
            mock_test_attempt::Column::Id,
            |row| row.id.0,
            ROWS_PER_READ,
        );
        while let Some(rows) = pages.next(reader).await? {
            let ids = rows.iter().map(|row| row.id);
            let extra: BTreeMap<MockTestAttemptId, extra_time::Model> = extra_time::Entity::find()
                .filter(extra_time::Column::MockTestAttemptId.is_in(ids))
                .all(reader)
                .await?
                .into_iter()
                .map(|row| (row.mock_test_attempt_id, row))
                .collect();
            for row in rows {
                let extra = extra.get(&row.id);
                let extra = extra
                    .map(|extra| json!({ "seconds": extra.seconds, "grantedAt": time(extra.granted_at) }));
                let item = json!({
                    "id": row.id.0,
                    "purchaseId": row.purchase_id.0,
                    "subject": self.names.subject(row.subject_id),
                    "testNumber": row.test_number,
                    "status": row.status.to_value(),
                    "maxAttempts": row.max_attempts,
                    "attemptsUsed": row.attempts_used,
                    "latestAttemptAt": time_or_null(row.latest_attempt_at),
                    "latestScore": row.latest_score,
                    "latestPercentage": row.latest_percentage,
                    "firstScore": row.first_score,
                    "bestScore": row.best_score,
                    "extraTime": extra,
                });
                writer.item(&item).await?;
            }
        }
        writer.end_list();
        Ok(())
    }

    fn sitting(&self, row: &test_session::Model, paper: &Paper, answers: &[test_answer::Model]) -> Value {
        let answers: Vec<Value> = answers.iter().map(|answer| given(row, paper, answer)).collect();
        json!({
            "id": row.id.0,
            "testCardId": row.mock_test_attempt_id.0,
            "subject": self.names.subject(row.subject_id),
            "attemptNumber": row.attempt_number,
            "status": row.status.to_value(),
            "isOpen": row.open_marker.is_some(),
            "countsInRanking": row.ranked.is_some(),
            "startedAt": time(row.started_at),
            "expiresAt": time(row.expires_at),
            "submittedAt": time_or_null(row.submitted_at),
            "endReason": row.end_reason.map(|reason| reason.to_value()),
            "score": row.score,
            "maxScore": row.max_score,
            "percentage": row.percentage,
            "correct": row.correct,
            "wrong": row.wrong,
            "unanswered": row.unanswered,
            "timeTakenSeconds": row.time_taken_seconds,
            "answers": answers,
        })
    }

    async fn write_progress(&self, writer: &mut Writer) -> Result<(), Stop> {
        let reader = self.source.database.reader();
        let totals = topic_total::Entity::find()
            .filter(topic_total::Column::UserId.eq(self.user))
            .order_by_asc(topic_total::Column::TopicId)
            .all(reader)
            .await?;
        let mut topics: BTreeMap<TopicId, String> = BTreeMap::new();
        for totals in totals.chunks(MAX_IDS_PER_STATEMENT) {
            let found: Vec<(TopicId, String)> = topic::Entity::find()
                .select_only()
                .columns([topic::Column::Id, topic::Column::Name])
                .filter(topic::Column::Id.is_in(totals.iter().map(|row| row.topic_id)))
                .into_tuple()
                .all(reader)
                .await?;
            topics.extend(found);
        }
        let item = |row: topic_total::Model| {
            json!({
                "topic": { "id": row.topic_id.0, "name": topics.get(&row.topic_id) },
                "correct": row.correct,
                "wrong": row.wrong,
                "unanswered": row.unanswered,
                "score": row.score,
            })
        };
        writer.list("progress", totals.into_iter().map(item)).await
    }
}

/// Returns an answer as the learner gave it. Options are numbered from 1 in the order in which the sitting showed them.
/// The order in which the author wrote the options is not used, because that order can reveal the right answer.
fn given(row: &test_session::Model, paper: &Paper, answer: &test_answer::Model) -> Value {
    let question = paper.question(answer.slot);
    let options = question.map(|question| shown_options(row.seed, answer.slot, question, answer.chosen));
    json!({
        "slot": answer.slot,
        "options": options.unwrap_or_default(),
        "number": answer.numeric_value,
        "text": answer.text,
        "flagged": answer.flagged,
        "timeSpentSeconds": answer.time_spent_seconds,
        "batch": answer.sequence,
        "savedAt": time(answer.saved_at),
    })
}
