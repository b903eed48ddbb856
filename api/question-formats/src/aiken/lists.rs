//! Lists in the text of a question, such as statements to choose from.

use super::line::Label;
use super::paragraphs::{has_question_mark, is_list_header};

/// Returns whether a line announces a list: `Consider the following statements:`.
pub(super) fn is_list_intro(line: &str) -> bool {
    let line = line.to_lowercase();
    line.ends_with([':', '：'])
        && !has_question_mark(&line)
        && (line.contains("statement") || line.contains("following"))
}

/// Returns whether the lines between a list and the options are one line that announces the options.
pub(super) fn announces_options(between: &[&str]) -> bool {
    let [line] = between else { return false };
    let line = line.to_lowercase();
    ["given below", "options below", "code below", "codes below"].iter().any(|phrase| line.contains(phrase))
}

/// Returns whether the lines below a list that is lettered from A on are a second list of the same question. `first` is
/// the number of entries of the first list.
///
/// Examples are entries I and II below A and B in lists that are matched, or a reason R below an assertion A.
pub(super) fn is_second_list(first: usize, below: &[&str]) -> bool {
    let below = match below {
        [header, rest @ ..] if is_list_header(header) => rest,
        below => below,
    };
    let labels: Vec<Option<Label>> = below.iter().map(|text| Label::of(text)).collect();
    let begins = |pair: &[Option<Label>]| matches!(pair, [Some(one), Some(two)] if one.begins() && one.goes_on_with(*two));
    if first > 1 {
        return labels.windows(2).next().is_some_and(begins);
    }
    let is_reason = |label: &Option<Label>| matches!(label, Some(Label::Capital('R') | Label::Roman(_)));
    labels.windows(2).any(begins) || labels.iter().any(is_reason)
}
