//! The cart: its subjects, its quotes, and the subjects that it refuses.

use std::sync::Arc;

use insta::{allow_duplicates, assert_json_snapshot};
use jishu_tests::{ADD_TO_CART, REMOVE_FROM_CART, TestApp, on_each_database};
use serde_json::json;

on_each_database!(
    a_cart_follows_its_owner,
    each_course_of_the_cart_has_a_quote,
    subjects_that_cannot_be_bought_are_refused,
    adding_from_many_devices_at_once_keeps_each_subject_once,
    a_cart_holds_500_subjects,
    an_archived_subject_is_not_quoted,
    a_stranger_has_no_cart,
);

async fn a_cart_follows_its_owner(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).create(&app).await;
    let asha = app.learner("Asha").await;
    let [physics, chemistry, biology] = [&course.subjects[0], &course.subjects[1], &course.subjects[2]];
    let added = asha.add_to_cart(&[biology, physics, biology]).await;
    assert_eq!((added.cart.names(), added.cart.total_count), (vec!["Physics", "Biology"], 2));
    assert_eq!(added.user_errors, []);
    asha.add_to_cart(&[physics]).await;
    let on_another_device = app.learner_again("Asha").await;
    assert_eq!(on_another_device.cart().await.names(), ["Physics", "Biology"]);
    let removed = on_another_device.remove_from_cart(&[physics, chemistry]).await;
    assert_eq!(removed.cart.total_count, 1);
    assert_eq!(asha.cart().await.names(), ["Biology"]);
    assert_eq!(app.learner("Binod").await.cart().await.total_count, 0);
}

async fn each_course_of_the_cart_has_a_quote(app: Arc<TestApp>) {
    let neet = app.course(&["Physics", "Chemistry"]).named("NEET").price(150_00).create(&app).await;
    let jee = app.course(&["Mathematics"]).named("JEE").create(&app).await;
    let asha = app.learner("Asha").await;
    asha.add_to_cart(&[&jee.subjects[0], &neet.subjects[1], &neet.subjects[0]]).await;
    app.execute(&format!("UPDATE subjects SET offer_price = 12000 WHERE id = {}", neet.subject_rows[1]))
        .await;
    let quotes = asha.run("{ viewer { cart { quotes { course { name } subtotal { amount } discount { amount } total { amount } testCards } } } }").await;
    // The test runs once for each database, so it asserts the same snapshot several times.
    allow_duplicates! {
        assert_json_snapshot!(quotes.at("/viewer/cart/quotes"), @r#"
        [
          {
            "course": {
              "name": "NEET"
            },
            "discount": {
              "amount": "30.00"
            },
            "subtotal": {
              "amount": "300.00"
            },
            "testCards": 100,
            "total": {
              "amount": "270.00"
            }
          },
          {
            "course": {
              "name": "JEE"
            },
            "discount": {
              "amount": "0.00"
            },
            "subtotal": {
              "amount": "100.00"
            },
            "testCards": 50,
            "total": {
              "amount": "100.00"
            }
          }
        ]
        "#);
    }
}

async fn subjects_that_cannot_be_bought_are_refused(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry", "Biology"]).create(&app).await;
    let gone = app.course(&["History"]).create(&app).await;
    let asha = app.learner("Asha").await;
    asha.buy(course.subject(0)).await;
    app.execute(&format!(
        "UPDATE subjects SET archived_at = created_at WHERE id = {}",
        course.subject_rows[1]
    ))
    .await;
    app.execute(&format!("UPDATE courses SET archived_at = created_at WHERE id = {}", gone.row)).await;
    let before = app.row_counts().await;
    for (bad, code) in [
        (&app.global("Subject", 999_999), "SUBJECT_NOT_FOUND"),
        (&course.id, "SUBJECT_NOT_FOUND"),
        (&course.subjects[1], "SUBJECT_ARCHIVED"),
        (&gone.subjects[0], "SUBJECT_ARCHIVED"),
        (&course.subjects[0], "SUBJECT_OWNED"),
    ] {
        let refused = asha.add_to_cart(&[&course.subjects[2], bad]).await;
        let error = &refused.user_errors[0];
        assert_eq!((error.code.as_str(), &error.path[..]), (code, &["subjectIds".to_owned()][..]));
        assert_eq!(asha.cart().await.total_count, 0);
    }
    assert_eq!(app.row_counts().await, before);
}

async fn adding_from_many_devices_at_once_keeps_each_subject_once(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let asha = app.learner("Asha").await;
    let all: Vec<&String> = course.subjects.iter().collect();
    let answers = futures_util::future::join_all((0..32).map(|_| asha.add_to_cart(&all))).await;
    assert!(answers.iter().all(|change| change.user_errors.is_empty()));
    assert_eq!(app.number("SELECT COUNT(*) FROM cart_items").await, 2);
}

async fn a_cart_holds_500_subjects(app: Arc<TestApp>) {
    let names: Vec<String> = (0..501).map(|number| format!("Subject {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let course = app.course(&names).create(&app).await;
    let asha = app.learner("Asha").await;
    let all: Vec<&String> = course.subjects.iter().collect();
    assert_eq!(asha.add_to_cart(&all[..500]).await.user_errors, []);
    let full = asha.add_to_cart(&all[499..]).await;
    assert_eq!((full.user_errors[0].code.as_str(), full.cart.total_count), ("CART_FULL", 500));
}

async fn an_archived_subject_is_not_quoted(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let asha = app.learner("Asha").await;
    asha.add_to_cart(&[&course.subjects[0], &course.subjects[1]]).await;
    app.execute(&format!(
        "UPDATE subjects SET archived_at = created_at WHERE id = {}",
        course.subject_rows[0]
    ))
    .await;
    app.services.catalog.reload().await.unwrap();
    let cart =
        asha.run("{ viewer { cart { subjects { name archived } quotes { total { amount } } } } }").await;
    // The test runs once for each database, so it asserts the same snapshot several times.
    allow_duplicates! {
        assert_json_snapshot!(cart.at("/viewer/cart"), @r#"
        {
          "quotes": [
            {
              "total": {
                "amount": "100.00"
              }
            }
          ],
          "subjects": [
            {
              "archived": true,
              "name": "Physics"
            },
            {
              "archived": false,
              "name": "Chemistry"
            }
          ]
        }
        "#);
    }
}

async fn a_stranger_has_no_cart(app: Arc<TestApp>) {
    for document in [ADD_TO_CART, REMOVE_FROM_CART] {
        let (code, message) = app.anonymous().fail(document, json!({ "ids": [] })).await;
        assert_eq!(code, "UNAUTHENTICATED");
        assert!(message.contains("login"), "{message}");
    }
}
