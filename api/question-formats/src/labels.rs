//! Reads and writes ids, names, tags and difficulties, which several formats write in the same way.

use crate::draft::{DraftDifficulty, OptionOrder};

/// The maximum number of characters of a text that a message quotes.
const MAX_EXCERPT_CHARS: usize = 60;

/// Returns the name of a difficulty in tags and notes.
pub(crate) fn difficulty_name(difficulty: DraftDifficulty) -> &'static str {
    match difficulty {
        DraftDifficulty::Easy => "easy",
        DraftDifficulty::Medium => "medium",
        DraftDifficulty::Hard => "hard",
    }
}

/// Returns the difficulty with this name, in capital or small letters, or `None` if no difficulty has this name.
pub(crate) fn difficulty(name: &str) -> Option<DraftDifficulty> {
    [DraftDifficulty::Easy, DraftDifficulty::Medium, DraftDifficulty::Hard]
        .into_iter()
        .find(|difficulty| difficulty_name(*difficulty).eq_ignore_ascii_case(name.trim()))
}

/// The values that the tags of a question give.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tags {
    pub(crate) difficulty: Option<DraftDifficulty>,
    pub(crate) order: Option<OptionOrder>,
    /// Whether capital and small letters differ in a short answer.
    pub(crate) is_case_sensitive: bool,
}

/// The tag of short answers in which capital and small letters differ.
pub(crate) const CASE_TAG: &str = "case:sensitive";

/// Reads tags such as `difficulty:hard` and `options:kept`. Adds a loss for each other tag.
pub(crate) fn read_tags<'a>(tags: impl IntoIterator<Item = &'a str>, losses: &mut Vec<String>) -> Tags {
    let mut read = Tags::default();
    for tag in tags {
        let (key, value) = tag.trim().split_once(':').unwrap_or_default();
        let difficulty = difficulty(value).filter(|_| key.eq_ignore_ascii_case("difficulty"));
        let order = order(value).filter(|_| key.eq_ignore_ascii_case("options"));
        let is_of_case = tag.trim().eq_ignore_ascii_case(CASE_TAG);
        read.is_case_sensitive |= is_of_case;
        if difficulty.is_none() && order.is_none() && !is_of_case {
            losses.push(format!(
                "The tag \"{}\" is left out. A question can store only tags such as difficulty:hard, options:kept \
                 and case:sensitive.",
                excerpt(tag)
            ));
        }
        read.difficulty = difficulty.or(read.difficulty);
        read.order = order.or(read.order);
    }
    read
}

/// Returns the tag that states an order of options: `options:kept`, `options:shuffled`, or `options:fixed:CD` if only
/// the options C and D keep their positions.
pub(crate) fn order_tag(order: &OptionOrder) -> String {
    match (order.shuffled, order.fixed.as_slice()) {
        (false, _) => "options:kept".to_owned(),
        (true, []) => "options:shuffled".to_owned(),
        (true, fixed) => {
            let letters = ('A'..='Z').enumerate().filter(|(index, _)| fixed.contains(index));
            format!("options:fixed:{}", letters.map(|(_, letter)| letter).collect::<String>())
        }
    }
}

/// Reads the order of options from the value of a tag. Returns `None` if the value states no order.
fn order(value: &str) -> Option<OptionOrder> {
    let value = value.trim().to_ascii_lowercase();
    match value.as_str() {
        "kept" => Some(OptionOrder::kept()),
        "shuffled" => Some(OptionOrder::default()),
        other => {
            let letters = other.strip_prefix("fixed:").filter(|letters| !letters.is_empty())?;
            let index = |letter: char| ('a'..='z').position(|other| other == letter);
            let fixed = letters.chars().map(index).collect::<Option<Vec<_>>>()?;
            Some(OptionOrder { shuffled: true, fixed })
        }
    }
}

/// Trims the id and the name of a question. Drops a text that is empty, and a name that equals the id.
pub(crate) fn read_identity(id: Option<&str>, name: Option<&str>) -> (Option<String>, Option<String>) {
    let filled = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let (id, name) = (filled(id), filled(name));
    let name = name.filter(|name| Some(name) != id.as_ref());
    (id, name)
}

/// Returns a text on one line, cut to 60 characters, to quote it in a message.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines.join(" ");
    match text.char_indices().nth(MAX_EXCERPT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_give_the_difficulty_and_the_order() {
        let mut losses = Vec::new();
        let read = read_tags(["Difficulty: Hard", " options:fixed:BD ", "neet"], &mut losses);
        let fixed = OptionOrder { shuffled: true, fixed: vec![1, 3] };
        assert_eq!(
            read,
            Tags { difficulty: Some(DraftDifficulty::Hard), order: Some(fixed), is_case_sensitive: false }
        );
        assert!(read_tags([CASE_TAG], &mut Vec::new()).is_case_sensitive);
        assert!(losses.len() == 1 && losses[0].contains("neet"), "{losses:?}");
        for order in
            [OptionOrder::kept(), OptionOrder::default(), OptionOrder::shuffled_except(vec![25, 0], 26)]
        {
            assert_eq!(read_tags([order_tag(&order).as_str()], &mut losses).order, Some(order));
        }
        for tag in ["options:fixed:", "options:fixed:C1", "options:some", "options"] {
            assert_eq!(read_tags([tag], &mut losses), Tags::default(), "{tag}");
        }
        assert_eq!(losses.len(), 5);
    }
}
