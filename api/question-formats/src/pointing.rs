//! Finds options that point at other options, such as "All of the above" and "Both B and C". If these options were
//! shuffled, they would make no sense or point at the wrong options.

mod words;

use words::{FILLERS, LABEL_FILLERS, NUMBER_WORDS, PHRASES, POINTERS, QUANTIFIERS, SINGLE_LABEL_WORDS, has};

/// An option that points at other options of its question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// The index of the option.
    pub(crate) option: usize,
    /// The indexes of the options that the option names by their letters or numbers. Empty if the option points at
    /// other options without naming them.
    pub(crate) named: Vec<usize>,
}

/// The maximum number of characters of an option that is checked for pointing at other options.
const MAX_CHARS: usize = 80;
/// The greatest number of options of a question.
const MAX_OPTIONS: usize = 26;

/// Finds the options of a question that point at other options. `options` are their texts without markup.
pub(crate) fn pointers(options: &[String]) -> Vec<Pointer> {
    let mut found = Vec::new();
    let mut are_lists = Vec::with_capacity(options.len());
    for (option, text) in options.iter().enumerate() {
        let (pointer, is_list) = pointer(option, text, options.len());
        found.extend(pointer);
        are_lists.push(is_list);
    }
    // An option can name other options whose texts are also lists of letters, such as "A and B only" beside "B and C
    // only". Then all these texts name statements in the stem, and no options.
    let is_of_stem =
        |pointer: &Pointer| !pointer.named.is_empty() && pointer.named.iter().all(|index| are_lists[*index]);
    found.retain(|pointer| !is_of_stem(pointer));
    found
}

