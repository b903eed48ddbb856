//! Aiken: a question, its options each on a line after a letter, and `ANSWER:` with the letter of the correct one.
//! <https://docs.moodle.org/en/Aiken_format>

use std::collections::HashSet;

use jishu_entity::question_version::TextFormat;

use super::super::draft::{DraftAnswer, DraftOption, DraftQuestion, Found};
use super::Reading;

const KEY: &str = "ANSWER:";

/// Reads a whole text.
pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    let mut block = Block::default();
    for (number, line) in text.lines().enumerate() {
        let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
        let line = line.trim();
        if block.stem.is_empty() {
            if !line.is_empty() {
                block.line = number;
                block.stem.push_str(line);
            }
        } else if let Some(key) = key_line(line, !block.options.is_empty()) {
            let ended = std::mem::take(&mut block);
            reading.take(ended.line, None, ended.question(key));
        } else if let Some((letter, option)) = option_line(line) {
            block.options.push((letter, option.to_owned()));
        } else if line.is_empty() {
            block.has_gap |= block.options.is_empty();
        } else if block.options.is_empty() {
            block.stem.push('\n');
            block.stem.push_str(line);
            block.is_apart |= block.has_gap;
        } else {
            // A question follows whose predecessor has no key, or an option goes on over a line's end.
            let reason =
                "After its options stands something else than ANSWER:. Write each option on one line, and \
                          ANSWER: with the letter of the correct one after the last."
                    .to_owned();
            let broken = std::mem::take(&mut block);
            reading.take(broken.line, None, Err(reason));
            block = Block { line: number, stem: line.to_owned(), ..Block::default() };
        }
    }
    if !block.stem.is_empty() {
        let reason = "It has no key. End it with ANSWER: and the letter of the correct option.".to_owned();
        reading.take(block.line, None, Err(reason));
    }
    reading
}

#[derive(Default)]
struct Block {
    line: u32,
    stem: String,
    /// A blank line follows the stem.
    has_gap: bool,
    /// A blank line stands in the stem: what is above it may be of no question.
    is_apart: bool,
    options: Vec<(char, String)>,
}

impl Block {
    fn question(self, key: &str) -> Result<Found, String> {
        if self.is_apart {
            return Err("A blank line stands in its text. Take the line out, or what is above it: Aiken has no headings \
                        and no explanations."
                .to_owned());
        }
        if !self.options.iter().map(|(letter, _)| *letter).eq(('A'..='Z').take(self.options.len())) {
            return Err(
                "Its options are not lettered A, B, C and so on. Letter them in this order.".to_owned()
            );
        }
        let mut letters = key.chars();
        let key = match (letters.next(), letters.next()) {
            (Some(letter), None) => letter.to_ascii_uppercase(),
            _ => {
                return Err(
                    "Its key is not one letter. Aiken has single choices only: write ANSWER: B.".to_owned()
                );
            }
        };
        if !self.options.iter().any(|(letter, _)| *letter == key) {
            return Err(format!("Its key is {}, and it has no such option.", key.escape_default()));
        }
        let option = |(letter, text)| DraftOption { text, correct: letter == key };
        Ok(Found {
            line: self.line,
            external_id: None,
            name: None,
            topic: None,
            difficulty: None,
            text_format: TextFormat::Plain,
            stem: self.stem,
            answer: DraftAnswer::Single(self.options.into_iter().map(option).collect()),
            explanation: None,
            losses: Vec::new(),
        })
    }
}

/// What follows `ANSWER:`, if this is such a line. In small letters it is one only after options or with a key.
fn key_line(line: &str, follows_options: bool) -> Option<&str> {
    let line = line.trim();
    let (word, key) = line.split_at_checked(KEY.len())?;
    let is_meant = word == KEY || follows_options || key.trim().len() == 1;
    let is_key = is_meant && word.eq_ignore_ascii_case(KEY);
    is_key.then(|| key.trim())
}

/// Whether this is a line with a key, which a question of GIFT can have words like.
pub(super) fn is_key(line: &str) -> bool {
    let mut chars = key_line(line, false).unwrap_or_default().chars();
    let is_letter = chars.next().is_some_and(|char| char.is_ascii_alphabetic());
    is_letter && chars.next().is_none_or(|char| matches!(char, ' ' | ','))
}

/// The letter and the text of an option, as `A. text` or `A) text`.
fn option_line(line: &str) -> Option<(char, &str)> {
    let mut chars = line.chars();
    let letter = chars.next().filter(char::is_ascii_uppercase)?;
    chars.next().filter(|mark| matches!(mark, '.' | ')'))?;
    let text = chars.as_str();
    text.starts_with([' ', '\t']).then(|| (letter, text.trim()))
}

