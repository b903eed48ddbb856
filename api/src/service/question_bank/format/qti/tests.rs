use jishu_entity::question_version::TextFormat;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

fn item(declaration: &str, body: &str, rest: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<qti-assessment-item xmlns=\"http://www.imsglobal.org/xsd/imsqtiasi_v3p0\" \
         identifier=\"i1\" title=\"i1\" adaptive=\"false\" time-dependent=\"false\">\n{declaration}\n\
         <qti-item-body>{body}</qti-item-body>\n{rest}</qti-assessment-item>"
    )
}

fn key(cardinality: &str, base_type: &str, values: &[&str]) -> String {
    let values: String = values.iter().map(|value| format!("<qti-value>{value}</qti-value>")).collect();
    format!(
        "<qti-response-declaration identifier=\"RESPONSE\" cardinality=\"{cardinality}\" base-type=\"{base_type}\">\
         <qti-correct-response>{values}</qti-correct-response></qti-response-declaration>"
    )
}

const CHOICES: &str = "<qti-simple-choice identifier=\"X\">one</qti-simple-choice>\
                       <qti-simple-choice identifier=\"Y\">two</qti-simple-choice>";

fn choice(prompt: &str) -> String {
    format!(
        "<qti-choice-interaction response-identifier=\"RESPONSE\" max-choices=\"1\">{prompt}{CHOICES}</qti-choice-interaction>"
    )
}

fn only(text: &str) -> Found {
    let mut reading = read(text).expect("a document");
    assert_eq!(reading.refused, [], "{text}");
    reading.questions.remove(0)
}

fn reason(text: &str) -> String {
    read(text).expect("a document").refused.remove(0).reason
}

const NUMBER: &str = "<p>How much? <qti-text-entry-interaction response-identifier=\"RESPONSE\"/></p>";

#[test]
fn items_of_others_are_read() {
    let declaration = key("single", "identifier", &["Y"]);
    let found = only(&item(&declaration, &choice("<qti-prompt>Which?</qti-prompt>"), ""));
    assert_eq!((found.stem.as_str(), found.text_format, found.line), ("Which?", TextFormat::Plain, 2));
    assert_eq!(found.external_id.as_deref(), Some("i1"));
    assert_eq!(found.answer.options()[1], DraftOption { text: "two".to_owned(), correct: true });
    assert!(found.losses.is_empty());

    let found = only(&item(&declaration, &format!("<p>Which?</p>{}", choice("")), ""));
    assert_eq!((found.stem.as_str(), found.text_format), ("Which?", TextFormat::Plain));

    let body = format!("<p>Look: <b>here</b></p>{}", choice("<qti-prompt>Which?</qti-prompt>"));
    let found = only(&item(&declaration, &body, ""));
    assert_eq!(
        (found.stem.as_str(), found.text_format),
        ("<p>Look: <b>here</b></p>\n<p>Which?</p>", TextFormat::Html)
    );

    let several = only(&item(
        &key("multiple", "identifier", &["X", "Y"]),
        &choice("<qti-prompt>Which?</qti-prompt>"),
        "",
    ));
    assert!(
        matches!(&several.answer, DraftAnswer::Multiple(options) if options.iter().all(|option| option.correct))
    );

    let feedback = "<qti-modal-feedback identifier=\"F\" outcome-identifier=\"FEEDBACK\" show-hide=\"show\">\
                    <qti-content-body><p>Because.</p></qti-content-body></qti-modal-feedback>";
    let found = only(&item(&declaration, &choice("<qti-prompt>Which?</qti-prompt>"), feedback));
    assert_eq!(found.explanation.as_deref(), Some("Because."));
    let found = only(&item(&declaration, &choice("<qti-prompt>Which?</qti-prompt>"), &feedback.repeat(2)));
    assert_eq!(found.explanation, None);
    assert!(found.losses[0].contains("feedback"));
}

const OPERANDS: &str = "<qti-variable identifier=\"RESPONSE\"/><qti-correct identifier=\"RESPONSE\"/>";

fn score(points: &str) -> String {
    format!(
        "<qti-set-outcome-value identifier=\"SCORE\"><qti-base-value base-type=\"float\">{points}</qti-base-value>\
         </qti-set-outcome-value>"
    )
}

/// A condition that scores where a test holds.
fn scored(test: &str) -> String {
    format!(
        "<qti-response-condition><qti-response-if>{test}{}</qti-response-if></qti-response-condition>",
        score("1")
    )
}

