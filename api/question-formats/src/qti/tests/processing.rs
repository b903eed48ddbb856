//! Tests of response processing: how it must agree with the key, tolerances, mappings, feedback, and marks that are
//! added to the score.

use super::*;

const OPERANDS: &str = "<qti-variable identifier=\"RESPONSE\"/><qti-correct identifier=\"RESPONSE\"/>";

fn score(points: &str) -> String {
    format!(
        "<qti-set-outcome-value identifier=\"SCORE\"><qti-base-value base-type=\"float\">{points}</qti-base-value>\
         </qti-set-outcome-value>"
    )
}

/// Returns a condition that gives marks if a test holds.
fn scored(test: &str) -> String {
    format!(
        "<qti-response-condition><qti-response-if>{test}{}</qti-response-if></qti-response-condition>",
        score("1")
    )
}

#[test]
fn processing_that_does_not_fit_its_key_is_refused() {
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
        // Nothing sets a score, so the correct response is the key.
        feedback.to_owned(),
        scored(&matched).repeat(2),
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
        (scored(&format!("<qti-not>{matched}</qti-not>")), "several numbers"),
        (scored(&again.replace('6', "7")), "something other than its correct response"),
        (score("1"), "each answer the same marks"),
        (score("0"), "no answer marks"),
        (scored(&matched).replace(">1<", ">-1<"), "no answer marks"),
        (
            scored(&matched).replace("SCORE", "A") + &scored(&matched).replace("SCORE", "B"),
            "does not set SCORE",
        ),
        (
            branches(&format!(
                "<qti-response-if>{matched}{}</qti-response-if><qti-response-else>{}</qti-response-else>",
                score("0"),
                score("1")
            )),
            "several numbers",
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
        (equal("tolerance-mode=\"relative\" tolerance=\"1 1\""), "0.098"),
    ] {
        let found = only(&item(&declaration, NUMBER, &processing));
        let DraftAnswer::Numeric { tolerance: read, .. } = found.answer else { panic!("a number") };
        assert_eq!(read.to_string(), tolerance);
        assert!(found.stem.contains("How much?"), "{}", found.stem);
    }
    for (processing, named) in [
        (equal("tolerance-mode=\"absolute\" tolerance=\"1 2\""), "not one distance"),
        (equal("tolerance-mode=\"absolute\" tolerance=\"x\""), "not a number"),
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
fn a_mapping_that_scores_must_agree_with_the_key() {
    let by_mapping = "<qti-response-processing template=\"https://x.example/map_response.xml\"/>";
    let read_with =
        |cardinality: &str, values: &[&str], attributes: &str, marks: &[(&str, &str)], processing: &str| {
            let entry = |(key, mark): &(&str, &str)| {
                format!("<qti-map-entry map-key=\"{key}\" mapped-value=\"{mark}\"/>")
            };
            let entries: String = marks.iter().map(entry).collect();
            let mapping =
                format!("<qti-mapping {attributes}>{entries}</qti-mapping></qti-response-declaration>");
            let is_number = values[0].starts_with(|char: char| char.is_ascii_digit());
            let base_type = if is_number { "float" } else { "identifier" };
            let declaration =
                key(cardinality, base_type, values).replace("</qti-response-declaration>", &mapping);
            let asked = choice("<qti-prompt>Which?</qti-prompt>");
            read(&item(&declaration, if is_number { NUMBER } else { &asked }, processing))
                .expect("a document")
        };
    for (cardinality, values, attributes, marks) in [
        ("single", &["Y"][..], "", &[("Y", "2"), ("X", "1")][..]),
        ("single", &["60"], "default-value=\"-1\"", &[("60.0", "1"), ("61", "0.5")]),
        ("multiple", &["X", "Y"], "upper-bound=\"2\"", &[("X", "1"), ("Y", "1")]),
        ("multiple", &["Y"], "", &[("X", "-1"), ("Y", "1")]),
    ] {
        let parsed = read_with(cardinality, values, attributes, marks, by_mapping);
        assert_eq!(parsed.refused, [], "{marks:?}");
        assert!(parsed.questions[0].losses.iter().any(|loss| loss.contains("mapping")), "{marks:?}");
    }
    for (cardinality, values, attributes, marks) in [
        ("single", &["Y"][..], "", &[("X", "1"), ("Y", "0")][..]),
        ("single", &["60"], "", &[("60", "1"), ("61", "1"), ("62", "1")]),
        ("single", &["Y"], "upper-bound=\"1\"", &[("X", "2"), ("Y", "3")]),
        ("single", &["Y"], "default-value=\"1\"", &[("Y", "1")]),
        ("single", &["Y"], "", &[("Y", "0")]),
        ("multiple", &["Y"], "", &[("X", "1"), ("Y", "1")]),
        ("multiple", &["Y"], "default-value=\"1\"", &[("Y", "1")]),
        ("multiple", &["X", "Y"], "upper-bound=\"1\"", &[("X", "1"), ("Y", "1")]),
        ("single", &["Y"], "", &[("Y", "one")]),
    ] {
        let parsed = read_with(cardinality, values, attributes, marks, by_mapping);
        assert!(
            parsed.refused.iter().any(|refusal| refusal.reason.contains("mapping")),
            "{marks:?} {parsed:?}"
        );
        // A mapping that does not score the item is ignored.
        assert_eq!(read_with(cardinality, values, attributes, marks, "").refused, [], "{marks:?}");
    }
}

#[test]
fn other_scoring_and_feedback_are_reported() {
    let declaration = key("single", "identifier", &["Y"]);
    let asked = choice("<qti-prompt>Which?</qti-prompt>");
    let matched = scored(&format!("<qti-match>{OPERANDS}</qti-match>"));
    let processing = |rules: &str| format!("<qti-response-processing>{rules}</qti-response-processing>");
    let outcome = |name: &str, value: &str| {
        format!(
            "<qti-outcome-declaration identifier=\"{name}\"><qti-default-value><qti-value>{value}</qti-value>\
             </qti-default-value></qti-outcome-declaration>"
        )
    };
    for (text, told) in [
        (item(&declaration, &asked, &processing(&matched.replace(">1<", ">4<"))), "marking scheme"),
        (item(&declaration, &asked, &processing(&format!("{}{matched}", score("-1")))), "marking scheme"),
        (item(&format!("{declaration}{}", outcome("MAXSCORE", "4")), &asked, ""), "marking scheme"),
    ] {
        let found = only(&text);
        assert!(found.losses.len() == 1 && found.losses[0].contains(told), "{told}: {:?}", found.losses);
    }
    let outcomes = outcome("MAXSCORE", "1") + &outcome("SCORE", "0");
    let plain =
        item(&format!("{declaration}{outcomes}"), &asked, &processing(&format!("{}{matched}", score("0"))));
    assert_eq!(only(&plain).losses, [""; 0]);
    let adaptive = item(&declaration, &asked, "").replace("adaptive=\"false\"", "adaptive=\"true\"");
    assert!(reason(&adaptive).contains("adaptive"));

    let feedback = "<qti-modal-feedback identifier=\"F\" outcome-identifier=\"FEEDBACK\" show-hide=\"show\">\
                    <qti-content-body>Well done!</qti-content-body></qti-modal-feedback>";
    let set = score("F").replace("SCORE", "FEEDBACK");
    let for_some = matched.replace("</qti-response-if>", &format!("{set}</qti-response-if>"));
    for (rules, told) in [
        (format!("{matched}{set}"), 0),
        (for_some, 1),
        (format!("{matched}{}", set.replace(">F<", ">G<")), 1),
    ] {
        let found = only(&item(&declaration, &asked, &format!("{}{feedback}", processing(&rules))));
        assert_eq!((found.explanation.as_deref(), found.losses.len()), (Some("Well done!"), told), "{rules}");
    }
    // One feedback is for all answers, and the other feedback only for the right answer.
    let both = matched
        .replace("</qti-response-if>", &format!("{}</qti-response-if>", set.replace(">F<", ">G<")))
        + &set;
    let special = feedback.replace("identifier=\"F\"", "identifier=\"G\"").replace("Well done!", "Right.");
    let found = only(&item(&declaration, &asked, &format!("{}{special}{feedback}", processing(&both))));
    assert_eq!(found.explanation.as_deref(), Some("Well done!"));
    assert!(found.losses.len() == 1 && found.losses[0].contains("for each answer"), "{:?}", found.losses);
}

#[test]
fn marks_that_are_added_to_the_score_are_read() {
    let declaration = key("single", "identifier", &["Y"]);
    let outcome = |name: &str, value: &str| {
        format!(
            "<qti-outcome-declaration identifier=\"{name}\"><qti-default-value><qti-value>{value}</qti-value>\
             </qti-default-value></qti-outcome-declaration>"
        )
    };
    let variable = |name: &str| format!("<qti-variable identifier=\"{name}\"/>");
    let set =
        |value: &str| format!("<qti-set-outcome-value identifier=\"SCORE\">{value}</qti-set-outcome-value>");
    let sum = |parts: &str| set(&format!("<qti-sum>{parts}</qti-sum>"));
    let (score, most, least) = (variable("SCORE"), variable("MAXSCORE"), variable("MINSCORE"));
    let added = sum(&format!("{score}{most}"));
    let matched = format!("<qti-match>{OPERANDS}</qti-match>");
    let is_null = "<qti-is-null><qti-variable identifier=\"RESPONSE\"/></qti-is-null>";
    let condition = |branches: &str| format!("<qti-response-condition>{branches}</qti-response-condition>");
    let gives = |rule: &str| condition(&format!("<qti-response-if>{matched}{rule}</qti-response-if>"));
    // The system Onyx writes these branches and these bounds.
    let onyx = condition(&format!(
        "<qti-response-if>{is_null}</qti-response-if><qti-response-else-if>{matched}{added}</qti-response-else-if>"
    ));
    let bounds = condition(&format!(
        "<qti-response-if><qti-gt>{score}{most}</qti-gt>{}</qti-response-if>",
        set(&most)
    )) + &condition(&format!(
        "<qti-response-if><qti-lt>{score}{least}</qti-lt>{}</qti-response-if>",
        set(&least)
    ));
    let one = "<qti-base-value base-type=\"float\">1</qti-base-value>";
    let answered = condition(&format!(
        "<qti-response-if><qti-and><qti-not>{is_null}</qti-not>{matched}</qti-and>{added}</qti-response-if>"
    ));
    let mapped = sum(&format!("{score}<qti-map-response identifier=\"RESPONSE\"/>"));
    let read_with = |outcomes: &str, rules: &str| {
        let asked = choice("<qti-prompt>Which?</qti-prompt>");
        let processing = format!("<qti-response-processing>{rules}</qti-response-processing>");
        read(&item(&format!("{declaration}{outcomes}"), &asked, &processing)).expect("a document")
    };
    let outcomes = outcome("SCORE", "0.0") + &outcome("MAXSCORE", "1.0") + &outcome("MINSCORE", "0");
    for rules in [
        onyx.clone(),
        format!("{onyx}{bounds}"),
        gives(&sum(&format!("{most}{score}"))),
        gives(&sum(&format!("{score}{one}"))),
        answered,
        mapped,
    ] {
        for outcomes in [outcomes.as_str(), ""] {
            let parsed = read_with(outcomes, &rules);
            assert_eq!(
                (parsed.refused.as_slice(), parsed.questions[0].losses.len()),
                (&[][..], 0),
                "{rules}"
            );
        }
    }
    let own = read_with(&outcomes.replace("1.0", "4"), &onyx);
    assert!(own.questions[0].losses[0].contains("marking scheme"), "{own:?}");
    for (outcomes, rules) in [(outcomes.clone(), onyx.repeat(2)), (outcome("SCORE", "1"), onyx.clone())] {
        let parsed = read_with(&outcomes, &rules);
        assert!(parsed.questions[0].losses[0].contains("marking scheme"), "{parsed:?}");
    }
    for (outcomes, rules) in [
        (outcome("MAXSCORE", "0"), onyx.clone()),
        (outcomes.clone(), gives(&sum(&format!("{score}{}", variable("OTHER"))))),
        (outcomes.clone(), added.clone()),
        (outcomes.clone(), format!("{onyx}{}", bounds.replace("qti-gt", "qti-lt"))),
        (outcomes.clone(), bounds.clone()),
    ] {
        assert_eq!(read_with(&outcomes, &rules).refused.len(), 1, "{rules}");
    }
}
