use crate::draft::{DraftAnswer, DraftDifficulty, DraftOption};

use super::*;

const FILE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<quiz>
  <question type="category">
    <category><text>$course$/top/Mechanics</text></category>
    <info format="html"><text></text></info>
  </question>
  <question type="multichoice">
    <name><text>Free fall</text></name>
    <questiontext format="html"><text><![CDATA[<p>How long does it fall?</p>]]></text></questiontext>
    <generalfeedback format="html"><text><![CDATA[<p>t&sup2; = 2s/g</p>]]></text></generalfeedback>
    <defaultgrade>2.0000000</defaultgrade>
    <penalty>0.3333333</penalty>
    <hidden>0</hidden>
    <idnumber>mech-1</idnumber>
    <single>true</single>
    <shuffleanswers>true</shuffleanswers>
    <answer fraction="100" format="html"><text><![CDATA[<p>1 s</p>]]></text>
      <feedback format="html"><text>Right</text></feedback></answer>
    <answer fraction="0" format="html"><text>a &lt; b</text><feedback format="html"><text></text></feedback></answer>
    <tags><tag><text>difficulty:easy</text></tag><tag><text>neet</text></tag></tags>
  </question>
  <question type="multichoice">
    <name><text>Vectors</text></name>
    <questiontext format="plain_text"><text>Which are vectors?</text></questiontext>
    <single>false</single>
    <answer fraction="50"><text>force</text></answer>
    <answer fraction="50"><text>velocity</text></answer>
    <answer fraction="-100"><text>mass</text></answer>
  </question>
  <question type="truefalse">
    <name><text>tf</text></name>
    <questiontext format="html"><text>Work is a vector.</text></questiontext>
    <answer fraction="0"><text>true</text></answer>
    <answer fraction="100"><text>false</text></answer>
  </question>
  <question type="numerical">
    <name><text>num</text></name>
    <questiontext format="markdown"><text>*g*?</text></questiontext>
    <answer fraction="100"><text>9.8</text><tolerance>0.05</tolerance></answer>
    <units><unit><multiplier>1</multiplier><unit_name>m</unit_name></unit></units>
  </question>
  <question type="essay"><name><text>e</text></name></question>
  <question type="ddwtos"><name><text>d</text></name></question>
</quiz>
"#;

#[test]
fn an_export_of_moodle_is_read() {
    let parsed = read(FILE).expect("a document");
    let [fall, vectors, truth, number] = &parsed.questions[..] else { panic!("{parsed:?}") };
    assert_eq!((fall.line, fall.external_id.as_deref()), (7, Some("mech-1")));
    assert_eq!(fall.topic.as_deref(), Some("Mechanics"));
    assert_eq!(fall.difficulty, Some(DraftDifficulty::Easy));
    assert_eq!(fall.stem, "<p>How long does it fall?</p>");
    assert_eq!(fall.explanation.as_deref(), Some("<p>t&sup2; = 2s/g</p>"));
    for told in ["feedback of single", "own marks", "\"neet\""] {
        assert!(fall.losses.iter().any(|loss| loss.contains(told)), "{told}: {:?}", fall.losses);
    }
    assert_eq!((fall.losses.len(), fall.name.as_deref()), (3, Some("Free fall")));
    assert_eq!((&vectors.external_id, vectors.name.as_deref()), (&None, Some("Vectors")));
    assert!(matches!(&vectors.answer, DraftAnswer::Multiple(options) if options.len() == 3));
    assert!(vectors.losses.is_empty());
    assert_eq!(vectors.text_format, DraftTextFormat::Plain);
    assert_eq!(truth.answer.options()[1], DraftOption { text: "False".to_owned(), correct: true });
    assert!(matches!(&number.answer, DraftAnswer::Numeric { value, .. } if value.to_string() == "9.8"));
    assert!(number.losses[0].contains("units"));
    let refused: Vec<_> =
        parsed.refused.iter().map(|refusal| (refusal.line, refusal.reason.as_str())).collect();
    assert_eq!(refused.len(), 2);
    assert!(refused[0].1.contains("essay") && refused[1].1.contains("ddwtos"));
    assert_eq!(refused[0].0, 42);
}

