//! The values that courses and subjects may have.

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_tests::{TestApp, on_each_database};
use serde_json::{Value, json};

on_each_database!(
    values_that_are_not_allowed_are_refused_by_name,
    amounts_are_exact_in_the_places_of_each_currency,
    the_longest_values_are_stored,
    questions_per_test_agree_with_the_blueprint,
);

/// Returns an object with some values replaced or added.
fn with(base: &Value, changes: Value) -> Value {
    let (Value::Object(mut all), Value::Object(changes)) = (base.clone(), changes) else {
        panic!("two objects are expected")
    };
    all.extend(changes);
    Value::Object(all)
}

async fn values_that_are_not_allowed_are_refused_by_name(app: Arc<TestApp>) {
    let author = app.staff("Author", Role::Author).await;
    let base = json!({ "code": "neet", "name": "NEET", "currency": "INR" });
    let course = author.create_course(base.clone()).await.done();
    let physics = json!({ "courseId": course.id, "code": "physics", "name": "Physics", "listPrice": "100" });
    let subject = author.create_subject(physics.clone()).await.done();
    let before = app.row_counts().await;
    let long = "x".repeat(201);
    let wordy = "x".repeat(10_001);
    for (changes, code, path) in [
        (json!({ "code": "" }), "CODE_INVALID", "input.code"),
        (json!({ "code": "a b" }), "CODE_INVALID", "input.code"),
        (json!({ "code": "-a" }), "CODE_INVALID", "input.code"),
        (json!({ "code": "à" }), "CODE_INVALID", "input.code"),
        (json!({ "name": " " }), "NAME_INVALID", "input.name"),
        (json!({ "name": "A\u{202e}B" }), "NAME_INVALID", "input.name"),
        (json!({ "name": long }), "NAME_INVALID", "input.name"),
        (json!({ "description": wordy }), "DESCRIPTION_INVALID", "input.description"),
        (json!({ "description": "a\u{0}" }), "DESCRIPTION_INVALID", "input.description"),
        (json!({ "currency": "inr" }), "CURRENCY_INVALID", "input.currency"),
        (json!({ "currency": "RUPEE" }), "CURRENCY_INVALID", "input.currency"),
        (json!({ "bundlePrice": "-1" }), "PRICE_INVALID", "input.bundlePrice"),
        (json!({ "bundlePrice": "1.001" }), "PRICE_INVALID", "input.bundlePrice"),
        (json!({ "bundlePrice": "10000000000.01" }), "PRICE_INVALID", "input.bundlePrice"),
        (json!({ "validityDays": 0 }), "VALIDITY_DAYS_INVALID", "input.validityDays"),
        (json!({ "validityDays": 36501 }), "VALIDITY_DAYS_INVALID", "input.validityDays"),
    ] {
        let new = with(&with(&base, json!({ "code": "other" })), changes.clone());
        let refused = author.create_course(new).await;
        assert_eq!(refused.refusals(), [(code, path.to_owned())], "{changes}");
        if changes.get("code").or(changes.get("currency")).is_none() {
            let edit = with(&json!({ "id": course.id, "version": 1 }), changes.clone());
            assert_eq!(author.update_course(edit).await.refusals(), [(code, path.to_owned())], "{changes}");
        }
    }
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    for (changes, code, path) in [
        (json!({ "listPrice": "-0.01" }), "PRICE_INVALID", "input.listPrice"),
        (json!({ "listPrice": "0.001" }), "PRICE_INVALID", "input.listPrice"),
        (json!({ "offer": { "price": "100.01" } }), "OFFER_INVALID", "input.offer.price"),
        (json!({ "offer": { "price": "1.001" } }), "PRICE_INVALID", "input.offer.price"),
        (
            json!({ "offer": { "price": "1", "startsAt": late, "endsAt": early } }),
            "OFFER_INVALID",
            "input.offer.endsAt",
        ),
        (
            json!({ "offer": { "price": "1", "startsAt": late, "endsAt": late } }),
            "OFFER_INVALID",
            "input.offer.endsAt",
        ),
        (
            json!({ "offer": { "price": "1", "startsAt": "1999-12-31T23:59:59Z" } }),
            "OFFER_INVALID",
            "input.offer.startsAt",
        ),
        (json!({ "totalMockTests": 0 }), "TOTAL_MOCK_TESTS_INVALID", "input.totalMockTests"),
        (json!({ "totalMockTests": 1001 }), "TOTAL_MOCK_TESTS_INVALID", "input.totalMockTests"),
        (
            json!({ "markingScheme": { "correct": "0" } }),
            "TEST_SETTINGS_INVALID",
            "input.markingScheme.correct",
        ),
        (
            json!({ "markingScheme": { "wrong": "0.001" } }),
            "TEST_SETTINGS_INVALID",
            "input.markingScheme.wrong",
        ),
        (
            json!({ "markingScheme": { "questionsPerTest": 201 } }),
            "TEST_SETTINGS_INVALID",
            "input.markingScheme.questionsPerTest",
        ),
        (
            json!({ "markingScheme": { "timeLimitSeconds": 9 } }),
            "TEST_SETTINGS_INVALID",
            "input.markingScheme.timeLimitSeconds",
        ),
        (
            json!({ "markingScheme": { "maxAttempts": 0 } }),
            "TEST_SETTINGS_INVALID",
            "input.markingScheme.maxAttempts",
        ),
    ] {
        let new = with(&with(&physics, json!({ "code": "other" })), changes.clone());
        assert_eq!(author.create_subject(new).await.refusals(), [(code, path.to_owned())], "{changes}");
        let edit = with(&json!({ "id": subject.id, "version": 1 }), changes.clone());
        assert_eq!(author.update_subject(edit).await.refusals(), [(code, path.to_owned())], "{changes}");
    }
    // One response reports all four invalid values.
    let several =
        author.create_course(json!({ "code": "", "name": "", "currency": "x", "validityDays": -1 })).await;
    assert_eq!(several.user_errors.len(), 4);
    for nobody in ["x", &app.global("Course", 999_999), &subject.id] {
        let refused = author.set_course_archived(nobody, true).await;
        assert_eq!(refused.refusals(), [("COURSE_NOT_FOUND", "id".to_owned())]);
        let refused = author.update_course(json!({ "id": nobody, "version": 1 })).await;
        assert_eq!(refused.refusals(), [("COURSE_NOT_FOUND", "input.id".to_owned())]);
        let refused = author.create_subject(with(&physics, json!({ "courseId": nobody }))).await;
        assert_eq!(refused.refusals(), [("COURSE_NOT_FOUND", "input.courseId".to_owned())]);
    }
    for nothing in ["x", &app.global("Subject", 999_999), &course.id] {
        let refused = author.set_subject_archived(nothing, true).await;
        assert_eq!(refused.refusals(), [("SUBJECT_NOT_FOUND", "id".to_owned())]);
        let refused = author.update_subject(json!({ "id": nothing, "version": 1 })).await;
        assert_eq!(refused.refusals(), [("SUBJECT_NOT_FOUND", "input.id".to_owned())]);
    }
    assert_eq!(app.row_counts().await, before);
    assert_eq!(app.number("SELECT MAX(version) FROM subjects").await, 1);
}