#[test]
fn processing_that_is_not_recognised_is_refused() {
    let number = key("single", "float", &["6"]);
    let matched = format!("<qti-match>{OPERANDS}</qti-match>");
    let mapped = "<qti-set-outcome-value identifier=\"SCORE\"><qti-map-response identifier=\"RESPONSE\"/>\
                  </qti-set-outcome-value>";
    let is_null = "<qti-is-null><qti-variable identifier=\"RESPONSE\"/></qti-is-null>";
    let feedback = "<qti-response-condition><qti-response-if><qti-gt><qti-variable identifier=\"RESPONSE\"/>\
                    <qti-base-value base-type=\"float\">7</qti-base-value></qti-gt><qti-set-outcome-value \
                    identifier=\"FEEDBACK\"><qti-base-value base-type=\"identifier\">HIGH</qti-base-value>\
                    </qti-set-outcome-value></qti-response-if></qti-response-condition>";
    let value = "<qti-variable identifier=\"RESPONSE\"/><qti-base-value base-type=\"float\">";
    let again = format!("<qti-equal>{value}6</qti-base-value></qti-equal>");
    let branches = |branches: &str| format!("<qti-response-condition>{branches}</qti-response-condition>");
    for rules in [
        scored(&matched),
        format!("{}{}{feedback}", score("0"), scored(&matched)),
        scored(&again),
        mapped.to_owned(),
        branches(&format!(
            "<qti-response-if>{is_null}{}</qti-response-if><qti-response-else-if>{matched}{}</qti-response-else-if>\
             <qti-response-else>{}</qti-response-else>",
            score("0"),
            score("2"),
            score("0")
        )),
        branches(&format!(
            "<qti-response-if>{is_null}{}</qti-response-if><qti-response-else>{mapped}</qti-response-else>",
            score("0")
        )),
    ] {
        let processing = format!("<qti-response-processing>{rules}</qti-response-processing>");
        let found = only(&item(&number, NUMBER, &processing));
        assert!(
            matches!(found.answer, DraftAnswer::Numeric { tolerance, .. } if tolerance.is_zero()),
            "{rules}"
        );
    }
    for (rules, named) in [
        (
            scored(&format!("<qti-equal-rounded figures=\"2\">{OPERANDS}</qti-equal-rounded>")),
            "qti-equal-rounded",
        ),
        (
            scored(&format!(
                "<qti-and><qti-gte>{value}5</qti-base-value></qti-gte><qti-lte>{value}7</qti-base-value></qti-lte></qti-and>"
            )),
            "qti-and",
        ),
        (scored(&format!("<qti-not>{matched}</qti-not>")), "qti-not"),
        (scored(&again.replace('6', "7")), "qti-equal"),
        (scored(&matched).repeat(2), "more than once"),
        (feedback.to_owned(), "no SCORE"),
        (score("1"), "not recognised"),
        (
            branches(&format!(
                "<qti-response-if>{matched}{}</qti-response-if><qti-response-else>{}</qti-response-else>",
                score("0"),
                score("1")
            )),
            "not recognised",
        ),
    ] {
        let processing = format!("<qti-response-processing>{rules}</qti-response-processing>");
        let reason = reason(&item(&number, NUMBER, &processing));
        assert!(reason.contains(named), "{named}: {reason}");
    }
    let template = |name: &str| {
        let choice = choice("<qti-prompt>Which?</qti-prompt>");
        let processing = format!("<qti-response-processing template=\"https://x.example/v3p0/{name}\"/>");
        read(&item(&key("single", "identifier", &["Y"]), &choice, &processing)).expect("a document")
    };
    for known in ["match_correct", "match_correct.xml", "map_response.xml", "CC2_match.xml"] {
        assert_eq!(template(known).refused, [], "{known}");
    }
    assert!(template("map_response_point.xml").refused[0].reason.contains("not recognised"));
}

