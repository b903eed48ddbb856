//! Purchases that are refused.

use std::sync::Arc;

use jishu_tests::{PurchaseInput, TestApp, on_each_database};
use serde_json::json;

use super::World;

on_each_database!(
    more_subjects_than_a_course_has_are_refused,
    the_wrong_number_of_subjects_is_refused,
    unknown_archived_and_foreign_subjects_are_refused,
    courses_that_cannot_be_bought_are_refused,
    a_deactivated_account_buys_nothing,
);

async fn more_subjects_than_a_course_has_are_refused(app: Arc<TestApp>) {
    let World { course, asha, .. } = World::new(&app, &["Physics"]).await;
    let before = app.row_counts().await;
    let many: Vec<String> = (1..=40_000).map(|row| app.global("Subject", row)).collect();
    let many: Vec<&String> = many.iter().collect();
    let refused = asha.buy(PurchaseInput::new(&course.id, "MULTIPLE_SUBJECTS", &many)).await;
    assert_eq!(refused.refusal().code, "SUBJECT_COUNT_MISMATCH");
    for field in ["addToCart", "removeFromCart"] {
        let document =
            format!("mutation ($ids: [ID!]!) {{ {field}(subjectIds: $ids) {{ userErrors {{ code }} }} }}");
        let refused = asha.run_with(&document, json!({ "ids": many })).await;
        assert_eq!(refused.at(&format!("/{field}/userErrors"))[0]["code"], "SUBJECT_COUNT_MISMATCH");
    }
    assert_eq!(app.row_counts().await, before);
}

async fn the_wrong_number_of_subjects_is_refused(app: Arc<TestApp>) {
    let World { course, asha, .. } = World::with_bundle(&app, &["Physics", "Chemistry"], 150_00).await;
    let before = app.row_counts().await;
    let [physics, chemistry] = [&course.subjects[0], &course.subjects[1]];
    for (purchase_type, subjects) in [
        ("SINGLE_SUBJECT", &[][..]),
        ("SINGLE_SUBJECT", &[physics, chemistry]),
        ("MULTIPLE_SUBJECTS", &[]),
        ("MULTIPLE_SUBJECTS", &[physics]),
        ("FULL_BUNDLE", &[physics]),
    ] {
        let refused = asha.buy(PurchaseInput::new(&course.id, purchase_type, subjects)).await;
        let expected = ("SUBJECT_COUNT_MISMATCH", "input.subjectIds".to_owned(), "FieldError");
        assert_eq!(refused.refused_as(), expected);
    }
    for subjects in [&[physics, physics][..], &[physics, chemistry, physics]] {
        let refused = asha.buy(PurchaseInput::new(&course.id, "MULTIPLE_SUBJECTS", subjects)).await;
        assert_eq!(refused.refusal().code, "SUBJECT_REPEATED");
        assert_eq!(refused.refusal().more["subjectIds"], json!([physics]));
    }
    assert_eq!(app.row_counts().await, before);
}

async fn unknown_archived_and_foreign_subjects_are_refused(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    let other = app.course(&["History"]).create(&app).await;
    let asha = app.learner("Asha").await;
    let archived = course.subject_rows[1];
    app.execute(&format!("UPDATE subjects SET archived_at = created_at WHERE id = {archived}")).await;
    let before = app.row_counts().await;
    let never_made = app.global("Subject", 999_999);
    for (subject, code) in [
        (&never_made, "SUBJECT_NOT_FOUND"),
        (&"not-an-id".to_owned(), "SUBJECT_NOT_FOUND"),
        (&course.id, "SUBJECT_NOT_FOUND"),
        (&other.subjects[0], "SUBJECT_NOT_IN_COURSE"),
        (&course.subjects[1], "SUBJECT_ARCHIVED"),
    ] {
        for wanted in [
            PurchaseInput::new(&course.id, "SINGLE_SUBJECT", &[subject]),
            PurchaseInput::new(&course.id, "MULTIPLE_SUBJECTS", &[&course.subjects[0], subject]),
        ] {
            let refused = asha.buy(wanted).await;
            assert_eq!(refused.refused_as(), (code, "input.subjectIds".to_owned(), "SubjectsError"));
            assert_eq!(refused.refusal().more["subjectIds"], json!([subject]));
        }
    }
    assert_eq!(app.row_counts().await, before);
}

async fn courses_that_cannot_be_bought_are_refused(app: Arc<TestApp>) {
    let no_bundle = app.course(&["Physics"]).create(&app).await;
    let empty = app.course(&[]).bundle(100_00).create(&app).await;
    let archived = app.course(&["Physics"]).bundle(100_00).create(&app).await;
    app.execute(&format!("UPDATE courses SET archived_at = created_at WHERE id = {}", archived.row)).await;
    let asha = app.learner("Asha").await;
    let before = app.row_counts().await;
    let bundle = |id: &str| PurchaseInput::new(id, "FULL_BUNDLE", &[]);
    for (wanted, code, path) in [
        (bundle(&no_bundle.id), "NOT_SOLD_AS_BUNDLE", "input.purchaseType"),
        (bundle(&empty.id), "COURSE_EMPTY", "input.courseId"),
        (bundle(&archived.id), "COURSE_ARCHIVED", "input.courseId"),
        (bundle(&app.global("Course", 999_999)), "COURSE_NOT_FOUND", "input.courseId"),
        (bundle("nonsense"), "COURSE_NOT_FOUND", "input.courseId"),
        (bundle(&no_bundle.subjects[0]), "COURSE_NOT_FOUND", "input.courseId"),
    ] {
        assert_eq!(asha.buy(wanted).await.refused_as(), (code, path.to_owned(), "FieldError"));
    }
    assert_eq!(app.row_counts().await, before);
}

async fn a_deactivated_account_buys_nothing(app: Arc<TestApp>) {
    let World { course, asha, .. } = World::new(&app, &["Physics"]).await;
    app.execute("UPDATE users SET status = 'deactivated'").await;
    let before = app.row_counts().await;
    let refused = asha.buy(course.subject(0)).await;
    assert_eq!(refused.refusal().code, "ACCOUNT_INACTIVE");
    assert_eq!(app.row_counts().await, before);
}
