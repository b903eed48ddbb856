//! Tests of QTI 1.2.

use super::*;

fn material(kind: &str, text: &str) -> String {
    format!("<material><mattext texttype=\"text/{kind}\">{text}</mattext></material>")
}

fn label(ident: &str, text: &str) -> String {
    format!("<response_label ident=\"{ident}\">{}</response_label>", material("plain", text))
}

fn choice_of(cardinality: &str, more: &str) -> String {
    let labels =
        [("A", "one"), ("B", "two"), ("C", "three")].map(|(ident, text)| label(ident, text)).concat();
    format!(
        "<response_lid ident=\"R\" rcardinality=\"{cardinality}\"><render_choice {more}>{labels}</render_choice></response_lid>"
    )
}

fn entry(more: &str) -> String {
    format!(
        "<response_str ident=\"R\" rcardinality=\"Single\"><render_fib {more}><response_label ident=\"x\"/></render_fib></response_str>"
    )
}

/// Returns a document with one item. `most` is the maximum that the item declares for its score.
fn document(presentation: &str, conditions: &str, most: &str, rest: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<questestinterop xmlns=\"http://www.imsglobal.org/xsd/ims_qtiasiv1p2\"><assessment ident=\"t\">\
         <section ident=\"s\">\n<item ident=\"i1\" title=\"First\">{rest}<presentation>{presentation}</presentation>\
         <resprocessing><outcomes><decvar varname=\"SCORE\" vartype=\"Decimal\" maxvalue=\"{most}\" minvalue=\"0\"/></outcomes>\
         {conditions}</resprocessing></item></section></assessment></questestinterop>"
    )
}

fn condition(attributes: &str, test: &str, action: &str, marks: &str) -> String {
    format!(
        "<respcondition {attributes}><conditionvar>{test}</conditionvar><setvar action=\"{action}\" \
         varname=\"SCORE\">{marks}</setvar></respcondition>"
    )
}

fn is(value: &str) -> String {
    format!("<varequal respident=\"R\">{value}</varequal>")
}

/// Returns the letters of the key, or the reason of the refusal.
fn letters(text: &str) -> Result<String, String> {
    let mut parsed = read(text).expect("a document");
    if let Some(refused) = parsed.refused.pop() {
        return Err(refused.reason);
    }
    let question = parsed.questions.remove(0);
    let named = question.answer.options().iter().zip('A'..='Z').filter(|(option, _)| option.correct);
    Ok(named.map(|(_, letter)| letter).collect())
}

