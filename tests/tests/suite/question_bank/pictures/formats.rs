//! Pictures in files: exported and imported again in each format that can hold them, in packages, and missing from a
//! file.

use std::sync::Arc;

use jishu_tests::{EXPORT, TestApp, base64, media_keys, on_each_database, package, png};
use reqwest::Method;
use serde_json::json;

use super::super::{World, rows};
use super::{AUTHORED, ask, question, texts};

on_each_database!(
    pictures_come_back_from_each_format,
    packages_are_imported_with_their_pictures,
    dead_pictures_are_reported_or_refused,
);

async fn pictures_come_back_from_each_format(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics", "GIFT", "Moodle", "QTI"]).await;
    let [from, into @ ..] = &course.subjects[..] else { panic!("subjects") };
    let [a, b, c] = ["a", "b", "c"].map(png);
    let imported = author.import(from, &question(&a, &b, &c, &a)).await;
    assert_eq!(imported.counts(), [1, 0, 0, 0]);
    let address = format!("data:image/png;base64,{}", base64(&a)).replace(':', "\\:").replace('=', "\\=");
    let markdown =
        format!("// [id:md]\n[markdown]Which? ![graph]({address}) {{=x ~y ####See ![]({address})}}\n");
    assert_eq!(author.import(from, &markdown).await.counts(), [1, 0, 0, 0]);
    let stored = "SELECT v.content_hash FROM question_versions v JOIN questions q ON q.id = v.question_id WHERE \
                  q.subject_id = ";
    let contents = async |row: i64| {
        let mut hashes = texts(&app, &format!("{stored}{row}")).await;
        hashes.sort();
        hashes
    };
    let expected = contents(course.subject_rows[0].0).await;
    for ((subject, row), format) in
        into.iter().zip(&course.subject_rows[1..]).zip(["GIFT", "MOODLE_XML", "QTI"])
    {
        let export = author.export(from, format).await;
        assert!(export.losses.is_empty() && !export.text.contains("/media/"), "{}", export.text);
        assert_eq!(author.import(from, &export.text).await.counts(), [0, 0, 2, 0], "{format}");
        let again = author.import(subject, &export.text).await;
        assert_eq!((again.counts(), again.losses.len()), ([2, 0, 0, 0], 0), "{format}");
        assert_eq!(contents(row.0).await, expected, "{format}");
    }
    let aiken = author.export(from, "AIKEN").await;
    assert!(aiken.losses.iter().all(|loss| loss.text.contains("its pictures")), "{:?}", aiken.losses);
    assert_eq!(app.number("SELECT COUNT(*) FROM pictures").await, 3);
    // A page of an export contains pictures up to a maximum size, so these ten questions need two pages.
    let noise = |mark: u8| {
        let bytes: Vec<u8> = [png("noise"), vec![mark; 600_000]].concat();
        format!(
            "// [id:n{mark}]\n[html]Which? <img src\\=\"data\\:image/png;base64,{}\"> {{=x ~y}}\n",
            base64(&bytes).replace('=', "\\=")
        )
    };
    for mark in 0..8 {
        assert_eq!(author.import(from, &noise(mark)).await.counts(), [1, 0, 0, 0]);
    }
    let (mut after, mut pages, mut questions) = (None, 0, 0);
    loop {
        let variables = json!({ "subject": from, "format": "GIFT", "after": after });
        let page = author.run_with(EXPORT, variables).await;
        questions += page.number("/exportQuestions/questionCount");
        pages += 1;
        after = Some(page.text("/exportQuestions/endCursor").to_owned());
        if *page.at("/exportQuestions/hasNextPage") == json!(false) {
            break;
        }
    }
    assert_eq!((pages, questions), (2, 10));
}

