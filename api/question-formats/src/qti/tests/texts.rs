//! Tests of short answers: which texts are accepted, and whether capital letters matter.

use super::*;

fn texts(item: &str) -> (Vec<String>, bool) {
    let found = only(item);
    let DraftAnswer::ShortAnswer { texts, is_case_sensitive } = found.answer else { panic!("{item}") };
    (texts, is_case_sensitive)
}

fn mapped(mapping: &str, correct: &str) -> String {
    let declaration = format!(
        "<qti-response-declaration identifier=\"RESPONSE\" cardinality=\"single\" base-type=\"string\">{correct}\
         <qti-mapping {mapping}</qti-mapping></qti-response-declaration>"
    );
    let template = "<qti-response-processing template=\"https://purl.imsglobal.org/spec/qti/v3p0/rptemplates/map_response\"/>";
    item(&declaration, NUMBER, template)
}

fn entry(key: &str, value: &str, more: &str) -> String {
    format!("<qti-map-entry map-key=\"{key}\" mapped-value=\"{value}\"{more}/>")
}

fn scored(test: &str) -> String {
    format!(
        "<qti-response-processing><qti-response-condition><qti-response-if>{test}<qti-set-outcome-value \
         identifier=\"SCORE\"><qti-base-value base-type=\"float\">1</qti-base-value></qti-set-outcome-value>\
         </qti-response-if></qti-response-condition></qti-response-processing>"
    )
}

const VARIABLE: &str = "<qti-variable identifier=\"RESPONSE\"/>";

fn base(text: &str) -> String {
    format!("<qti-base-value base-type=\"string\">{text}</qti-base-value>")
}

#[test]
fn texts_are_read_from_the_correct_response_and_the_mapping() {
    let york = key("single", "string", &["York"]);
    assert_eq!(texts(&item(&york, NUMBER, "")), (vec!["York".to_owned()], true));
    let star = key("single", "string", &["2*3"]);
    assert_eq!(texts(&item(&star, NUMBER, "")).0, ["2\\*3"]);
    let ignoring = " case-sensitive=\"false\"";
    let correct = "<qti-correct-response><qti-value>York</qti-value></qti-correct-response>";
    let both =
        [entry("york", "2", ignoring), entry("Eboracum", "2", ignoring), entry("Leeds", "1", "")].concat();
    let found = only(&mapped(&format!("default-value=\"0\">{both}"), correct));
    assert!(found.losses.iter().any(|loss| loss.contains("partial marks")), "{:?}", found.losses);
    assert_eq!(
        found.answer,
        DraftAnswer::ShortAnswer {
            texts: vec!["york".to_owned(), "Eboracum".to_owned()],
            is_case_sensitive: false
        }
    );
    assert!(texts(&mapped(&format!(">{}", entry("York", "1", "")), "")).1, "case did not count by default");
    let bounded = [entry("a", "5", ""), entry("b", "3", "")].concat();
    assert_eq!(texts(&mapped(&format!("upper-bound=\"2\">{bounded}"), "")).0, ["a", "b"]);
    for (mapping, correct, told) in [
        (format!(">{}", entry("Leeds", "1", "")), correct, "does not get the most marks"),
        (format!(">{}", entry("york", "1", "")), correct, "does not get the most marks"),
        (format!("default-value=\"1\">{}", entry("York", "1", "")), correct, "each answer the same marks"),
        (format!(">{}", entry("York", "much", "")), correct, "is not a number"),
        (
            format!(">{}{}", entry("York", "1", ""), entry("Eboracum", "1", ignoring)),
            correct,
            "Capital letters matter in some",
        ),
    ] {
        let item = mapped(&mapping, correct);
        assert!(reason(&item).contains(told), "{mapping}: {}", reason(&item));
    }
}

#[test]
fn texts_are_read_from_the_response_processing() {
    let york = key("single", "string", &["York"]);
    let matched = |case: &str, with: &str| {
        format!("<qti-string-match case-sensitive=\"{case}\">{VARIABLE}{with}</qti-string-match>")
    };
    let correct = "<qti-correct identifier=\"RESPONSE\"/>";
    let read = |test: &str| texts(&item(&york, NUMBER, &scored(test)));
    assert_eq!(read(&matched("false", correct)), (vec!["York".to_owned()], false));
    assert_eq!(read(&matched("true", &base("York"))), (vec!["York".to_owned()], true));
    assert_eq!(read(&format!("<qti-match>{VARIABLE}{}</qti-match>", base("York"))).0, ["York"]);
    let either = [matched("false", &base("York")), matched("false", &base("Eboracum"))].concat();
    assert_eq!(
        read(&format!("<qti-or>{either}</qti-or>")),
        (vec!["York".to_owned(), "Eboracum".to_owned()], false)
    );
    let mixed = [matched("false", correct), matched("true", &base("Eboracum"))].concat();
    let part = matched("false\" substring=\"true", correct);
    for (test, told) in [
        (matched("false", &base("Leeds")), "does not get the most marks"),
        (format!("<qti-or>{mixed}</qti-or>"), "Capital letters matter in some"),
        (part, "every text that contains a correct text"),
        (format!("<qti-pattern-match pattern=\"Y.*\">{VARIABLE}</qti-pattern-match>"), "qti-pattern-match"),
    ] {
        let item = item(&york, NUMBER, &scored(&test));
        assert!(reason(&item).contains(told), "{test}: {}", reason(&item));
    }
}
