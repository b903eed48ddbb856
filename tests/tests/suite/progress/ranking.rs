//! The percentile of a sitting among all learners who sat its paper, compared with a count that the test makes. Also
//! the totals of topics.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Arc;

use futures_util::future::join_all;
use jishu_entity::test_session::SessionStatus;
use jishu_entity::{PaperId, TopicId, UserId, test_session, topic_total};
use jishu_service::clock::Clock;
use jishu_service::database::WritePolicy;
use jishu_service::{Error, progress, ranking, scoring::Tally};
use jishu_tests::{TestApp, on_each_database};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, TransactionTrait};

use super::world::{learner, open, paper, topic};

on_each_database!(
    percentiles_are_those_of_a_plain_count,
    learners_who_end_at_once_are_all_counted,
    totals_of_topics_add_up,
);

/// Ends a sitting with this score, in a transaction that ranks it as the server does. Returns the row of the sitting.
async fn close(app: &TestApp, session: &test_session::Model, score: i32) -> test_session::Model {
    let transaction = app.connection().begin().await.unwrap();
    let ranked = ranking::rank(&transaction, session.paper_id, session.user_id, score).await.unwrap();
    let over = test_session::ActiveModel {
        status: Set(SessionStatus::Submitted),
        open_marker: Set(None),
        ranked: Set(ranked.then_some(1)),
        submitted_at: Set(Some(app.clock.now())),
        score: Set(Some(score)),
        ..session.clone().into()
    };
    let over = over.update(&transaction).await.unwrap();
    transaction.commit().await.unwrap();
    over
}

async fn percentiles_are_those_of_a_plain_count(app: Arc<TestApp>) {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let course = app.course(&["Physics"]).cards(1).create(&app).await;
    let subject = course.subject_rows[0];
    let papers = [paper(&app, subject, 1).await, paper(&app, subject, 2).await];
    let mut sittings: Vec<test_session::Model> = Vec::new();
    for number in 0..12 {
        let learner = learner(&app, &format!("Learner{number}")).await;
        learner.purchase(&course, 0).await;
        let card = learner.cards(&app).await.swap_remove(0);
        for (attempt, paper) in (1..).zip([papers[0], papers[0], papers[1], papers[0]]) {
            let open = open(&card, paper, attempt, app.clock.now()).insert(app.connection()).await.unwrap();
            if attempt == 4 {
                sittings.push(open);
            } else {
                // The scores come from a small range, so that many are equal and some are below zero.
                sittings.push(close(&app, &open, random.random_range(-4..8) * 100).await);
            }
        }
    }

    // The score of each learner's first sitting of a paper.
    let mut firsts: BTreeMap<(PaperId, UserId), i32> = BTreeMap::new();
    for session in &sittings {
        if let Some(score) = session.score {
            firsts.entry((session.paper_id, session.user_id)).or_insert(score);
            assert_eq!(session.ranked.is_some(), session.attempt_number != 2, "{session:?}");
        }
    }
    let mut of_all = HashMap::new();
    let learners: BTreeSet<UserId> = sittings.iter().map(|session| session.user_id).collect();
    for learner in learners {
        // Asks for the percentiles of all sittings, and gets only the percentiles of the learner's own sittings.
        let ids = sittings.iter().map(|session| session.id).collect();
        let _ = app.take_statements();
        let told = ranking::percentiles(&app.services, learner, ids).await.unwrap();
        let statements = app.take_statements();
        assert_eq!(
            statements.iter().filter(|sql| sql.contains("paper_scores")).count(),
            1,
            "{statements:#?}"
        );
        assert_eq!(told.len(), 3);
        of_all.extend(told);
    }
    for session in &sittings {
        let found = of_all.get(&session.id);
        let expected = session.score.map(|score| {
            let others = firsts
                .iter()
                .filter(|((paper, learner), _)| *paper == session.paper_id && *learner != session.user_id);
            let (mut at_or_below, mut all) = (1, 1);
            for (_, other) in others {
                all += 1;
                at_or_below += i64::from(*other <= score);
            }
            seven_places(at_or_below, all)
        });
        assert_eq!(found.map(ToString::to_string), expected, "{session:?}");
    }
    assert!(ranking::percentiles(&app.services, sittings[0].user_id, Vec::new()).await.unwrap().is_empty());
}