pub(super) fn item(stem: &str) -> String {
    format!(
        "<assessmentItem xmlns=\"http://www.imsglobal.org/xsd/imsqti_v2p1\" identifier=\"i\" title=\"i\" adaptive=\"false\" \
         timeDependent=\"false\"><responseDeclaration identifier=\"RESPONSE\" cardinality=\"single\" baseType=\"identifier\">\
         <correctResponse><value>A</value></correctResponse></responseDeclaration><itemBody>{stem}<choiceInteraction \
         responseIdentifier=\"RESPONSE\" shuffle=\"true\" maxChoices=\"1\"><simpleChoice identifier=\"A\">yes</simpleChoice>\
         <simpleChoice identifier=\"B\">no</simpleChoice></choiceInteraction></itemBody><responseProcessing \
         template=\"http://www.imsglobal.org/question/qti_v2p1/rptemplates/match_correct\"/></assessmentItem>"
    )
}

async fn packages_are_imported_with_their_pictures(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let subject = &course.subjects[0];
    let picture = png("in a package");
    let text = item("<p>Which? <img src=\"../images/a%20b.png\" alt=\"\"/></p>");
    let bytes = package(&[("items/a.xml", text.as_bytes()), ("images/a b.png", &picture)]);
    let import =
        |package: String| author.import(subject, "").with(&json!({ "text": null, "package": package }));
    let imported = import(base64(&bytes)).await;
    assert_eq!((imported.counts(), imported.losses.len()), ([1, 0, 0, 0], 0));
    let authored = author.run_with(AUTHORED, json!({ "subject": subject })).await;
    let key = media_keys(authored.text("/questions/edges/0/node/current/stem")).remove(0);
    assert_eq!(ask(&app, Method::GET, &key, None).await.bytes().await.unwrap(), picture);
    // A file may show a stored picture by its address, which an author can copy from a response of the API.
    let pictures = app.number("SELECT COUNT(*) FROM pictures").await;
    let shown = |address: &str| {
        let text = item(&format!("<p>And this? <img src=\"{address}\" alt=\"\"/></p>"));
        package(&[("a.xml", text.replace("=\"i\"", "=\"j\"").as_bytes())])
    };
    for address in [format!("/media/{key}"), format!("https://api.example.com/media/{key}")] {
        let imported = import(base64(&shown(&address))).await;
        let [created, updated, unchanged, refused] = imported.counts();
        assert_eq!((created + unchanged, updated, refused, imported.losses.len()), (1, 0, 0, 0), "{address}");
    }
    let authored = author.run_with(AUTHORED, json!({ "subject": subject })).await;
    assert_eq!(media_keys(authored.text("/questions/edges/1/node/current/stem")), std::slice::from_ref(&key));
    assert_eq!(app.number("SELECT COUNT(*) FROM pictures").await, pictures);
    let unknown = import(base64(&shown(&format!("/media/{}", "0".repeat(64))))).await;
    assert_eq!(unknown.counts(), [0, 1, 0, 0]);
    assert!(unknown.losses[0].text.contains("does not have it"), "{:?}", unknown.losses);
    let same_id = item("<p>And that?</p>");
    let twice =
        import(base64(&package(&[("a.xml", same_id.as_bytes()), ("b.xml", same_id.as_bytes())]))).await;
    assert_eq!(twice.counts(), [0, 1, 0, 1]);
    let reason = &twice.refused[0].text;
    assert!(reason.contains("the same id as question 1 of the package"), "{reason}");
    let before = rows(&app).await;
    let out = package(&[("a.xml", text.as_bytes()), ("../a.png", &picture)]);
    let bomb = package(&[("a.xml", text.as_bytes()), ("images/a b.png", &vec![0; 20_000_000])]);
    for (package, named) in [
        (base64(&out), "leads out of the package"),
        (base64(&bomb), "200 times"),
        ("no base64!".to_owned(), "not base64"),
        (base64(b"Is it? {=a ~b}"), "not a ZIP package"),
    ] {
        let answer = import(package).await;
        let refused = answer.refusal();
        assert!(refused.code == "QUESTIONS_UNREADABLE" && refused.message.contains(named), "{refused:?}");
        assert_eq!(refused.path, ["input", "package"], "{named}");
    }
    for fields in [json!({ "text": null }), json!({ "package": base64(&bytes) })] {
        let answer = author.import(subject, "Is it? {=a ~b}").with(&fields).await;
        assert!(answer.refusal().message.contains("`text` or `package`"), "{answer:?}");
    }
    assert_eq!(rows(&app).await, before);
}

