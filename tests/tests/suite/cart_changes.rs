//! The reports of the cart about subjects that have changed since they were added.

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_tests::{Client, TestApp, on_each_database};
use serde_json::{Value, json};

on_each_database!(the_cart_tells_what_changed_since_a_subject_was_added, an_old_cart_has_no_price_to_compare);

async fn changes(client: &Client) -> Value {
    let answer = client
        .run("{ viewer { cart { changes { kind subject { name } priceWhenAdded { amount } price { amount currency } } } } }")
        .await;
    answer.at("/viewer/cart/changes").clone()
}

async fn the_cart_tells_what_changed_since_a_subject_was_added(app: Arc<TestApp>) {
    let author = app.staff("Author", Role::Author).await;
    let course = app.course(&["Physics", "Chemistry", "Biology", "History"]).create(&app).await;
    let asha = app.learner("Asha").await;
    asha.add_to_cart(&course.subjects.iter().collect::<Vec<_>>()).await;
    assert_eq!(changes(&asha).await, json!([]));

    let edit = json!({ "id": course.subjects[0], "version": 1, "offer": { "price": "80" } });
    author.update_subject(edit).await.done();
    author.set_subject_archived(&course.subjects[1], true).await.done();
    // Binod's purchase of History does not change Asha's cart. Her own purchase of Biology removes Biology from her
    // cart.
    app.learner("Binod").await.buy(course.subject(3)).await;
    asha.buy(course.subject(2)).await;
    let amount = |amount: &str| json!({ "amount": amount });
    let in_rupees = |amount: &str| json!({ "amount": amount, "currency": "INR" });
    let cheaper = json!({ "kind": "PRICE_CHANGED", "subject": { "name": "Physics" }, "priceWhenAdded": amount("100.00"),
                          "price": in_rupees("80.00") });
    let archived = json!({ "kind": "ARCHIVED", "subject": { "name": "Chemistry" }, "priceWhenAdded": amount("100.00"),
                           "price": in_rupees("100.00") });
    assert_eq!(changes(&asha).await, json!([cheaper, archived]));

    // Puts Biology, which Asha owns, into her cart again, as if staff had given her the subject meanwhile.
    app.execute(&format!(
        "INSERT INTO cart_items (user_id, subject_id, added_at, price) SELECT user_id, {}, created_at, 10000 FROM purchases \
         WHERE user_id = (SELECT id FROM users WHERE name = 'Asha')",
        course.subject_rows[2]
    ))
    .await;
    author.set_subject_archived(&course.subjects[2], true).await.done();
    let kinds = changes(&asha).await;
    let kinds: Vec<_> = kinds.as_array().unwrap().iter().map(|change| change["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "OWNED").count(), 1);
    assert_eq!(kinds.len(), 3);

    // Adding a subject that is already in the cart keeps its old price. Removing and adding the subject accepts the
    // new price.
    asha.add_to_cart(&[&course.subjects[0]]).await;
    assert_eq!(changes(&asha).await.as_array().unwrap().len(), 3);
    asha.remove_from_cart(&[&course.subjects[0], &course.subjects[2]]).await;
    asha.add_to_cart(&[&course.subjects[0]]).await;
    assert_eq!(changes(&asha).await, json!([archived]));
    // The subjects of an archived course are no longer sold, so all three subjects in the cart are reported.
    author.set_course_archived(&course.id, true).await.done();
    assert_eq!(changes(&asha).await.as_array().unwrap().len(), 3);
}

async fn an_old_cart_has_no_price_to_compare(app: Arc<TestApp>) {
    let course = app.course(&["Physics"]).create(&app).await;
    let asha = app.learner("Asha").await;
    asha.add_to_cart(&[&course.subjects[0]]).await;
    app.execute("UPDATE cart_items SET price = NULL").await;
    app.execute("UPDATE subjects SET list_price = 20000").await;
    app.services.catalog.reload().await.unwrap();
    assert_eq!(changes(&asha).await, json!([]));
    app.execute("UPDATE subjects SET archived_at = created_at").await;
    app.services.catalog.reload().await.unwrap();
    assert_eq!(changes(&asha).await[0]["priceWhenAdded"], Value::Null);
}
