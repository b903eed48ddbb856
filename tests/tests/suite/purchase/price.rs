//! Purchases that name the price that the learner was shown.

use std::sync::Arc;

use jishu_tests::{PurchaseInput, TestApp, on_each_database};
use serde_json::json;

use super::World;

on_each_database!(
    a_changed_price_buys_nothing_and_quotes_anew,
    the_same_amount_in_other_digits_is_the_same_price,
);

async fn a_changed_price_buys_nothing_and_quotes_anew(app: Arc<TestApp>) {
    let World { course, asha, .. } = World::new(&app, &["Physics", "Chemistry"]).await;
    let before = app.row_counts().await;
    let shown = |cost: &str| -> PurchaseInput { course.subject(0).cost(cost) };
    for wrong in
        ["99.99", "100.001", "99.9999999999999999999999999", "0", "-100.00", "79228162514264337593543950335"]
    {
        let refused = asha.buy(shown(wrong)).await;
        assert_eq!(refused.refused_as(), ("PRICE_CHANGED", "input.cost".to_owned(), "PriceChangedError"));
        assert_eq!(
            refused.refusal().more["quote"],
            json!({ "total": { "amount": "100.00" }, "lines": [{ "subject": { "name": "Physics" } }] })
        );
    }
    assert_eq!(app.row_counts().await, before);
    assert_eq!(asha.buy(shown("100.00")).await.outcome(), ("CREATED", 50, 50));
    // A subject that the learner owns costs nothing, so its price is not compared.
    assert_eq!(asha.buy(shown("99.99")).await.outcome(), ("EXISTING", 0, 50));
}

async fn the_same_amount_in_other_digits_is_the_same_price(app: Arc<TestApp>) {
    let World { course, asha, .. } = World::new(&app, &["Physics", "Chemistry", "Biology"]).await;
    for (subject, cost) in ["100", "100.0", "100.0000"].into_iter().enumerate() {
        assert_eq!(asha.buy(course.subject(subject).cost(cost)).await.outcome(), ("CREATED", 50, 50));
    }
}
