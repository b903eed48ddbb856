//! Files of questions: files that are refused as a whole, ids and names, many refusals, and ends of lines.

use std::sync::Arc;

use jishu_tests::{TestApp, on_each_database};
use serde_json::json;

use super::{BANK, World, rows};

on_each_database!(
    an_unreadable_file_changes_nothing,
    questions_of_the_same_name_do_not_replace_each_other,
    many_refusals_spare_the_rest,
    ends_of_lines_of_any_system_are_read,
);

async fn an_unreadable_file_changes_nothing(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let subject = &course.subjects[0];
    let before = rows(&app).await;
    let laughs = "<!DOCTYPE quiz [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]>\n<quiz>&b;</quiz>";
    let none = "x\n\n".repeat(2_000);
    for (given, more, code, named) in [
        ("<quiz>\n<question type=\"truefalse\">", json!({}), "QUESTIONS_UNREADABLE", "well-formed"),
        (laughs, json!({}), "QUESTIONS_UNREADABLE", "document type"),
        ("Is it? {=a ~b}\n\nA\u{0}? {=a ~b}", json!({}), "QUESTIONS_UNREADABLE", "line 3"),
        ("", json!({}), "QUESTION_FORMAT_UNKNOWN", "Say which format"),
        ("Some words.", json!({}), "QUESTION_FORMAT_UNKNOWN", "Say which format"),
        ("[{\"question\": \"{=a ~b}\"}]", json!({}), "QUESTION_FORMAT_UNKNOWN", "JSON"),
        ("<questestinterop>{=a ~b}</questestinterop>", json!({}), "QUESTIONS_UNREADABLE", "without an item"),
        ("<manifest/>", json!({}), "QUESTION_FORMAT_UNKNOWN", "manifest"),
        ("", json!({ "format": "GIFT" }), "QUESTIONS_UNREADABLE", "no questions"),
        (none.as_str(), json!({ "format": "GIFT" }), "QUESTIONS_UNREADABLE", "More than 1000"),
        (BANK, json!({ "format": "QTI" }), "QUESTIONS_UNREADABLE", "well-formed"),
        (BANK, json!({ "topic": " " }), "TOPIC_INVALID", "cannot be used. Give 1 to 200"),
        (BANK, json!({ "subjectId": course.id }), "SUBJECT_NOT_FOUND", "no such subject"),
        (
            BANK,
            json!({ "subjectId": app.global("Subject", 999_999) }),
            "SUBJECT_NOT_FOUND",
            "no such subject",
        ),
    ] {
        let answer = author.import(subject, given).with(&more).await;
        let error = answer.refusal();
        assert!(error.code == code && error.message.contains(named), "{error:?}");
        assert!(code != "QUESTIONS_UNREADABLE" || error.path == ["input", "text"], "{error:?}");
    }
    assert_eq!(rows(&app).await, before);
    // A file with the byte order mark and the line ends of Windows is read.
    let windows = format!("\u{feff}{}", BANK.replace('\n', "\r\n"));
    assert_eq!(author.import(subject, &windows).await.counts(), [4, 0, 0, 0]);
    assert_eq!(author.import(subject, BANK).await.counts(), [0, 0, 4, 0]);
    let long = format!("{} {{=a ~b}}\n\nShort? {{=a ~b}}", "a".repeat(900_000));
    let answer = author.import(subject, &long).await;
    assert_eq!(answer.counts(), [1, 0, 0, 1]);
    assert!(answer.refused[0].text.contains("20000"));
}

async fn questions_of_the_same_name_do_not_replace_each_other(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics", "Chemistry"]).await;
    let physics = &course.subjects[0];
    // Authors in Moodle often number questions like this, so different questions have the same name.
    let files = ["Where is the capital? {=here ~there}", "When does water boil? {=soon ~never}"]
        .map(|question| format!("::Q1:: {question}\n\n::Q2:: Not: {question}\n"));
    for file in &files {
        let answer = author.import(physics, file).await;
        assert_eq!(answer.counts(), [2, 0, 0, 0]);
        let [loss] = &answer.losses[..] else { panic!("{answer:?}") };
        assert_eq!(loss.line, Some(1));
        assert!(loss.text.contains("\"Q1\" and the name of another question are"), "{loss:?}");
        assert_eq!(author.import(physics, file).await.counts(), [0, 0, 2, 0]);
    }
    let xml = "<quiz><question type=\"truefalse\"><name><text>Q1</text></name><questiontext><text>Is it?</text>\
               </questiontext><answer fraction=\"100\"><text>true</text></answer></question></quiz>";
    assert_eq!(author.import(physics, xml).await.counts(), [1, 0, 0, 0]);
    assert_eq!(app.number("SELECT COUNT(*) FROM questions WHERE external_id LIKE 'auto-%'").await, 5);
    let twice = author.import(physics, &format!("{0}\n{0}", files[0])).await;
    assert_eq!(twice.counts(), [0, 0, 2, 2]);
    let reason = &twice.refused[0].text;
    assert!(reason.contains("asks the same as the question in line 1"), "{reason}");

    let named = json!({ "namesAreIds": true });
    let chemistry = &course.subjects[1];
    for (file, counted) in files.iter().zip([[2, 0, 0, 0], [0, 2, 0, 0]]) {
        let answer = author.import(chemistry, file).with(&named.clone()).await;
        assert_eq!(answer.counts(), counted);
        assert_eq!(answer.losses, []);
    }
    assert_eq!(author.import(chemistry, xml).with(&named).await.counts(), [0, 1, 0, 0]);
    assert!(author.export(chemistry, "GIFT").await.text.contains("[id:Q1]"));
}

async fn many_refusals_spare_the_rest(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let essays = "Write. {}\n\n".repeat(1_200);
    // Each of these five questions is refused because its two options are equal.
    let alike = "Alike? {=a ~a}\n\n".repeat(5);
    let file = format!("{alike}{essays}Is it? {{=a ~b}}\n\n{alike}");
    let answer = author.import(&course.subjects[0], &file).await;
    assert_eq!(answer.counts(), [1, 0, 0, 1_210]);
    let refused = &answer.refused;
    assert_eq!((refused.len(), refused[0].line, refused[999].line), (1_000, Some(1), Some(1_999)));
    assert_eq!(app.number("SELECT COUNT(*) FROM questions").await, 1);
}

async fn ends_of_lines_of_any_system_are_read(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let aiken = "Is it?\nA. yes\nB. no\nANSWER: A\n\nWhich\none?\nA. this\nB. that\nANSWER: B\n";
    // The first question of this GIFT file contains a line that looks like the key of an Aiken question.
    let gift = "$CATEGORY: Blanks\n\n// [id:b1]\nFill in:\nANSWER: ___ {=a ~b}\n\nWrite. {}\n";
    for (text, counted) in [(aiken, [2, 0, 0, 0]), (gift, [1, 0, 0, 1])] {
        assert_eq!(author.import(&course.subjects[0], text).await.counts(), counted);
        for end in ["\r\n", "\r"] {
            let answer = author.import(&course.subjects[0], &text.replace('\n', end)).await;
            assert_eq!(answer.counts(), [0, 0, counted[0], counted[3]], "{text}");
            for refused in answer.refused {
                assert_eq!(refused.line, Some(7));
            }
        }
    }
    let nul = author.import(&course.subjects[0], "Is it? {=a ~b}\r\rA\u{0}? {=a ~b}").await;
    let message = &nul.refusal().message;
    assert!(message.contains("line 3"), "{message}");
}
