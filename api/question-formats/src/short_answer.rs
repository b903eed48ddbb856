//! Reads the accepted texts of a short answer from the answers that a file lists.

use std::collections::HashSet;

use crate::key::ParsedKey;
use crate::labels::excerpt;
use crate::typed_text::{TextPattern, single_spaced};

const PARTIAL_LOSS: &str = "Answers with partial marks are left out: an answer is either right or wrong.";

/// One of the answers that a file lists for a short answer.
pub(crate) struct ListedText {
    /// The accepted text, in which `*` is a wildcard.
    pub(crate) text: String,
    /// The marks that the answer gives, in per cent.
    pub(crate) percent: f64,
}

/// Returns the key with all texts that give full marks. In Moodle, the first answer in a file that accepts a learner's
/// text gives the marks. So this function refuses an answer with fewer marks if a later answer with full marks may
/// accept the same texts.
pub(crate) fn key(
    answers: &[ListedText],
    is_case_sensitive: bool,
    losses: &mut Vec<String>,
) -> Result<ParsedKey, String> {
    let pattern = |answer: &ListedText| TextPattern::new(&answer.text, is_case_sensitive);
    let is_full = |answer: &&ListedText| answer.percent > 99.9;
    let is_blank = |answer: &ListedText| answer.text.trim().is_empty();
    let answers: Vec<&ListedText> = answers.iter().filter(|answer| !is_blank(answer)).collect();
    let mut seen = HashSet::new();
    let mut texts = Vec::new();
    for (at, answer) in answers.iter().enumerate().filter(|(_, answer)| is_full(answer)) {
        let accepted = pattern(answer);
        if accepted.accepts_everything() {
            return Err(format!(
                "Its answer \"{}\" accepts every text, so no answer is wrong. Write the correct texts.",
                excerpt(&answer.text)
            ));
        }
        let overlaps = |lesser: &&&ListedText| {
            let other = pattern(lesser);
            accepted.accepts(&lesser.text)
                || other.accepts(&answer.text)
                || (other.has_wildcard() && accepted.has_wildcard())
        };
        let before = &answers[..at];
        if let Some(lesser) = before.iter().filter(|lesser| !is_full(lesser)).find(overlaps) {
            return Err(format!(
                "Its answer \"{}\" gives fewer marks, but \"{}\" below it accepts the same. Write the texts without \
                 an asterisk, or remove one of the two.",
                excerpt(&lesser.text),
                excerpt(&answer.text)
            ));
        }
        if seen.insert(accepted) {
            texts.push(single_spaced(&answer.text));
        }
    }
    if texts.is_empty() {
        return Err("None of its texts has full marks. Give one of them full marks.".to_owned());
    }
    if answers.iter().any(|answer| !is_full(answer) && answer.percent > f64::EPSILON) {
        losses.push(PARTIAL_LOSS.to_owned());
    }
    Ok(ParsedKey::Text { texts, is_case_sensitive })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answers: &[(&str, f64)]) -> (Result<Vec<String>, String>, usize) {
        let listed: Vec<_> = answers
            .iter()
            .map(|(text, percent)| ListedText { text: (*text).to_owned(), percent: *percent })
            .collect();
        let mut losses = Vec::new();
        let read = key(&listed, false, &mut losses).map(|key| match key {
            ParsedKey::Text { texts, .. } => texts,
            _ => panic!("another key"),
        });
        (read, losses.len())
    }

    #[test]
    fn only_texts_with_full_marks_are_accepted() {
        let texts = |texts: &[&str]| Ok(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(read(&[(" four ", 100.0), ("FOUR", 100.0), ("4", 100.0)]), (texts(&["four", "4"]), 0));
        assert_eq!(
            read(&[("New  York", 100.0), ("NYC", 50.0), ("*", 0.0), ("", 0.0)]),
            (texts(&["New York"]), 1)
        );
        assert_eq!(read(&[("colour", 50.0), ("gray", 100.0)]), (texts(&["gray"]), 1));
        for (answers, told) in [
            (&[("a", 50.0)][..], "None"),
            (&[], "None"),
            (&[("*", 100.0)], "every text"),
            (&[("color", 50.0), ("col*r", 100.0)], "fewer marks"),
            (&[("*", 0.0), ("a", 100.0)], "fewer marks"),
            (&[("a*", 0.0), ("*b", 100.0)], "fewer marks"),
        ] {
            let (read, _) = read(answers);
            assert!(read.as_ref().is_err_and(|reason| reason.contains(told)), "{answers:?} {read:?}");
        }
    }
}
