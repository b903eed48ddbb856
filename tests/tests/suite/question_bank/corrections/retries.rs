//! A correction that runs again, because the connection was lost during COMMIT although the correction was stored.

use std::sync::Arc;

use chrono::TimeDelta;
use jishu_tests::{TestApp, on_each_database};
use serde_json::json;

use super::super::rows;
use super::{World, sit};

on_each_database!(a_second_run_of_a_correction_returns_the_result_of_the_first);

/// Counts the corrections and the revisions of papers.
async fn stored(app: &TestApp) -> [i64; 2] {
    [
        app.number("SELECT COUNT(*) FROM question_corrections").await,
        app.number("SELECT COUNT(*) FROM paper_revisions").await,
    ]
}

/// The clock of the test stands still. So two requests with the same input are the same command for the server, as a
/// retry of its transaction is.
async fn a_second_run_of_a_correction_returns_the_result_of_the_first(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let (asha, card) = world.learner(&app, "Asha").await;
    sit(&asha, &card, "54", "Oxygen").await;
    let neon = world.question("k2").await["current"]["options"][1]["id"].clone();
    let number = json!({ "correctValue": "56", "explanation": "There are 56." });
    let option = json!({ "correctOptionIds": [neon] });

    for (external_id, key) in [("k1", &number), ("k2", &option)] {
        let first = world.correct(external_id, key.clone()).await;
        assert_eq!((&first["userErrors"], &first["correctedTests"]), (&json!([]), &json!(1)), "{first:#}");
        let after = (rows(&app).await, stored(&app).await);
        let second = world.correct(external_id, key.clone()).await;
        assert_eq!(second, first);
        assert_eq!(
            (rows(&app).await, stored(&app).await),
            after,
            "the second run of {external_id} wrote rows"
        );
    }
    assert_eq!(stored(&app).await, [2, 2]);

    // Another key at the same time is another correction. It does not hide the first correction from its retry, and the
    // retry does not undo it.
    let other = world.correct("k1", json!({ "correctValue": "57" })).await;
    assert_eq!((&other["userErrors"], &other["correctedTests"]), (&json!([]), &json!(1)), "{other:#}");
    let again = world.correct("k1", number.clone()).await;
    assert_eq!((&again["userErrors"], &again["correctedTests"]), (&json!([]), &json!(1)), "{again:#}");
    assert_eq!(again["question"]["current"]["correctValue"], "57");
    assert_eq!(stored(&app).await, [3, 3]);

    // A later request with the same input is a correction of its own.
    app.clock.advance(TimeDelta::seconds(1));
    for (external_id, key, code) in [
        ("k1", json!({ "correctValue": "57" }), "QUESTION_KEY_UNCHANGED"),
        ("k2", option.clone(), "QUESTION_OUTDATED"),
    ] {
        let refused = world.correct(external_id, key).await;
        assert_eq!(refused["userErrors"][0]["code"], code, "{refused:#}");
    }
    assert_eq!(stored(&app).await, [3, 3]);
}
