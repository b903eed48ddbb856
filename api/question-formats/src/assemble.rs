//! The steps of reading a question that are the same in each format.

use crate::draft::{DraftAnswer, DraftTextFormat, OptionOrder};
use crate::key::ParsedKey;
use crate::markup::UnifiedTexts;
use crate::order;
use crate::parsed::{EXPLANATION_PART, EmbeddedFile};
use crate::visible::{has_languages, is_blank};

const LANGUAGES_LOSS: &str = "Its texts have marks of several languages (multilang), but learners see all languages at \
                              once. Keep one language, or make a question of each.";

/// The parts of a question that [`assemble`] returns.
pub(crate) struct Assembled {
    pub(crate) text_format: DraftTextFormat,
    pub(crate) stem: String,
    pub(crate) answer: DraftAnswer,
    pub(crate) option_order: OptionOrder,
    pub(crate) explanation: Option<String>,
}

/// Combines the key, the texts and the stated order of a question. Leaves out blank options. Adds losses for blank
/// options, marks of several languages and the order of options.
pub(crate) fn assemble(
    mut key: ParsedKey,
    mut texts: UnifiedTexts,
    mut stated: Option<OptionOrder>,
    files: &mut Vec<EmbeddedFile>,
    losses: &mut Vec<String>,
) -> Assembled {
    let format = texts.format;
    if let ParsedKey::Choice { correct, .. } = &mut key {
        let blank = blank_options(&texts.options, correct, format);
        losses.extend(blank_loss(&blank));
        for index in blank.into_iter().rev() {
            texts.options.remove(index);
            correct.remove(index);
            remove_position(stated.as_mut(), files, index);
        }
    }
    add_text_losses(&texts, losses);
    let option_order = match &key {
        ParsedKey::Choice { .. } => order::decide(stated, &texts.options, format, losses),
        ParsedKey::Number { .. } | ParsedKey::Text { .. } => OptionOrder::default(),
    };
    Assembled {
        text_format: format,
        stem: texts.stem,
        answer: key.with_options(texts.options),
        option_order,
        explanation: texts.explanation,
    }
}

/// Returns the indexes of the blank options that can be left out. Returns an empty list if no option or a blank option
/// is correct, or if fewer than two options would remain.
fn blank_options(options: &[String], correct: &[bool], format: DraftTextFormat) -> Vec<usize> {
    let blank: Vec<usize> = (0..options.len()).filter(|index| is_blank(&options[*index], format)).collect();
    let is_key = |index: &usize| correct.get(*index).copied().unwrap_or(true);
    let is_whole = options.len() >= blank.len() + 2 && correct.contains(&true) && !blank.iter().any(is_key);
    if is_whole { blank } else { Vec::new() }
}

fn blank_loss(blank: &[usize]) -> Option<String> {
    let letters: Vec<String> = ('A'..='Z')
        .enumerate()
        .filter(|(index, _)| blank.contains(index))
        .map(|(_, letter)| letter.to_string())
        .collect();
    match blank {
        [] => None,
        [_] => Some(format!("Option {} is left out, because it is blank.", letters.join(", "))),
        _ => Some(format!("Options {} are left out, because they are blank.", letters.join(", "))),
    }
}

/// Removes the option `index` from an order, and removes the files of this option. Renumbers the options after it in
/// the order and in the remaining files.
fn remove_position(order: Option<&mut OptionOrder>, files: &mut Vec<EmbeddedFile>, index: usize) {
    if let Some(order) = order {
        order.fixed.retain(|fixed| *fixed != index);
        order.fixed.iter_mut().filter(|fixed| **fixed > index).for_each(|fixed| *fixed -= 1);
    }
    // The part 0 is the stem, so the option `index` is the part `index + 1`.
    files.retain(|file| file.part != index + 1);
    let follows = |part: usize| part > index + 1 && part != EXPLANATION_PART;
    files.iter_mut().filter(|file| follows(file.part)).for_each(|file| file.part -= 1);
}

/// Adds a loss if the texts have marks of several languages, which only Moodle reads.
fn add_text_losses(texts: &UnifiedTexts, losses: &mut Vec<String>) {
    let all = || [&texts.stem].into_iter().chain(&texts.options).chain(&texts.explanation);
    let mut tell = |loss: &str| {
        if !losses.iter().any(|told| told == loss) {
            losses.push(loss.to_owned());
        }
    };
    if all().any(|text| has_languages(text, texts.format)) {
        tell(LANGUAGES_LOSS);
    }
}

/// Adds the losses of a question whose texts are plain, as in Aiken. Returns the order of its options.
pub(crate) fn finish_plain(
    stem: &str,
    options: &[String],
    explanation: Option<&str>,
    losses: &mut Vec<String>,
) -> OptionOrder {
    let texts = UnifiedTexts {
        format: DraftTextFormat::Plain,
        stem: stem.to_owned(),
        options: options.to_vec(),
        explanation: explanation.map(str::to_owned),
    };
    add_text_losses(&texts, losses);
    order::decide(None, options, DraftTextFormat::Plain, losses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(
        options: &[&str],
        correct: &[usize],
        fixed: &[usize],
    ) -> (Assembled, Vec<EmbeddedFile>, Vec<String>) {
        let texts = UnifiedTexts {
            format: DraftTextFormat::Html,
            stem: "Which?".to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            explanation: None,
        };
        let correct = (0..options.len()).map(|index| correct.contains(&index)).collect();
        let key = ParsedKey::Choice { is_multiple: false, correct };
        let file = |part: usize| EmbeddedFile {
            part,
            name: String::new(),
            content: part.to_string(),
            folder: String::new(),
            bytes: None,
            shown_below: None,
        };
        let mut files: Vec<_> = (0..=options.len()).map(file).collect();
        let mut losses = Vec::new();
        let stated = Some(OptionOrder { shuffled: true, fixed: fixed.to_vec() });
        let assembled = assemble(key, texts, stated, &mut files, &mut losses);
        (assembled, files, losses)
    }

    #[test]
    fn blank_options_are_left_out_and_told() {
        let (found, files, losses) = choice(&["a", "", "b", "<p>&nbsp;</p>", "c"], &[2], &[3, 4]);
        let options: Vec<_> =
            found.answer.options().iter().map(|option| (option.text.as_str(), option.correct)).collect();
        assert_eq!(options, [("a", false), ("b", true), ("c", false)]);
        assert_eq!(found.option_order.fixed, [2]);
        let files: Vec<_> = files.iter().map(|file| (file.part, file.content.as_str())).collect();
        assert_eq!(files, [(0, "0"), (1, "1"), (2, "3"), (3, "5")]);
        assert_eq!(losses, ["Options B, D are left out, because they are blank."]);
        for (options, correct) in
            [(&["a", ""][..], &[0][..]), (&["a", "", "b"], &[1]), (&["", "a", "b"], &[])]
        {
            let (found, _, losses) = choice(options, correct, &[]);
            assert_eq!((found.answer.options().len(), losses.len()), (options.len(), 0), "{options:?}");
        }
    }
}
