//! How learners are doing, against what is computed from the same sittings in another way.

mod at_scale;
mod ranking;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use jishu_api::clock::Clock;
use jishu_api::service::progress;
use jishu_api::service::scoring::Tally;
use jishu_entity::test_session::SessionStatus;
use jishu_entity::{
    MockTestAttemptId, PaperId, SubjectId, TestSessionId, TopicId, mock_test_attempt, test_session,
};
use jishu_tests::{TestApp, TestCourse, on_each_database};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, TransactionTrait};
use serde_json::{Value, json};

use world::{Learner, learner, open, paper, tell_card, topic};

on_each_database!(
    progress_is_what_the_sittings_add_up_to,
    without_a_sitting_there_is_nothing_to_average,
    a_subject_that_is_none_of_theirs_has_no_progress,
    the_trend_has_a_length,
    only_what_is_asked_for_is_read,
);

const PROGRESS: &str = "
query ($subject: ID, $last: Int) {
  viewer {
    progress(subjectId: $subject) {
      testsTaken averagePercentage bestPercentage firstAverage latestAverage improvement timeSpentSeconds
      bySubject {
        subject { id } totalCards available inProgress completed exhausted averagePercentage
        byTopic { topic correct wrong unanswered score accuracy }
      }
      trend(last: $last) { at percentage session { id } }
    }
  }
}";

/// A scored sitting.
struct Sitting {
    id: TestSessionId,
    subject: SubjectId,
    card: MockTestAttemptId,
    attempt: i32,
    at: DateTime<Utc>,
    percentage: i32,
    seconds: i32,
    topics: Vec<(TopicId, Tally)>,
}

/// Subjects with their papers and topics.
struct Bank {
    courses: Vec<TestCourse>,
    papers: BTreeMap<(SubjectId, i32), PaperId>,
    topics: BTreeMap<SubjectId, Vec<(TopicId, String)>>,
}

const CARDS: i32 = 8;

