//! The price that was shown.

use std::sync::Arc;

use jishu_tests::{TestApp, on_each_database};
use serde_json::json;

use super::{buy, input, outcome, refusal, with};

on_each_database!(
    a_changed_price_buys_nothing_and_quotes_anew,
    the_same_amount_in_other_digits_is_the_same_price,
);

async fn a_changed_price_buys_nothing_and_quotes_anew(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let asha = app.learner("Asha").await;
    let before = app.rows().await;
    let shown = |cost: &str| with(input(&course, "SINGLE_SUBJECT", &[&course.subjects[0]]), "cost", cost);
    for wrong in
        ["99.99", "100.001", "99.9999999999999999999999999", "0", "-100.00", "79228162514264337593543950335"]
    {
        let refused = buy(&asha, shown(wrong)).await;
        assert_eq!(
            refusal(&refused),
            ("PRICE_CHANGED".into(), "input.cost".into(), "PriceChangedError".into())
        );
        assert_eq!(
            refused.at("/purchase/userErrors")[0]["quote"],
            json!({ "total": { "amount": "100.00" }, "lines": [{ "subject": { "name": "Physics" } }] })
        );
    }
    assert_eq!(app.rows().await, before);
    assert_eq!(outcome(&buy(&asha, shown("100.00")).await), ("CREATED", 50, 50));
    // Once it is owned there is no price to differ.
    assert_eq!(outcome(&buy(&asha, shown("99.99")).await), ("EXISTING", 0, 50));
}

async fn the_same_amount_in_other_digits_is_the_same_price(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).create(&app).await;
    let asha = app.learner("Asha").await;
    for (subject, cost) in course.subjects.iter().zip(["100", "100.0", "100.0000"]) {
        let wanted = with(input(&course, "SINGLE_SUBJECT", &[subject]), "cost", cost);
        assert_eq!(outcome(&buy(&asha, wanted).await), ("CREATED", 50, 50));
    }
}
