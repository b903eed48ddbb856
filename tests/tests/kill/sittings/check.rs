//! Checks all sittings after a storm. The rules hold no matter which process was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::test_session::SessionStatus;
use jishu_entity::{
    TestSessionId, mock_test_attempt, paper, paper_question, paper_score, question_version, test_answer,
    test_session, topic_total,
};
use jishu_tests::judged;
use sea_orm::{DatabaseConnection, EntityTrait, QueryOrder};
use serde_json::json;

use super::ledger::{Given, Ledger, Sitting};
use super::{Shared, shared};
use crate::storm::row;
use crate::world::World;

/// Maximum time that the server may take to close overdue sittings.
const MAX_CLOSING_TIME: Duration = Duration::from_secs(20);

/// Returns all violations of the checks.
pub(crate) async fn violations(world: &World, ledger: &Ledger) -> Vec<String> {
    let mut violations = ledger.errors.clone();
    if ledger.without_response > 0 {
        violations.push(format!("{} starts never got a response", ledger.without_response));
    }
    let connection = world.connect().await;
    wait_for_deadlines(world, &connection, &mut violations).await;
    let stored = Stored::read(&connection).await;
    stored.check_scores(&mut violations);
    stored.check_cards(&mut violations);
    stored.check_sums(&mut violations);
    stored.check_ledger(ledger, &mut violations);
    check_events(world, &connection, &mut violations).await;
    connection.close().await.expect("closing");
    check_answers(world, ledger, &stored, &mut violations).await;
    violations
}

