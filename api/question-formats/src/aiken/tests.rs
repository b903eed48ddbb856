use crate::draft::{DraftAnswer, DraftDifficulty};
use crate::format::Format;
use crate::parsed::ParsedQuestion;

use super::*;

fn reasons(text: &str) -> Vec<(u32, String)> {
    read(text).refused.into_iter().map(|refusal| (refusal.line, refusal.reason)).collect()
}

/// Shows a question with its key in brackets: `Is it? yes [no]`.
fn shown(found: &ParsedQuestion) -> String {
    let options = found.answer.options().iter();
    let options = options.map(|option| match option.correct {
        true => format!(" [{}]", option.text),
        false => format!(" {}", option.text),
    });
    format!("{}{}", found.stem.replace('\n', " / "), options.collect::<String>())
}

fn questions(text: &str) -> Vec<String> {
    let parsed = read(text);
    assert_eq!(parsed.refused, [], "{text}");
    parsed.questions.iter().map(shown).collect()
}

/// Asserts that exactly one block is refused: in the line `line`, and for a reason that contains `named`. Asserts that
/// the questions in `others` are read, and no others. Repeats this with the line ends of Windows.
fn expect_refusal(text: &str, line: u32, named: &str, others: &[&str]) {
    for text in [text.to_owned(), text.trim_end().to_owned(), text.replace('\n', "\r\n")] {
        let found = reasons(&text);
        assert!(found.len() == 1 && found[0].0 == line && found[0].1.contains(named), "{text}\n{found:?}");
        assert_eq!(read(&text).questions.iter().map(shown).collect::<Vec<_>>(), others, "{text}");
    }
}

#[test]
fn questions_are_read() {
    let text = "Which planet is nearest to the Sun?\nA. Venus\nB) Mercury\nC. Mars\nANSWER: B\n\n\n\
                Two lines\nof a stem?\r\n\r\nA) yes\r\nB) no\r\n\r\nAnswer: a\r\n";
    let parsed = read(text);
    assert_eq!(parsed.refused, []);
    let [first, second] = &parsed.questions[..] else { panic!("{parsed:?}") };
    assert_eq!((first.line, second.line), (1, 8));
    assert_eq!(shown(first), "Which planet is nearest to the Sun? Venus [Mercury] Mars");
    assert_eq!(shown(second), "Two lines / of a stem? [yes] no");
}

