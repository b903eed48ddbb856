//! External ids that the server derives from the content of questions.

use std::sync::Arc;

use jishu_tests::{TestApp, on_each_database};
use sea_orm::{ConnectionTrait, Statement};

use super::{World, rows};

on_each_database!(
    pictures_tell_questions_apart,
    pictures_belong_to_their_options,
    an_exported_id_that_was_made_up_counts_as_made_up,
    a_question_without_an_id_is_not_replaced_by_one_with_another_key,
    a_question_that_was_imported_before_pictures_counted_is_known,
);

/// Returns a Moodle question about a picture. The key of a numerical question is `key`. The key of a true-false
/// question is true if `key` is 1, otherwise false.
fn graph(file: &str, key: &str, kind: &str) -> String {
    let answer = match kind {
        "numerical" => {
            format!("<answer fraction=\"100\"><text>{key}</text><tolerance>0.1</tolerance></answer>")
        }
        _ => {
            let fraction = |is: bool| if is { 100 } else { 0 };
            format!(
                "<answer fraction=\"{}\"><text>true</text></answer><answer fraction=\"{}\"><text>false</text></answer>",
                fraction(key == "1"),
                fraction(key != "1")
            )
        }
    };
    format!(
        "<question type=\"{kind}\"><name><text>Graph</text></name><questiontext format=\"html\"><text><![CDATA[<p>Read \
         the slope.</p><p><img src=\"@@PLUGINFILE@@/image.png\"></p>]]></text>\n<file name=\"image.png\" path=\"/\" \
         encoding=\"base64\">{file}</file></questiontext>\n{answer}</question>\n"
    )
}

fn quiz(questions: &[&str]) -> String {
    format!("<quiz>\n{}</quiz>", questions.concat())
}

async fn pictures_tell_questions_apart(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics", "Chemistry"]).await;
    for kind in ["numerical", "truefalse"] {
        let (one, two) = (graph("AAAA", "1", kind), graph("BBBB", "5", kind));
        // The first subject gets both questions in one file, and the second subject gets them in two files.
        let [first, second] = &course.subjects[..] else { panic!("two subjects") };
        assert_eq!(author.import(first, &quiz(&[&one, &two])).await.counts(), [2, 0, 0, 0]);
        assert_eq!(author.import(second, &quiz(&[&one])).await.counts(), [1, 0, 0, 0]);
        assert_eq!(author.import(second, &quiz(&[&two])).await.counts(), [1, 0, 0, 0]);
        let before = rows(&app).await;
        for subject in [first, second] {
            let again = quiz(&[&one.replace("AAAA", "AA\n  AA"), &two]);
            assert_eq!(author.import(subject, &again).await.counts(), [0, 0, 2, 0]);
        }
        // The same question with another key is refused.
        let wrong = author.import(first, &quiz(&[&graph("AAAA", "7", kind)])).await;
        assert_eq!(wrong.counts(), [0, 0, 0, 1]);
        assert_eq!(rows(&app).await, before);
    }
}

async fn a_question_without_an_id_is_not_replaced_by_one_with_another_key(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let subject = &course.subjects[0];
    for (number, (one, other)) in [
        ("How many? {#54:1}", "How many? {#56:1}"),
        ("How much? {#54:1}", "How much? {#54:2}"),
        ("Is it so? {TRUE}", "Is it so? {FALSE}"),
        ("Which? {=a ~b ~c}", "Which? {~a =b ~c}"),
        ("Which ones? {=a ~b ~c}", "Which ones? {~%50%a ~%50%b ~%-100%c}"),
    ]
    .into_iter()
    .enumerate()
    {
        let both = author.import(subject, &format!("{one}\n\n{other}\n")).await;
        assert_eq!(both.counts(), [1, 0, 0, 1], "{one}");
        let refused = &both.refused[0];
        assert_eq!(refused.line, Some(3));
        assert!(refused.text.contains("line 1") && refused.text.contains("another key"), "{refused:?}");
        let before = rows(&app).await;
        let alone = author.import(subject, &format!("\n{other}\n")).await;
        assert_eq!(alone.counts(), [0, 0, 0, 1], "{one}");
        let refused = &alone.refused[0];
        assert_eq!(refused.line, Some(2));
        assert!(refused.text.contains("correctQuestionKey"), "{refused:?}");
        assert_eq!(rows(&app).await, before);
        assert_eq!(before[1], i64::try_from(number).unwrap() + 1);
        // A file with the same key may change the explanation of the question.
        let explained = one.replace('}', " #### Because it is.}");
        assert_eq!(author.import(subject, &explained).await.counts(), [0, 1, 0, 0], "{one}");
    }
}