/// Appends a question; returns what of it cannot be written.
pub(super) fn write(out: &mut String, question: &DraftQuestion) -> Vec<String> {
    let DraftAnswer::Single(options) = &question.answer else {
        return vec!["It is left out: Aiken has single choices only.".to_owned()];
    };
    let mut lost = vec!["its external id", "its topic", "its difficulty"];
    if question.explanation.is_some() {
        lost.push("its explanation");
    }
    match question.text_format {
        TextFormat::Plain => {}
        TextFormat::Markdown => lost.push("that its texts are Markdown"),
        TextFormat::Html => lost.push("that its texts are HTML"),
    }
    if question.stem.contains('\n') || options.iter().any(|option| option.text.contains('\n')) {
        lost.push("the ends of lines in its texts");
    }
    let on_a_line = |text: &str| {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let texts: HashSet<String> = options.iter().map(|option| on_a_line(&option.text)).collect();
    if texts.len() < options.len() {
        return vec![
            "It is left out: its options differ in the ends of lines only, which Aiken has no place for."
                .to_owned(),
        ];
    }
    out.push_str(&on_a_line(&question.stem));
    out.push('\n');
    let mut key = 'A';
    for (option, letter) in options.iter().zip('A'..='Z') {
        out.push_str(&format!("{letter}. {}\n", on_a_line(&option.text)));
        if option.correct {
            key = letter;
        }
    }
    out.push_str(&format!("{KEY} {key}\n\n"));
    vec![format!("Aiken has no place for {}.", lost.join(", "))]
}

#[cfg(test)]
mod tests {
    use jishu_entity::question_version::Difficulty;

    use super::super::super::draft::Defaults;
    use super::*;

    fn reasons(text: &str) -> Vec<(u32, String)> {
        read(text).refused.into_iter().map(|refusal| (refusal.line, refusal.reason)).collect()
    }

    #[test]
    fn questions_are_read() {
        let text = "Which planet is nearest to the Sun?\nA. Venus\nB) Mercury\nC. Mars\nANSWER: B\n\n\n\
                    Two lines\nof a stem?\r\n\r\nA) yes\r\nB) no\r\n\r\nAnswer: a\r\n";
        let reading = read(text);
        assert_eq!(reading.refused, []);
        let [first, second] = &reading.questions[..] else { panic!("{reading:?}") };
        assert_eq!((first.line, second.line), (1, 8));
        assert_eq!(second.stem, "Two lines\nof a stem?");
        let keys =
            |found: &Found| found.answer.options().iter().map(|option| option.correct).collect::<Vec<_>>();
        assert_eq!(keys(first), [false, true, false]);
        assert_eq!(first.answer.options()[1].text, "Mercury");
        assert_eq!(keys(second), [true, false]);
    }

    #[test]
    fn what_stands_between_questions_is_of_none() {
        let text = "Q?\nA. x\nB. y\nANSWER: A\nExplanation: so it is\n\nNext?\nA. x\nB. y\nANSWER: B\n\n\
                    Last?\nAnswer: in words\nA. x\nB. y\nanswer: B\n";
        let stems: Vec<String> = read(text).questions.into_iter().map(|found| found.stem).collect();
        assert_eq!(stems, ["Q?", "Last?\nAnswer: in words"]);
        let found = reasons(text);
        assert!(found.len() == 1 && found[0].0 == 5 && found[0].1.contains("blank line"), "{found:?}");
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

    #[test]
    fn what_is_not_aiken_is_refused_by_itself() {
        for (text, line, named) in [
            ("Q?\nA. x\nB. y\n", 1, "no key"),
            ("\nQ?\nA. x\nB. y\nANSWER: C\n", 2, "no such option"),
            ("Q?\nA. x\nC. y\nANSWER: A\n", 1, "lettered"),
            ("Q?\nA. x\nB. y\nANSWER: A, B\n", 1, "one letter"),
            ("Q?\nA. x\nB. y\nANSWER:\n", 1, "one letter"),
            ("Q?\nA. x\nB. y\nAnswer: B or A\n", 1, "one letter"),
            ("\nChapter 1\n\nQ?\nA. x\nB. y\nANSWER: A\n", 2, "blank line"),
            ("Q?\nA. x\nB. y\nOther?\nA. x\nB. y\nANSWER: A", 1, "something else"),
        ] {
            let found = reasons(text);
            assert_eq!(found.len(), 1, "{text}");
            assert!(found[0].0 == line && found[0].1.contains(named), "{text}: {found:?}");
        }
    }
}