#[test]
fn choices_of_canvas_and_others_are_read() {
    let stem = material("html", "&lt;p&gt;Which &amp;amp; why?&lt;/p&gt;");
    let (single, multiple) = (choice_of("Single", ""), choice_of("Multiple", "shuffle=\"Yes\""));
    let all = |tests: &str| format!("<and>{tests}</and>");
    let exactly = all(&format!("{}<not>{}</not>{}", is("A"), is("B"), is("C")));
    let shown = "<respcondition continue=\"Yes\"><conditionvar><other/></conditionvar><displayfeedback \
                 linkrefid=\"general_fb\"/></respcondition>";
    for (presentation, conditions, most, key) in [
        (&single, condition("continue=\"No\"", &is("B"), "Set", "100"), "100", "B"),
        (&single, format!("{shown}{}", condition("", &is("B"), "Set", "100")), "100", "B"),
        (&single, condition("", &is("A"), "Add", "0") + &condition("", &is("B"), "Set", "10.00"), "10", "B"),
        (
            &single,
            condition("", &format!("<not>{}</not>", is("B")), "Set", "0")
                + &condition("", "<other/>", "Set", "1"),
            "1",
            "B",
        ),
        // An `other` is false after a condition that has held, also if the scoring goes on after that condition.
        (
            &single,
            condition("continue=\"Yes\"", &is("B"), "Set", "1") + &condition("", "<other/>", "Set", "0"),
            "1",
            "B",
        ),
        (
            &single,
            ["A", "C"].map(|ident| condition("continue=\"Yes\"", &is(ident), "Set", "0")).concat()
                + &condition("", "<other/>", "Set", "1"),
            "1",
            "B",
        ),
        (&multiple, condition("continue=\"No\"", &exactly, "Set", "100"), "100", "AC"),
        // Some systems add marks option by option.
        (
            &multiple,
            ["A", "C"].map(|ident| condition("", &is(ident), "Add", "50")).concat()
                + &condition("", &is("B"), "Add", "-50"),
            "100",
            "AC",
        ),
        (
            &multiple,
            ["A", "C"].map(|ident| condition("continue=\"Yes\"", &is(ident), "Add", "1")).concat()
                + &condition("continue=\"Yes\"", &is("B"), "Subtract", "1"),
            "2",
            "AC",
        ),
    ] {
        let text = document(&format!("{stem}{presentation}"), &conditions, most, "");
        assert_eq!(letters(&text).as_deref(), Ok(key), "{conditions}");
    }
    let many: String = ('A'..='L').map(|letter| label(&letter.to_string(), "x")).collect();
    let many = format!(
        "<response_lid ident=\"R\" rcardinality=\"Multiple\"><render_choice>{many}</render_choice></response_lid>"
    );
    let others: String =
        "BDEFGHIJK".chars().map(|letter| format!("<not>{}</not>", is(&letter.to_string()))).collect();
    let test = all(&format!("{}{}{}{others}", is("A"), is("C"), is("L")));
    let read_many = |conditions: &str| letters(&document(&format!("{stem}{many}"), conditions, "1", ""));
    assert_eq!(read_many(&condition("", &test, "Set", "1")).as_deref(), Ok("ACL"));
    let added: String = ('A'..='L')
        .map(|letter| {
            condition(
                "continue=\"Yes\"",
                &is(&letter.to_string()),
                "Add",
                if "ACL".contains(letter) { "1" } else { "-1" },
            )
        })
        .collect();
    assert!(read_many(&added).is_err_and(|reason| reason.contains("several combinations")));
    let text = document(
        &format!("<flow>{stem}{multiple}</flow>"),
        &condition("", &exactly, "Set", "100"),
        "100",
        "<itemmetadata><qtimetadata><qtimetadatafield><fieldlabel>points_possible</fieldlabel><fieldentry>4.0</fieldentry>\
         </qtimetadatafield></qtimetadata></itemmetadata>",
    );
    let feedback = format!(
        "<itemfeedback ident=\"general_fb\"><flow_mat>{}</flow_mat></itemfeedback><itemfeedback ident=\"A_fb\">{}</itemfeedback>",
        material("html", "Because."),
        material("plain", "KEY")
    );
    let found = only(&text.replace("</item>", &format!("{feedback}</item>")));
    assert_eq!(found.stem, "<p>Which &amp; why?</p>");
    assert_eq!(
        (found.line, found.external_id.as_deref(), found.name.as_deref()),
        (3, Some("i1"), Some("First"))
    );
    assert_eq!(found.explanation.as_deref(), Some("Because."));
    assert!(found.option_order.shuffled && matches!(found.answer, DraftAnswer::Multiple(_)));
    let told = ["Its own marks", "The feedback for each answer"];
    assert!(
        found.losses.len() == 2 && told.iter().zip(&found.losses).all(|(told, loss)| loss.starts_with(told)),
        "{:?}",
        found.losses
    );
    assert!(!format!("{found:?}").contains("KEY"));
}

