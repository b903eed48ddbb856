use crate::draft::{DraftAnswer, DraftDifficulty, DraftTextFormat, OptionOrder};

use super::*;

fn only(text: &str) -> ParsedQuestion {
    let mut parsed = read(text);
    assert_eq!(parsed.refused, [], "{text}");
    assert_eq!(parsed.questions.len(), 1, "{text}");
    parsed.questions.remove(0)
}

fn reason(text: &str) -> String {
    let mut parsed = read(text);
    assert_eq!((parsed.questions.len(), parsed.refused.len()), (0, 1), "{text}");
    parsed.refused.remove(0).reason
}

fn options(found: &ParsedQuestion) -> Vec<(&str, bool)> {
    found.answer.options().iter().map(|option| (option.text.as_str(), option.correct)).collect()
}

#[test]
fn each_kind_of_question_is_read() {
    let single = only("Who wrote the Principia? {=Newton ~Leibniz ~Euler}");
    assert!(matches!(single.answer, DraftAnswer::Single(_)));
    assert_eq!(single.stem.trim(), "Who wrote the Principia?");
    assert_eq!(single.external_id, None);
    assert!(single.losses.is_empty());
    let text: Vec<_> = options(&single).into_iter().map(|(text, correct)| (text.trim(), correct)).collect();
    assert_eq!(text, [("Newton", true), ("Leibniz", false), ("Euler", false)]);

    let multiple = only("::m1:: Which are primes? {\n ~%50%2\n ~%50%3\n ~%-100%4\n}");
    assert!(matches!(multiple.answer, DraftAnswer::Multiple(_)));
    assert_eq!(options(&multiple), [("2", true), ("3", true), ("4", false)]);
    assert_eq!((multiple.external_id, multiple.name.as_deref()), (None, Some("m1")));
    assert!(multiple.losses.is_empty());

    for (word, truth) in [("T", true), ("TRUE", true), ("false", false), ("F", false)] {
        let found = only(&format!("Water is wet. {{{word}}}"));
        assert_eq!(options(&found), [("True", truth), ("False", !truth)]);
    }
}

#[test]
fn numbers_are_read() {
    for (written, value, tolerance) in [
        ("#5", "5", "0"),
        ("#5:0.1", "5", "0.1"),
        ("# -3.50 : 0", "-3.5", "0"),
        ("#4..6", "5", "1"),
        ("#1..2", "1.5", "0.5"),
        ("#1.5e-3:1e-4", "0.0015", "0.0001"),
        ("#=5:0.1", "5", "0.1"),
    ] {
        let DraftAnswer::Numeric { value: read, tolerance: around } =
            only(&format!("How many? {{{written}}}")).answer
        else {
            panic!("{written}")
        };
        assert_eq!(
            (read.normalize().to_string(), around.normalize().to_string()),
            (value.to_owned(), tolerance.to_owned())
        );
    }
    for text in
        ["How many? {#5:0.1 ~#of others}", "How many? {#5:0.1#right ~}", "How many? {#=5:0.1#right ~#wrong}"]
    {
        let found = only(text);
        assert!(matches!(found.answer, DraftAnswer::Numeric { .. }));
        assert!(
            found.losses.len() == 1 && found.losses[0].contains("feedback"),
            "{text}: {:?}",
            found.losses
        );
    }
    assert_eq!(only("How many? {#5 ~#}").losses, [""; 0]);
    let partial = only("When? {#=1822:0 =%50%1822:2}");
    assert!(partial.losses[0].contains("without full marks"));
}

#[test]
fn categories_comments_and_tags_are_read() {
    let text = "// a file of mine\n\n$CATEGORY: $course$/top/Optics\n\n// [id:opt\\]1] [tag:difficulty:hard] [tag:ray]\n\
                ::A lens:: [html]<p>What is f\\=1\\:2\\{x\\}?</p> {\n  = <b>a</b> # well done\n  ~ b\n  #### Since <i>f</i>.\n}\n\n\
                [markdown]*Next*? {=a ~b}\n";
    let parsed = read(text);
    assert_eq!(parsed.refused, []);
    let [first, second] = &parsed.questions[..] else { panic!("{parsed:?}") };
    assert_eq!((first.line, first.external_id.as_deref()), (6, Some("opt]1")));
    assert_eq!(first.topic.as_deref(), Some("Optics"));
    assert_eq!(first.difficulty, Some(DraftDifficulty::Hard));
    assert_eq!(first.text_format, DraftTextFormat::Html);
    assert_eq!(first.stem, "<p>What is f=1:2{x}?</p>");
    assert_eq!(first.explanation.as_deref(), Some("Since <i>f</i>."));
    assert_eq!(options(first), [("<b>a</b>", true), ("b", false)]);
    assert_eq!(first.name.as_deref(), Some("A lens"));
    let told = ["feedback for each answer", "tag \"ray\""];
    assert!(
        told.iter().all(|told| first.losses.iter().any(|loss| loss.contains(told))),
        "{:?}",
        first.losses
    );
    assert_eq!((second.line, second.text_format), (12, DraftTextFormat::Markdown));
    assert_eq!(second.topic.as_deref(), Some("Optics"));
}