#[test]
fn learners_see_nothing_that_is_for_others() {
    let declaration = key("single", "identifier", &["Y"]);
    let feedback = "<qti-feedback-inline outcome-identifier=\"F\" identifier=\"Y\" show-hide=\"show\">KEY\
                    </qti-feedback-inline>";
    let block = "<qti-feedback-block outcome-identifier=\"F\" identifier=\"Y\" show-hide=\"show\">\
                 <qti-content-body><p>KEY</p></qti-content-body></qti-feedback-block>";
    let scorer = "<qti-rubric-block use=\"scoring\" view=\"scorer proctor\"><qti-content-body><p>KEY</p>\
                  </qti-content-body></qti-rubric-block>";
    let prompt = "<qti-prompt>Which?</qti-prompt>";
    for (body, told, stem) in [
        (format!("{scorer}{}", choice(prompt)), "rubric", "Which?"),
        (format!("{}{block}", choice(prompt)), "feedback", "Which?"),
        (choice(prompt).replace("two", &format!("two{feedback}")), "feedback", "Which?"),
        (choice(prompt).replace("two", "two<!-- KEY -->"), "comments", "Which?"),
        (choice(&prompt.replace('?', "?<?x KEY?>")), "comments", "Which?"),
        (
            format!("<div><p>a<!-- KEY -->b</p><p>c</p></div>{}", choice("")),
            "comments",
            "<div><p>ab</p><p>c</p></div>",
        ),
        (
            format!(
                "<div><p>a</p>{block}<p>c</p><qti-template-inline>KEY</qti-template-inline></div>{}",
                choice("")
            ),
            "template",
            "<div><p>a</p><p>c</p></div>",
        ),
        (format!("{}<qti-modal-feedback>KEY</qti-modal-feedback>", choice(prompt)), "feedback", "Which?"),
    ] {
        let found = only(&item(&declaration, &body, ""));
        assert!(!format!("{found:?}").contains("KEY"), "{found:?}");
        assert_eq!((found.stem.as_str(), found.answer.options()[1].text.as_str()), (stem, "two"), "{body}");
        assert!(found.losses.iter().any(|loss| loss.contains(told)), "{told}: {:?}", found.losses);
    }
    let candidate = scorer.replace("scorer", "candidate").replace("KEY", "Read well.");
    let found = only(&item(&declaration, &format!("{candidate}{}", choice(prompt)), ""));
    assert_eq!(found.stem, "<div><p>Read well.</p></div>\n<p>Which?</p>");
    assert!(found.losses.is_empty());
}

/// Anything that can stand in a body, with KEY where learners must not see it, and THERE where they must.
fn any_content(rng: &mut StdRng, depth: usize, is_shown: bool) -> String {
    let said = if is_shown { "THERE" } else { "KEY" };
    let count = rng.random_range(0..4);
    let mut content = String::new();
    for _ in 0..count {
        let (name, attributes, shows) = [
            ("p", "", true),
            ("qti-content-body", "", true),
            ("qti-rubric-block", " view='candidate scorer'", true),
            ("qti-rubric-block", " view='scorer' a='>'", false),
            ("qti-feedback-block", "", false),
            ("qti-feedback-inline", "", false),
        ][rng.random_range(0..6)];
        content.push_str(&match rng.random_range(0..8) {
            0 => format!("<{name}{attributes}/>"),
            1 => "<!-- KEY -->".to_owned(),
            2 => "<?x KEY?>".to_owned(),
            3 => format!("<![CDATA[{said} </p>]]>"),
            4 => said.to_owned(),
            _ if depth == 0 => said.to_owned(),
            _ => {
                let inner = any_content(rng, depth - 1, is_shown && shows);
                format!("<{name}{attributes}>{inner}</{name} >")
            }
        });
    }
    content
}

#[test]
fn no_body_shows_what_is_for_others() {
    let mut rng = StdRng::seed_from_u64(3);
    let declaration = key("single", "identifier", &["Y"]);
    for _ in 0..5_000 {
        let mut any = || any_content(&mut rng, 4, true);
        let body = format!(
            "{}<div>{}{}{}</div>{}",
            any(),
            any(),
            choice("<qti-prompt>Which?</qti-prompt>"),
            any(),
            any()
        );
        let body = body.replace("two", &format!("two {}", any()));
        let found = only(&item(&declaration, &body, ""));
        let options = found.answer.options();
        let texts = format!("{} {} {}", found.stem, options[0].text, options[1].text);
        assert!(!texts.contains("KEY") && !texts.contains("qti-"), "{body}\n{texts}");
        assert_eq!(texts.matches("THERE").count(), body.matches("THERE").count(), "{body}\n{texts}");
    }
}

#[test]
fn unparsed_text_is_text() {
    let declaration = key("single", "identifier", &["Y"]);
    let body = |text: &str| format!("<div><p>x <![CDATA[{text}]]></p><p>y</p></div>{}", choice(""));
    let found = only(&item(&declaration, &body("a < b && </p> <!-- c -->"), ""));
    let stem = "<div><p>x a &lt; b &amp;&amp; &lt;/p&gt; &lt;!-- c --&gt;</p><p>y</p></div>";
    assert_eq!((found.stem.as_str(), found.losses.len()), (stem, 0));
}