#[test]
fn options_have_consecutive_letters_from_a() {
    for (text, read) in [
        (
            "Consider the statements:\nI. Light bends in glass.\nII. Light is slower in glass.\nWhich are true?\n\
             A. Only I\nB. Only II\nC. Both\nD. Neither\nANSWER: C\n",
            "Consider the statements: / I. Light bends in glass. / II. Light is slower in glass. / Which are true? \
             Only I Only II [Both] Neither",
        ),
        (
            "A. Assertion: metals conduct.\nR. Reason: they have free electrons.\nChoose the right code.\n\
             A. Both true, R explains A\nB. Both true\nC. Only A\nD. Only R\nANSWER: A\n",
            "A. Assertion: metals conduct. / R. Reason: they have free electrons. / Choose the right code. \
             [Both true, R explains A] Both true Only A Only R",
        ),
        (
            "Two statements are given.\nA. Assertion: it rains,\nas it often does.\nR. Reason: clouds.\nA. yes\nB. no\nANSWER: B",
            "Two statements are given. / A. Assertion: it rains, / as it often does. / R. Reason: clouds. yes [no]",
        ),
        (
            "Match.\nP. volt\nQ. ohm\nR. ampere\n1. resistance\n2. potential\nA. P-2, Q-1\nB. P-1, Q-2\nANSWER: A\n",
            "Match. / P. volt / Q. ohm / R. ampere / 1. resistance / 2. potential [P-2, Q-1] P-1, Q-2",
        ),
        (
            "Match list I with list II.\nA. Newton\nB. Pascal\nC. Joule\nI. pressure\nII. force\nIII. work\n\
             Choose.\nA. A-II, B-I\nB. A-I, B-II\nANSWER: A\n",
            "Match list I with list II. / A. Newton / B. Pascal / C. Joule / I. pressure / II. force / III. work / \
             Choose. [A-II, B-I] A-I, B-II",
        ),
        ("1. Which?\n2. is no list\nA. x\nB. y\nANSWER: B", "1. Which? / 2. is no list x [y]"),
        ("I. is the first person.\nA.yes\nB)no\nANSWER:B", "I. is the first person. yes [no]"),
        ("a) small letters\nb) are text\nA) x\nB) y\nANSWER: a", "a) small letters / b) are text [x] y"),
        ("Hint: which is it?\nA. x\nB. y\nANSWER: B", "Hint: which is it? x [y]"),
        ("Q?\n\nA. x\n\nB. y\n\nANSWER: B", "Q? x [y]"),
    ] {
        for text in [text.to_owned(), text.replace('\n', "\r\n"), format!("\n{text}\n\n")] {
            assert_eq!(questions(&text), [read], "{text}");
            assert_eq!(Format::detect(&format!("\u{feff}{text}")), Some(Format::Aiken));
        }
    }
    let all: String = ('A'..='Z').map(|letter| format!("{letter}. option {letter}\n")).collect();
    assert!(questions(&format!("Q?\n{all}ANSWER: Z\n"))[0].ends_with("[option Z]"));
}

#[test]
fn lines_below_a_key_belong_to_the_question_above() {
    let text = "Which gas do plants take in?\nA. Oxygen\nB. Carbon dioxide\nANSWER: B\n\
                Explanation: plants take carbon dioxide in.\nWhich gas do plants give off?\nA. Oxygen\n\
                B. Carbon dioxide\nANSWER: A\nDifficulty: easy\nTopic: cells\nWhere is DNA kept?\nA. Nucleus\nB. Wall\n\
                ANSWER: A\nFeedback: In all of them:\nA. plants, and\nB. animals.\nMarks: 2\n\n\
                Last?\nA. x\nB. y\nANSWER: A";
    let parsed = read(text);
    assert_eq!(
        questions(text),
        [
            "Which gas do plants take in? Oxygen [Carbon dioxide]",
            "Which gas do plants give off? [Oxygen] Carbon dioxide",
            "Where is DNA kept? [Nucleus] Wall",
            "Last? [x] y"
        ]
    );
    let [first, second, third, last] = &parsed.questions[..] else { panic!("{parsed:?}") };
    assert_eq!(first.explanation.as_deref(), Some("plants take carbon dioxide in."));
    assert_eq!((second.difficulty, second.topic.as_deref()), (Some(DraftDifficulty::Easy), Some("cells")));
    assert_eq!(third.explanation.as_deref(), Some("In all of them:\nA. plants, and\nB. animals."));
    assert!(third.losses.len() == 1 && third.losses[0].contains("\"2\""), "{:?}", third.losses);
    assert_eq!((last.explanation.as_deref(), last.losses.len()), (None, 0));
    // The label `Explanation:` is on a line of its own.
    let text = "Q?\nA. x\nB. y\nANSWER: A\nExplanation:\nso it is\nNext?\nA. x\nB. y\nANSWER: B\n";
    assert_eq!(questions(text), ["Q? [x] y", "Next? x [y]"]);
    assert_eq!(read(text).questions[0].explanation.as_deref(), Some("so it is"));
    // A line without a label is left out and reported.
    let text = "Q?\nA. x\nB. y\nANSWER: A\nBecause it is.\nAnd so on.\n\nNext?\nA. x\nB. y\nANSWER: B\nDifficulty: 5";
    assert_eq!(questions(text), ["Q? [x] y", "Next? x [y]"]);
    let losses: Vec<String> = read(text).questions.into_iter().flat_map(|found| found.losses).collect();
    assert!(losses[0].contains("Because it is.") && losses[1].contains("\"5\""), "{losses:?}");
    // Questions need no blank lines between them.
    let text = "Q?\nA. x\nB. y\nANSWER: A\nNext?\n\nA. x\nB. y\n\nANSWER: B\nLast?\nA. x\nB. y\nANSWER: A";
    assert_eq!(questions(text), ["Q? [x] y", "Next? x [y]", "Last? [x] y"]);
}

