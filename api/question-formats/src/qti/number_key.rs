//! Finds the key of a question with a number: the range of numbers that score the most marks.

use std::collections::{BTreeSet, HashSet};

use roxmltree::Node;
use rust_decimal::Decimal;

use super::declarations::Declarations;
use super::key::{self, NO_KEY_REASON, correct_values};
use super::processing;
use super::value::{Value, read_number};
use crate::key::ParsedKey;

/// The maximum number of boundaries, which are the numbers with which the scoring compares the answer.
const MAX_BOUNDARIES: usize = 100;
/// The maximum number of rounds of scoring in which new boundaries are found.
const MAX_ROUNDS: usize = 10;

const SEVERAL_REASON: &str = "It has several correct numbers. Keep one, and give it a tolerance.";

/// Finds the key of a question with a number, or returns the reason why the item is refused. Adds a loss if the number
/// or the tolerance is stored in another form than in the file.
pub(super) fn read(
    declarations: &Declarations<'_, '_>,
    losses: &mut Vec<String>,
) -> Result<ParsedKey, String> {
    let is_integer = match declarations.declaration.attribute("base-type") {
        Some("float") => false,
        Some("integer") => true,
        _ => {
            return Err(
                "Its answer is neither a text nor a number. Ask for one of them: base-type=\"string\" or \
                 base-type=\"float\"."
                    .to_owned(),
            );
        }
    };
    let correct = correct_values(declarations.declaration);
    let correct = correct.map(|value| read_number(&value)).collect::<Result<Vec<_>, _>>()?;
    if correct.len() > 1 {
        return Err(SEVERAL_REASON.to_owned());
    }
    let Some((points, scores)) = scored_points(declarations, &correct, is_integer)? else {
        let value = *correct.first().ok_or(NO_KEY_REASON)?;
        return Ok(ParsedKey::Number { value, tolerance: Decimal::ZERO });
    };
    let is_best = key::best(declarations, &scores)?;
    let (least, most) = range(declarations, &points, &is_best, is_integer)?;
    let outside = |value: &Decimal| *value < least || *value > most;
    if correct.iter().any(outside) {
        return Err(key::contradiction(declarations));
    }
    let half = most.checked_sub(least).and_then(|width| width.checked_div(Decimal::TWO));
    let middle = half.and_then(|half| least.checked_add(half));
    let (Some(value), Some(tolerance)) = (middle, half) else { return Err(SEVERAL_REASON.to_owned()) };
    let (value, tolerance) = (value.normalize(), tolerance.normalize());
    if tolerance > Decimal::ZERO
        && (correct.first().is_some_and(|other| *other != value) || is_relative(declarations))
    {
        losses.push(format!(
            "Its key is stored as {value} with the tolerance {tolerance}: the numbers from {} to {} are correct.",
            least.normalize(),
            most.normalize()
        ));
    }
    Ok(ParsedKey::Number { value, tolerance })
}

fn is_relative(declarations: &Declarations<'_, '_>) -> bool {
    declarations
        .rules_within()
        .any(|node| node.attribute("tolerance-mode").is_some_and(|mode| mode.trim() == "relative"))
}

/// Numbers in ascending order, and the marks that each gets.
type ScoredPoints = (Vec<Decimal>, Vec<Decimal>);

/// Scores numbers at all boundaries, between them and outside them. Each round of scoring can find new boundaries, so
/// the rounds end when a round finds no new boundary.
///
/// Returns `None` if the item has no rules that score an answer. Refuses an item with too many boundaries.
fn scored_points(
    declarations: &Declarations<'_, '_>,
    correct: &[Decimal],
    is_integer: bool,
) -> Result<Option<ScoredPoints>, String> {
    if let Some(node) = computes_with_the_answer(declarations) {
        return Err(Value::not_recognised(node).reason());
    }
    let mut boundaries: BTreeSet<Decimal> = correct.iter().copied().collect();
    for _ in 0..MAX_ROUNDS {
        let points = points_around(&boundaries, is_integer);
        let answers: Vec<Value> = points.iter().map(|point| Value::Number(*point)).collect();
        let Some(scores) = processing::scores(declarations, &answers)? else { return Ok(None) };
        let count = boundaries.len();
        boundaries.extend(declarations.boundaries());
        if boundaries.len() == count {
            return Ok(Some((points, scores)));
        }
        if boundaries.len() > MAX_BOUNDARIES {
            break;
        }
    }
    Err("Its scoring compares its answer with too many numbers. Give one number and its tolerance."
        .to_owned())
}

