//! Aiken: a question, its options each on a line after a letter, and `ANSWER:` with the letter of the correct one.
//! <https://docs.moodle.org/en/Aiken_format>

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
        } else if let Some(key) = key_line(line) {
            let ended = std::mem::take(&mut block);
            reading.take(ended.line, None, ended.question(key));
        } else if let Some((letter, option)) = option_line(line) {
            block.options.push((letter, option.to_owned()));
        } else if !line.is_empty() && block.options.is_empty() {
            block.stem.push('\n');
            block.stem.push_str(line);
        } else if !line.is_empty() {
            // A question follows whose predecessor has no key, or an option goes on over a line's end.
            let reason =
                "After its options stands something else than ANSWER:. Write each option on one line, and \
                          ANSWER: with the letter of the correct one after the last."
                    .to_owned();
            let broken = std::mem::take(&mut block);
            reading.take(broken.line, None, Err(reason));
            block = Block { line: number, stem: line.to_owned(), options: Vec::new() };
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
    options: Vec<(char, String)>,
}

impl Block {
    fn question(self, key: &str) -> Result<Found, String> {
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

/// What follows `ANSWER:`, if this is such a line.
fn key_line(line: &str) -> Option<&str> {
    line.trim().strip_prefix(KEY).map(str::trim)
}

/// Whether this is a line with a key, which a question of GIFT can have words like.
pub(super) fn is_key(line: &str) -> bool {
    let mut chars = key_line(line).unwrap_or_default().chars();
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
    use super::*;

    fn reasons(text: &str) -> Vec<(u32, String)> {
        read(text).refused.into_iter().map(|refusal| (refusal.line, refusal.reason)).collect()
    }

    #[test]
    fn questions_are_read() {
        let text = "Which planet is nearest to the Sun?\nA. Venus\nB) Mercury\nC. Mars\nANSWER: B\n\n\n\
                    Two lines\nof a stem?\r\nA) yes\r\nB) no\r\n\r\nANSWER: A\r\n";
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
    fn what_is_not_aiken_is_refused_by_itself() {
        for (text, line, named) in [
            ("Q?\nA. x\nB. y\n", 1, "no key"),
            ("\nQ?\nA. x\nB. y\nANSWER: C\n", 2, "no such option"),
            ("Q?\nA. x\nC. y\nANSWER: A\n", 1, "lettered"),
            ("Q?\nA. x\nB. y\nANSWER: A, B\n", 1, "one letter"),
            ("Q?\nA. x\nB. y\nANSWER:\n", 1, "one letter"),
            ("Q?\nA. x\nB. y\nOther?\nA. x\nB. y\nANSWER: A", 1, "something else"),
        ] {
            let found = reasons(text);
            assert_eq!(found.len(), 1, "{text}");
            assert!(found[0].0 == line && found[0].1.contains(named), "{text}: {found:?}");
        }
    }
}
