//! What of items learners see.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

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
