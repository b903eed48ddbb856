//! Tests of QTI 2.0 to 2.2.

use super::*;
use crate::draft::OptionOrder;

const NAMESPACE: &str = "http://www.imsglobal.org/xsd/imsqti_v2p1";

fn older(declaration: &str, body: &str, rest: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<assessmentItem xmlns=\"{NAMESPACE}\" identifier=\"i1\" title=\"i1\" adaptive=\"false\" \
         timeDependent=\"false\">\n{declaration}\n<itemBody>{body}</itemBody>\n{rest}</assessmentItem>"
    )
}

const DECLARATION: &str = "<responseDeclaration identifier=\"RESPONSE\" cardinality=\"single\" baseType=\"identifier\">\
                           <correctResponse><value>B</value></correctResponse></responseDeclaration>";
const CHOICE: &str = "<choiceInteraction responseIdentifier=\"RESPONSE\" shuffle=\"true\" maxChoices=\"1\">\
                      <prompt>Which?</prompt><simpleChoice identifier=\"A\">one</simpleChoice><simpleChoice \
                      identifier=\"B\">two</simpleChoice><simpleChoice identifier=\"C\" fixed=\"true\">none of these\
                      </simpleChoice></choiceInteraction>";
const MATCH: &str =
    "<responseProcessing template=\"http://www.imsglobal.org/question/qti_v2p1/rptemplates/match_correct\"/>";

#[test]
fn choices_of_each_older_version_are_read() {
    let whole = older(DECLARATION, CHOICE, MATCH);
    let prefixed = {
        let names = [
            "assessmentItem",
            "responseDeclaration",
            "correctResponse",
            "value",
            "itemBody",
            "choiceInteraction",
            "prompt",
            "simpleChoice",
            "responseProcessing",
        ];
        let mut text = whole.replace("xmlns=", "xmlns:q=");
        for name in names {
            for end in [" ", ">"] {
                text = text.replace(&format!("<{name}{end}"), &format!("<q:{name}{end}"));
                text = text.replace(&format!("</{name}{end}"), &format!("</q:{name}{end}"));
            }
        }
        text
    };
    for text in [
        whole.replace("v2p1", "v2p0"),
        whole.replace("v2p1", "v2p2"),
        whole.replace(&format!(" xmlns=\"{NAMESPACE}\""), ""),
        whole.replace('\n', "\r\n"),
        whole.replace("<?xml", "\u{feff}<?xml"),
        prefixed,
        format!("<question-bank>\n{}</question-bank>", whole.split_once('\n').expect("two lines").1),
        whole,
    ] {
        let found = only(&text);
        assert_eq!(
            (found.stem.as_str(), found.line, found.external_id.as_deref()),
            ("Which?", 2, Some("i1")),
            "{text}"
        );
        let options: Vec<_> =
            found.answer.options().iter().map(|option| (option.text.as_str(), option.correct)).collect();
        assert_eq!(options, [("one", false), ("two", true), ("none of these", false)]);
        assert_eq!(found.option_order, OptionOrder { shuffled: true, fixed: vec![2] });
        assert_eq!(found.losses, [""; 0]);
    }
}

