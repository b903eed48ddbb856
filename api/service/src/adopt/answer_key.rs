//! Finds the right option of an old question. The old system stored the text, the number or the letter of the option,
//! and no column says which of them.

use std::collections::BTreeSet;

use question_formats::DraftOption;

use super::old::OldRow;
use crate::question_bank::clean;

const OPTION_COLUMNS: [&str; 4] = ["option_1", "option_2", "option_3", "option_4"];

/// A reason why the right option is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyProblem {
    /// The question has no right answer.
    #[error("The question has no right answer.")]
    Missing,
    /// The right answer is not the text, the number or the letter of an option.
    #[error("The right answer names none of the options.")]
    NoOption,
    /// The right answer may mean several options.
    #[error(
        "The right answer may name several options: it is the text of several, or the text of one and the number or \
         the letter of another."
    )]
    Ambiguous,
}

/// Returns the options of a question, of which one is right. Leaves out blank options. Fails if the right option is not
/// known.
pub(super) fn options(row: &OldRow) -> Result<Vec<DraftOption>, KeyProblem> {
    let texts = OPTION_COLUMNS.map(|column| row.text(column).map(clean).filter(|text| !text.is_empty()));
    let right = right_option(&texts, row.trimmed("correct_answer").ok_or(KeyProblem::Missing)?)?;
    let options = texts.into_iter().enumerate();
    Ok(options
        .filter_map(|(index, text)| Some(DraftOption { text: text?, correct: index == right }))
        .collect())
}

/// Returns the index of the option that `answer` names by its text, its number or its letter. Upper and lower case
/// count only if an option has exactly this text. Fails if `answer` names no option, or several, such as one by its
/// text and another by its number.
fn right_option(options: &[Option<String>; 4], answer: &str) -> Result<usize, KeyProblem> {
    let answer = clean(answer);
    let with = |is_meant: &dyn Fn(&str) -> bool| -> BTreeSet<usize> {
        let meant = options.iter().enumerate().filter(|(_, text)| text.as_deref().is_some_and(is_meant));
        meant.map(|(index, _)| index).collect()
    };
    let mut meant = with(&|text| text == answer);
    if meant.is_empty() {
        meant = with(&|text| text.to_lowercase() == answer.to_lowercase());
    }
    meant.extend(position(&answer).filter(|index| options[*index].is_some()));
    match meant.len() {
        0 => Err(KeyProblem::NoOption),
        1 => meant.pop_first().ok_or(KeyProblem::NoOption),
        _ => Err(KeyProblem::Ambiguous),
    }
}

/// Reads the number or the letter of an option, such as `2`, `B`, `(b)`, `Option B` or `option_2`. Returns its index
/// from 0. None for any other text.
fn position(answer: &str) -> Option<usize> {
    let answer = answer.to_lowercase();
    let answer = answer.strip_prefix("option").unwrap_or(&answer);
    let answer = answer.trim_matches(|char: char| char.is_whitespace() || "_-().:".contains(char));
    match answer {
        "1" | "a" => Some(0),
        "2" | "b" => Some(1),
        "3" | "c" => Some(2),
        "4" | "d" => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: [&str; 4], answer: &str) -> Result<usize, KeyProblem> {
        let options = options.map(|text| (!text.is_empty()).then(|| text.to_owned()));
        right_option(&options, answer)
    }

    #[test]
    fn the_right_option_is_named_by_text_number_or_letter() {
        let cities = ["Pune", "Delhi", "Agra", "Kochi"];
        for answer in ["Agra", "agra ", "3", "C", "c)", "(C)", "Option C", "option_3"] {
            assert_eq!(of(cities, answer), Ok(2), "{answer}");
        }
        assert_eq!(of(["1", "2", "3", "4"], "2"), Ok(1));
        assert_eq!(of(["A", "B", "C", "D"], "D"), Ok(3));
    }

    #[test]
    fn an_answer_that_may_name_two_options_is_refused() {
        assert_eq!(of(["0", "1", "2", "3"], "2"), Err(KeyProblem::Ambiguous));
        assert_eq!(of(["b", "c", "d", "e"], "B"), Err(KeyProblem::Ambiguous));
        assert_eq!(of(["0", "1", "2", "3"], "0"), Ok(0));
        assert_eq!(of(["Pune", "Delhi", "", ""], "4"), Err(KeyProblem::NoOption));
        assert_eq!(of(["Pune", "Delhi", "", ""], "Goa"), Err(KeyProblem::NoOption));
        assert_eq!(of(["4 m", "5 m", "6 m", "7 m"], "4"), Ok(3));
    }
}
