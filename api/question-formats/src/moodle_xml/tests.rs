use crate::draft::{DraftAnswer, DraftDifficulty, DraftOption, OptionOrder};

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
    for told in ["feedback for each", "own marks", "\"neet\""] {
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
        ("<question type=\"truefalse\"/>", "one right and one wrong"),
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

/// Reads a document with this question only.
fn only(question: &str) -> ParsedQuestion {
    let parsed = read(&format!("<quiz>{question}</quiz>")).expect("a document");
    assert_eq!(parsed.refused, [], "{question}");
    parsed.questions.into_iter().next().expect("a question")
}

/// Returns the XML of a choice question of the type `kind`. `answers` are the fractions and texts of its answers.
fn choice(kind: &str, inside: &str, answers: &[(&str, &str)]) -> String {
    let answer = |(fraction, text): &(&str, &str)| {
        format!("<answer fraction=\"{fraction}\"><text>{text}</text></answer>")
    };
    let answers: String = answers.iter().map(answer).collect();
    format!(
        "<question type=\"{kind}\"><name><text>Q</text></name><questiontext format=\"html\"><text>Which?</text>\
         </questiontext>{inside}{answers}</question>"
    )
}

fn options(found: &ParsedQuestion) -> Vec<(&str, bool)> {
    found.answer.options().iter().map(|option| (option.text.as_str(), option.correct)).collect()
}

#[test]
fn choices_of_other_types_are_read() {
    let found = only(&choice("multichoiceset", "", &[("100", "2"), ("0", "4"), ("100", "5")]));
    assert!(matches!(found.answer, DraftAnswer::Multiple(_)));
    assert_eq!(options(&found), [("2", true), ("4", false), ("5", true)]);
    assert_eq!(found.losses, [""; 0]);
    let found = only(&choice("oumultiresponse", "", &[("100", "2"), ("0", "4"), ("100.00000", "5")]));
    assert!(matches!(found.answer, DraftAnswer::Multiple(_)));
    assert!(found.losses.len() == 1 && found.losses[0].contains("partial marks"), "{:?}", found.losses);
}

#[test]
fn true_and_false_can_be_words_of_another_language() {
    for (answers, read) in [
        ([("100", "Wahr"), ("0", "Falsch")], [("Wahr", true), ("Falsch", false)]),
        ([("0", "Vrai"), ("100", "Faux")], [("Vrai", false), ("Faux", true)]),
        ([("100", "सही"), ("0", "गलत")], [("सही", true), ("गलत", false)]),
        ([("0", "TRUE"), ("100", " False ")], [("True", false), ("False", true)]),
        ([("100", "false"), ("0", "true")], [("True", false), ("False", true)]),
    ] {
        let found = only(&choice("truefalse", "", &answers));
        assert_eq!((options(&found), found.losses.len()), (read.to_vec(), 0), "{answers:?}");
    }
    for answers in [
        &[("100", "Wahr")][..],
        &[("100", "Wahr"), ("100", "Falsch")],
        &[("0", "Wahr"), ("0", "Falsch")],
        &[("100", "true"), ("100", "false")],
    ] {
        let parsed = read(&format!("<quiz>{}</quiz>", choice("truefalse", "", answers))).expect("a document");
        assert!(parsed.refused[0].reason.contains("one right and one wrong"), "{answers:?}");
    }
}

#[test]
fn the_order_of_options_is_read() {
    let answers = [("100", "a"), ("0", "b"), ("0", "All of the above")];
    let shuffled = OptionOrder::default;
    for (inside, order, told) in [
        ("<shuffleanswers>0</shuffleanswers>", OptionOrder::kept(), 0),
        ("<shuffleanswers>False</shuffleanswers>", OptionOrder::kept(), 0),
        ("<shuffleanswers> true </shuffleanswers>", shuffled(), 1),
        ("<shuffleanswers>1</shuffleanswers>", shuffled(), 1),
        (
            "<shuffleanswers>0</shuffleanswers><tags><tag><text>options:fixed:C</text></tag></tags>",
            OptionOrder { shuffled: true, fixed: vec![2] },
            0,
        ),
    ] {
        for kind in ["multichoice", "multichoiceset"] {
            let found = only(&choice(kind, inside, &answers));
            assert_eq!(
                (&found.option_order, found.losses.len()),
                (&order, told),
                "{kind} {inside} {:?}",
                found.losses
            );
        }
    }
}

#[test]
fn an_order_that_is_not_stated_is_that_of_moodle() {
    let order = |kind: &str, last: &str| {
        only(&choice(kind, "<shuffleanswers/>", &[("100", "a"), ("0", "b"), ("0", last)])).option_order
    };
    assert_eq!(order("multichoice", "c"), OptionOrder::kept());
    assert_eq!(order("multichoiceset", "c"), OptionOrder::default());
    assert_eq!(order("oumultiresponse", "Both a and b"), OptionOrder::kept());
}

#[test]
fn documents_with_a_type_or_with_names_of_characters_are_read() {
    let question = choice("multichoice", "", &[("100", "Pacific"), ("0", "Arctic")]);
    for text in [
        format!("<?xml version=\"1.0\"?>\n<!DOCTYPE quiz>\n<quiz>{question}</quiz>"),
        format!("\n<?xml version=\"1.0\"?>\n<!DOCTYPE quiz SYSTEM \"quiz.dtd\">\n<quiz>{question}</quiz>"),
        format!(
            "\u{feff}<!DOCTYPE quiz [\n<!ENTITY nbsp \"&#160;\">\n]>\n<quiz>{}</quiz>",
            question.replace('?', "&nbsp;?")
        ),
        format!("<quiz>{}</quiz>", question.replace("Which?", "Largest&nbsp;ocean?")),
    ] {
        let parsed = read(&text).expect("a document");
        assert_eq!((parsed.questions.len(), parsed.refused.len()), (1, 0), "{text}");
    }
    let found = only(&question.replace("Which?", "<![CDATA[<p>Largest&nbsp;ocean?</p>]]> caf&eacute;"));
    assert_eq!(found.stem, "<p>Largest&nbsp;ocean?</p> café");
}

#[test]
fn blank_options_long_categories_and_marks_of_languages_are_told() {
    let found =
        only(&choice("multichoice", "", &[("100", "a"), ("0", ""), ("0", "&lt;p>&lt;/p>"), ("0", "b")]));
    assert_eq!(options(&found), [("a", true), ("b", false)]);
    assert_eq!(found.losses, ["Options B, C are left out, because they are blank."]);
    let category = format!(
        "<question type=\"category\"><category><text>{}/Optics</text></category></question>",
        "x".repeat(201)
    );
    let found = only(&format!("{category}{}", choice("multichoice", "", &[("100", "a"), ("0", "b")])));
    assert!(found.topic.as_deref() == Some("Optics") && found.losses[0].contains("shortened"), "{found:?}");
    for marked in [
        "<![CDATA[<p>{mlang en}What is force?{mlang}{mlang hi}बल क्या है?{mlang}</p>]]>",
        "<![CDATA[<span lang=\"en\" class=\"multilang\">push</span><span lang=\"hi\" class=\"multilang\">धक्का</span>]]>",
    ] {
        for answers in [[("100", marked), ("0", "b")], [("100", "a"), ("0", marked)]] {
            let found = only(&choice("multichoice", "", &answers));
            assert!(
                found.losses.len() == 1 && found.losses[0].contains("several languages"),
                "{:?}",
                found.losses
            );
        }
    }
}

#[test]
fn files_that_are_not_kept_are_told() {
    let asked = |stem: &str, inside: &str| {
        choice("multichoice", inside, &[("100", "a"), ("0", "b")]).replace("Which?", stem)
    };
    for question in [
        asked("Which?", "<image>circuit.png</image><image_base64>aaaa</image_base64>"),
        asked("Which?", "<image>circuit.png</image>"),
        asked("<![CDATA[Which? <img src=\"http://m.invalid/draftfile.php/5/user/draft/1/a.png\">]]>", ""),
        asked("<![CDATA[Which? <img src=\"circuit.png\">]]>", ""),
        asked("Which?", "<generalfeedback><text>&lt;img src=\"a.png\"></text></generalfeedback>"),
        asked(
            "Which?",
            "<generalfeedback><text>x</text><file name=\"a.png\" encoding=\"base64\">aaaa</file></generalfeedback>",
        ),
    ] {
        let found = whole(&question);
        assert!(
            found.losses.len() == 1 && found.losses[0].contains(".png\" is left out:"),
            "{question}: {:?}",
            found.losses
        );
    }
    for question in
        [asked("Which?", "<image></image>"), asked("&lt;img src=\"https://x.example/a.png\">", "")]
    {
        assert_eq!(whole(&question).losses, [""; 0], "{question}");
    }
}

#[test]
fn short_answers_are_read() {
    let question = |usecase: &str, answers: &str| {
        format!(
            "<question type=\"shortanswer\"><questiontext format=\"html\"><text>Who?</text></questiontext>\
             {usecase}{answers}</question>"
        )
    };
    let answer = |fraction: &str, text: &str| {
        format!("<answer fraction=\"{fraction}\" format=\"moodle_auto_format\"><text>{text}</text></answer>")
    };
    for (usecase, is_sensitive) in
        [("", false), ("<usecase>0</usecase>", false), ("<usecase>1</usecase>", true)]
    {
        let answers = [answer("100", " Marie  Curie "), answer("50", "Curie"), answer("0", "*")].concat();
        let found = only(&question(usecase, &answers));
        let DraftAnswer::ShortAnswer { texts, is_case_sensitive } = found.answer else { panic!("{usecase}") };
        assert_eq!((texts, is_case_sensitive), (vec!["Marie Curie".to_owned()], is_sensitive));
        assert!(found.losses.len() == 1 && found.losses[0].contains("partial marks"), "{:?}", found.losses);
    }
    for (answers, told) in [
        (answer("50", "a"), "full marks"),
        (answer("100", "*"), "every text"),
        ([answer("0", "cat"), answer("100", "c*t")].concat(), "fewer marks"),
    ] {
        let parsed = read(&format!("<quiz>{}</quiz>", question("", &answers))).expect("a document");
        assert!(parsed.refused[0].reason.contains(told), "{answers}: {:?}", parsed.refused);
    }
}

/// Reads a document with this question only through [`crate::read`], which also keeps pictures, and reports pictures
/// that it cannot keep.
fn whole(question: &str) -> ParsedQuestion {
    let text = format!("<quiz>{question}</quiz>");
    crate::read(crate::Format::MoodleXml, &text).expect("a document").questions.remove(0)
}