#[test]
fn wrong_questions_are_refused_with_the_reason() {
    for (inside, named) in [
        ("<question type=\"truefalse\"/>", "Neither"),
        (
            "<question type=\"numerical\"><answer fraction=\"100\"><text>x</text></answer></question>",
            "not a number",
        ),
        ("<question type=\"numerical\"><answer fraction=\"50\"><text>1</text></answer></question>", "None"),
        ("<question type=\"multichoice\"><answer fraction=\"NaN\"/></question>", "fraction"),
        ("<question/>", "type"),
        ("<other/>", "not a question"),
    ] {
        let parsed = read(&format!("<quiz>{inside}</quiz>")).expect("a document");
        assert!(parsed.refused[0].reason.contains(named), "{inside}: {:?}", parsed.refused);
    }
    assert!(read("<rss/>").expect_err("no quiz").reason.contains("<quiz>"));
    let file = "<quiz><question type=\"multichoice\"><questiontext format=\"html\"><text>x</text>\
                <file name=\"a.png\" encoding=\"base64\">aaaa</file></questiontext></question></quiz>";
    let parsed = read(file).expect("a document");
    assert!(parsed.questions[0].losses[0].contains("embedded files"));
}

#[test]
fn comments_in_html_are_removed() {
    let file = "<quiz><question type=\"multichoice\">\
                <questiontext format=\"html\"><text><![CDATA[<p>Which? <!-- key is TWO --></p>]]></text></questiontext>\
                <answer fraction=\"0\" format=\"html\"><text>one</text></answer>\
                <answer fraction=\"100\" format=\"html\"><text>two&lt;!-- this --&gt;</text></answer>\
                </question></quiz>";
    let found = read(file).expect("a document").questions.remove(0);
    assert_eq!((found.stem.as_str(), found.answer.options()[1].text.as_str()), ("<p>Which? </p>", "two"));
    assert!(found.losses.len() == 1 && found.losses[0].contains("comments"), "{:?}", found.losses);
}

#[test]
fn texts_without_a_format_are_read_as_in_moodle() {
    let question = |stem: &str, answers: &str| {
        let file = format!(
            "<quiz><question type=\"multichoice\"><name><text>n</text></name><idnumber></idnumber>\
             <questiontext{stem}</text></questiontext><answer fraction=\"100\"><text>{answers}</text></answer>\
             <generalfeedback><text>{answers}</text></generalfeedback></question></quiz>"
        );
        read(&file).expect("a document").questions.remove(0)
    };
    for (stem, answers, format, stem_read, answer) in [
        (
            "><text>Angle &amp;theta; &lt; &#10;1?",
            "&amp;alpha;",
            DraftTextFormat::Html,
            "Angle &theta; < \n1?",
            "&alpha;",
        ),
        (" format=\"html\"><text>A?", "&amp;alpha;", DraftTextFormat::Html, "A?", "&alpha;"),
        (" format=\"markdown\"><text>*A*?", "*a*", DraftTextFormat::Markdown, "*A*?", "*a*"),
        (" format=\"plain_text\"><text>A?", "&lt;b>", DraftTextFormat::Plain, "A?", "<b>"),
        (
            " format=\"moodle_auto_format\"><text>A\nB",
            "&lt;b>a&lt;/b>",
            DraftTextFormat::Html,
            "A<br/>\nB",
            "<b>a</b>",
        ),
        (" format=\"moodle_auto_format\"><text>A\nB", "a", DraftTextFormat::Plain, "A\nB", "a"),
    ] {
        let found = question(stem, answers);
        assert_eq!((found.text_format, found.stem.as_str()), (format, stem_read), "{stem}");
        assert_eq!(found.answer.options()[0].text, answer, "{stem}");
        assert_eq!((found.explanation.as_deref(), found.losses.len()), (Some(answer), 0), "{stem}");
    }
}

#[test]
fn a_refusal_names_its_question() {
    let file = "<quiz><question type=\"essay\"><name><text>Mine</text></name><idnumber></idnumber></question></quiz>";
    let refused = read(file).expect("a document").refused.remove(0);
    assert_eq!(refused.external_id.as_deref(), Some("Mine"));
}