#[test]
fn numbers_and_texts_are_read() {
    let asked = |response: &str| format!("{}{response}", material("plain", "How much?"));
    let compare = |name: &str, value: &str| format!("<{name} respident=\"R\">{value}</{name}>");
    let range = |name: &str| {
        format!("<or>{}<and>{}{}</and></or>", is("77.0"), compare(name, "70.0"), compare("varlte", "84.0"))
    };
    let read_with = |response: &str, test: &str| {
        let text = document(&asked(response), &condition("continue=\"No\"", test, "Set", "100"), "100", "");
        let mut parsed = read(&text).expect("a document");
        parsed.refused.pop().map_or_else(|| Ok(parsed.questions.remove(0)), |refused| Err(refused.reason))
    };
    let number = |response: &str, test: &str| match read_with(response, test).map(|question| question.answer)
    {
        Ok(DraftAnswer::Numeric { value, tolerance }) => format!("{value} {tolerance}"),
        other => format!("{other:?}"),
    };
    assert_eq!(number(&entry("fibtype=\"Decimal\""), &range("vargte")), "77 7");
    assert_eq!(number(&entry(""), &range("vargte")), "77 7");
    assert_eq!(number(&entry("").replace("response_str", "response_num"), &is("3.14")), "3.14 0");
    let open = read_with(&entry("fibtype=\"Decimal\""), &range("vargt"));
    assert!(open.is_err_and(|reason| reason.contains("excludes the ends")));

    let found = read_with(&entry(""), &format!("{}{}", is("Illinois"), is("IL"))).expect("a short answer");
    assert_eq!(found.stem, "How much?");
    let texts = vec!["Illinois".to_owned(), "IL".to_owned()];
    assert_eq!(found.answer, DraftAnswer::ShortAnswer { texts, is_case_sensitive: false });
    let sensitive = is("York").replace("respident", "case=\"Yes\" respident");
    let found = read_with(&entry(""), &sensitive).expect("a short answer");
    assert!(matches!(found.answer, DraftAnswer::ShortAnswer { is_case_sensitive: true, .. }));

    let sentence = format!(
        "{}{}{}",
        material("plain", "Now is the"),
        entry(""),
        material("plain", "of our discontent.")
    );
    let text = document(&sentence, &condition("", &is("winter"), "Set", "1"), "1", "");
    assert_eq!(only(&text).stem, "Now is the _____ of our discontent.");
}

#[test]
fn what_a_bank_cannot_hold_is_refused_in_the_words_of_qti_1() {
    let stem = material("plain", "Which?");
    let single = choice_of("Single", "");
    let right = condition("", &is("B"), "Set", "1");
    let calculated = "<itemmetadata><qtimetadata><qtimetadatafield><fieldlabel>question_type</fieldlabel><fieldentry>\
                      calculated_question</fieldentry></qtimetadatafield></qtimetadata></itemmetadata>";
    for (presentation, conditions, rest, named) in [
        (format!("{stem}{single}{single}"), &right, "", "several responses"),
        (stem.clone(), &right, "", "no response"),
        (format!("{stem}{}", choice_of("Ordered", "")), &right, "", "with an order"),
        (
            format!("{stem}<response_xy ident=\"R\"><render_hotspot/></response_xy>"),
            &right,
            "",
            "response_xy with render_hotspot",
        ),
        (format!("{stem}{single}"), &String::new(), "", "It has no key: no condition gives marks"),
        (format!("{stem}{single}"), &condition("", &is("Z"), "Set", "1"), "", "It has no key"),
        (
            format!("{stem}{single}"),
            &condition("", "<varsubset respident=\"R\">A</varsubset>", "Set", "1"),
            "",
            "the element varsubset, which",
        ),
        // The reader cannot evaluate the first condition, so it cannot tell whether the `other` is true.
        (
            format!("{stem}{single}"),
            &(condition("continue=\"Yes\"", "<varsubset respident=\"R\">A</varsubset>", "Set", "0")
                + &condition("", "<other/>", "Set", "1")),
            "",
            "the element varsubset, which",
        ),
        (
            format!("{stem}{single}"),
            &condition("", &is("B").replace("\"R\"", "\"Q\""), "Set", "1"),
            "",
            "respident",
        ),
        (format!("{stem}{single}"), &condition("", &is("B"), "Multiply", "2"), "", "multiply"),
        (format!("{stem}{single}"), &right, calculated, "formula"),
        (format!("{stem}{}", entry("")), &right, &*calculated.replace("calculated", "essay"), "an essay"),
        (format!("{stem}<matvideo/>{single}"), &right, "", "matvideo"),
    ] {
        let text = document(&presentation, conditions, "1", rest);
        let found = letters(&text);
        assert!(
            found.as_ref().is_err_and(|reason| reason.contains(named) && !reason.contains("qti-")),
            "{named}: {found:?}"
        );
    }
}