impl Bank {
    async fn create(app: &TestApp) -> Self {
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
            // Now and then a topic of which no question is answered.
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

/// Sits a random part of the learner's cards. Ids are not in the order in which the sittings end, and some of those
/// that end at once are of different cards.
async fn sit(app: &TestApp, bank: &Bank, learner: &Learner, random: &mut StdRng) -> Vec<Sitting> {
    let began = app.clock.now();
    let mut planned: Vec<(mock_test_attempt::Model, i32, Option<i64>)> = Vec::new();
    for card in learner.cards(app).await {
        let (sat, is_open) = (random.random_range(0..=3), random.random_ratio(1, 4));
        let is_open = is_open && sat < 3;
        tell_card(app, card.id, sat, is_open).await;
        let mut ends: Vec<i64> = (0..sat).map(|_| random.random_range(0..60)).collect();
        ends.sort_unstable();
        // One card's sittings end one after the other.
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

async fn progress_is_what_the_sittings_add_up_to(app: Arc<TestApp>) {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let bank = Bank::create(&app).await;
    let [science, humanities] = [&bank.courses[0], &bank.courses[1]];

    let mut learners = Vec::new();
    for name in ["Asha", "Binod", "Chitra", "Devi"] {
        learners.push(learner(&app, name).await);
    }
    let [asha, binod, chitra, devi] = [0, 1, 2, 3].map(|index| &learners[index]);
    // Asha bought a subject, gave it back, and bought it again; she has sat the cards of both purchases.
    asha.purchase(science, 0).await;
    asha.lose(&app, science.subject_rows[0]).await;
    asha.purchase(science, 0).await;
    asha.purchase(humanities, 0).await;
    // Binod has lost what he sat.
    binod.purchase(science, 1).await;
    binod.lose(&app, science.subject_rows[1]).await;
    for subject in [0, 1] {
        chitra.purchase(science, subject).await;
    }
    chitra.purchase(humanities, 0).await;
    devi.purchase(humanities, 0).await;

    let mut compared = 0;
    for learner in &learners {
        let sittings = sit(&app, &bank, learner, &mut random).await;
        for subject in [None].into_iter().chain(bank.topics.keys().copied().map(Some)) {
            for last in [7, 100] {
                let variables = json!({ "subject": subject.map(|SubjectId(id)| app.global("Subject", id)), "last": last });
                let answer = learner.client.run_with(PROGRESS, variables.clone()).await;
                let expected = expected(&app, &bank, learner, &sittings, subject, last).await;
                assert_eq!(answer.at("/viewer/progress"), &expected, "seed {seed}, {variables}");
            }
        }
        compared += sittings.len();
    }
    assert!(compared > 60, "{compared} sittings");
}

/// The same from the sittings in memory.
async fn expected(
    app: &TestApp,
    bank: &Bank,
    learner: &Learner,
    sittings: &[Sitting],
    subject: Option<SubjectId>,
    last: usize,
) -> Value {
    let in_scope = |of: SubjectId| subject.is_none_or(|subject| subject == of);
    let sittings: Vec<&Sitting> = sittings.iter().filter(|sitting| in_scope(sitting.subject)).collect();
    let percentages = |of: &[&Sitting]| of.iter().map(|it| i64::from(it.percentage)).collect::<Vec<_>>();

    let (mut first, mut latest) = (Vec::new(), Vec::new());
    for sitting in sittings.iter().filter(|sitting| sitting.attempt == 1) {
        let others = sittings.iter().filter(|other| other.card == sitting.card && other.attempt > 1);
        if let Some(latest_of_card) = others.max_by_key(|other| other.attempt) {
            first.push(i64::from(sitting.percentage));
            latest.push(i64::from(latest_of_card.percentage));
        }
    }
    let improvements: Vec<i64> = first.iter().zip(&latest).map(|(first, latest)| latest - first).collect();

    let mut cards: BTreeMap<SubjectId, BTreeMap<String, i64>> = BTreeMap::new();
    for card in learner.cards(app).await.iter().filter(|card| in_scope(card.subject_id)) {
        *cards.entry(card.subject_id).or_default().entry(format!("{:?}", card.status)).or_default() += 1;
    }
    let by_subject = cards.iter().map(|(id, cards)| {
        let of_subject: Vec<&Sitting> = sittings.iter().copied().filter(|it| it.subject == *id).collect();
        let count = |status: &str| cards.get(status).copied().unwrap_or_default();
        json!({
            "subject": { "id": app.global("Subject", id.0) },
            "totalCards": cards.values().sum::<i64>(),
            "available": count("Available"),
            "inProgress": count("InProgress"),
            "completed": count("Completed"),
            "exhausted": count("Exhausted"),
            "averagePercentage": average(&percentages(&of_subject)),
            "byTopic": bank.topics[id].iter().filter_map(|topic| topic_result(topic, &of_subject)).collect::<Vec<_>>(),
        })
    });
    let by_subject: Vec<Value> = by_subject.collect();

    let mut in_time = sittings.clone();
    in_time.sort_by_key(|sitting| (sitting.at, sitting.id));
    let trend = in_time.iter().skip(in_time.len().saturating_sub(last)).map(|sitting| {
        json!({
            "at": sitting.at.to_rfc3339_opts(SecondsFormat::Micros, true),
            "percentage": hundredths(sitting.percentage.into()),
            "session": { "id": app.global("TestSession", sitting.id.0) },
        })
    });
    let trend: Vec<Value> = trend.collect();
    json!({
        "testsTaken": sittings.len(),
        "averagePercentage": average(&percentages(&sittings)),
        "bestPercentage": percentages(&sittings).into_iter().max().map(hundredths),
        "firstAverage": average(&first),
        "latestAverage": average(&latest),
        "improvement": average(&improvements),
        "timeSpentSeconds": sittings.iter().map(|sitting| sitting.seconds).sum::<i32>(),
        "bySubject": by_subject,
        "trend": trend,
    })
}

fn topic_result((id, name): &(TopicId, String), sittings: &[&Sitting]) -> Option<Value> {
    let of_topic = |sitting: &&Sitting| sitting.topics.iter().find(|(topic, _)| topic == id).map(|it| it.1);
    let tallies: Vec<Tally> = sittings.iter().filter_map(of_topic).collect();
    let sum = |part: fn(&Tally) -> i32| tallies.iter().map(part).sum::<i32>();
    let (correct, wrong) = (sum(|tally| tally.correct), sum(|tally| tally.wrong));
    // One hundred per cent for each correct answer and nought for each wrong one, on average.
    let answers = [vec![100_00; usize::try_from(correct).unwrap()], vec![0; usize::try_from(wrong).unwrap()]];
    (!tallies.is_empty()).then(|| {
        json!({
            "topic": name,
            "correct": correct,
            "wrong": wrong,
            "unanswered": sum(|tally| tally.unanswered),
            "score": hundredths(i64::from(400 * correct - 100 * wrong)),
            "accuracy": average(&answers.concat()),
        })
    })
}

/// Rounded half away from zero.
fn average(values: &[i64]) -> Option<String> {
    let count = i64::try_from(values.len()).unwrap();
    let sum: i64 = values.iter().sum();
    (count > 0).then(|| hundredths(sum.signum() * ((2 * sum.abs() + count) / (2 * count))))
}

fn hundredths(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", value.abs() / 100, value.abs() % 100)
}

async fn without_a_sitting_there_is_nothing_to_average(app: Arc<TestApp>) {
    let bank = Bank::create(&app).await;
    let asha = learner(&app, "Asha").await;
    let nothing = json!({
        "testsTaken": 0, "averagePercentage": null, "bestPercentage": null, "firstAverage": null,
        "latestAverage": null, "improvement": null, "timeSpentSeconds": 0, "bySubject": [], "trend": [],
    });
    assert_eq!(asha.client.run(PROGRESS).await.at("/viewer/progress"), &nothing);

    // An open sitting is none yet, and one of below nought is one.
    asha.purchase(&bank.courses[1], 0).await;
    let card = asha.cards(&app).await.swap_remove(0);
    let at = app.clock.now();
    let row = open(&card, bank.papers[&(card.subject_id, card.test_number)], 1, at);
    let row = row.insert(app.connection()).await.unwrap();
    tell_card(&app, card.id, 0, true).await;
    let mut started = nothing.clone();
    started["bySubject"] = json!([{
        "subject": { "id": bank.courses[1].subjects[0] }, "totalCards": CARDS, "available": CARDS - 1,
        "inProgress": 1, "completed": 0, "exhausted": 0, "averagePercentage": null, "byTopic": [],
    }]);
    assert_eq!(asha.client.run(PROGRESS).await.at("/viewer/progress"), &started);

    let over = test_session::ActiveModel {
        status: Set(SessionStatus::Submitted),
        open_marker: Set(None),
        submitted_at: Set(Some(at)),
        score: Set(Some(-45_00)),
        percentage: Set(Some(-25_00)),
        time_taken_seconds: Set(Some(60)),
        ..row.into()
    };
    over.update(app.connection()).await.unwrap();
    let progress = asha.client.run(PROGRESS).await;
    for field in ["averagePercentage", "bestPercentage"] {
        assert_eq!(progress.text(&format!("/viewer/progress/{field}")), "-25.00");
    }
    assert_eq!(progress.at("/viewer/progress/improvement"), &Value::Null, "sat once");
    assert_eq!(progress.text("/viewer/progress/trend/0/percentage"), "-25.00");
}

async fn a_subject_that_is_none_of_theirs_has_no_progress(app: Arc<TestApp>) {
    let bank = Bank::create(&app).await;
    let (asha, binod) = (learner(&app, "Asha").await, learner(&app, "Binod").await);
    asha.purchase(&bank.courses[0], 0).await;
    sit(&app, &bank, &asha, &mut StdRng::seed_from_u64(1)).await;
    let of = |id: &str| json!({ "subject": id });
    let hers = asha.client.run_with(PROGRESS, of(&bank.courses[0].subjects[0])).await;
    assert!(hers.number("/viewer/progress/testsTaken") > 0);
    let nothing = binod.client.run(PROGRESS).await;
    for id in [&bank.courses[0].subjects[0], &app.global("Subject", 999_999)] {
        let his = binod.client.run_with(PROGRESS, of(id)).await;
        assert_eq!(his.at("/viewer"), nothing.at("/viewer"));
    }
    for id in [bank.courses[0].id.as_str(), "x", ""] {
        let (code, message) = asha.client.fail(PROGRESS, of(id)).await;
        assert_eq!(code, "BAD_USER_INPUT");
        assert!(message.contains("`subjectId` is not the id of a Subject"), "{message}");
    }
    assert_eq!(app.anonymous().run(PROGRESS).await.at("/viewer"), &Value::Null);
}

async fn the_trend_has_a_length(app: Arc<TestApp>) {
    let bank = Bank::create(&app).await;
    let asha = learner(&app, "Asha").await;
    for subject in [0, 1] {
        asha.purchase(&bank.courses[0], subject).await;
    }
    asha.purchase(&bank.courses[1], 0).await;
    let sittings = sit(&app, &bank, &asha, &mut StdRng::seed_from_u64(3)).await;
    assert!(sittings.len() > 20, "{}", sittings.len());
    let unspoken = asha.client.run("{ viewer { progress { trend { at } } } }").await;
    assert_eq!(unspoken.list("/viewer/progress/trend").len(), 20);
    for (last, length) in [(1, 1), (20, 20), (100, sittings.len())] {
        let answer = asha.client.run_with(PROGRESS, json!({ "last": last })).await;
        assert_eq!(answer.list("/viewer/progress/trend").len(), length);
    }
    for last in [0, -1, 101, i32::MAX] {
        let (code, message) = asha.client.fail(PROGRESS, json!({ "last": last })).await;
        assert_eq!(code, "BAD_USER_INPUT");
        assert!(message.contains(&format!("`last` must be 1 to 100; {last} was given")), "{message}");
    }
}

async fn only_what_is_asked_for_is_read(app: Arc<TestApp>) {
    let bank = Bank::create(&app).await;
    let (asha, binod) = (learner(&app, "Asha").await, learner(&app, "Binod").await);
    for subject in [0, 1] {
        asha.purchase(&bank.courses[0], subject).await;
    }
    asha.purchase(&bank.courses[1], 0).await;
    binod.purchase(&bank.courses[0], 0).await;
    for learner in [&asha, &binod] {
        assert!(!sit(&app, &bank, learner, &mut StdRng::seed_from_u64(2)).await.is_empty());
    }
    let of_subjects =
        "bySubject { subject { name } totalCards averagePercentage byTopic { topic accuracy } }";
    for (fields, statements) in [
        ("__typename", 0),
        ("testsTaken averagePercentage bestPercentage timeSpentSeconds", 1),
        ("firstAverage latestAverage improvement", 1),
        ("bySubject { totalCards available inProgress completed exhausted subject { name } }", 1),
        ("bySubject { averagePercentage }", 2),
        ("bySubject { byTopic { topic score } }", 2),
        (of_subjects, 3),
        ("trend { at percentage }", 1),
        ("trend(last: 100) { session { attemptNumber result { percentage percentile } } }", 2),
        (&format!("testsTaken improvement {of_subjects} trend(last: 100) {{ at percentage }}"), 5),
    ] {
        let document = format!("{{ viewer {{ progress {{ {fields} }} }} }}");
        // Of three subjects, and of one.
        for learner in [&asha, &binod] {
            let _ = app.take_statements();
            learner.client.run(&document).await;
            // The catalogue is read again in the background.
            let of_progress = |sql: &String| {
                ["test_sessions", "mock_test_attempts", "topic_totals"]
                    .iter()
                    .any(|table| sql.contains(table))
            };
            let ran: Vec<_> = app.take_statements().into_iter().filter(of_progress).collect();
            assert_eq!(ran.len(), statements, "{fields}\n{ran:#?}");
        }
    }
}