#[test]
fn lines_that_may_belong_to_either_question_are_refused_with_the_second() {
    for below in
        ["Because it is.\nNext?", "Explanation: so it is,\nas always.\nNext?", "Consider:\nI. it\nWhich?"]
    {
        let text = format!(
            "Q?\nA. x\nB. y\nANSWER: A\n{below}\nA. x\nB. z\nANSWER: B\n\nLast?\nA. x\nB. y\nANSWER: A"
        );
        let found = reasons(&text);
        assert!(found.len() == 1 && found[0].1.contains("Leave a blank line"), "{text}\n{found:?}");
        assert_eq!(read(&text).questions.iter().map(shown).collect::<Vec<_>>(), ["Q? [x] y", "Last? [x] y"]);
    }
}

#[test]
fn lines_that_stand_alone_are_refused_alone() {
    for alone in [
        "Chapter 1",
        "1. Optics",
        "II. Optics",
        "Section A:",
        "Explanation: photosynthesis uses it.\nAs plants do:\nA. by day",
        "Answer all questions.\nThere are no negative marks.",
        "ANSWER: B",
        "Name the gas.",
    ] {
        let text = format!("{alone}\n\nWhich gas?\nA. Oxygen\nB. Neon\nANSWER: B\n");
        expect_refusal(&text, 1, "no", &["Which gas? Oxygen [Neon]"]);
        let text = format!("Q?\nA. x\nB. y\nANSWER: A\n\n{text}");
        expect_refusal(&text, 6, "no", &["Q? [x] y", "Which gas? Oxygen [Neon]"]);
    }
    let text = "Which gas do plants take in?\n\nA. Oxygen\nB. Neon\n\nANSWER: B\nExplanation: they use it.\n\n\
                Which gas do we breathe out?\nA. Oxygen\nB. Neon\nANSWER: B";
    assert_eq!(questions(text).len(), 2);
    assert_eq!(read(text).questions[0].explanation.as_deref(), Some("they use it."));
}

