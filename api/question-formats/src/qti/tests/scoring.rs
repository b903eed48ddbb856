//! Tests of keys that are found by scoring the possible answers. The item can also declare a correct response, which
//! must then agree with the scores. Some tests write the same key in many ways.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const RESPONSE: &str = "<qti-variable identifier=\"RESPONSE\"/>";
const CORRECT: &str = "<qti-correct identifier=\"RESPONSE\"/>";

fn base(value: &str) -> String {
    format!("<qti-base-value base-type=\"identifier\">{value}</qti-base-value>")
}

fn float(value: &str) -> String {
    format!("<qti-base-value base-type=\"float\">{value}</qti-base-value>")
}

fn variable(name: &str) -> String {
    format!("<qti-variable identifier=\"{name}\"/>")
}

fn set(outcome: &str, value: &str) -> String {
    format!("<qti-set-outcome-value identifier=\"{outcome}\">{value}</qti-set-outcome-value>")
}

fn when(test: &str, then: &str) -> String {
    format!(
        "<qti-response-condition><qti-response-if>{test}{then}</qti-response-if></qti-response-condition>"
    )
}

fn either(test: &str, then: &str, otherwise: &str) -> String {
    let other = format!("</qti-response-if><qti-response-else>{otherwise}</qti-response-else>");
    when(test, then).replace("</qti-response-if>", &other)
}

fn declared(cardinality: &str, base_type: &str, values: &[&str], more: &str) -> String {
    let declaration = key(cardinality, base_type, values);
    let declaration = if values.is_empty() {
        declaration.replace("<qti-correct-response></qti-correct-response>", "")
    } else {
        declaration
    };
    declaration.replace("</qti-response-declaration>", &format!("{more}</qti-response-declaration>"))
}

fn mapping(attributes: &str, marks: &[(&str, &str)]) -> String {
    let entry =
        |(key, mark): &(&str, &str)| format!("<qti-map-entry map-key=\"{key}\" mapped-value=\"{mark}\"/>");
    format!("<qti-mapping {attributes}>{}</qti-mapping>", marks.iter().map(entry).collect::<String>())
}

fn outcome(name: &str, more: &str) -> String {
    format!(
        "<qti-outcome-declaration identifier=\"{name}\" base-type=\"float\">{more}</qti-outcome-declaration>"
    )
}

/// Reads a choice among the options A, B, C, and so on. Returns the letters of the key, or the reason of the refusal.
fn choice_of(count: usize, declaration: &str, rules: &str) -> Result<String, String> {
    let option =
        |letter: char| format!("<qti-simple-choice identifier=\"{letter}\">{letter}</qti-simple-choice>");
    let options: String = ('A'..='Z').take(count).map(option).collect();
    let body = format!(
        "<qti-choice-interaction response-identifier=\"RESPONSE\" max-choices=\"0\"><qti-prompt>Which?</qti-prompt>{options}\
         </qti-choice-interaction>"
    );
    let processing = match rules {
        "" => String::new(),
        template if !template.starts_with('<') => {
            format!("<qti-response-processing template=\"{template}\"/>")
        }
        rules => format!("<qti-response-processing>{rules}</qti-response-processing>"),
    };
    let mut parsed = read(&item(declaration, &body, &processing)).expect("a document");
    match parsed.refused.pop() {
        Some(refused) => Err(refused.reason),
        None => {
            let question = parsed.questions.remove(0);
            Ok(question
                .answer
                .options()
                .iter()
                .filter(|option| option.correct)
                .map(|option| option.text.as_str())
                .collect())
        }
    }
}