async fn amounts_are_exact_in_the_places_of_each_currency(app: Arc<TestApp>) {
    let author = app.staff("Author", Role::Author).await;
    for (currency, price, stored, too_fine) in
        [("INR", "199.90", 199_90, "0.001"), ("JPY", "5000", 5_000, "0.5"), ("KWD", "1.234", 1_234, "0.0001")]
    {
        let course = author
            .create_course(
                json!({ "code": currency, "name": currency, "currency": currency, "bundlePrice": price }),
            )
            .await
            .done();
        let new = |code: &str, price: &str| json!({ "courseId": course.id, "code": code, "name": "A", "listPrice": price });
        let subject = author.create_subject(new("a", price)).await.done();
        assert_eq!(subject.list_price.amount, price);
        let newest = "SELECT list_price FROM subjects WHERE id = (SELECT MAX(id) FROM subjects)";
        assert_eq!(app.number(newest).await, stored);
        let refused = author.create_subject(new("b", too_fine)).await;
        assert_eq!(refused.refusals(), [("PRICE_INVALID", "input.listPrice".to_owned())]);
        assert!(refused.user_errors[0].message.contains(currency));
    }
}

async fn the_longest_values_are_stored(app: Arc<TestApp>) {
    let author = app.staff("Author", Role::Author).await;
    let (code, name, text) = ("c".repeat(64), "😀".repeat(200), format!("{}\n😀", "😀".repeat(9_998)));
    let course = author
        .create_course(json!({ "code": code, "name": name, "currency": "INR", "description": text,
                               "bundlePrice": "10000000000", "validityDays": 36500 }))
        .await
        .done();
    assert_eq!((course.name, course.description.as_deref()), (name.clone(), Some(text.as_str())));
    author
        .create_subject(json!({ "courseId": course.id, "code": code, "name": name, "listPrice": "10000000000",
                                "totalMockTests": 1000, "offer": { "price": "0", "endsAt": "9999-12-31T23:59:59.999999Z" } }))
        .await
        .done();
}

async fn questions_per_test_agree_with_the_blueprint(app: Arc<TestApp>) {
    let author = app.staff("Author", Role::Author).await;
    let course = app.course(&["Physics"]).create(&app).await;
    let blueprint =
        "mutation ($id: ID!) { updateTestSettings(input: { subjectId: $id, blueprint: [{ questions: 7 }] })
        { subject { version } userErrors { code } } }";
    let set = author.run_with(blueprint, json!({ "id": course.subjects[0] })).await;
    assert_eq!(set.number("/updateTestSettings/subject/version"), 2);
    let edit = |questions: i32| json!({ "id": course.subjects[0], "version": 2, "markingScheme": { "questionsPerTest": questions } });
    let refused = author.update_subject(edit(8)).await;
    assert_eq!(
        refused.refusals(),
        [("TEST_SETTINGS_INVALID", "input.markingScheme.questionsPerTest".to_owned())]
    );
    assert_eq!(author.update_subject(edit(7)).await.done().version, 2);
}