#[test]
fn no_line_of_a_refused_question_is_read() {
    let after = "\n\nAfter?\nA. x\nB. y\nANSWER: B";
    let read = ["After? x [y]"];
    for (text, named) in [
        ("Q?\nA. x\nB. y", "no key"),
        ("Q?\nA. x\nB. y\nANSWER: C", "no such option"),
        ("Q?\nA. x\nC. y\nANSWER: A", "lettered"),
        ("Q?\nB. x\nC. y\nANSWER: B", "lettered"),
        ("A. x\nB. y\nANSWER: A", "no text"),
        ("Q?\nANSWER: A", "no options"),
        ("Q?\nA. x\nB. y\nANSWER: A, B", "one letter"),
        ("Q?\nA. x\nB. y\nANSWER: A) and B)", "one letter"),
        ("Q?\nA. x\nB. y\nANSWER: both", "one letter"),
        ("Q?\nA. x\nB. y\nANSWER:", "one letter"),
        ("Q?\nA. x\nB. y\nAnswer: B or A", "one letter"),
        ("Q?\nA. x\nB. y\nANSWER: A) y", "that of option B"),
        ("Q?\nA. x\nB. y\nANSWER: A\nANSWER: B", "second ANSWER"),
        ("Q?\nA. x\nB. y\nANSWER: C\nExplanation: so it is\nand so on", "no such option"),
        ("Explanation: so it is.\nQ?\nA. x\nB. y\nANSWER: A", "another question"),
        ("ANSWER: B\nQ?\nA. x\nB. y\nANSWER: A", "another question"),
        ("Q?\nA. x\nB. y\nOther?\nA. x\nB. y\nANSWER: A", "Line 4, \"Other?\""),
        ("1. Q?\nA. x\nB. y\n2. Other?\nA. x\nB. y\nANSWER: A", "after the options"),
        ("Q?\nA. x\nOther?\nA. x\nB. y\nANSWER: A", "after the options"),
        ("Q?\nA. x\nB. y\nA. z\nB. w\nANSWER: A", "after the options"),
        ("Q?\nA. long\nand longer\nB. y\nANSWER: A", "Line 3, \"and longer\", stands between"),
        ("Q?\nA. x\nB. y\nand longer\nANSWER: A", "Line 4, \"and longer\""),
        (
            "Consider:\n\nI. it bends.\n\nII. it is slow.\n\nWhich is true?\nA. x\nB. y\nANSWER: A",
            "blank line",
        ),
        ("Consider the statements:\nI. it bends.\n\nWhich is true?\nA. x\nB. y\nANSWER: A", "blank line"),
        ("A. Assertion: so.\n\nR. Reason: since.\n\nChoose.\nA. x\nB. y\nANSWER: A", "blank line"),
        ("Given:\nA. Assertion\n\nR. Reason\nChoose.\nA. x\nB. y\nANSWER: A", "blank line"),
        ("Statements:\nA. it bends.\nB. it is slow.\n\nWhich?\nA. x\nB. y\nANSWER: A", "blank line"),
        ("Which is true,\n\nof these?\nA. x\nB. y\nANSWER: A", "blank line"),
        ("Which is shown?\n\nLook at it.\nA. x\nB. y\nANSWER: A", "blank line"),
    ] {
        expect_refusal(&format!("{text}{after}"), 1, named, &read);
    }
    // The first question has no key. The question below it is read.
    expect_refusal("Q?\nA. x\nB. y\n\nAfter?\nA. x\nB. y\nANSWER: B", 1, "no key", &read);
}

#[test]
fn a_question_with_a_blank_line_in_its_text_is_refused_as_a_whole() {
    let options = "A. x\nB. y\nANSWER: A\n\nAfter?\nA. x\nB. y\nANSWER: B\n";
    for text in [
        "Assertion: metals conduct.\nReason: they have free electrons.\n\nChoose the correct option.",
        "Assertion (A): metals conduct.\n\nReason (R): they have free electrons.\n",
        "Statement I: it bends.\nStatement II: it slows.\n\nIn the light of the above statements, choose.",
        "Statement-1: it bends.\nStatement-2: it slows.\n\nChoose one.",
        "S1: it bends.\nS2: it slows.\n\nChoose one.",
        "List-I:\nNewton\nList-II:\nforce\n\nThe correct match is",
        "- it bends.\n- it slows.\n\nWhich is correct?",
        "Of light\n• it bends.\n• it slows.\n\nWhich is correct?",
        "Given: m = 2 kg\nv = 3 m/s\n\nFind the momentum.",
        "Passage: plants breathe.\n\n1. What is it about?",
        "12. A train of 100 m moves at 20 m/s.\n\nHow long does it take?",
        "What does it return?\nSELECT 1\n\nUNION SELECT 2",
        "Light bends in glass.\nIt is slow.\n\nWhich of the above is true?",
        "Match the following\n\nP. volt\nQ. ohm",
    ] {
        expect_refusal(&format!("{text}\n{options}"), 1, "blank line", &["After? x [y]"]);
        // The same text is also refused directly below another question, which is still read with its explanation.
        let below = format!("Q?\nA. x\nB. y\nANSWER: A\nExplanation: so.\n{text}\n{options}");
        expect_refusal(&below, 6, "line", &["Q? [x] y", "After? x [y]"]);
        assert_eq!(read(&below).questions[0].explanation.as_deref(), Some("so."), "{below}");
        assert_eq!(read(&below).questions[0].losses, [""; 0], "{below}");
    }
}