/// Waits until the server has closed the two-second sittings that their learners left open.
async fn wait_for_deadlines(world: &World, connection: &DatabaseConnection, violations: &mut Vec<String>) {
    let short = world.subjects[1];
    let open = format!("SELECT id FROM test_sessions WHERE open_marker = 1 AND subject_id = {short}");
    let started = Instant::now();
    loop {
        let left = world.numbers(connection, &open).await;
        if left.is_empty() {
            return;
        }
        if started.elapsed() > MAX_CLOSING_TIME {
            violations.push(format!("{} sittings are overdue and open, first {}", left.len(), left[0]));
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Checks for each card that it has one audit event for each start, and for each end, of its sittings.
async fn check_events(world: &World, connection: &DatabaseConnection, violations: &mut Vec<String>) {
    for (action, condition) in [("started", "1 = 1"), ("closed", "s.open_marker IS NULL")] {
        let differ = format!(
            "SELECT c.id FROM mock_test_attempts c WHERE \
             (SELECT COUNT(*) FROM test_sessions s WHERE s.mock_test_attempt_id = c.id AND {condition}) <> \
             (SELECT COUNT(*) FROM audit_events a WHERE a.target_type = 'mock_test_attempts' \
              AND a.target_id = c.id AND a.action = 'test_session.{action}')"
        );
        let cards = world.numbers(connection, &differ).await;
        if !cards.is_empty() {
            violations.push(format!(
                "on {} cards, sittings and events test_session.{action} differ in number, first {}",
                cards.len(),
                cards[0]
            ));
        }
    }
}

/// The rows of the tables that the checks compare.
struct Stored {
    sessions: Vec<test_session::Model>,
    answers: BTreeMap<TestSessionId, BTreeMap<i32, test_answer::Model>>,
    cards: Vec<mock_test_attempt::Model>,
    papers: BTreeMap<i64, paper::Model>,
    /// The number and the topic of the question in each slot of a paper.
    slots: BTreeMap<i64, BTreeMap<i32, (i64, i64)>>,
    totals: BTreeMap<(i64, i64), Sum>,
    scores: BTreeMap<(i64, i32), i64>,
}

/// The numbers of correct, wrong and unanswered questions, and the sum of the marks.
type Sum = (i32, i32, i32, i64);

impl Stored {
    async fn read(connection: &DatabaseConnection) -> Self {
        let questions: BTreeMap<_, _> = question_version::Entity::find()
            .all(connection)
            .await
            .expect("the query runs")
            .into_iter()
            .map(|version| {
                let number = version.stem.trim_start_matches("Question ").parse().expect("of the bank");
                (version.id.0, (number, version.topic_id.0))
            })
            .collect();
        let mut slots: BTreeMap<i64, BTreeMap<i32, (i64, i64)>> = BTreeMap::new();
        for slot in paper_question::Entity::find().all(connection).await.expect("the query runs") {
            slots.entry(slot.paper_id.0).or_default().insert(slot.slot, questions[&slot.version_id.0]);
        }
        let mut answers: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for answer in test_answer::Entity::find().all(connection).await.expect("the query runs") {
            answers.entry(answer.session_id).or_default().insert(answer.slot, answer);
        }
        let sessions = test_session::Entity::find()
            .order_by_asc(test_session::Column::MockTestAttemptId)
            .order_by_asc(test_session::Column::AttemptNumber);
        let papers = paper::Entity::find().all(connection).await.expect("the query runs");
        let totals = topic_total::Entity::find().all(connection).await.expect("the query runs");
        let scores = paper_score::Entity::find().all(connection).await.expect("the query runs");
        Self {
            sessions: sessions.all(connection).await.expect("the query runs"),
            answers,
            cards: mock_test_attempt::Entity::find().all(connection).await.expect("the query runs"),
            papers: papers.into_iter().map(|paper| (paper.id.0, paper)).collect(),
            slots,
            totals: totals
                .into_iter()
                .map(|row| {
                    let sum = (row.correct, row.wrong, row.unanswered, row.score);
                    ((row.user_id.0, row.topic_id.0), sum)
                })
                .collect(),
            scores: scores.into_iter().map(|row| ((row.paper_id.0, row.score), row.learners)).collect(),
        }
    }

    fn closed(&self) -> impl Iterator<Item = &test_session::Model> {
        self.sessions.iter().filter(|session| session.open_marker.is_none())
    }

    /// Scores the stored answers of a sitting, without the server's scoring. Returns the sums of each topic.
    fn judge(&self, session: &test_session::Model) -> BTreeMap<i64, Sum> {
        let paper = &self.papers[&session.paper_id.0];
        let mut topics: BTreeMap<i64, Sum> = BTreeMap::new();
        for (slot, (number, topic)) in &self.slots[&session.paper_id.0] {
            let answer = self.answers.get(&session.id).and_then(|answers| answers.get(slot));
            let verdict = answer
                .and_then(|it| judged(*number, it.chosen, it.numeric_value.as_deref(), it.text.as_deref()));
            let sum = topics.entry(*topic).or_default();
            let (count, marks) = match verdict {
                Some(true) => (&mut sum.0, paper.marks_correct),
                Some(false) => (&mut sum.1, paper.marks_wrong),
                None => (&mut sum.2, paper.marks_unanswered),
            };
            *count += 1;
            sum.3 += i64::from(marks);
        }
        topics
    }

    /// Checks that the score of each ended sitting results from exactly the stored answers.
    fn check_scores(&self, violations: &mut Vec<String>) {
        for session in self.closed() {
            let due = total(self.judge(session).values());
            let most = i64::from(self.papers[&session.paper_id.0].marks_correct)
                * i64::try_from(self.slots[&session.paper_id.0].len()).expect("few");
            let told = (session.correct, session.wrong, session.unanswered, session.score.map(i64::from));
            if told != (Some(due.0), Some(due.1), Some(due.2), Some(due.3)) {
                violations.push(format!(
                    "sitting {}: scored {told:?}, the stored answers give {due:?}",
                    session.id
                ));
            }
            let percentage = session.percentage.map(i64::from);
            if session.max_score.map(i64::from) != Some(most) || percentage != Some(rounded(due.3, most)) {
                violations
                    .push(format!("sitting {}: wrong maximum or percentage {percentage:?}", session.id));
            }
        }
    }

    fn check_cards(&self, violations: &mut Vec<String>) {
        let mut of_cards: BTreeMap<_, Vec<&test_session::Model>> = BTreeMap::new();
        for session in &self.sessions {
            of_cards.entry(session.mock_test_attempt_id).or_default().push(session);
        }
        for card in &self.cards {
            let sessions = of_cards.get(&card.id).map(Vec::as_slice).unwrap_or_default();
            let scores: Vec<i32> = sessions.iter().filter_map(|session| session.score).collect();
            let open = sessions.iter().filter(|session| session.open_marker.is_some()).count();
            let numbers: Vec<i32> = sessions.iter().map(|session| session.attempt_number).collect();
            let used = i32::try_from(sessions.len()).expect("few");
            let status = match used {
                _ if open > 0 => CardStatus::InProgress,
                0 => CardStatus::Available,
                _ if used >= card.max_attempts => CardStatus::Exhausted,
                _ => CardStatus::Completed,
            };
            let due = (used, status, scores.last(), scores.first(), scores.iter().max());
            let (latest, first) = (card.latest_score.as_ref(), card.first_score.as_ref());
            let has = (card.attempts_used, card.status, latest, first, card.best_score.as_ref());
            if open > 1 || used > card.max_attempts || numbers != (1..=used).collect::<Vec<_>>() || has != due
            {
                violations.push(format!("card {}: (used, status, latest, first, best) is {has:?}; its sittings {numbers:?}, {open} of them open, give {due:?}", card.id));
            }
        }
    }

    /// Checks the topic totals of each learner, the learners with each score of a paper, and which sittings are ranked.
    fn check_sums(&self, violations: &mut Vec<String>) {
        let mut totals: BTreeMap<(i64, i64), Sum> = BTreeMap::new();
        let mut scores: BTreeMap<(i64, i32), i64> = BTreeMap::new();
        let mut ranked = BTreeSet::new();
        for session in self.closed() {
            for (topic, sum) in self.judge(session) {
                let so_far = totals.entry((session.user_id.0, topic)).or_default();
                *so_far = total([&*so_far, &sum]);
            }
            // Only a learner's first sitting of a paper counts in the ranking. The sittings come in the order of
            // attempts, and a learner has one card of a paper.
            let is_first = ranked.insert((session.user_id, session.paper_id));
            if session.ranked != is_first.then_some(1) {
                violations.push(format!("sitting {} is ranked as {:?}", session.id, session.ranked));
            }
            if is_first {
                *scores.entry((session.paper_id.0, session.score.unwrap_or_default())).or_default() += 1;
            }
        }
        for (topic, has, due) in differences(&self.totals, &totals) {
            violations
                .push(format!("learner and topic {topic:?}: stored {has:?}, the sittings give {due:?}"));
        }
        for (score, has, due) in differences(&self.scores, &scores) {
            violations.push(format!("paper and score {score:?}: stored {has:?} learners, not {due:?}"));
        }
    }

    /// Compares the stored rows with the responses that learners got.
    fn check_ledger(&self, ledger: &Ledger, violations: &mut Vec<String>) {
        let rows: BTreeMap<i64, &test_session::Model> =
            self.sessions.iter().map(|session| (session.id.0, session)).collect();
        let mut told_of = BTreeSet::new();
        for sitting in &ledger.sittings {
            let Some(session) = rows.get(&row(&sitting.id)) else {
                violations.push(format!("{} is lost", sitting.id));
                continue;
            };
            told_of.insert(session.id);
            let is = (session.user_id.0, session.mock_test_attempt_id.0, i64::from(session.attempt_number));
            if is != (sitting.learner, sitting.card, sitting.attempt) {
                violations.push(format!("{} has another learner, card or attempt: {is:?}", sitting.id));
            }
            let told: Option<DateTime<Utc>> = sitting.expires_at.parse().ok();
            if told != Some(session.expires_at) {
                let (told, is) = (&sitting.expires_at, session.expires_at);
                violations.push(format!("{}: the deadline was {told} and is {is}", sitting.id));
            }
            self.check_slots(sitting, session.id, violations);
            if sitting.result.is_some() && session.status == SessionStatus::InProgress {
                violations.push(format!("{} was submitted and is open", sitting.id));
            }
        }
        // A start of a short sitting may get its response when that sitting has ended. The response can then name the
        // next sitting, so only long sittings are checked.
        let untold = self.sessions.iter().filter(|session| !told_of.contains(&session.id));
        let untold: Vec<_> =
            untold.filter(|it| it.expires_at - it.started_at > chrono::TimeDelta::minutes(1)).collect();
        if let Some(first) = untold.first() {
            violations.push(format!(
                "{} sittings that no response named, the first is {}",
                untold.len(),
                first.id
            ));
        }
    }

    /// Checks that each slot has an answer that the learner sent, from the last acknowledged batch or from a later
    /// batch. A submission after the deadline saves no batch, but the server acknowledges an answer of its batch that
    /// an earlier batch has saved already. So in a short sitting, a slot may have the same answer from an earlier
    /// batch.
    fn check_slots(&self, sitting: &Sitting, id: TestSessionId, violations: &mut Vec<String>) {
        let none = BTreeMap::new();
        let answers = self.answers.get(&id).unwrap_or(&none);
        let given = |stored: &test_answer::Model| Given {
            chosen: stored.chosen,
            number: stored.numeric_value.clone(),
            text: stored.text.clone(),
        };
        // The batch of the submission has the greatest sequence.
        let submitted =
            sitting.result.as_ref().and_then(|_| sitting.sent.keys().map(|(_, number)| *number).max());
        for (slot, acknowledged) in &sitting.acknowledged {
            let stored = i32::try_from(*slot).ok().and_then(|slot| answers.get(&slot));
            let is_stored = stored.is_some_and(|stored| {
                let is_same = sitting.sent.get(&(*slot, *acknowledged)) == Some(&given(stored));
                let is_of_submission = sitting.is_short && submitted == Some(*acknowledged);
                i64::from(stored.sequence) >= *acknowledged || (is_of_submission && is_same)
            });
            if !is_stored {
                violations.push(format!("{}: batch {acknowledged} is lost in slot {slot}", sitting.id));
            }
        }
        for (slot, stored) in answers {
            let given = given(stored);
            if sitting.sent.get(&(i64::from(*slot), i64::from(stored.sequence))) != Some(&given) {
                violations.push(format!("{}: slot {slot} has {given:?}, which was never sent", sitting.id));
            }
        }
    }
}

fn total<'a>(sums: impl IntoIterator<Item = &'a Sum>) -> Sum {
    sums.into_iter().fold(Sum::default(), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2, a.3 + b.3))
}

/// Returns the score in hundredths of a per cent of `most`, rounded half away from zero.
fn rounded(score: i64, most: i64) -> i64 {
    score.signum() * (score.abs() * 20_000 + most) / (2 * most)
}

/// Returns the keys that have different values in the two maps, with both values. `None` means that the key is missing.
fn differences<K: Ord + Copy, V: PartialEq + Copy>(
    has: &BTreeMap<K, V>,
    due: &BTreeMap<K, V>,
) -> Vec<(K, Option<V>, Option<V>)> {
    let keys: BTreeSet<K> = has.keys().chain(due.keys()).copied().collect();
    let both = keys.into_iter().map(|key| (key, has.get(&key).copied(), due.get(&key).copied()));
    both.filter(|(_, has, due)| has != due).collect()
}

const NODE: &str = "query ($id: ID!) { node(id: $id) { ... on TestSession { status expiresAt
    questions { slot answer { optionIds numericValue text } }
    result { score maxScore percentage correct wrong unanswered timeTakenSeconds } } } }";

