//! Pictures in questions: imports and exports, the sitting and its review, the addresses that serve pictures,
//! corrections, the check for damage, and restored backups.

mod copies;
mod formats;

use std::collections::BTreeSet;
use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_service::integrity;
use jishu_tests::{Backend, TestApp, base64, media_keys, moodle_file, on_each_database, png};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use super::{World, rows};

on_each_database!(
    pictures_are_shown_to_those_who_may_see_the_question,
    corrections_keep_pictures,
    damaged_and_missing_pictures_are_found,
    imports_of_the_same_picture_at_once_store_it_once,
);

/// Returns a question with pictures in its text, both options and its explanation. The names of the files show which
/// option is right.
fn question(stem: &[u8], right: &[u8], wrong: &[u8], explanation: &[u8]) -> String {
    let img = |name: &str| format!("&lt;img src=\"@@PLUGINFILE@@/{name}\"/>");
    let answer = |fraction: u8, name: &str, bytes: &[u8]| {
        format!(
            "<answer fraction=\"{fraction}\" format=\"html\"><text>{}</text>{}</answer>",
            img(name),
            moodle_file(name, bytes)
        )
    };
    format!(
        "<quiz><question type=\"multichoice\"><idnumber>fall</idnumber><questiontext format=\"html\"><text>&lt;p>Which \
         graph?&lt;/p>{}</text>{}</questiontext><generalfeedback format=\"html\"><text>See {}</text>{}</generalfeedback>\
         <single>true</single>{}{}</question></quiz>",
        img("fall.png"),
        moodle_file("fall.png", stem),
        img("why.png"),
        moodle_file("why.png", explanation),
        answer(100, "right.png", right),
        answer(0, "wrong.png", wrong),
    )
}

/// Returns the first column of all rows of a query.
async fn texts(app: &TestApp, sql: &str) -> Vec<String> {
    jishu_tests::rows(app.connection(), sql).await.into_iter().map(|mut row| row.remove(0)).collect()
}

async fn ask(app: &TestApp, method: Method, key: &str, tag: Option<&str>) -> Response {
    let mut request = app.http().request(method, app.url(&format!("/media/{key}")));
    if let Some(tag) = tag {
        request = request.header("if-none-match", tag);
    }
    request.send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

const AUTHORED: &str =
    "query ($subject: ID!) { questions(subjectId: $subject) { edges { node { current { stem
    explanation options { text } } versions { stem } } } } }";