#[test]
fn a_question_without_a_key_does_not_affect_the_next_question() {
    let keys = [
        "Ans: B",
        "Ans. B",
        "Ans. (b)",
        "Correct Answer: B",
        "Key: B",
        "Answer - B",
        "ANSWER B",
        "ANSWER : B",
        "**ANSWER: B**",
        "उत्तर: B",
        "",
    ];
    for key in keys {
        let named = if key.is_empty() { "no key" } else { "only looks like a key" };
        let text =
            format!("The capital of France is\nA. Paris\nB. Rome\n{key}\n\nAfter?\nA. x\nB. y\nANSWER: B");
        expect_refusal(&text, 1, named, &["After? x [y]"]);
        let text = format!("Q?\nA. x\nB. y\nANSWER: A\n{text}");
        expect_refusal(&text, 5, named, &["Q? [x] y", "After? x [y]"]);
        let text = text.replace("\n\n", "\nExplanation: so.\n\n");
        expect_refusal(&text, 5, named, &["Q? [x] y", "After? x [y]"]);
        assert_eq!(read(&text).questions[0].explanation, None, "{text}");
    }
}

#[test]
fn a_heading_is_not_taken_for_a_question() {
    let after = "\n\nAfter?\nA. x\nB. y\nANSWER: B";
    for above in ["Explanation: x is right.", "Chapter 2", "Section B"] {
        expect_refusal(&format!("{above}\n\nA. p\nB. q\nANSWER: B{after}"), 1, "no text", &["After? x [y]"]);
    }
    for stem in ["Name it:", "Air is ____", "It is a gas.", "Which?"] {
        assert_eq!(questions(&format!("{stem}\n\nA. p\nB. q\nANSWER: B")), [format!("{stem} p [q]")]);
    }
    let text = "Section B\n\nA. Assertion: so.\nR. Reason: since.\nChoose.\nA. Both\nB. Neither\nANSWER: A";
    expect_refusal(
        text,
        1,
        "no options",
        &["A. Assertion: so. / R. Reason: since. / Choose. [Both] Neither"],
    );
}

#[test]
fn two_questions_are_never_read_as_one() {
    for (text, named) in [
        (
            "Q1?\nA. x\nB. y\nI. Light bends.\nII. Light slows.\nWhich are true?\nA. I\nB. II\nANSWER: B",
            "Line 4, ",
        ),
        (
            "Q1?\nA. x\nB. y\n1. Light bends.\n2. Light slows.\nWhich are true?\nA. 1\nB. 2\nANSWER: B",
            "Line 4, ",
        ),
        ("Q1?\nA. x\nB. y\nP. Light bends.\nQ. Light slows.\nA. P\nB. Q\nANSWER: B", "Line 4, "),
        ("Which?\nA. a  B. b\nC. c  D. d\nANSWER: B", "Line 2, \"A. a  B. b\", has option B inside"),
        ("Which?\nA. a\nB. b\tC. c\tD. d\nANSWER: B", "has option C inside"),
        ("Which?\nA. a B. b C. c\nANSWER: A", "has option B inside"),
    ] {
        expect_refusal(text, 1, named, &[]);
    }
    assert_eq!(
        questions(
            "Match and complete.\nP. volt\nQ. ohm\nAnswer: choose below.\nWhich is right?\nA. P-1\nB. P-2\nANSWER: A"
        ),
        ["Match and complete. / P. volt / Q. ohm / Answer: choose below. / Which is right? [P-1] P-2"]
    );
    let text = "Match.\nP. volt\nQ. ohm\nANSWER: choose below.\nWhich is right?\nA. P-1\nB. P-2\nANSWER: A";
    assert!(read(text).questions.is_empty(), "{:?}", read(text));
}

