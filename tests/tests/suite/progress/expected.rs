//! Computes the expected progress in memory, from the sittings, the cards and the entitlements.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use jishu_entity::mock_test_attempt::CardStatus;
use jishu_entity::{SubjectId, TopicId, entitlement};
use jishu_service::scoring::Tally;
use jishu_tests::TestApp;
use sea_orm::{ColumnTrait, QueryFilter};
use serde_json::{Value, json};

use super::sat::{Bank, Sitting};
use super::world::Learner;

/// Returns the `progress` that the server should return for these sittings, with the last `last` items of the trend.
pub(super) async fn expected(
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

    let held = entitlement::Entity::of(learner.id).filter(entitlement::Column::EndedAt.is_null());
    let held = held.all(app.connection()).await.unwrap();
    let mut cards: BTreeMap<SubjectId, BTreeMap<String, i64>> = BTreeMap::new();
    for card in learner.cards(app).await.iter().filter(|card| in_scope(card.subject_id)) {
        let holds =
            held.iter().any(|it| (it.purchase_id, it.subject_id) == (card.purchase_id, card.subject_id));
        let status = match card.status {
            CardStatus::Available if !holds => "lost".to_owned(),
            status => format!("{status:?}"),
        };
        *cards.entry(card.subject_id).or_default().entry(status).or_default() += 1;
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
    // The accuracy is the average of 100 for each correct answer and 0 for each wrong answer.
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

/// Returns the average of values in hundredths as a text with two decimal places, rounded half away from zero. Returns
/// None if there are no values.
fn average(values: &[i64]) -> Option<String> {
    let count = i64::try_from(values.len()).unwrap();
    let sum: i64 = values.iter().sum();
    (count > 0).then(|| hundredths(sum.signum() * ((2 * sum.abs() + count) / (2 * count))))
}

fn hundredths(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", value.abs() / 100, value.abs() % 100)
}