#[test]
fn ids_and_tags_can_have_brackets_in_them() {
    let found = only("// x [y] [id:a [tag:z\\]] [tag:difficulty:hard]\nWhich? {=a ~b}");
    assert_eq!(
        (found.external_id.as_deref(), found.difficulty),
        (Some("a [tag:z]"), Some(DraftDifficulty::Hard))
    );
    assert_eq!(found.losses, [""; 0]);
}

#[test]
fn backslashes_that_escape_nothing_stay() {
    let found = only("Give \\(\\frac\\{1\\}\\{2\\}\\). {=\\alpha ~\\\\beta ~x\\ny}");
    assert_eq!(found.stem.trim(), "Give \\(\\frac{1}{2}\\).");
    let text: Vec<_> = options(&found).into_iter().map(|(text, _)| text).collect();
    assert_eq!(text, ["\\alpha", "\\beta", "x\ny"]);
}

#[test]
fn unsupported_questions_are_refused_with_the_reason() {
    for (text, named) in [
        ("Match. {=a -> 1 =b -> 2 =c -> 3}", "matching"),
        ("Write. {}", "essay"),
        ("Read this first.", "description"),
        ("::title", "title does not end"),
        ("Open {=a ~b", "do not end"),
        ("Odd {x =a ~b}", "before its first answer"),
        ("Odd {x;}", "neither"),
        ("Odd\\frac{x}", "neither"),
        ("Two plus two? {=%50%four}", "None of its texts"),
        ("Say it. {=*}", "every text"),
        ("How many? {#many}", "not a number"),
        ("How many? {#}", "not a number"),
        ("How many? {#1:2:3}", "not a number"),
        ("How many? {#99999999999999999999999999999999}", "28 digits"),
        ("How many? {#=1 =2}", "Several"),
        ("Weigh. {~%1.2.3%a ~b}", "weight"),
        ("Weigh. {~%100%a ~%50%b ~%-100%c}", "add up to 150"),
    ] {
        assert!(reason(text).contains(named), "{text}: {}", reason(text));
    }
}

#[test]
fn questions_without_a_blank_line_between_them_are_refused() {
    for (text, named) in [
        ("::a:: One? {=right ~wrong}\n// c\n::b:: Two is true. {T}", "blank line between questions"),
        ("Five? {\n~%50%x\n~%50%y\n}\nSix? {~%100%u ~%-100%v}", "Line 5 "),
        ("One? {=a ~b\nTwo? {=c ~d}", "Line 2 "),
        ("One? =a ~b}\nTwo? {=c ~d}", "Line 1 "),
        ("What? {=a {x} ~b}", "\\{ and \\}"),
        ("What? {=a x} ~b}", "Line 1 "),
    ] {
        assert!(reason(text).contains(named), "{text}: {}", reason(text));
    }
    // The lines of comments count in the number of a line.
    assert!(reason("One? {=a ~b}\n// c\n// d\nTwo? {=c ~d}").contains("Line 4 "));
    assert_eq!(options(&only("Which? {=\\{1\\} ~\\{2\\}}"))[0].0, "{1}");
}

#[test]
fn comments_in_html_are_removed() {
    let found = only("<b>Which?</b> <!-- key is TWO --> {~one =two<!-- this -->}");
    assert_eq!((found.stem.as_str(), options(&found)[1].0), ("<b>Which?</b> ", "two"));
    assert!(found.losses.len() == 1 && found.losses[0].contains("comments"), "{:?}", found.losses);
    // Moodle reads a text without a format as HTML.
    assert_eq!(only("Which? <!-- key is TWO --> {~one =two}").stem, "Which? ");
    assert_eq!(only("[plain]Which is a comment? <!-- this --> {=a ~b}").losses, [""; 0]);
}

