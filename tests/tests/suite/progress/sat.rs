//! Creates random sittings of the cards of a learner, and keeps the ended sittings in memory as well.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::test_session::SessionStatus;
use jishu_entity::{
    MockTestAttemptId, PaperId, SubjectId, TestSessionId, TopicId, mock_test_attempt, test_session,
};
use jishu_service::clock::Clock;
use jishu_service::progress;
use jishu_service::scoring::Tally;
use jishu_tests::{TestApp, TestCourse};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, TransactionTrait};

use super::world::{Learner, open, paper, tell_card, topic};

/// A scored sitting.
pub(super) struct Sitting {
    pub(super) id: TestSessionId,
    pub(super) subject: SubjectId,
    pub(super) card: MockTestAttemptId,
    pub(super) attempt: i32,
    pub(super) at: DateTime<Utc>,
    pub(super) percentage: i32,
    pub(super) seconds: i32,
    pub(super) topics: Vec<(TopicId, Tally)>,
}

/// Two courses, with the papers and the topics of their subjects.
pub(super) struct Bank {
    pub(super) courses: Vec<TestCourse>,
    pub(super) papers: BTreeMap<(SubjectId, i32), PaperId>,
    pub(super) topics: BTreeMap<SubjectId, Vec<(TopicId, String)>>,
}

pub(super) const CARDS: i32 = 8;

impl Bank {
    pub(super) async fn create(app: &TestApp) -> Self {
        let courses = vec![
            app.course(&["Physics", "Chemistry"]).cards(CARDS).create(app).await,
            app.course(&["History"]).cards(CARDS).create(app).await,
        ];
        let (mut papers, mut topics) = (BTreeMap::new(), BTreeMap::new());
        for subject in courses.iter().flat_map(|course| &course.subject_rows) {
            for number in 1..=CARDS {
                papers.insert((*subject, number), paper(app, *subject, number).await);
            }
            for name in ["Überblick", "Basics", "Advanced"] {
                let entry = (topic(app, *subject, name).await, name.to_owned());
                topics.entry(*subject).or_insert_with(Vec::new).push(entry);
            }
        }
        Self { courses, papers, topics }
    }

    fn random_topics(&self, subject: SubjectId, random: &mut StdRng) -> Vec<(TopicId, Tally)> {
        let mut topics = Vec::new();
        for (topic, _) in &self.topics[&subject] {
            if random.random_ratio(1, 3) {
                continue;
            }
            // In some topics no question is answered.
            let mut tally = Tally { unanswered: random.random_range(1..4), ..Tally::default() };
            if random.random_ratio(2, 3) {
                (tally.correct, tally.wrong) = (random.random_range(0..5), random.random_range(0..5));
            }
            tally.score = i64::from(400 * tally.correct - 100 * tally.wrong);
            topics.push((*topic, tally));
        }
        topics
    }
}

/// Creates random sittings of the learner's cards, and returns the sittings that have ended. Their ids are not in the
/// order of their ends. Sittings of different cards may end at the same time.
pub(super) async fn sit(app: &TestApp, bank: &Bank, learner: &Learner, random: &mut StdRng) -> Vec<Sitting> {
    let began = app.clock.now();
    let mut planned: Vec<(mock_test_attempt::Model, i32, Option<i64>)> = Vec::new();
    for card in learner.cards(app).await {
        let (sat, is_open) = (random.random_range(0..=3), random.random_ratio(1, 4));
        let is_open = is_open && sat < 3;
        tell_card(app, card.id, sat, is_open).await;
        let mut ends: Vec<i64> = (0..sat).map(|_| random.random_range(0..60)).collect();
        ends.sort_unstable();
        // The sittings of one card end one after the other.
        let ends = (0..).zip(ends).map(|(before, end)| Some(end + before));
        for (attempt, end) in (1..).zip(ends.chain(is_open.then_some(None))) {
            planned.push((card.clone(), attempt, end));
        }
    }
    planned.shuffle(random);
    let mut sittings = Vec::new();
    for (card, attempt, end) in planned {
        let paper = bank.papers[&(card.subject_id, card.test_number)];
        let mut row = open(&card, paper, attempt, began);
        let Some(minutes) = end else {
            row.insert(app.connection()).await.unwrap();
            continue;
        };
        let (percentage, seconds) = (random.random_range(-25_00..=100_00), random.random_range(1..3600));
        let at = began + TimeDelta::minutes(minutes);
        row.status = Set(SessionStatus::AutoSubmitted);
        row.open_marker = Set(None);
        row.submitted_at = Set(Some(at));
        row.score = Set(Some(percentage * 2));
        row.percentage = Set(Some(percentage));
        row.max_score = Set(Some(200_00));
        (row.correct, row.wrong, row.unanswered) = (Set(Some(0)), Set(Some(0)), Set(Some(0)));
        row.time_taken_seconds = Set(Some(seconds));
        let test_session::Model { id, .. } = row.insert(app.connection()).await.unwrap();
        let topics = bank.random_topics(card.subject_id, random);
        let transaction = app.connection().begin().await.unwrap();
        progress::add(&transaction, learner.id, &topics).await.unwrap();
        transaction.commit().await.unwrap();
        let (subject, card) = (card.subject_id, card.id);
        sittings.push(Sitting { id, subject, card, attempt, at, percentage, seconds, topics });
    }
    sittings
}