/// Returns the options at which an option points, or None if it points at no options. Also returns whether its text is
/// a list of letters or numbers. `count` is the number of options of the question.
fn pointer(option: usize, text: &str, count: usize) -> (Option<Pointer>, bool) {
    if text.chars().count() > MAX_CHARS {
        return (None, false);
    }
    let text = text.to_lowercase();
    let words = words(&text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if points_at_all(&words) || PHRASES.split(" | ").any(|phrase| text.contains(phrase)) {
        return (Some(Pointer { option, named: Vec::new() }), false);
    }
    let has_comma = text.contains([',', '、', '/']);
    let has_numbers = words.iter().any(|word| has(NUMBER_WORDS, word));
    let named_of_options = named(&words, has_comma, has_numbers, count);
    let is_list = named(&words, has_comma, true, MAX_OPTIONS).is_some();
    (named_of_options.map(|named| Pointer { option, named }), is_list)
}

/// Splits a lower-case text into words at white space and punctuation. Each Chinese character is a word of its own, and
/// `&` and `+` become "and".
fn words(text: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' | '+' => spaced.push_str(" and "),
            '\u{4e00}'..='\u{9fff}' => spaced.extend([' ', char, ' ']),
            '।' | '、' | '。' | '，' | '．' | '（' | '）' | '“' | '”' | '‘' | '’' | '«' | '»' | '…' | '–'
            | '—' => {
                spaced.push(' ');
            }
            char if char.is_ascii_punctuation() => spaced.push(' '),
            char => spaced.push(char),
        }
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// Returns whether words stand for other options without naming them: "All of the above", "none of these", "both".
fn points_at_all(words: &[&str]) -> bool {
    let words = words.strip_prefix(&["the"]).unwrap_or(words);
    let words = words.strip_prefix(&["not"]).unwrap_or(words);
    let Some((first, rest)) = words.split_first() else { return false };
    if rest.is_empty() {
        return matches!(
            *first,
            "all" | "none" | "both" | "neither" | "aota" | "nota" | "सभी" | "दोनों" | "दोनो"
        );
    }
    let is_hindi_verdict =
        |word: &&str| matches!(*word, "सही" | "गलत" | "सत्य" | "हैं" | "है" | "नहीं" | "विकल्प" | "भी");
    if matches!(*first, "सभी" | "दोनों" | "दोनो" | "कोई") && rest.iter().all(is_hindi_verdict)
    {
        return true;
    }
    let is_counted = matches!(*first, "one" | "two" | "three" | "only") && rest.contains(&"above");
    if !has(QUANTIFIERS, first) && !is_counted {
        return false;
    }
    let is_letter = |word: &str| word.len() == 1 && word.as_bytes()[0].is_ascii_alphabetic();
    let has_pointer = rest.iter().any(|word| has(POINTERS, word));
    // "Both statements are true" is about statements in the stem, not about options.
    let is_of_stem = !rest.contains(&"above") && rest.iter().any(|word| word.starts_with("statement"));
    let is_verdict =
        rest.iter().all(|word| matches!(*word, "is" | "are" | "correct" | "true" | "right" | "wrong"));
    (has_pointer && !is_of_stem || is_verdict)
        && rest.iter().all(|word| has(POINTERS, word) || has(FILLERS, word) || is_letter(word))
}

/// Returns the indexes of the options that words name by letters or numbers. Returns `None` if a word has another
/// purpose, or if the words are not enough to name options, such as a single letter.
fn named(words: &[&str], has_comma: bool, has_numbers: bool, count: usize) -> Option<Vec<usize>> {
    let mut named = Vec::new();
    let mut fillers = 0;
    for word in words {
        match label(word, has_numbers).filter(|index| *index < count) {
            Some(index) => named.push(index),
            None if has(LABEL_FILLERS, word) => fillers += 1,
            None => return None,
        }
    }
    named.sort_unstable();
    named.dedup();
    let is_enough = match named.len() {
        0 => false,
        1 => words.iter().any(|word| has(SINGLE_LABEL_WORDS, word)),
        _ => fillers > 0 || has_comma,
    };
    is_enough.then_some(named)
}

/// Returns the index of the option with a label, such as 1 for "b". Numbers are labels only if `has_numbers` is true.
/// Returns None if the word is not a label.
fn label(word: &str, has_numbers: bool) -> Option<usize> {
    const LETTERS: [[&str; 4]; 2] = [["क", "ख", "ग", "घ"], ["अ", "ब", "स", "द"]];
    const NUMBERS: [[&str; 4]; 4] = [
        ["i", "ii", "iii", "iv"],
        ["first", "second", "third", "fourth"],
        ["1st", "2nd", "3rd", "4th"],
        ["१", "२", "३", "४"],
    ];
    let position =
        |lists: &[[&str; 4]]| lists.iter().find_map(|labels| labels.iter().position(|label| *label == word));
    let digits = || word.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let letter = || {
        let letter = word.bytes().next().filter(|byte| word.len() == 1 && byte.is_ascii_lowercase());
        letter.map(|letter| usize::from(letter - b'a'))
    };
    let number = has_numbers.then(|| position(&NUMBERS).or_else(digits)).flatten();
    number.or_else(|| position(&LETTERS)).or_else(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the letters of the options that point at other options.
    fn found(options: &[&str]) -> String {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        pointers(&options)
            .iter()
            .map(|pointer| char::from(b'A' + u8::try_from(pointer.option).unwrap_or(25)))
            .collect()
    }

    #[test]
    fn options_that_point_at_others_are_found() {
        for last in [
            "All of the above",
            "ALL OF THE ABOVE.",
            "all the above",
            "All above",
            "All of these",
            "None of these",
            "None of the above",
            "none of the other options",
            "None of the given options",
            "All are correct",
            "All options are correct",
            "Both of the above",
            "both of them",
            "Neither of these",
            "Neither",
            "Both",
            "Any of the above",
            "More than one of the above",
            "Two of the above",
            "None of the above statements",
            "All of the above except B",
            "Both A and B",
            "both (a) and (b)",
            "A & C",
            "A and B only",
            "Only A and B",
            "A, B and C",
            "A, B, C",
            "Neither A nor B",
            "Either A or C, but not both",
            "A and B are correct",
            "Options A and B",
            "Option B",
            "Both 1 and 2",
            "Both (i) and (ii)",
            "Answers A and B are both correct",
            "All except A",
            "No option is correct",
            "NOTA",
            "Both the first and the second",
            "Both the 1st and 2nd options",
            "सभी सही हैं",
            "१ और २ दोनों",
            "उपरोक्त सभी",
            "उपर्युक्त में से कोई नहीं",
            "इनमें से कोई नहीं",
            "ये सभी",
            "A और B दोनों",
            "(क) और (ख) दोनों",
            "न तो A न ही B",
            "वरील सर्व",
            "মেনু উপরের সবগুলো",
            "இவை அனைத்தும்",
            "పైవన్నీ",
            "Todas las anteriores",
            "A y B son correctas",
            "Nenhuma das anteriores",
            "Aucune de ces réponses",
            "Keine der genannten",
            "以上都是",
            "以上皆非",
            "A和B",
            "Ничего из перечисленного",
            "كل ما سبق",
        ] {
            assert_eq!(found(&["Asha", "Ravi", "Kiran", last]), "D", "{last}");
        }
        assert_eq!(found(&["Both B and C", "Asha", "Ravi", "All of the above"]), "AD");
    }

    #[test]
    fn other_options_are_not_found() {
        for last in [
            "All men are mortal",
            "All temperatures above 100",
            "Above all, patience",
            "Both statements are true",
            "Both A and R are true and R is the correct explanation of A",
            "A is true but R is false",
            "A and T",
            "A",
            "Vitamin B and C",
            "None of these words was ever spoken by the prime minister in the parliament, as the records of it show.",
            "1 and 2",
            "I and II",
            "the answer",
            "Some other time",
            "Everything he said",
            "A horse and a cart",
            "Allah",
            "Nothing",
            "18岁以上",
            "No change",
            "No",
            "First and second",
            "सभी धर्म",
        ] {
            assert_eq!(found(&["Asha", "Ravi", "Kiran", last]), "", "{last}");
        }
        // The options of these questions name statements in the stem, not other options.
        assert_eq!(found(&["A, C and E only", "A and B only", "B, D and E only", "A, B, C, D and E"]), "");
        assert_eq!(found(&["1 and 2 only", "2 and 3 only", "1 and 3 only", "1, 2 and 3"]), "");
        assert_eq!(found(&["I only", "II only", "Both I and II", "Neither I nor II"]), "");
        assert_eq!(found(&["A and B only", "B and C only", "A and C only", "A, B and C"]), "");
        assert_eq!(found(&["1 only", "2 only", "Both 1 and 2", "Neither 1 nor 2"]), "");
    }
}