#[test]
fn a_guessed_format_of_the_stem_does_not_apply_to_the_options() {
    let found = only("Which? {~one =two<!-- KEY --> #### So <b>it</b> is.}");
    assert_eq!((found.text_format, options(&found)[1].0), (DraftTextFormat::Html, "two"));
    assert!(found.losses.len() == 1 && found.losses[0].contains("comments"), "{:?}", found.losses);
    let found = only("Is 2 < 3\\nin water? {=H<sub>2</sub>O ~A & B}");
    assert_eq!(
        (found.text_format, found.stem.as_str()),
        (DraftTextFormat::Html, "Is 2 &lt; 3<br/>\nin water?")
    );
    assert_eq!(options(&found), [("H<sub>2</sub>O", true), ("A &amp; B", false)]);
    let found = only("[plain]Which is bold? {=<b>a</b> ~&lt; #### <i>b</i>}");
    assert_eq!((found.text_format, options(&found)[0].0), (DraftTextFormat::Plain, "<b>a</b>"));
    let found = only("Boils at? {=100&deg;C ~0 K}");
    assert_eq!((found.text_format, options(&found)[0].0), (DraftTextFormat::Html, "100&deg;C"));
    let found = only("Consider:\nI. H<sub>2</sub>O\nII. NaCl {=I ~II}");
    assert_eq!(found.stem, "Consider:<br/>\nI. H<sub>2</sub>O<br/>\nII. NaCl");
}

#[test]
fn partial_marks_are_reported() {
    for text in ["Q {=a ~%50%b ~c}", "Q {~%50%a ~%50%b ~c}", "Q {~%70%a ~%30%b ~%-100%c}"] {
        assert!(only(text).losses[0].contains("marks for each option"), "{text}");
    }
}

#[test]
fn a_refusal_names_its_line_and_the_other_questions_are_read() {
    let parsed = read("A? {=1 ~2}\r\n\r\n// c\r\nB? {}\r\n\r\nC? {=1 ~2}\r\n");
    assert_eq!(parsed.questions.len(), 2);
    assert_eq!(parsed.refused[0].line, 4);
}

#[test]
fn answers_in_the_middle_of_a_sentence_leave_a_blank() {
    for (text, stem) in [
        ("::Q::Grant is {~buried =entombed ~living} in the tomb.", "Grant is _____ in the tomb."),
        ("::N::Water boils at {#100:1} degrees Celsius.", "Water boils at _____ degrees Celsius."),
        ("::D::The third planet is {=Earth ~Mars ~Venus}.", "The third planet is _____."),
        ("{=Earth ~Mars} is the third planet.", "_____ is the third planet."),
        ("Grant is {\n~buried\n=entombed\n} in\nthe tomb.", "Grant is _____ in\nthe tomb."),
        ("Grant is {~buried =entombed}\nin the tomb.", "Grant is _____\nin the tomb."),
        ("The sun {TRUE} rises.", "The sun _____ rises."),
        ("[html]<p>Grant is {~buried =entombed}\nin the tomb.</p>", "<p>Grant is _____\nin the tomb.</p>"),
        ("[html]<p>Which?</p>{~buried =entombed}\n<p>.</p>", "<p>Which?</p>_____\n<p>.</p>"),
        ("[markdown]{~buried =entombed} is *Grant*.", "\\_____ is *Grant*."),
        ("पानी {=100 ~50} पर उबलता है।", "पानी _____ पर उबलता है।"),
        ("Give \\{ {=a ~b} \\}.", "Give { _____ }."),
        ("Which? {=a ~b} \n", "Which?"),
    ] {
        assert_eq!(only(text).stem, stem, "{text}");
        assert_eq!(only(&text.replace('\n', "\r\n")).stem, stem, "{text}");
    }
    for (text, named) in [
        ("Which gas glows red? {=Neon ~Argon}\nExplanation: neon does.", "line below its answers"),
        ("Which? {=a ~b}\n::Q2:: Next?", "line below its answers"),
        ("One {=a ~b} and two {=c ~d}.", "another brace"),
        ("{mlang en}Which?{mlang}{mlang hi}कौन?{mlang} {=a ~b}", "several languages"),
        ("Which? {=a ~b} ####Because.", "Feedback stands behind"),
        ("Newton {} the Principia.", "essay"),
    ] {
        assert!(reason(text).contains(named), "{text}: {}", reason(text));
    }
}

