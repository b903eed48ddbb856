//! Finds the key of a choice: the options that score the most marks.

use std::collections::HashSet;

use roxmltree::Node;

use super::declarations::Declarations;
use super::key::{self, NO_KEY_REASON, correct_values};
use super::processing;
use super::value::{HOW_TO_SCORE, Value};
use crate::key::ParsedKey;
use crate::labels::excerpt;
use crate::xml::text;

/// The maximum number of options of a multiple choice for which every combination is scored.
const MAX_COMBINED_OPTIONS: usize = 8;
/// The maximum number of options of a multiple choice.
const MAX_OPTIONS: usize = 50;

/// A set of options, with one bit for each option.
type OptionSet = u64;

/// Finds the key of a choice, or returns the reason why the item is refused.
pub(super) fn read(
    declarations: &Declarations<'_, '_>,
    interaction: Node<'_, '_>,
) -> Result<ParsedKey, String> {
    let declaration = declarations.declaration;
    let is_multiple = match declaration.attribute("cardinality") {
        Some("single") => false,
        Some("multiple") => true,
        other => {
            let other = excerpt(other.unwrap_or("none"));
            return Err(format!("Its response has the cardinality {other}. Declare single or multiple."));
        }
    };
    let correct: HashSet<String> = correct_values(declaration).collect();
    let ids: Vec<&str> =
        key::choices(interaction).map(|choice| choice.attribute("identifier").unwrap_or_default()).collect();
    if let Some(unknown) = correct.iter().find(|value| !ids.contains(&value.as_str())) {
        return Err(format!(
            "Its key \"{}\" is not one of its choices. Write the identifier of a choice in qti-correct-response.",
            excerpt(unknown)
        ));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = ids.iter().find(|id| !seen.insert(**id)) {
        return Err(format!(
            "Two of its choices have the identifier \"{}\". Give each choice its own.",
            excerpt(twice)
        ));
    }
    let scored = match is_multiple {
        true => multiple(declarations, interaction, &ids, &correct)?,
        false => single(declarations, &ids)?,
    };
    let key: HashSet<&str> = match scored {
        Some(ids) => ids.into_iter().collect(),
        None if correct.is_empty() => return Err(NO_KEY_REASON.to_owned()),
        None => correct.iter().map(String::as_str).collect(),
    };
    key::check_correct_response(declarations, &correct, &key)?;
    let is_correct = |id: &&str| key.contains(*id);
    Ok(ParsedKey::Choice { is_multiple, correct: ids.iter().map(is_correct).collect() })
}

/// Finds the option that alone scores the most marks. Returns `None` if the item has no rules that score an answer, or
/// has fewer than two options. Refuses an item in which several options score the most.
fn single<'a>(declarations: &Declarations<'_, '_>, ids: &[&'a str]) -> Result<Option<Vec<&'a str>>, String> {
    let answers: Vec<Value> = ids.iter().map(|id| Value::Text((*id).to_owned())).collect();
    // With one option, no other answer could score less, so scoring tells nothing. The application decides how many
    // options a question needs.
    if answers.len() < 2 {
        return Ok(None);
    }
    let Some(scores) = processing::scores(declarations, &answers)? else { return Ok(None) };
    let is_best = key::best(declarations, &scores)?;
    let best: Vec<&str> =
        ids.iter().zip(is_best).filter(|(_, is_best)| *is_best).map(|(id, _)| *id).collect();
    match best.as_slice() {
        [_] => Ok(Some(best)),
        _ => Err(format!(
            "Its {} gives the most marks to several options, of which learners choose one. {HOW_TO_SCORE}",
            declarations.scorer()
        )),
    }
}

/// Finds the options that together score the most marks. If a learner also chooses wrong options, the score can be
/// equal, because many mappings take no marks away for them. So the smallest combination with the most marks is the
/// key. Returns `None` if the item has no rules that score an answer.
fn multiple<'a>(
    declarations: &Declarations<'_, '_>,
    interaction: Node<'_, '_>,
    ids: &[&'a str],
    correct: &HashSet<String>,
) -> Result<Option<Vec<&'a str>>, String> {
    if ids.len() > MAX_OPTIONS {
        return Err(format!("It has more than {MAX_OPTIONS} options. Remove some."));
    }
    let declared = (0..ids.len()).filter(|index| correct.contains(ids[*index])).map(|index| 1 << index).sum();
    let centre = if declared == 0 { named(declarations, ids) } else { declared };
    // Ignore a limit of one choice: many authors set it by mistake for a question with several correct options.
    let limit = interaction.attribute("max-choices").and_then(|limit| limit.trim().parse::<u32>().ok());
    let limit = limit.filter(|limit| *limit > 1 && *limit >= OptionSet::count_ones(declared));
    let sets: Vec<OptionSet> = combinations(ids.len(), centre)
        .into_iter()
        .filter(|set| limit.is_none_or(|limit| set.count_ones() <= limit))
        .collect();
    let chosen = |set: OptionSet| (0..ids.len()).filter(move |index| set & (1 << index) != 0);
    let answer = |set: &OptionSet| {
        let values = chosen(*set).map(|index| Value::Text(ids[index].to_owned())).collect();
        Value::of_cardinality(values, Some("multiple"))
    };
    let answers: Vec<Value> = sets.iter().map(answer).collect();
    let Some(scores) = processing::scores(declarations, &answers)? else { return Ok(None) };
    let is_best = key::best(declarations, &scores)?;
    let best = || sets.iter().zip(&is_best).filter(|(_, is_best)| **is_best).map(|(set, _)| *set);
    let common = best().fold(OptionSet::MAX, |common, set| common & set);
    if common == 0 || !best().any(|set| set == common) {
        return Err(format!(
            "Its {} gives the most marks to several combinations of options, or to no option. Let only one combination \
             have the most marks.",
            declarations.scorer()
        ));
    }
    if ids.len() > MAX_COMBINED_OPTIONS && common != centre {
        return Err(format!(
            "It has too many options to find its key by its {} alone. State a correct response that agrees with it.",
            declarations.scorer()
        ));
    }
    Ok(Some(chosen(common).map(|index| ids[index]).collect()))
}

/// Returns the options whose identifiers are values in the rules, except values in a `qti-not`. If an item declares no
/// correct response, these options are probably its key.
fn named(declarations: &Declarations<'_, '_>, ids: &[&str]) -> OptionSet {
    let is_wanted = |node: &Node<'_, '_>| {
        let above = node.ancestors().filter(|node| node.tag_name().name() == "qti-not");
        above.count().is_multiple_of(2)
    };
    let values = declarations.rules_within().filter(|node| node.tag_name().name() == "qti-base-value");
    let values = values.filter(is_wanted).map(text);
    values.fold(0, |set, value| {
        set | ids.iter().position(|id| *id == value.trim()).map_or(0, |index| 1 << index)
    })
}

/// Returns the combinations of `count` options to score. If there are too many options for all combinations, returns
/// combinations that differ little from the probable key, and a few simple ones.
fn combinations(count: usize, probable: OptionSet) -> Vec<OptionSet> {
    if count <= MAX_COMBINED_OPTIONS {
        return (0..1 << count).collect();
    }
    let flips = || (0..count).map(|index| 1 << index);
    let mut sets: Vec<OptionSet> = vec![0, (1 << count) - 1, probable];
    sets.extend(flips());
    sets.extend(flips().map(|flip: OptionSet| probable ^ flip));
    sets.extend(
        flips().flat_map(|one| {
            flips().filter(move |other| *other > one).map(move |other| probable ^ one ^ other)
        }),
    );
    sets.sort_unstable();
    sets.dedup();
    sets
}
