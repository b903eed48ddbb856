//! Makes the rows of a carried sitting: the sitting, its answers, and the paper of its old card.

use chrono::TimeDelta;
use jishu_entity::{
    MockTestAttemptId, PaperId, QuestionId, QuestionVersionId, SubjectId, TestSessionId, UserId,
    paper_question, test_answer, test_session,
};
use sea_orm::ActiveValue::Set;

use super::batch::Fate;
use super::courses::{FIRST_OLD_TEST_NUMBER, TIME_LIMIT_SECONDS, paper};
use super::old::{ANSWERS, SITTINGS, SUBJECTS};
use super::purchases::PurchaseBatch;
use super::sittings::{SittingPlan, percentage};

impl PurchaseBatch<'_> {
    /// Adds a carried sitting of a card to the batch, with its answers and paper, and its remarks to the ledger.
    /// `attempt` is the attempt number.
    pub(super) fn add_sitting(
        &mut self,
        (card, user, subject): (MockTestAttemptId, UserId, SubjectId),
        attempt: i32,
        plan: &SittingPlan,
    ) {
        for note in &plan.notes {
            self.batch.note(self.state, (&SITTINGS, plan.id), note.as_str());
        }
        if let Some(reason) = &plan.lost_answers {
            self.batch.record(self.state, (&ANSWERS, plan.id), Fate::NotCarried, None, reason.as_str());
        }
        let id = TestSessionId(plan.id);
        let paper_id = match &plan.answers {
            Some(_) => self.paper_of_card(subject, plan),
            None => PaperId(subject.0),
        };
        let deadline = plan.started_at + TimeDelta::seconds(TIME_LIMIT_SECONDS.into());
        self.batch.sittings.push(test_session::ActiveModel {
            id: Set(id),
            mock_test_attempt_id: Set(card),
            user_id: Set(user),
            subject_id: Set(subject),
            paper_id: Set(paper_id),
            paper_revision: Set(1),
            attempt_number: Set(attempt),
            seed: Set(plan.id),
            status: Set(plan.status),
            open_marker: Set(None),
            // Learners had different questions in the same test, so old sittings cannot be ranked.
            ranked: Set(None),
            started_at: Set(plan.started_at),
            expires_at: Set(deadline.max(plan.submitted_at)),
            submitted_at: Set(Some(plan.submitted_at)),
            end_reason: Set(None),
            score: Set(Some(plan.score)),
            max_score: Set(Some(plan.questions * super::courses::MARKS_CORRECT)),
            percentage: Set(Some(percentage(plan.score, plan.questions))),
            correct: Set(Some(plan.correct)),
            wrong: Set(Some(plan.wrong)),
            unanswered: Set(Some(plan.unanswered)),
            time_taken_seconds: Set(Some(plan.time_taken)),
            saves: Set(0),
        });
        self.batch.answers.extend(plan.answers.iter().flatten().map(|answer| test_answer::ActiveModel {
            session_id: Set(id),
            slot: Set(answer.slot),
            chosen: Set(answer.chosen),
            numeric_value: Set(None),
            text: Set(None),
            flagged: Set(false),
            time_spent_seconds: Set(answer.time_taken),
            sequence: Set(1),
            saved_at: Set(plan.submitted_at),
        }));
    }

    /// Returns the id of the paper with the questions of an old card. Adds the paper to the batch at the first call for
    /// the card.
    fn paper_of_card(&mut self, subject: SubjectId, plan: &SittingPlan) -> PaperId {
        let id = PaperId(self.state.size(&SUBJECTS).max_id + plan.card);
        if self.batch.papers.iter().any(|paper| paper.id == Set(id)) {
            return id;
        }
        let number = i32::try_from(plan.card).unwrap_or(i32::MAX).saturating_add(FIRST_OLD_TEST_NUMBER);
        self.batch.papers.push(paper(id, subject, (number, plan.card), plan.started_at));
        let slots = self.slots_of_card(plan.card);
        self.batch.paper_questions.extend((1..).zip(slots).map(|(slot, question)| {
            paper_question::ActiveModel {
                paper_id: Set(id),
                slot: Set(slot),
                question_id: Set(QuestionId(question)),
                version_id: Set(QuestionVersionId(question)),
            }
        }));
        id
    }
}