#[test]
fn numbers_and_several_choices_are_read() {
    let number = DECLARATION.replace("identifier\">", "float\">").replace(">B<", ">9.8<");
    let entry = "<div><p>g is <textEntryInteraction responseIdentifier=\"RESPONSE\" expectedLength=\"5\"/> m/s².</p></div>";
    let processing = "<responseProcessing><responseCondition><responseIf><equal toleranceMode=\"absolute\" \
                      tolerance=\"0.1 0.1\"><variable identifier=\"RESPONSE\"/><correct identifier=\"RESPONSE\"/></equal>\
                      <setOutcomeValue identifier=\"SCORE\"><baseValue baseType=\"float\">1</baseValue></setOutcomeValue>\
                      </responseIf><responseElse><setOutcomeValue identifier=\"SCORE\"><baseValue baseType=\"float\">0\
                      </baseValue></setOutcomeValue></responseElse></responseCondition></responseProcessing>";
    let found = only(&older(&number, entry, processing));
    assert_eq!(found.stem, "<div><p>g is _____ m/s².</p></div>");
    assert!(matches!(found.answer, DraftAnswer::Numeric { tolerance, .. } if tolerance.to_string() == "0.1"));

    let several = DECLARATION
        .replace("single", "multiple")
        .replace("<value>B</value>", "<value>A</value><value>B</value>");
    let mapped = several.replace(
        "</responseDeclaration>",
        "<mapping lowerBound=\"0\" upperBound=\"2\"><mapEntry mapKey=\"A\" mappedValue=\"1\"/><mapEntry mapKey=\"B\" \
         mappedValue=\"1\"/></mapping></responseDeclaration>",
    );
    let by_mapping = MATCH.replace("match_correct", "map_response");
    for (declaration, processing) in [(several.as_str(), MATCH), (mapped.as_str(), by_mapping.as_str())] {
        let found =
            only(&older(declaration, &CHOICE.replace("maxChoices=\"1\"", "maxChoices=\"0\""), processing));
        assert!(
            matches!(&found.answer, DraftAnswer::Multiple(options) if options[0].correct && options[1].correct)
        );
    }
}

#[test]
fn content_keeps_its_html_and_hides_what_is_not_for_learners() {
    let body = format!(
        "<p>See <b>here</b>: <m:math xmlns:m=\"http://www.w3.org/1998/Math/MathML\"><m:apply><m:not/></m:apply></m:math> \
         <img src=\"images/a.png\" alt=\"\"/></p><rubricBlock view=\"scorer\"><p>KEY</p></rubricBlock>{}",
        CHOICE.replace("two<", "two<feedbackInline outcomeIdentifier=\"F\" identifier=\"B\" showHide=\"show\">KEY</feedbackInline><")
    );
    let found = only(&older(DECLARATION, &body, MATCH));
    assert_eq!(
        found.stem,
        "<p>See <b>here</b>: <math xmlns:m=\"http://www.w3.org/1998/Math/MathML\"><apply><not></not></apply></math> <img src=\"images/a.png\" alt=\"\"/></p>\n<p>Which?</p>"
    );
    assert!(!format!("{:?}", found.answer).contains("KEY"));
    for told in ["rubric", "feedback"] {
        assert!(found.losses.iter().any(|loss| loss.contains(told)), "{told}: {:?}", found.losses);
    }
}

#[test]
fn refusals_name_the_elements_of_the_older_version() {
    let text_entry = "<textEntryInteraction responseIdentifier=\"RESPONSE\"/>";
    let text = DECLARATION.replace("identifier\">", "boolean\">");
    for (item, named) in [
        (older(&DECLARATION.replace("<value>B</value>", ""), CHOICE, MATCH), "Declare it in correctResponse"),
        (
            older(DECLARATION, "<orderInteraction responseIdentifier=\"RESPONSE\"/>", MATCH),
            "Its interaction orderInteraction cannot be stored",
        ),
        (older(&text, text_entry, MATCH), "baseType=\"float\""),
        (older(DECLARATION, &format!("<infoControl/>{CHOICE}"), MATCH), "<infoControl/>"),
        (
            older(DECLARATION, &format!("<p><printedVariable identifier=\"X\"/></p>{CHOICE}"), MATCH),
            "printedVariable",
        ),
        (older(&format!("<templateDeclaration identifier=\"X\"/>{DECLARATION}"), CHOICE, MATCH), "template"),
        (
            older(
                DECLARATION,
                &format!("<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"s.xml\"/>{CHOICE}"),
                MATCH,
            ),
            "another file",
        ),
    ] {
        assert!(reason(&item).contains(named), "{named}: {}", reason(&item));
    }
    assert!(read("<assessmentItem>\n<a></b>").expect_err("no XML").line == 2);
}
