//! Finds the accepted texts of an item: the texts that score the most marks.

use std::collections::HashSet;

use roxmltree::Node;
use rust_decimal::Decimal;

use super::declarations::Declarations;
use super::key::{self, MIXED_CASE_REASON, NO_KEY_REASON, correct_values};
use super::processing;
use super::tables;
use super::value::{Value, is_true};
use crate::key::ParsedKey;
use crate::labels::excerpt;
use crate::short_answer::{self, ListedText};
use crate::typed_text::literal;
use crate::xml::{children, text};

/// The maximum number of different texts that the scoring of an item may name.
const MAX_TEXTS: usize = 500;

/// A text that no file names. If it scores the most marks, the item accepts any text.
const OTHER_TEXT: &str = "\u{29d7}other\u{29d7}";

/// Finds the accepted texts of an item, or returns the reason why the item is refused.
pub(super) fn read(
    declarations: &Declarations<'_, '_>,
    losses: &mut Vec<String>,
) -> Result<ParsedKey, String> {
    if declarations.declaration.attribute("cardinality") != Some("single") {
        return Err(
            "The cardinality of its response is not single. Declare the cardinality single.".to_owned()
        );
    }
    let correct: Vec<String> = correct_values(declarations.declaration).collect();
    let named = named_texts(declarations, &correct);
    if named.len() > MAX_TEXTS {
        return Err(format!("Its scoring names more than {MAX_TEXTS} texts. Remove some."));
    }
    let mut tried = named.clone();
    tried.push(OTHER_TEXT.to_owned());
    tried.extend(named.iter().flat_map(|text| variants(text, &named)));
    tried.extend(named.iter().map(|text| within_another(text)));
    let answers: Vec<Value> = tried.iter().map(|text| Value::Text(text.clone())).collect();
    let Some(scores) = processing::scores(declarations, &answers)? else {
        if correct.is_empty() {
            return Err(NO_KEY_REASON.to_owned());
        }
        let full = |text: &String| ListedText { text: literal(text), percent: 100.0 };
        return short_answer::key(&correct.iter().map(full).collect::<Vec<_>>(), true, losses);
    };
    let is_best = key::best(declarations, &scores)?;
    let accepts =
        |text: &str| tried.iter().position(|tried| tried == text).is_some_and(|index| is_best[index]);
    if accepts(OTHER_TEXT) {
        return Err(
            "Its scoring gives the most marks to texts that it does not name. Name the correct texts."
                .to_owned(),
        );
    }
    if named.iter().any(|text| accepts(text) && accepts(&within_another(text))) {
        return Err(
            "Its scoring accepts every text that contains a correct text. Compare whole texts.".to_owned()
        );
    }
    if let Some(other) = correct.iter().find(|text| !accepts(text)) {
        return Err(format!(
            "Its correct response \"{}\" does not get the most marks. Make its scoring accept it.",
            excerpt(other)
        ));
    }
    let is_case_sensitive = is_case_sensitive(declarations, &named, &accepts)?;
    let most = scores.iter().max().copied().unwrap_or(Decimal::ONE);
    let listed = named.iter().zip(&scores).map(|(text, score)| ListedText {
        text: literal(text),
        percent: match score.checked_div(most) {
            Some(part) if part == Decimal::ONE => 100.0,
            // Texts that score only a part of the marks are left out later, so 50 per cent stands for any part.
            Some(part) if part > Decimal::ZERO => 50.0,
            _ => 0.0,
        },
    });
    short_answer::key(&listed.collect::<Vec<_>>(), is_case_sensitive, losses)
}

/// Returns the texts that the scoring and the correct response name, without duplicates. The texts of the mapping come
/// first, then the texts of the rules, and then the texts of the correct response. Returns at most one text more than
/// [`MAX_TEXTS`].
fn named_texts(declarations: &Declarations<'_, '_>, correct: &[String]) -> Vec<String> {
    let mapping = tables::mapping(declarations.declaration).filter(|_| declarations.is_by_mapping());
    let keys = mapping.into_iter().flat_map(|mapping| children(mapping, "qti-map-entry"));
    let keys = keys.map(|entry| entry.attribute("map-key").unwrap_or_default().to_owned());
    let in_rules = declarations.rules_within().flat_map(|node| match node.tag_name().name() {
        "qti-base-value" => vec![text(node)],
        "qti-correct" => correct.to_vec(),
        _ => Vec::new(),
    });
    let mut seen = HashSet::new();
    let all = keys.chain(in_rules).chain(correct.iter().cloned()).map(|text| text.trim().to_owned());
    all.filter(|text| !text.is_empty() && seen.insert(text.clone())).take(MAX_TEXTS + 1).collect()
}

/// Returns a text in lower case, in upper case and with each case inverted. Leaves out variants that the scoring names
/// itself.
fn variants(text: &str, named: &[String]) -> Vec<String> {
    let other = |char: char| {
        let mut cased: Vec<char> = char.to_lowercase().collect();
        if cased == [char] {
            cased = char.to_uppercase().collect();
        }
        // A letter that becomes several letters in the other case stays as it is.
        if let [single] = cased.as_slice() { *single } else { char }
    };
    let upper = |char: char| if char.is_lowercase() { other(char) } else { char };
    let lower = |char: char| if char.is_uppercase() { other(char) } else { char };
    let all: [String; 3] = [
        text.chars().map(lower).collect(),
        text.chars().map(upper).collect(),
        text.chars().map(other).collect(),
    ];
    let is_same = |variant: &String| variant.to_lowercase() == text.to_lowercase();
    all.into_iter().filter(|variant| is_same(variant) && !named.contains(variant)).collect()
}

fn within_another(text: &str) -> String {
    format!("{OTHER_TEXT}{text}{OTHER_TEXT}")
}

/// Returns whether case counts. If case counts, an accepted text in another case is not accepted. Refuses an item in
/// which case counts for only some of the accepted texts.
fn is_case_sensitive(
    declarations: &Declarations<'_, '_>,
    named: &[String],
    accepts: &dyn Fn(&str) -> bool,
) -> Result<bool, String> {
    let (mut sensitive, mut insensitive) = (false, false);
    for text in named.iter().filter(|text| accepts(text)) {
        for variant in variants(text, named) {
            match accepts(&variant) {
                true => insensitive = true,
                false => sensitive = true,
            }
        }
    }
    match (sensitive, insensitive) {
        (true, true) => Err(MIXED_CASE_REASON.to_owned()),
        // No accepted text has a variant in another case, so the attributes `case-sensitive` decide.
        (false, false) => {
            let entries = declarations.declaration.descendants().chain(declarations.rules_within());
            let ignores = |node: Node<'_, '_>| {
                node.attribute("case-sensitive").is_some_and(|value| !is_true(Some(value)))
            };
            Ok(!entries.into_iter().any(ignores))
        }
        (_, insensitive) => Ok(!insensitive),
    }
}
