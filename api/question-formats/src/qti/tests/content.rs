//! Tests of the content of an item: what learners see and in which markup, what is left out, and what is refused.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

#[test]
fn content_for_scorers_is_left_out() {
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

/// Returns a random fragment of a body. Learners must see every THERE in it, and no KEY.
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
fn random_bodies_show_only_content_for_learners() {
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
fn cdata_sections_become_escaped_text() {
    let declaration = key("single", "identifier", &["Y"]);
    let body = |text: &str| format!("<div><p>x <![CDATA[{text}]]></p><p>y</p></div>{}", choice(""));
    let found = only(&item(&declaration, &body("a < b && </p> <!-- c -->"), ""));
    let stem = "<div><p>x a &lt; b &amp;&amp; &lt;/p&gt; &lt;!-- c --&gt;</p><p>y</p></div>";
    assert_eq!((found.stem.as_str(), found.losses.len()), (stem, 0));
}

#[test]
fn pictures_beside_the_item_are_reported() {
    let single = key("single", "identifier", &["Y"]);
    for (source, shown, told) in [
        ("data:image/png;base64,iVBORw0KGgo=", "picture:sha256-", 0),
        ("https://x.example/a.png", "https://x.example/a.png", 0),
        ("a.png", "\"data:,\"", 1),
    ] {
        let text = item(&single, &format!("<p>See <img src=\"{source}\" alt=\"\"/></p>{}", choice("")), "");
        let found = crate::read(crate::Format::Qti, &text).expect("a document").questions.remove(0);
        assert!(found.stem.contains(shown) && found.losses.len() == told, "{found:?}");
    }
    let own = format!("<p>See <my-interaction></my-interaction></p>{}", choice(""));
    assert!(only(&item(&single, &own, "")).stem.contains("my-interaction"));
}

#[test]
fn text_outside_of_the_declared_element_is_refused() {
    let single = key("single", "identifier", &["Y"]);
    let asked = choice("<qti-prompt>Which?</qti-prompt>");
    let ours = format!("<div data-text-format=\"html\">Which?</div>{}", choice(""));
    assert_eq!(only(&item(&single, &ours, "")).stem, "Which?");
    for (body, named) in [
        (format!("{ours}<p>Take g = 10.</p>"), "data-text-format"),
        (format!("<p><img src=\"https://x.example/a.png\"/></p>{ours}"), "data-text-format"),
        (
            ours.replace("<qti-simple-choice identifier=\"X\"", "<qti-prompt>So?</qti-prompt>$0"),
            "data-text-format",
        ),
        (format!("{ours}<qti-printed-variable identifier=\"X\"/>"), "qti-printed-variable"),
        (asked.replace("</qti-prompt>", "</qti-prompt><p>Take g = 10.</p>"), "<p>"),
        (asked.replace("</qti-prompt>", "</qti-prompt><qti-other/>"), "qti-other"),
        (asked.replace("</qti-prompt>", "</qti-prompt>Take g = 10."), "Take g"),
        (asked.replace("</qti-prompt>", "</qti-prompt><qti-prompt>And?</qti-prompt>"), "qti-prompt"),
    ] {
        let body = body.replace("$0", "<qti-simple-choice identifier=\"X\"");
        assert!(
            reason(&item(&single, &body, "")).contains(named),
            "{named}: {}",
            reason(&item(&single, &body, ""))
        );
    }
    let dropped = format!("{ours}<qti-rubric-block view=\"scorer\">KEY</qti-rubric-block>");
    assert!(only(&item(&single, &dropped, "")).losses[0].contains("rubric"));
    for shown in ["<iframe src=\"https://x.example\"></iframe>", "<my-graph data-f=\"x\"></my-graph>"] {
        let found = only(&item(&single, &format!("{shown}{asked}"), ""));
        assert_eq!(found.stem, format!("{shown}\n<p>Which?</p>"));
    }
}

#[test]
fn an_answer_within_a_sentence_leaves_a_blank() {
    let entry = "<qti-text-entry-interaction response-identifier=\"RESPONSE\"/>";
    for (body, stem) in [
        (format!("<p>A car goes {entry} km in one hour.</p>"), "<p>A car goes _____ km in one hour.</p>"),
        (format!("<p>How far? {entry}</p>"), "<p>How far? </p>"),
    ] {
        assert_eq!(only(&item(&key("single", "float", &["60"]), &body, "")).stem, stem);
    }
}

#[test]
fn xml_markup_is_rewritten_as_html() {
    let single = key("single", "identifier", &["Y"]);
    for (written, html) in [
        (
            "<m:math><m:mfrac><m:mn>1</m:mn><m:none /></m:mfrac></m:math>",
            "<math><mfrac><mn>1</mn><none ></none></mfrac></math>",
        ),
        ("<x:b>a</x:b ><b/><br/>c", "<b>a</b ><b></b><br/>c"),
        ("<object data=\"https://x.example/a.png\"/>", "<object data=\"https://x.example/a.png\"></object>"),
        ("<other:b>a</other:b>", "<other:b>a</other:b>"),
    ] {
        let body = format!(
            "<p xmlns:m=\"http://www.w3.org/1998/Math/MathML\" xmlns:x=\"http://www.w3.org/1999/xhtml\" \
             xmlns:other=\"urn:x\">a {written}</p><p>b</p>{}",
            choice("")
        );
        let found = only(&item(&single, &body, ""));
        assert!(found.stem.contains(html), "{written}: {}", found.stem);
    }
}

#[test]
fn white_space_that_lays_out_a_file_is_dropped() {
    let body = format!(
        "\n <p>\n   Which of\n   these?\n </p>\n {}",
        choice("").replace("two", "\n  two\n  lines\n")
    );
    let found = only(&item(&key("single", "identifier", &["Y"]), &body, ""));
    assert_eq!(
        (found.stem.as_str(), found.answer.options()[1].text.as_str()),
        ("Which of these?", "two lines")
    );
    let prompted = choice("<qti-prompt>Which\n  of these?</qti-prompt>");
    assert_eq!(only(&item(&key("single", "identifier", &["Y"]), &prompted, "")).stem, "Which of these?");
    let ours = format!("<div data-text-format=\"plain\">a\n  b</div>{}", choice(""));
    assert_eq!(only(&item(&key("single", "identifier", &["Y"]), &ours, "")).stem, "a\n  b");
}