/// Reads each sitting from the server and compares it with the stored rows.
async fn check_answers(world: &World, ledger: &Ledger, stored: &Stored, violations: &mut Vec<String>) {
    let shared = &shared(world, Duration::ZERO);
    let found: Vec<Option<String>> = stream::iter(&ledger.sittings)
        .map(|sitting| check_answer(shared, sitting, stored))
        .buffer_unordered(8)
        .collect()
        .await;
    violations.extend(found.into_iter().flatten());
}

async fn check_answer(shared: &Shared, sitting: &Sitting, stored: &Stored) -> Option<String> {
    let token = shared.token(sitting.learner);
    let body = json!({ "query": NODE, "variables": { "id": sitting.id } });
    let Some(answer) = shared.send(&token, &body).await else {
        return Some(format!("{}: the server does not return the sitting", sitting.id));
    };
    let node = &answer["data"]["node"];
    if node["expiresAt"] != sitting.expires_at.as_str() {
        return Some(format!("{}: a later response changed its deadline: {node}", sitting.id));
    }
    if let Some((status, result)) = &sitting.result
        && (node["status"] != *status || node["result"] != *result)
    {
        return Some(format!("{}: a later response changed its result: {node}", sitting.id));
    }
    let answers = stored.answers.get(&TestSessionId(row(&sitting.id)));
    for (shown, question) in node["questions"].as_array()?.iter().zip(&sitting.questions) {
        let slot = i32::try_from(shown["slot"].as_i64()?).ok()?;
        let given = answers.and_then(|answers| answers.get(&slot));
        let ids = shown["answer"]["optionIds"].as_array().cloned().unwrap_or_default();
        let chosen = question.options.iter().filter(|(_, id)| ids.contains(&json!(id)));
        let shown = Given {
            chosen: chosen.fold(0, |bits, (position, _)| bits | 1 << position),
            number: shown["answer"]["numericValue"].as_str().map(str::to_owned),
            text: shown["answer"]["text"].as_str().map(str::to_owned),
        };
        let stands = given.map_or_else(Given::default, |row| Given {
            chosen: row.chosen,
            number: row.numeric_value.clone(),
            text: row.text.clone(),
        });
        if shown != stands {
            return Some(format!("{}: slot {slot} shows {shown:?}, {stands:?} is stored", sitting.id));
        }
    }
    None
}