fn number_of(declaration: &str, rules: &str) -> Result<(String, String), String> {
    let processing = format!("<qti-response-processing>{rules}</qti-response-processing>");
    let mut parsed = read(&item(declaration, NUMBER, &processing)).expect("a document");
    match parsed.refused.pop() {
        Some(refused) => Err(refused.reason),
        None => match parsed.questions.remove(0).answer {
            DraftAnswer::Numeric { value, tolerance } => Ok((value.to_string(), tolerance.to_string())),
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn a_single_choice_is_read_in_each_spelling() {
    let matches_b = format!("<qti-match>{RESPONSE}{}</qti-match>", base("B"));
    let matches_key = format!("<qti-match>{CORRECT}{RESPONSE}</qti-match>");
    let one = float("1");
    let by_table = "<qti-match-table default-value=\"0\"><qti-match-table-entry source-value=\"3\" target-value=\"1\"/>\
                    </qti-match-table>";
    for rules in [
        String::new(),
        "https://x.example/match_correct".to_owned(),
        when(&matches_b, &set("SCORE", &one)),
        when(&matches_key, &set("score", &one)),
        when(&matches_key, &set("OUTCOME", &one)),
        either(&matches_b, &set("SCORE", &float("2")), &set("SCORE", &float("-1"))),
        either(&format!("<qti-not>{matches_b}</qti-not>"), &set("SCORE", &float("0")), &set("SCORE", &one)),
        when(&matches_key, &set("RAW", &one)) + &set("SCORE", &variable("RAW")),
        when(&matches_key, &set("SCORE", &format!("<qti-sum>{}{one}</qti-sum>", variable("SCORE")))),
        when(&format!("<qti-or>{matches_b}{matches_key}</qti-or>"), &set("SCORE", &variable("MAXSCORE"))),
        when(
            &format!(
                "<qti-member>{RESPONSE}<qti-multiple>{}{}</qti-multiple></qti-member>",
                base("B"),
                base("Z")
            ),
            &set("SCORE", &one),
        ),
        // The rule sets feedback but no score, so the correct response is the key.
        when(&matches_b, &set("FEEDBACK", &base("well"))),
        // The rule that is not understood does not change the score.
        when(&matches_b, &set("SCORE", &one)) + &set("NOTE", "<qti-custom-operator/>"),
        set("PART", &float("3"))
            + &when(
                &matches_key,
                "<qti-lookup-outcome-value identifier=\"SCORE\"><qti-variable identifier=\"PART\"/></qti-lookup-outcome-value>",
            ),
        when(&format!("<qti-not>{matches_b}</qti-not>"), "<qti-exit-response/>") + &set("SCORE", &one),
        format!(
            "<qti-response-processing-fragment>{}</qti-response-processing-fragment>",
            when(&matches_b, &set("SCORE", &one))
        ),
    ] {
        let outcomes = outcome("RAW", "") + &outcome("SCORE", by_table) + &outcome("OUTCOME", "");
        let declaration = declared("single", "identifier", &["B"], "") + &outcomes;
        assert_eq!(choice_of(3, &declaration, &rules).as_deref(), Ok("B"), "{rules}");
    }
    // Without a correct response, the scores alone tell the key.
    for (more, rules) in [
        ("", when(&matches_b, &set("SCORE", &one))),
        (
            &*mapping("", &[("A", "0.5"), ("B", "1")]),
            set("SCORE", "<qti-map-response identifier=\"RESPONSE\"/>"),
        ),
        (&*mapping("default-value=\"-1\"", &[("B", "1")]), "https://x.example/map_response.xml".to_owned()),
        (&*mapping("", &[("B", "4")]), String::new()),
    ] {
        let declaration = declared("single", "identifier", &[], more);
        assert_eq!(choice_of(3, &declaration, &rules).as_deref(), Ok("B"), "{more} {rules}");
    }
}

#[test]
fn a_key_that_is_not_certain_is_refused() {
    let matches_b = format!("<qti-match>{RESPONSE}{}</qti-match>", base("B"));
    let one = float("1");
    let unknown = "<qti-custom-operator/>";
    let b = declared("single", "identifier", &["B"], "");
    let none = declared("single", "identifier", &[], "");
    let both = declared("multiple", "identifier", &["B", "C"], "");
    for (declaration, rules, told) in [
        (
            &b,
            when(&matches_b.replace('B', "C"), &set("SCORE", &one)),
            "something other than its correct response",
        ),
        (&b, when(unknown, &set("SCORE", &one)), "qti-custom-operator"),
        (
            &b,
            when(&format!("<qti-and>{matches_b}{unknown}</qti-and>"), &set("SCORE", &one)),
            "qti-custom-operator",
        ),
        (
            &b,
            when(unknown, "<qti-exit-response/>") + &when(&matches_b, &set("SCORE", &one)),
            "qti-custom-operator",
        ),
        (&b, format!("<qti-other-rule/>{}", when(&matches_b, &set("SCORE", &one))), "qti-other-rule"),
        (&b, set("SCORE", &variable("duration")), "duration, which is not declared"),
        (&b, set("SCORE", &base("high")), "something other than a number"),
        (&b, when(&format!("<qti-not>{matches_b}</qti-not>"), &set("SCORE", &one)), "several options"),
        (&none, "https://x.example/match_correct".to_owned(), "no correct response"),
        (&none, when(&matches_b, &set("FEEDBACK", &base("well"))), "no correct response"),
        (
            &both,
            when(&format!("<qti-contains>{RESPONSE}{}</qti-contains>", base("B")), &set("SCORE", &one)),
            "something other than its correct response",
        ),
        (&b, "https://x.example/match_nothing".to_owned(), "not recognised"),
    ] {
        let found = choice_of(3, declaration, &rules);
        assert!(found.as_ref().is_err_and(|reason| reason.contains(told)), "{told}: {found:?} {rules}");
    }
    let deep = "<qti-not>".repeat(200) + &matches_b + &"</qti-not>".repeat(200);
    let found = choice_of(3, &b, &when(&deep, &set("SCORE", &one)));
    assert!(found.is_err_and(|reason| reason.contains("too long")));
    let long = when(&matches_b, &set("SCORE", &one)).repeat(30_000);
    let found = choice_of(4, &declared("multiple", "identifier", &["B"], ""), &long);
    assert!(found.is_err_and(|reason| reason.contains("too long")));
}

/// Returns rules that give one mark for each option that is chosen or left out as in the key. So only the key has all
/// marks.
fn counted(letters: &str, key: &str) -> String {
    let count = letters.chars().map(|letter| {
        let contains = format!("<qti-contains>{RESPONSE}{}</qti-contains>", base(&letter.to_string()));
        let add = set("SCORE", &format!("<qti-sum>{}{}</qti-sum>", variable("SCORE"), float("1")));
        // An answer without options is `Null`. Neither `qti-contains` nor its `qti-not` holds for `Null`.
        let test = if key.contains(letter) { contains } else { format!("<qti-not>{contains}</qti-not>") };
        when(&test, &add)
    });
    count.collect()
}

#[test]
fn random_multiple_choices_are_read_in_each_spelling() {
    let mut rng = StdRng::seed_from_u64(14);
    let letters = "ABCDEFGHIJKLMN";
    for round in 0..400 {
        let count = rng.random_range(2..=letters.len());
        let mut key: Vec<&str> =
            (0..count).filter(|_| rng.random_bool(0.4)).map(|index| &letters[index..=index]).collect();
        if key.is_empty() {
            key.push("A");
        }
        let expected = key.concat();
        let values: String = key.iter().map(|letter| base(letter)).collect();
        let one = set("SCORE", &float("1"));
        let marks: Vec<(&str, &str)> = (0..count)
            .map(|index| &letters[index..=index])
            .map(|letter| (letter, if key.contains(&letter) { "1" } else { "-1" }))
            .collect();
        let rules = [
            "https://x.example/match_correct".to_owned(),
            when(&format!("<qti-match>{RESPONSE}{CORRECT}</qti-match>"), &one),
            when(&format!("<qti-match>{RESPONSE}<qti-multiple>{values}</qti-multiple></qti-match>"), &one),
            "https://x.example/map_response".to_owned(),
            set("SCORE", "<qti-map-response identifier=\"RESPONSE\"/>"),
            counted(&letters[..count], &expected),
        ];
        let rules = &rules[round % rules.len()];
        let declaration = declared("multiple", "identifier", &key, &mapping("lower-bound=\"0\"", &marks));
        assert_eq!(
            choice_of(count, &declaration, rules).as_deref(),
            Ok(expected.as_str()),
            "{count} {rules}"
        );
        // If the rules do not read the correct response, an item whose correct response is not the key is refused.
        let other = if expected == "B" { "A" } else { "B" };
        let declaration = declared("multiple", "identifier", &[other], &mapping("lower-bound=\"0\"", &marks));
        if !rules.contains("match_correct") && !rules.contains("qti-correct") {
            assert!(choice_of(count, &declaration, rules).is_err(), "{count} {rules}");
        }
    }
}

#[test]
fn combinations_that_score_as_much_are_not_a_key() {
    for (attributes, marks, found) in [
        ("upper-bound=\"1\"", &[("A", "1"), ("B", "1")][..], None),
        ("", &[("A", "1"), ("B", "1"), ("C", "0")], Some("AB")),
        ("", &[("A", "1"), ("B", "1"), ("C", "-1")], Some("AB")),
        ("", &[("A", "2"), ("B", "1")], Some("AB")),
        ("upper-bound=\"3\"", &[("A", "2"), ("B", "3")], Some("B")),
        ("lower-bound=\"5\"", &[("A", "1")], None),
    ] {
        let declaration = declared("multiple", "identifier", &[], &mapping(attributes, marks));
        let read = choice_of(3, &declaration, "https://x.example/map_response");
        assert_eq!(read.as_deref().ok(), found, "{attributes} {marks:?} {read:?}");
    }
    let limited =
        declared("multiple", "identifier", &[], &mapping("", &[("A", "1"), ("B", "1"), ("C", "1")]));
    assert_eq!(choice_of(3, &limited, "https://x.example/map_response").as_deref(), Ok("ABC"));
}

#[test]
fn ranges_of_numbers_are_read() {
    let compare = |name: &str, bound: &str| format!("<qti-{name}>{RESPONSE}{}</qti-{name}>", float(bound));
    let within = |one: &str, least: &str, other: &str, most: &str| {
        format!("<qti-and>{}{}</qti-and>", compare(one, least), compare(other, most))
    };
    let give = |test: &str| when(test, &set("SCORE", &float("1")));
    let six = declared("single", "float", &["6"], "");
    let whole = declared("single", "integer", &["6"], "");
    let open = declared("single", "float", &[], "");
    let value = |value: &str, tolerance: &str| Ok((value.to_owned(), tolerance.to_owned()));
    for (declaration, rules, found) in [
        (&six, give(&within("gte", "5", "lte", "7")), value("6", "1")),
        (&open, give(&within("gte", "5", "lte", "7.5")), value("6.25", "1.25")),
        (&six, give(&within("gte", "5.9", "lte", "6.2")), value("6.05", "0.15")),
        (&whole, give(&within("gt", "5", "lt", "7")), value("6", "0")),
        (&open, give(&compare("equal", "-0.25")), value("-0.25", "0")),
        (&open, give(&compare("equal", "0")), value("0", "0")),
        (&open, give(&compare("equal", "1")), value("1", "0")),
        (&open, give(&within("gte", "0", "lte", "0")), value("0", "0")),
        (&open, either(&compare("lt", "1"), "", &give(&compare("lte", "1.0"))), value("1", "0")),
        (
            &open,
            give(&format!(
                "<qti-equal tolerance-mode=\"absolute\" tolerance=\"0.5\">{}{RESPONSE}</qti-equal>",
                float("3")
            )),
            value("3", "0.5"),
        ),
        // A wider range of numbers with fewer marks is left out.
        (
            &six,
            give(&within("gte", "5", "lte", "7")) + &when(&compare("equal", "6"), &set("SCORE", &float("2"))),
            value("6", "0"),
        ),
    ] {
        assert_eq!(number_of(declaration, &rules), found, "{rules}");
    }
    for (declaration, rules, told) in [
        (&six, give(&within("gt", "5", "lt", "7")), "excludes the ends"),
        (&six, give(&within("gte", "5", "lt", "7")), "excludes the ends"),
        (&six, give(&compare("gte", "6")), "above or below"),
        (&six, give(&within("gte", "7", "lte", "8")), "something other than its correct response"),
        (
            &open,
            give(&format!("<qti-or>{}{}</qti-or>", compare("equal", "1"), compare("equal", "2"))),
            "several numbers",
        ),
        (
            &open,
            give(&format!(
                "<qti-equal><qti-product>{RESPONSE}{}</qti-product>{}</qti-equal>",
                float("2"),
                float("10")
            )),
            "qti-product",
        ),
        (
            &open,
            set("COPY", RESPONSE)
                + &give(&format!(
                    "<qti-lt><qti-sum>{}{}</qti-sum>{}</qti-lt>",
                    variable("COPY"),
                    float("2"),
                    float("10")
                )),
            "qti-sum",
        ),
        (&open, give(&compare("equal", "x")), "not a number"),
    ] {
        let found = number_of(declaration, &rules);
        assert!(found.as_ref().is_err_and(|reason| reason.contains(told)), "{told}: {found:?} {rules}");
    }
}