async fn pictures_are_shown_to_those_who_may_see_the_question(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let subject = &course.subjects[0];
    let [stem, right, wrong, why] = ["stem", "right", "wrong", "why"].map(png);
    let imported = author.import(subject, &question(&stem, &right, &wrong, &why)).await;
    assert_eq!((imported.counts(), imported.losses.len()), ([1, 0, 0, 0], 0));
    app.execute("UPDATE subjects SET questions_per_test = 1, review_policy = 'after_sitting'").await;
    app.services.catalog.reload().await.unwrap();

    let learner = app.staff("Asha", Role::Learner).await;
    let card = app.cards(&learner, &course).await.remove(0);
    let started = learner.start_session(&card).await;
    let asked = &started.questions()[0];
    let seen = format!("{}{}{}", asked.stem, asked.options[0].text, asked.options[1].text);
    let shown = media_keys(&seen);
    assert_eq!(shown.len(), 3, "{seen}");
    for secret in [".png", "picture", "sha256", "PLUGINFILE", "right"] {
        assert!(!seen.contains(secret), "{secret}: {seen}");
    }
    assert_eq!(asked.explanation, None);
    let served = ask(&app, Method::GET, &shown[0], None).await;
    assert_eq!((served.status(), header(&served, "content-type")), (StatusCode::OK, "image/png"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("cache-control", "private, max-age=31536000, immutable"),
    ] {
        assert_eq!(header(&served, name), value, "{name}");
    }
    let tag = header(&served, "etag").to_owned();
    assert_eq!(served.bytes().await.unwrap(), stem);
    let head = ask(&app, Method::HEAD, &shown[0], None).await;
    assert_eq!(header(&head, "content-length"), stem.len().to_string());
    assert_eq!(head.bytes().await.unwrap().len(), 0);
    for (given, status) in
        [(tag.as_str(), 304), ("\"x\", W/\"y\"", 200), (&format!("\"x\", W/{tag}"), 304), ("*", 304)]
    {
        let again = ask(&app, Method::GET, &shown[0], Some(given)).await;
        assert_eq!((again.status().as_u16(), header(&again, "etag")), (status, tag.as_str()), "{given}");
    }

    // The review shows the picture of the explanation, too.
    let over = learner.submit_session(started.id(), None).await;
    let explanation = over.questions()[0].explanation.clone().unwrap();
    let key = media_keys(&explanation).remove(0);
    assert_eq!(ask(&app, Method::GET, &key, None).await.bytes().await.unwrap(), why);
    let authored = author.run_with(AUTHORED, json!({ "subject": subject })).await;
    let current = authored.at("/questions/edges/0/node/current").to_string();
    let keys: BTreeSet<String> = media_keys(&current).into_iter().collect();
    assert_eq!(keys, shown.iter().cloned().chain([key]).collect());
    assert_eq!(media_keys(authored.text("/questions/edges/0/node/versions/0/stem")), [shown[0].clone()]);

    // A client that knows the hash of a picture, or guesses a key, gets the same response 404 as for any wrong key.
    let hash = texts(&app, "SELECT hash FROM pictures").await.remove(0);
    let other = format!("{}{}", &shown[0][1..], &shown[0][..1]);
    let mut answers = Vec::new();
    for wrong in
        [hash.as_str(), &other, &shown[0].to_uppercase(), "x", "%00", "%ff", "' OR 1=1 --", &"0".repeat(64)]
    {
        let answer = ask(&app, Method::GET, wrong, None).await;
        let mut headers = answer.headers().clone();
        for name in ["x-request-id", "date"] {
            headers.remove(name);
        }
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{wrong}");
        answers.push((format!("{headers:?}"), answer.bytes().await.unwrap()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(ask(&app, Method::POST, &shown[0], None).await.status(), StatusCode::METHOD_NOT_ALLOWED);

    // Another node serves a picture at the same address. An edit that replaces the picture of a question does not
    // remove the old picture, which past sittings show.
    let node = app.second_node().await;
    let there = app.http().get(node.url(&format!("/media/{}", shown[0]))).send().await.unwrap();
    assert_eq!(there.bytes().await.unwrap(), stem);
    node.stop().await;
    let edited = author.import(subject, &question(&png("new"), &right, &wrong, &why)).await;
    assert_eq!(edited.counts(), [0, 1, 0, 0]);
    assert_eq!(ask(&app, Method::GET, &shown[0], None).await.status(), StatusCode::OK);
    assert_eq!(app.number("SELECT COUNT(*) FROM pictures").await, 5);
    assert_eq!(app.number("SELECT COUNT(*) FROM question_version_pictures").await, 8);
}

const CORRECT: &str = "mutation ($input: CorrectQuestionKeyInput!) { correctQuestionKey(input: $input) {
    question { current { stem explanation options { id text } } } userErrors { code message path } } }";

async fn corrections_keep_pictures(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let subject = &course.subjects[0];
    let [a, b, c] = ["a", "b", "c"].map(png);
    assert_eq!(author.import(subject, &question(&a, &b, &c, &a)).await.counts(), [1, 0, 0, 0]);
    let list = "query ($subject: ID!) { questions(subjectId: $subject) { edges { node { id current { stem explanation \
                options { id } } } } } }";
    let correct = async |explanation: &str| {
        let listed = author.run_with(list, json!({ "subject": subject })).await;
        let node = listed.at("/questions/edges/0/node").clone();
        let input = json!({
            "questionId": node["id"], "correctOptionIds": [node["current"]["options"][1]["id"]],
            "explanation": explanation, "reason": "It was wrong.",
        });
        author.run_with(CORRECT, json!({ "input": input })).await
    };
    let listed = author.run_with(list, json!({ "subject": subject })).await;
    let stem_key = media_keys(listed.text("/questions/edges/0/node/current/stem")).remove(0);
    let before = rows(&app).await;
    for (dead, named) in [
        ("See <img src=\"a.png\">", "\"a.png\" is left out"),
        ("See <img src=\"data:image/svg+xml,<svg></svg>\">", "SVG"),
        (&format!("See <img src=\"/media/{}\">", "0".repeat(64)), "does not have it"),
    ] {
        let answer = correct(dead).await;
        let error = answer.at("/correctQuestionKey/userErrors/0");
        assert_eq!(error["code"], "EXPLANATION_INVALID", "{error}");
        assert!(error["message"].as_str().unwrap().contains(named), "{error}");
    }
    assert_eq!(rows(&app).await, before);
    // The author refers to a stored picture by the address that the API showed, with the URL of the server in front,
    // and adds a new picture.
    let new = png("new");
    let explanation = format!(
        "See <img src=\"https://api.example.com/media/{stem_key}\"> and <img src=\"data:image/png;base64,{}\">",
        base64(&new)
    );
    let answer = correct(&explanation).await;
    assert_eq!(*answer.at("/correctQuestionKey/userErrors"), json!([]));
    let shown = media_keys(answer.text("/correctQuestionKey/question/current/explanation"));
    assert_eq!((shown.len(), &shown[0]), (2, &stem_key));
    assert_eq!(ask(&app, Method::GET, &shown[1], None).await.bytes().await.unwrap(), new);
    assert_eq!(app.number("SELECT COUNT(*) FROM question_version_pictures").await, 3 + 4);
    assert!(
        texts(&app, "SELECT explanation FROM question_versions")
            .await
            .iter()
            .all(|text| !text.contains("/media/"))
    );
    // A file may also refer to a stored picture by its address.
    let gift = format!("[html]Which? <img src\\=\"/media/{stem_key}\"> {{=a ~b}}");
    let imported = author.import(subject, &gift).await;
    assert_eq!((imported.counts(), imported.losses.len()), ([1, 0, 0, 0], 0));
}

async fn damaged_and_missing_pictures_are_found(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let [a, b, c] = ["a", "b", "c"].map(png);
    assert_eq!(author.import(&course.subjects[0], &question(&a, &b, &c, &a)).await.counts(), [1, 0, 0, 0]);
    assert_eq!(integrity::examine(app.connection()).await.unwrap(), []);
    let hash = texts(&app, "SELECT hash FROM pictures ORDER BY hash").await.remove(0);
    let other = match app.backend {
        Backend::Postgres => "'\\x00'::bytea",
        _ => "x'00'",
    };
    app.execute(&format!("UPDATE pictures SET bytes = {other} WHERE hash = '{hash}'")).await;
    app.execute(&format!(
        "UPDATE question_versions SET stem = REPLACE(stem, 'sha256-', 'sha256-{}')",
        "f".repeat(64)
    ))
    .await;
    app.execute(&format!(
        "UPDATE question_options SET text = REPLACE(text, 'sha256-', 'sha256-{}') WHERE position = 1",
        "e".repeat(64)
    ))
    .await;
    let found = integrity::examine(app.connection()).await.unwrap();
    let named: Vec<_> = found.iter().map(|bad| (bad.table, bad.column.as_str())).collect();
    assert_eq!(
        named,
        [("pictures", "bytes"), ("question_versions", "stem"), ("question_options", "text")],
        "{found:?}"
    );
    assert!(found[1].to_string().contains(&"f".repeat(64)), "{}", found[1]);
}

async fn imports_of_the_same_picture_at_once_store_it_once(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["A", "B", "C", "D"]).await;
    let [a, b, c] = ["a", "b", "c"].map(png);
    let text = question(&a, &b, &c, &a);
    let imports =
        course.subjects.iter().map(|subject| async { author.import(subject, &text).await.counts() });
    for counts in futures_util::future::join_all(imports).await {
        assert_eq!(counts, [1, 0, 0, 0]);
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM pictures").await, 3);
    assert_eq!(app.number("SELECT COUNT(*) FROM question_version_pictures").await, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_begin_with_the_public_url_and_guesses_are_limited() {
    let flags = &["--public-url=https://api.example.com/", "--address-cost-per-minute=20"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let World { course, author } = World::new(&app, &["Physics"]).await;
        let [a, b, c] = ["a", "b", "c"].map(png);
        assert_eq!(
            author.import(&course.subjects[0], &question(&a, &b, &c, &a)).await.counts(),
            [1, 0, 0, 0]
        );
        let authored = author.run_with(AUTHORED, json!({ "subject": course.subjects[0] })).await;
        let stem = authored.text("/questions/edges/0/node/current/stem").to_owned();
        assert!(stem.contains("<img src=\"https://api.example.com/media/"), "{stem}");
        let key = media_keys(&stem).remove(0);
        let mut statuses = BTreeSet::new();
        for guess in 0..40 {
            statuses.insert(ask(&app, Method::GET, &format!("{guess:064x}"), None).await.status().as_u16());
        }
        assert_eq!(statuses, BTreeSet::from([404, 429]));
        // Requests for pictures that exist are not charged to the budget of the client's address.
        for _ in 0..40 {
            assert_eq!(ask(&app, Method::GET, &key, None).await.status(), StatusCode::OK);
        }
    })
    .await;
}