#[test]
fn a_comment_behind_the_answers_is_left_out() {
    for text in ["Which? {=a ~b} // the key is a", "Which? {=a ~b}//a\r\n"] {
        let found = only(text);
        assert_eq!(found.stem, "Which?");
        assert!(found.losses.len() == 1 && found.losses[0].contains("comments"), "{:?}", found.losses);
    }
    assert_eq!(only("See {=http ~ftp}://x.example.").stem, "See _____://x.example.");
}

#[test]
fn a_tilde_before_an_equals_sign_marks_the_key() {
    let ocean = [("Atlantic", false), ("Pacific", true), ("Indian", false)];
    for text in [
        "::Q::Which is the largest ocean?{\n~Atlantic\n~=Pacific\n~Indian\n}",
        "Which? {~Atlantic ~ =Pacific ~Indian}",
        "Which? {~Atlantic ~=Pacific#right ~Indian#wrong}",
    ] {
        let found = only(text);
        assert!(matches!(found.answer, DraftAnswer::Single(_)));
        assert_eq!(options(&found), ocean, "{text}");
        assert!(!found.losses.iter().any(|loss| loss.contains("blank")), "{:?}", found.losses);
    }
    assert_eq!(options(&only("Which? {~=Pacific ~Indian}")).len(), 2);
    for (text, left) in [
        ("Which? {~Atlantic =Pacific ~ ~Indian ~}", "Options C, E are"),
        ("Which? {~Atlantic\n~\n=Pacific\n~Indian}", "Option B is"),
        ("Which? {~Atlantic =Pacific ~#none ~Indian}", "Option C is"),
        ("[html]Which? {~Atlantic =Pacific ~<p>&nbsp;</p> ~Indian}", "Option C is"),
    ] {
        let found = only(text);
        assert_eq!(options(&found), ocean, "{text}");
        assert!(found.losses.iter().any(|loss| loss.starts_with(left)), "{text} {:?}", found.losses);
    }
    // A blank option stays if it is correct, or if only one option would remain without it.
    for text in ["Which? {~Atlantic = ~Indian}", "Which? {=Pacific ~}", "Which? {~%50% ~%50%a ~b}"] {
        assert!(only(text).answer.options().iter().any(|option| option.text.is_empty()), "{text}");
    }
}

#[test]
fn a_code_fence_around_questions_is_left_out() {
    let questions = "::Q1:: What is 2+2? {\n=4\n~3\n}\n\n::Q2:: What is 3+3? {\n=6\n~5\n}\n";
    for text in [
        format!("```gift\n{questions}```\n"),
        format!("```\n{questions}```"),
        format!("``` GIFT \n\n{questions}\n```\n\n"),
        format!("```text\n// a comment\n{}```\n", questions.replace("::Q1::", "").replace("::Q2::", "")),
        format!("\n```\n$CATEGORY: x\n\n{questions}\n"),
        questions.replace("::Q2::", "```\n\n```gift\n::Q2::").replace("::Q1::", "```gift\n::Q1::") + "```",
    ] {
        let parsed = read(&text);
        assert_eq!(parsed.refused, [], "{text}");
        let stems: Vec<_> = parsed.questions.iter().map(|found| found.stem.as_str()).collect();
        assert_eq!(stems, ["What is 2+2?", "What is 3+3?"], "{text}");
        assert!(parsed.questions[0].losses.iter().any(|loss| loss.contains("code fence")), "{text}");
        assert_eq!(read(&text.replace('\n', "\r\n")).questions.len(), 2, "{text}");
    }
    let chat = read(&format!("Here are your questions:\n```gift\n{questions}```\nGood luck!\n"));
    assert_eq!((chat.questions.len(), chat.refused.len()), (2, 2));
    let lines: Vec<_> = chat.questions.iter().map(|found| found.line).collect();
    assert_eq!(lines, [3, 8]);
    // A code fence around code in the text of a question stays.
    let code = "[markdown]What does this print?\n```python\nprint(\\{1\\})\n``` {=1 ~2}";
    assert!(only(code).stem.contains("```python"));
    let code = "```\nprint(1)\n```\nWhat does it print? {=1 ~2}";
    assert!(only(code).stem.starts_with("```\nprint(1)\n```"));
}

#[test]
fn a_title_below_other_text_is_refused() {
    for text in ["Chapter 1\n::Q1:: What is 2+2? {=4 ~3}", "# Numbers\n  ::Q1:: What is 2+2? {=4 ~3}"] {
        assert!(reason(text).contains("A title stands in its text"), "{text}: {}", reason(text));
    }
    assert_eq!(only("What is std\\::vec?\n::not a title {=4 ~3}").stem, "What is std::vec?\n::not a title");
}