#[test]
fn what_an_item_cannot_be_understood_without_is_refused() {
    let single = key("single", "identifier", &["Y"]);
    let asked = || choice("<qti-prompt>Which?</qti-prompt>");
    let stimulus = format!("{single}<qti-assessment-stimulus-ref identifier=\"S\" href=\"s.xml\"/>");
    for (text, named) in [
        (item(&format!("<qti-template-declaration identifier=\"X\"/>{single}"), &asked(), ""), "template"),
        (item(&single, &asked(), "<qti-template-processing/>"), "template"),
        (
            item(&single, &format!("<p><qti-printed-variable identifier=\"X\"/></p>{}", asked()), ""),
            "qti-printed-variable",
        ),
        (item(&single, &asked(), "<qti-other/>"), "qti-other"),
        (item(&stimulus, &format!("<div data-stimulus-idref=\"S\"/>{}", asked()), ""), "stimulus"),
    ] {
        assert!(reason(&text).contains(named), "{named}: {}", reason(&text));
    }
    let found = only(&item(&stimulus, &asked(), ""));
    assert!(found.losses.len() == 1 && found.losses[0].contains("stimulus"), "{:?}", found.losses);
}

#[test]
fn pictures_in_the_text_are_kept_and_those_beside_it_told() {
    let single = key("single", "identifier", &["Y"]);
    for (source, told) in [("data:image/png;base64,AAAA", 0), ("https://x.example/a.png", 0), ("a.png", 1)] {
        let found =
            only(&item(&single, &format!("<p>See <img src=\"{source}\" alt=\"\"/></p>{}", choice("")), ""));
        assert!(found.stem.contains(source) && found.losses.len() == told, "{found:?}");
    }
    let own = format!("<p>See <my-interaction></my-interaction></p>{}", choice(""));
    assert!(only(&item(&single, &own, "")).stem.contains("my-interaction"));
}

#[test]
fn numbers_have_the_tolerance_of_their_comparison() {
    let equal = |attributes: &str| {
        let test = format!("<qti-equal {attributes}>{OPERANDS}</qti-equal>");
        format!("<qti-response-processing>{}</qti-response-processing>", scored(&test))
    };
    let declaration = key("single", "float", &["9.8"]);
    for (processing, tolerance) in [
        (String::new(), "0"),
        (equal(""), "0"),
        (equal("tolerance-mode=\"exact\""), "0"),
        (equal("tolerance-mode=\"absolute\" tolerance=\"0.1 0.1\""), "0.1"),
        (equal("tolerance-mode=\"absolute\" tolerance=\"0.2\""), "0.2"),
    ] {
        let found = only(&item(&declaration, NUMBER, &processing));
        let DraftAnswer::Numeric { tolerance: read, .. } = found.answer else { panic!("a number") };
        assert_eq!(read.to_string(), tolerance);
        assert!(found.stem.contains("How much?"), "{}", found.stem);
    }
    for (processing, named) in [
        (equal("tolerance-mode=\"relative\" tolerance=\"1 1\""), "relative"),
        (equal("tolerance-mode=\"absolute\" tolerance=\"1 2\""), "differs"),
        (equal("tolerance-mode=\"absolute\" tolerance=\"x\""), "no number"),
        (
            equal("tolerance-mode=\"absolute\" tolerance=\"1 1\" include-lower-bound=\"false\""),
            "excludes its bounds",
        ),
        (
            equal("tolerance-mode=\"absolute\" tolerance=\"1 1\" include-upper-bound=\"false\""),
            "excludes its bounds",
        ),
    ] {
        assert!(reason(&item(&declaration, NUMBER, &processing)).contains(named));
    }
}

#[test]
fn what_the_bank_has_no_kind_for_is_refused_with_the_reason() {
    let single = key("single", "identifier", &["Y"]);
    for (text, named) in [
        (item(&single, "<p>Nothing</p>", ""), "no interaction"),
        (
            item(&single, "<qti-order-interaction response-identifier=\"RESPONSE\"/>", ""),
            "qti-order-interaction",
        ),
        (item(&single, &choice("").repeat(2), ""), "several interactions"),
        (item("", &choice(""), ""), "no response declaration"),
        (item(&key("ordered", "identifier", &["X"]), &choice(""), ""), "cardinality"),
        (item(&key("single", "identifier", &["Z"]), &choice(""), ""), "none of its choices"),
        (item(&key("single", "identifier", &[]), &choice(""), ""), "no correct response"),
        (item(&key("single", "string", &["x"]), NUMBER, ""), "is a text"),
        (item(&key("single", "float", &["1", "2"]), NUMBER, ""), "several correct"),
    ] {
        assert!(reason(&text).contains(named), "{named}: {}", reason(&text));
    }
    for (text, named) in [
        ("<assessmentItem/>", "older version"),
        ("<qti-assessment-test/>", "test that names its items"),
        ("<quiz/>", "no <qti-assessment-item>"),
    ] {
        assert!(read(text).expect_err(text).reason.contains(named));
    }
}