/// Imports files of other systems that lack a picture. The import reports the lost picture, or refuses the question if
/// an option is nothing but a picture.
async fn dead_pictures_are_reported_or_refused(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let subject = &course.subjects[0];
    let asked = |stem: &str, more: &str| {
        format!(
            "<quiz><question type=\"multichoice\"><questiontext format=\"html\"><text>{stem}</text></questiontext>\
             {more}<single>true</single><answer fraction=\"100\"><text>L1</text></answer><answer fraction=\"0\"><text>L2\
             </text></answer></question></quiz>"
        )
    };
    let moodle = "http://moodle.school.invalid/draftfile.php/5/user/draft/123/circuit.png";
    for (text, named) in [
        (asked("Which one?", "<image>circuit.png</image>"), "\"circuit.png\" is left out: the file of"),
        (asked(&format!("Which two?&lt;img src=\"{moodle}\">"), ""), "asks learners to sign in"),
        (asked("Which three?&lt;img src=\"circuit.png\">", ""), "\"circuit.png\" is left out: the file of"),
        ("[html]Which four?<img src\\=\"images/circuit.png\">{=L1 ~L2}".to_owned(), "\"images/circuit.png\""),
        ("[markdown]Which five? ![](circuit.png) {=L1 ~L2}".to_owned(), "\"circuit.png\""),
    ] {
        let imported = author.import(subject, &text).await;
        assert_eq!(imported.counts(), [1, 0, 0, 0], "{text}");
        let [loss] = &imported.losses[..] else { panic!("{text}: {:?}", imported.losses) };
        assert!(loss.text.contains(named), "{loss:?}");
    }
    let old = format!("<image>circuit.png</image><image_base64>{}</image_base64>", base64(&png("old")));
    let imported = author.import(subject, &asked("Which six?", &old)).await;
    assert_eq!((imported.counts(), imported.losses.len()), ([1, 0, 0, 0], 0));
    let before = rows(&app).await;
    let options: String = ["0", "100", "0"]
        .iter()
        .enumerate()
        .map(|(at, fraction)| {
            format!(
                "<answer fraction=\"{fraction}\" format=\"html\"><text>&lt;img src=\"@@PLUGINFILE@@/g{at}.png\"></text>\
                 <file name=\"g{at}.png\" encoding=\"base64\">AAAA</file></answer>"
            )
        })
        .collect();
    let only_pictures = format!(
        "<quiz><question type=\"multichoice\"><questiontext format=\"html\"><text>Which graph?</text></questiontext>\
         <single>true</single>{options}</question></quiz>"
    );
    let imported = author.import(subject, &only_pictures).await;
    assert_eq!(imported.counts(), [0, 0, 0, 1]);
    let reason = &imported.refused[0].text;
    assert!(
        reason.starts_with("Option A shows only a file that is not kept. The file \"g0.png\""),
        "{reason}"
    );
    assert_eq!(rows(&app).await, before);
    // The bytes of a picture within the text do not count towards the maximum length of the text.
    let large = [png("large"), vec![7; 30_000]].concat();
    let stem = format!("Name the organ.&lt;img src=\"data:image/png;base64,{}\">", base64(&large));
    let imported = author.import(subject, &asked(&stem, "")).await;
    assert_eq!((imported.counts(), imported.losses.len()), ([1, 0, 0, 0], 0));
}