/// Imports a question that the bank already has under an older id. An older version of the server derived this id from
/// the text alone, without the picture.
async fn a_question_that_was_imported_before_pictures_counted_is_known(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics", "Chemistry"]).await;
    let subject = &course.subjects[0];
    let (one, two) = (graph("AAAA", "2", "numerical"), graph("BBBB", "5", "numerical"));
    // An empty picture does not count, so the server derives the id of this question from its text alone.
    assert_eq!(author.import(subject, &quiz(&[&graph("", "5", "numerical")])).await.counts(), [1, 0, 0, 0]);
    let before = rows(&app).await;
    assert_eq!(author.import(subject, &quiz(&[&two])).await.counts(), [0, 0, 1, 0]);
    assert_eq!(rows(&app).await, before);
    // The older version of the server ignored pictures, so it treated a question with another picture as the same
    // question. Now the question with the other picture is imported as new.
    assert_eq!(author.import(subject, &quiz(&[&one, &two])).await.counts(), [1, 0, 1, 0]);
    // Of two questions with this text and this key, only one matches the stored question. The other one is new.
    let same = [graph("CCCC", "5", "numerical"), graph("DDDD", "5", "numerical")];
    let chemistry = &course.subjects[1];
    assert_eq!(author.import(chemistry, &quiz(&[&graph("", "5", "numerical")])).await.counts(), [1, 0, 0, 0]);
    let answer = author.import(chemistry, &quiz(&same.each_ref().map(String::as_str))).await;
    assert_eq!(answer.counts(), [1, 0, 1, 0]);
    assert_eq!(answer.refused, []);
    // The question now has an id that includes its picture. Other questions with the same text are therefore new.
    let third = quiz(&[&graph("EEEE", "5", "numerical")]);
    assert_eq!(author.import(chemistry, &third).await.counts(), [1, 0, 0, 0]);
    assert_eq!(
        author.import(chemistry, &quiz(&same.each_ref().map(String::as_str))).await.counts(),
        [0, 0, 2, 0]
    );
    // The question with the first of the two pictures is refused if the file has another key for it.
    let wrong = author.import(chemistry, &quiz(&[&graph("CCCC", "6", "numerical")])).await;
    assert_eq!(wrong.counts(), [0, 0, 0, 1]);
}

async fn pictures_belong_to_their_options(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let option = |name: &str, file: &str, fraction: &str| {
        format!(
            "<answer fraction=\"{fraction}\" format=\"html\"><text>{name}</text>\
             <file name=\"a.png\" encoding=\"base64\">{file}</file></answer>"
        )
    };
    let pick = |one: &str, two: &str| {
        let options = [option("A", one, "100"), option("B", two, "0")].concat();
        quiz(&[&format!(
            "<question type=\"multichoice\"><questiontext format=\"html\"><text>Pick.</text></questiontext>\
             <single>true</single>{options}</question>"
        )])
    };
    let subject = &course.subjects[0];
    assert_eq!(author.import(subject, &pick("AAAA", "BBBB")).await.counts(), [1, 0, 0, 0]);
    assert_eq!(author.import(subject, &pick("BBBB", "AAAA")).await.counts(), [1, 0, 0, 0]);
    assert_eq!(author.import(subject, &pick("AAAA", "BBBB")).await.counts(), [0, 0, 1, 0]);
}

async fn an_exported_id_that_was_made_up_counts_as_made_up(app: Arc<TestApp>) {
    let World { course, author } = World::new(&app, &["Physics"]).await;
    let subject = &course.subjects[0];
    // A byte order mark inside the file does not belong to a text. Invisible characters alone are neither a text nor an
    // id.
    let text =
        "One? {=a ~b}\n\n\u{feff}Two? {=a ~b}\n\n\u{200b} {=c ~d}\n\n// [id:\u{202e}x]\nThree? {=a ~b}\n";
    let answer = author.import(subject, text).await;
    assert_eq!(answer.counts(), [2, 0, 0, 2]);
    assert_eq!(app.number("SELECT COUNT(*) FROM question_versions WHERE stem = 'Two?'").await, 1);
    let id = "SELECT COUNT(*) FROM questions WHERE external_id LIKE 'auto-%'";
    assert_eq!(app.number(id).await, 2);
    let exported = format!("// [id:{}]\nOne? {{~a =b}}\n", external_id(&app, "One?").await);
    let again = author.import(subject, &exported).await;
    assert_eq!(again.counts(), [0, 0, 0, 1], "the question with another key was not refused");
    assert_eq!(again.losses, []);
}

/// Returns the external id of the question with this stem.
async fn external_id(app: &TestApp, stem: &str) -> String {
    let sql = format!(
        "SELECT q.external_id FROM questions q JOIN question_versions v ON v.question_id = q.id WHERE v.stem = '{stem}'"
    );
    let row =
        app.connection().query_one_raw(Statement::from_string(app.connection().get_database_backend(), sql));
    row.await.unwrap().unwrap().try_get_by_index(0).unwrap()
}