/// Returns numbers at all boundaries, between them and outside them, in ascending order.
fn points_around(boundaries: &BTreeSet<Decimal>, is_integer: bool) -> Vec<Decimal> {
    // If no boundary is known yet, begin with two numbers. The scoring of one number alone does not record that number
    // as a boundary.
    let mut points: BTreeSet<Decimal> =
        [Decimal::ZERO, Decimal::ONE].into_iter().filter(|_| boundaries.is_empty()).collect();
    for boundary in boundaries {
        let middle = if is_integer { boundary.floor() } else { *boundary };
        points.extend(
            [middle.checked_sub(Decimal::ONE), Some(middle), middle.checked_add(Decimal::ONE)]
                .into_iter()
                .flatten(),
        );
    }
    if !is_integer {
        // Two boundaries can be less than one apart, so add the middle between each two.
        let between = boundaries.iter().zip(boundaries.iter().skip(1));
        let middle = |(one, other): (&Decimal, &Decimal)| {
            other.checked_sub(*one)?.checked_div(Decimal::TWO)?.checked_add(*one)
        };
        points.extend(between.filter_map(middle));
    }
    points.into_iter().collect()
}

/// Returns the first and the last of the numbers that score the most marks. Refuses several ranges, a range without
/// a lower or an upper end, and a range that excludes its ends.
fn range(
    declarations: &Declarations<'_, '_>,
    points: &[Decimal],
    is_best: &[bool],
    is_integer: bool,
) -> Result<(Decimal, Decimal), String> {
    let first = is_best.iter().position(|is_best| *is_best).unwrap_or_default();
    let last = is_best.iter().rposition(|is_best| *is_best).unwrap_or_default();
    let scorer = declarations.scorer();
    if is_best[first..=last].contains(&false) {
        return Err(format!(
            "Its {scorer} gives the most marks to several numbers. Keep one, and give it a tolerance."
        ));
    }
    if first == 0 || last + 1 == points.len() {
        return Err(format!(
            "Its {scorer} accepts all numbers above or below a certain number. Give both ends of the range."
        ));
    }
    let boundaries = declarations.boundaries();
    let is_boundary = |point: &Decimal| is_integer || boundaries.contains(point);
    if !is_boundary(&points[first]) || !is_boundary(&points[last]) {
        return Err(format!(
            "Its {scorer} excludes the ends of its range, but a stored range includes them. Make the range smaller."
        ));
    }
    Ok((points[first], points[last]))
}

/// Returns an expression that computes a number from the answer, or `None` if no expression does. If an expression
/// does, the score changes at other numbers than the numbers in the rules.
fn computes_with_the_answer<'a, 'i>(declarations: &Declarations<'a, 'i>) -> Option<Node<'a, 'i>> {
    let mut variables: HashSet<&str> = declarations.declaration.attribute("identifier").into_iter().collect();
    let uses = |node: Node<'_, '_>, variables: &HashSet<&str>| {
        let mut used = node.descendants().filter(|node| node.tag_name().name() == "qti-variable");
        used.any(|node| node.attribute("identifier").is_some_and(|name| variables.contains(name)))
    };
    // Outcomes can be set to the answer, and other outcomes to these outcomes.
    for _ in 0..MAX_ROUNDS {
        let setters =
            declarations.rules_within().filter(|node| node.tag_name().name() == "qti-set-outcome-value");
        let copies: Vec<&str> = setters
            .filter(|node| uses(*node, &variables))
            .filter_map(|node| node.attribute("identifier"))
            .collect();
        let count = variables.len();
        variables.extend(copies);
        if variables.len() == count {
            break;
        }
    }
    let mut computed = declarations.rules_within().filter(|node| {
        matches!(node.tag_name().name(), "qti-sum" | "qti-product" | "qti-subtract" | "qti-divide")
    });
    computed.find(|node| uses(*node, &variables))
}