/// Returns `part / whole` as a percentage, by long division, rounded half up at the seventh decimal place.
pub(super) fn seven_places(part: i64, whole: i64) -> String {
    let (before, mut rest) = (100 * part / whole, 100 * part % whole);
    let mut digits = 0;
    for _ in 0..8 {
        rest *= 10;
        digits = digits * 10 + rest / whole;
        rest %= whole;
    }
    let rounded = before * 10_000_000 + digits / 10 + i64::from(digits % 10 >= 5);
    format!("{}.{:07}", rounded / 10_000_000, rounded % 10_000_000)
}

async fn learners_who_end_at_once_are_all_counted(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(1).create(&app).await;
    let paper = paper(&app, course.subject_rows[0], 1).await;
    // No learner has had the score 0 or 1 before. So some transactions insert the row of a score while others increment
    // it.
    let endings = (1..=32).map(|learner| {
        let database = app.services.database.clone();
        let command = (paper, UserId(learner), i32::try_from(learner % 2).unwrap());
        async move {
            let policy = WritePolicy::idempotent("rank");
            database
                .write(policy, command, |transaction, (paper, learner, score)| {
                    Box::pin(async move {
                        let counted = ranking::rank(transaction, *paper, *learner, *score).await?;
                        Ok::<_, Error<Infallible>>(counted)
                    })
                })
                .await
        }
    });
    for counted in join_all(endings).await {
        assert!(counted.unwrap());
    }
    for score in [0, 1] {
        let learners = app.number(&format!("SELECT learners FROM paper_scores WHERE score = {score}")).await;
        assert_eq!(learners, 16, "{score}");
    }
}

async fn totals_of_topics_add_up(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).cards(1).create(&app).await;
    let learners = [learner(&app, "Asha").await, learner(&app, "Binod").await];
    let mut topics: Vec<TopicId> = Vec::new();
    for name in ["Optics", "Heat", "Waves"] {
        topics.push(topic(&app, course.subject_rows[0], name).await);
    }
    let tally = |score, correct, wrong, unanswered| Tally { score, max_score: 0, correct, wrong, unanswered };
    let _ = app.take_statements();
    let added = [
        (0, vec![(topics[0], tally(700, 2, 1, 0)), (topics[2], tally(-200, 0, 2, 5))]),
        (0, vec![(topics[0], tally(-300, 0, 3, 1)), (topics[1], tally(400, 1, 0, 0))]),
        (1, vec![(topics[0], tally(0, 0, 0, 4))]),
        (1, vec![]),
    ];
    for (learner, topics) in &added {
        let transaction = app.connection().begin().await.unwrap();
        progress::add(&transaction, learners[*learner].id, topics).await.unwrap();
        transaction.commit().await.unwrap();
    }
    let inserts = app.take_statements().iter().filter(|sql| sql.starts_with("INSERT")).count();
    assert_eq!(inserts, 3, "not each of the three sittings with topics took one statement");
    let totals = async |learner: usize| {
        let rows = topic_total::Entity::find()
            .filter(topic_total::Column::UserId.eq(learners[learner].id))
            .all(app.connection())
            .await
            .unwrap();
        let mut rows: Vec<_> = rows
            .iter()
            .map(|row| (row.topic_id, row.score, row.correct, row.wrong, row.unanswered))
            .collect();
        rows.sort_unstable();
        rows
    };
    let expected = [(topics[0], 400, 2, 4, 1), (topics[1], 400, 1, 0, 0), (topics[2], -200, 0, 2, 5)];
    assert_eq!(totals(0).await, expected);
    assert_eq!(totals(1).await, [(topics[0], 0, 0, 0, 4)]);
}