#[test]
fn lists_with_headers_and_statements_belong_to_the_question() {
    for (text, read) in [
        (
            "Match.\nList I\nA. Newton\nB. Pascal\nList II\n1. pressure\n2. force\nA. A-2, B-1\nB. A-1, B-2\nANSWER: A",
            "Match. / List I / A. Newton / B. Pascal / List II / 1. pressure / 2. force [A-2, B-1] A-1, B-2",
        ),
        (
            "Match.\nColumn I\nA. Newton\nB. Pascal\nColumn II\n(i) pressure\n(ii) force\nChoose:\nA. A-ii\nB. A-i\nANSWER: A",
            "Match. / Column I / A. Newton / B. Pascal / Column II / (i) pressure / (ii) force / Choose: [A-ii] A-i",
        ),
        (
            "Consider the statements:\nA. one\nB. two\nC. three\nChoose from the options given below:\nA. A and B\nB. B and C\nANSWER: A",
            "Consider the statements: / A. one / B. two / C. three / Choose from the options given below: [A and B] B and C",
        ),
    ] {
        assert_eq!(questions(text), [read]);
    }
}

#[test]
fn lines_that_only_look_like_options_or_keys_are_refused() {
    for (text, named) in [
        (
            "Which gas?\na) Oxygen\nb) Neon\nAnswer: b",
            "Line 2, \"a) Oxygen\", only looks like an option. Write its letter as a capital",
        ),
        ("1. Which gas?\n(A) Oxygen\n(B) Neon\nANSWER: B", "Write A) and not (A)"),
        ("植物吸收哪种气体？\nA．氧气\nB．二氧化碳\n答案：B", "\"A．氧气\", only looks like an option"),
        ("下列哪个是质数？\nA、4\nB、7\nANSWER：B", "Line 4, \"ANSWER：B\", only looks like a key"),
        ("Q?\nA. x\nB. y\nAns: B", "Line 4, \"Ans: B\", only looks like a key"),
        ("Q?\nA. x\nb. y\nANSWER: A", "Line 3, \"b. y\""),
        ("Q?\nA - x\nB - y\nANSWER: A", "Line 2, \"A - x\""),
    ] {
        expect_refusal(text, 1, named, &[]);
        assert_eq!(Format::detect(text), Some(Format::Aiken), "{text}");
    }
}

#[test]
fn keys_are_read_as_in_moodle() {
    for key in [
        "ANSWER: B",
        "ANSWER:B",
        "ANSWER: b",
        "answer: b",
        "ANSWER: B.",
        "ANSWER: B) Neon",
        "ANSWER: B Neon",
        "ANSWER: B. neon.",
        "Answer: B) Neon",
        "ANSWER: B) it glows",
    ] {
        let text = format!("Which gas?\nA)Oxygen\nB)Neon\n{key}");
        assert_eq!(questions(&text), ["Which gas? Oxygen [Neon]"], "{key}");
        assert_eq!(Format::detect(&text), Some(Format::Aiken), "{key}");
    }
    assert_eq!(
        questions("Last?\nAnswer: in words\nA. x\nB. y\nanswer: B\n"),
        ["Last? / Answer: in words x [y]"]
    );
}

#[test]
fn options_that_would_become_equal_are_not_written() {
    let mut found = read("Q?\nA. x y\nB. y\nANSWER: A\n").questions.remove(0);
    let DraftAnswer::Single(options) = &mut found.answer else { panic!("{found:?}") };
    options[1].text = "x\ny".to_owned();
    let question = crate::round_trip::complete(found);
    let mut out = String::new();
    let told = write(&mut out, &question);
    assert!(out.is_empty() && told.len() == 1 && told[0].contains("left out"), "{told:?}\n{out}");
}