#[test]
fn options_that_point_at_others_keep_their_order() {
    let found = only("Who? {~Both B and C =Asha ~Ravi ~All of the above}");
    assert_eq!(found.option_order, OptionOrder::kept());
    assert!(found.losses.len() == 1 && found.losses[0].contains("keep their order"), "{:?}", found.losses);
    assert_eq!(only("Who? {~Asha =Ravi}").option_order, OptionOrder::default());
    let tagged = |tag: &str| only(&format!("// [tag:{tag}]\nWho? {{~Asha =Ravi ~Kiran ~All of these}}"));
    assert_eq!(tagged("options:shuffled").option_order, OptionOrder::default());
    assert_eq!(tagged("options:kept").option_order, OptionOrder::kept());
    let fixed = tagged("options:fixed:D");
    assert_eq!((fixed.option_order.fixed.as_slice(), fixed.losses.len()), (&[3][..], 0));
}

#[test]
fn a_long_category_is_shortened_and_told_once() {
    let text = format!(
        "$CATEGORY: $course$/top/{}/Optics\n\nA? {{}}\n\nB? {{=1 ~2}}\n\nC? {{=1 ~2}}\n",
        "x".repeat(250)
    );
    let parsed = read(&text);
    let [b, c] = &parsed.questions[..] else { panic!("{parsed:?}") };
    assert_eq!((b.topic.as_deref(), c.topic.as_deref()), (Some("Optics"), Some("Optics")));
    assert!(b.losses.len() == 1 && b.losses[0].contains("shortened") && c.losses.is_empty());
}

#[test]
fn dead_pictures_and_marks_of_languages_are_told() {
    for (text, told) in [
        (
            "::C::[html]<p>Which?</p><p><img src\\=\"images/circuit.png\" alt\\=\"circuit\"></p>{\n=L1\n~L2\n}",
            "is left out: the file of questions does not have it",
        ),
        (
            "[markdown]Which? ![](circuit.png) {=L1 ~L2}",
            "is left out: the file of questions does not have it",
        ),
        ("Which? {=L1 <img src\\=\"a.png\"> ~L2}", "is left out: the file of questions does not have it"),
        ("Which? {=L1 ~L2 ####<img src\\=\"a.png\">}", "is left out: the file of questions does not have it"),
        ("\\{mlang en\\}Which?\\{mlang\\}\\{mlang hi\\}कौन?\\{mlang\\} {=a ~b}", "several languages"),
        ("Which? {=<span class\\=\"multilang\" lang\\=\"en\">a</span> ~b}", "several languages"),
    ] {
        let found = crate::read(crate::Format::Gift, text).expect("a text").questions.remove(0);
        assert!(found.losses.len() == 1 && found.losses[0].contains(told), "{text}: {:?}", found.losses);
    }
}

fn texts(found: &ParsedQuestion) -> (Vec<&str>, bool) {
    let DraftAnswer::ShortAnswer { texts, is_case_sensitive } = &found.answer else { panic!("{found:?}") };
    (texts.iter().map(String::as_str).collect(), *is_case_sensitive)
}

#[test]
fn short_answers_are_read() {
    let found = only("::s:: Two plus two equals {=four =  4 =FOUR =%50%quatre#nearly} in base ten. ");
    assert_eq!(texts(&found), (vec!["four", "4"], false));
    assert_eq!(
        found.stem.trim(),
        "::s:: Two plus two equals _____ in base ten.".trim_start_matches("::s:: ")
    );
    let told = ["feedback", "partial marks"];
    assert!(
        told.iter().all(|told| found.losses.iter().any(|loss| loss.contains(told))),
        "{:?}",
        found.losses
    );
    let found = only("// [tag:case:sensitive]\nThe symbol of sodium? {=Na}");
    assert_eq!((texts(&found), found.losses.len()), ((vec!["Na"], true), 0));
    let found = only("[html]<b>Write</b> it. {=a\\=b\\{c\\} =2\\*3 =col*r =[plain]%5% ####So <i>it</i> is.}");
    assert_eq!(texts(&found), (vec!["a=b{c}", "2\\*3", "col*r", "%5%"], false));
    assert_eq!(found.explanation.as_deref(), Some("So <i>it</i> is."));
    // A single accepted text needs no `=` before it.
    assert_eq!(texts(&only("Who is buried in Grant's tomb? {Grant}")), (vec!["Grant"], false));
    assert_eq!(texts(&only("Two plus {2} equals four.")), (vec!["2"], false));
}
