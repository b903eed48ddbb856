use jishu_entity::question_version::Difficulty;

use super::super::super::draft::{Defaults, DraftAnswer, Found};
use super::super::Format;
use super::*;

fn reasons(text: &str) -> Vec<(u32, String)> {
    read(text).refused.into_iter().map(|refusal| (refusal.line, refusal.reason)).collect()
}

/// Shows a question with its key in brackets: `Is it? yes [no]`.
fn shown(found: &Found) -> String {
    let options = found.answer.options().iter();
    let options = options.map(|option| match option.correct {
        true => format!(" [{}]", option.text),
        false => format!(" {}", option.text),
    });
    format!("{}{}", found.stem.replace('\n', " / "), options.collect::<String>())
}

fn questions(text: &str) -> Vec<String> {
    let reading = read(text);
    assert_eq!(reading.refused, [], "{text}");
    reading.questions.iter().map(shown).collect()
}

/// Asserts that one block is refused, in this line and with this text in its reason, and that the others are read.
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
    let reading = read(text);
    assert_eq!(reading.refused, []);
    let [first, second] = &reading.questions[..] else { panic!("{reading:?}") };
    assert_eq!((first.line, second.line), (1, 8));
    assert_eq!(shown(first), "Which planet is nearest to the Sun? Venus [Mercury] Mars");
    assert_eq!(shown(second), "Two lines / of a stem? [yes] no");
}

#[test]
fn options_are_a_and_then_the_next_letter() {
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
fn what_is_below_a_key_is_of_the_question_above() {
    let text = "Which gas do plants take in?\nA. Oxygen\nB. Carbon dioxide\nANSWER: B\n\
                Explanation: plants take carbon dioxide in.\nWhich gas do plants give off?\nA. Oxygen\n\
                B. Carbon dioxide\nANSWER: A\nDifficulty: easy\nTopic: cells\nWhere is DNA kept?\nA. Nucleus\nB. Wall\n\
                ANSWER: A\nFeedback: it is.\nIn all of them:\nA. plants, and\nB. animals.\nMarks: 2\n\n\
                Last?\nA. x\nB. y\nANSWER: A";
    let reading = read(text);
    assert_eq!(
        questions(text),
        [
            "Which gas do plants take in? Oxygen [Carbon dioxide]",
            "Which gas do plants give off? [Oxygen] Carbon dioxide",
            "Where is DNA kept? [Nucleus] Wall",
            "Last? [x] y"
        ]
    );
    let [first, second, third, last] = &reading.questions[..] else { panic!("{reading:?}") };
    assert_eq!(first.explanation.as_deref(), Some("plants take carbon dioxide in."));
    assert_eq!((second.difficulty, second.topic.as_deref()), (Some(Difficulty::Easy), Some("cells")));
    assert_eq!(third.explanation.as_deref(), Some("it is.\nIn all of them:\nA. plants, and\nB. animals."));
    assert!(third.losses.len() == 1 && third.losses[0].contains("\"2\""), "{:?}", third.losses);
    assert_eq!((last.explanation.as_deref(), last.losses.len()), (None, 0));
    // The label is on a line of its own.
    let text = "Q?\nA. x\nB. y\nANSWER: A\nExplanation:\nso it is\nNext?\nA. x\nB. y\nANSWER: B\n";
    assert_eq!(questions(text), ["Q? [x] y", "Next? x [y]"]);
    assert_eq!(read(text).questions[0].explanation.as_deref(), Some("so it is"));
    // Without a label a line is left out and reported.
    let text = "Q?\nA. x\nB. y\nANSWER: A\nBecause it is.\nAnd so on.\n\nNext?\nA. x\nB. y\nANSWER: B\nDifficulty: 5";
    assert_eq!(questions(text), ["Q? [x] y", "Next? x [y]"]);
    let losses: Vec<String> = read(text).questions.into_iter().flat_map(|found| found.losses).collect();
    assert!(losses[0].contains("Because it is.") && losses[1].contains("\"5\""), "{losses:?}");
    // Questions without blank lines.
    let text = "Q?\nA. x\nB. y\nANSWER: A\nNext?\n\nA. x\nB. y\n\nANSWER: B\nLast?\nA. x\nB. y\nANSWER: A";
    assert_eq!(questions(text), ["Q? [x] y", "Next? x [y]", "Last? [x] y"]);
}

#[test]
fn what_may_be_of_either_question_is_refused_with_the_second() {
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
fn what_stands_alone_is_refused_by_itself() {
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
fn nothing_of_a_refused_question_is_read() {
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
        ("1. Q?\nA. x\nB. y\n2. Other?\nA. x\nB. y\nANSWER: A", "is not ANSWER:"),
        ("Q?\nA. x\nOther?\nA. x\nB. y\nANSWER: A", "is not ANSWER:"),
        ("Q?\nA. x\nB. y\nA. z\nB. w\nANSWER: A", "is not ANSWER:"),
        ("Q?\nA. long\nand longer\nB. y\nANSWER: A", "lettered"),
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
    // This is a question of its own without its key.
    expect_refusal("Q?\nA. x\nB. y\n\nAfter?\nA. x\nB. y\nANSWER: B", 1, "no key", &read);
}

#[test]
fn lines_that_only_look_like_options_and_keys_are_named() {
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
fn keys_are_read_as_moodle_reads_them() {
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
fn options_that_would_say_the_same_are_not_written() {
    let mut found = read("Q?\nA. x y\nB. y\nANSWER: A\n").questions.remove(0);
    let DraftAnswer::Single(options) = &mut found.answer else { panic!("{found:?}") };
    options[1].text = "x\ny".to_owned();
    let defaults = Defaults { topic: "T".to_owned(), difficulty: Difficulty::Easy };
    let question = found.check(&defaults).expect("a question");
    let mut out = String::new();
    let told = write(&mut out, &question);
    assert!(out.is_empty() && told.len() == 1 && told[0].contains("left out"), "{told:?}\n{out}");
}
