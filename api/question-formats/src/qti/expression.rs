//! Computes expressions of response processing, such as `qti-match` and `qti-sum`.

use roxmltree::Node;
use rust_decimal::Decimal;

use super::scope::Scope;
use super::value::{HOW_TO_SCORE, Value, is_true, read_number};
use crate::number;

/// The maximum depth of nested expressions.
const MAX_DEPTH: usize = 64;

/// Returns the child elements of a node.
pub(super) fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// Computes the value of an expression. The value is [`Value::Unknown`] if the expression is not understood, is nested
/// too deeply, or if no step is left.
pub(super) fn value(node: Node<'_, '_>, scope: &dyn Scope, depth: usize) -> Value {
    if depth > MAX_DEPTH || !scope.take_step() {
        return Value::unknown(format!(
            "Its response processing is too long or too deeply nested. {HOW_TO_SCORE}"
        ));
    }
    let name = node.tag_name().name();
    let identifier = node.attribute("identifier").unwrap_or_default();
    match name {
        "qti-base-value" => return Value::of_node(node, node.attribute("base-type")),
        "qti-variable" => return scope.variable(identifier),
        "qti-correct" => return scope.correct(identifier),
        "qti-default" => return scope.default_of(identifier),
        "qti-null" => return Value::Null,
        "qti-map-response" => return scope.mapped(identifier),
        _ => {}
    }
    let operands: Vec<Value> = elements(node).map(|operand| value(operand, scope, depth + 1)).collect();
    if let Some(logical) = logical(name, node, &operands) {
        return logical;
    }
    if let Some(unknown) = operands.iter().find(|operand| matches!(operand, Value::Unknown(_))) {
        return unknown.clone();
    }
    match (name, operands.as_slice()) {
        ("qti-multiple" | "qti-ordered", all) => {
            let parts: Vec<Value> = all.iter().flat_map(Value::parts).cloned().collect();
            Value::of_cardinality(parts, Some("multiple"))
        }
        ("qti-container-size", [container]) => Value::Number(container.parts().len().into()),
        (_, all) if all.contains(&Value::Null) => Value::Null,
        ("qti-match", [one, other]) => compared(scope, one, other),
        ("qti-member", [one, container]) => {
            container.parts().iter().for_each(|part| scope.tell_boundary(part));
            scope.tell_boundary(one);
            Value::Boolean(container.parts().iter().any(|part| part.equals(one)))
        }
        ("qti-contains", [container, others]) => {
            let has = |other: &Value| container.parts().iter().any(|part| part.equals(other));
            Value::Boolean(others.parts().iter().all(has))
        }
        ("qti-delete", [removed, container]) => {
            let kept = container.parts().iter().filter(|part| !part.equals(removed));
            Value::of_cardinality(kept.cloned().collect(), Some("multiple"))
        }
        ("qti-string-match", [Value::Text(one), Value::Text(other)]) => {
            let part = is_true(node.attribute("substring"));
            Value::Boolean(texts_match(one, other, is_case_sensitive(node), part))
        }
        ("qti-substring", [Value::Text(part), Value::Text(whole)]) => {
            Value::Boolean(texts_match(whole, part, is_case_sensitive(node), true))
        }
        ("qti-integer-to-float", [number]) => number.clone(),
        (_, all) => match numbers(all) {
            Some(numbers) => of_numbers(node, scope, &numbers),
            None => Value::not_recognised(node),
        },
    }
}

/// Computes an expression of truth values, such as `qti-and`. Its value can be known although an operand is unknown.
/// Returns `None` for any other expression.
fn logical(name: &str, node: Node<'_, '_>, operands: &[Value]) -> Option<Value> {
    let unknown = || operands.iter().find(|operand| matches!(operand, Value::Unknown(_)));
    let has = |value: bool| operands.contains(&Value::Boolean(value));
    let is_truth = |operand: &Value| matches!(operand, Value::Null | Value::Boolean(_) | Value::Unknown(_));
    let of_all = |decisive: bool| {
        if has(decisive) {
            return Value::Boolean(decisive);
        }
        let null = operands.contains(&Value::Null).then_some(Value::Null);
        unknown().cloned().or(null).unwrap_or(Value::Boolean(!decisive))
    };
    match (name, operands) {
        ("qti-is-null", [operand @ Value::Unknown(_)]) => Some(operand.clone()),
        ("qti-is-null", [operand]) => {
            let is_empty = matches!(operand, Value::Text(text) if text.is_empty());
            Some(Value::Boolean(*operand == Value::Null || is_empty))
        }
        ("qti-not" | "qti-and" | "qti-or", all) if !all.iter().all(is_truth) => {
            Some(Value::not_recognised(node))
        }
        ("qti-not", [Value::Boolean(truth)]) => Some(Value::Boolean(!truth)),
        ("qti-and", _) => Some(of_all(false)),
        ("qti-or", _) => Some(of_all(true)),
        _ => None,
    }
}

/// Returns whether two values are equal, and records a value that is a number as a boundary.
fn compared(scope: &dyn Scope, one: &Value, other: &Value) -> Value {
    scope.tell_boundary(one);
    scope.tell_boundary(other);
    Value::Boolean(one.equals(other))
}

fn is_case_sensitive(node: Node<'_, '_>) -> bool {
    node.attribute("case-sensitive").is_none_or(|value| is_true(Some(value)))
}

/// Returns whether two texts are equal. If `can_be_part` is true, returns instead whether the first text contains the
/// second text.
pub(super) fn texts_match(whole: &str, part: &str, is_case_sensitive: bool, can_be_part: bool) -> bool {
    let folded = |text: &str| if is_case_sensitive { text.to_owned() } else { text.to_lowercase() };
    let (whole, part) = (folded(whole), folded(part));
    if can_be_part { whole.contains(&part) } else { whole == part }
}

/// Returns all operands as numbers, or `None` if an operand is not a number. Each number in a container counts as an
/// operand.
fn numbers(operands: &[Value]) -> Option<Vec<Decimal>> {
    let parts = operands.iter().flat_map(Value::parts);
    let number = |part: &Value| match part {
        Value::Number(number) => Some(*number),
        _ => None,
    };
    parts.map(number).collect()
}

/// Computes an expression whose operands are numbers, such as `qti-sum` or `qti-lt`.
fn of_numbers(node: Node<'_, '_>, scope: &dyn Scope, numbers: &[Decimal]) -> Value {
    let boundaries =
        |of: &[Decimal]| of.iter().for_each(|number| scope.tell_boundary(&Value::Number(*number)));
    match (node.tag_name().name(), numbers) {
        ("qti-equal", [one, other]) => equal(node, scope, *one, *other),
        (name @ ("qti-lt" | "qti-lte" | "qti-gt" | "qti-gte"), [one, other]) => {
            boundaries(numbers);
            Value::Boolean(match name {
                "qti-lt" => one < other,
                "qti-lte" => one <= other,
                "qti-gt" => one > other,
                _ => one >= other,
            })
        }
        ("qti-sum", all) => {
            Value::of_number(all.iter().try_fold(Decimal::ZERO, |sum, number| sum.checked_add(*number)))
        }
        ("qti-product", all) => Value::of_number(
            all.iter().try_fold(Decimal::ONE, |product, number| product.checked_mul(*number)),
        ),
        ("qti-subtract", [one, other]) => Value::of_number(one.checked_sub(*other)),
        ("qti-divide", [_, other]) if other.is_zero() => Value::Null,
        ("qti-divide", [one, other]) => Value::of_number(one.checked_div(*other)),
        ("qti-max", all) => all.iter().max().map_or(Value::Null, |most| Value::Number(*most)),
        ("qti-min", all) => all.iter().min().map_or(Value::Null, |least| Value::Number(*least)),
        _ => Value::not_recognised(node),
    }
}

/// Compares two numbers. The tolerance is around the number that is not the learner's answer. Records this number and
/// the ends of the range as boundaries.
fn equal(node: Node<'_, '_>, scope: &dyn Scope, one: Decimal, other: Decimal) -> Value {
    let is_response = |number: Decimal| *scope.answer() == Value::Number(number);
    let (answer, key) = if is_response(other) && !is_response(one) { (other, one) } else { (one, other) };
    let (below, above) = match tolerance(node, key) {
        Ok(tolerance) => tolerance,
        Err(reason) => return Value::unknown(reason),
    };
    let (Some(least), Some(most)) = (key.checked_sub(below), key.checked_add(above)) else {
        return Value::of_number(None);
    };
    [least, key, most].into_iter().for_each(|number| scope.tell_boundary(&Value::Number(number)));
    Value::Boolean(least <= answer && answer <= most)
}

/// Reads the tolerance of a comparison: the allowed distances below and above the key. Refuses distances that differ,
/// and bounds that are excluded.
fn tolerance(node: Node<'_, '_>, key: Decimal) -> Result<(Decimal, Decimal), String> {
    let mode = node.attribute("tolerance-mode").map(str::trim);
    let is_relative = match mode {
        None | Some("exact") => return Ok((Decimal::ZERO, Decimal::ZERO)),
        Some("absolute") => false,
        Some("relative") => true,
        Some(_) => return Err(format!("Its tolerance is of an unknown kind. {HOW_TO_SCORE}")),
    };
    let excludes = |bound| matches!(node.attribute(bound).map(str::trim), Some("false" | "0"));
    if excludes("include-lower-bound") || excludes("include-upper-bound") {
        return Err("Its tolerance excludes its bounds, but a stored tolerance includes them. Include the bounds, and make the tolerance smaller.".to_owned());
    }
    let values = node.attribute("tolerance").unwrap_or("0").split_whitespace();
    let values = values.map(read_number).collect::<Result<Vec<_>, _>>()?;
    let both = match values.as_slice() {
        [both] => *both,
        [below, above] if below == above => *below,
        _ => return Err("Its tolerance is not one distance for both sides, as a question stores it. Write one number, such as 0.25.".to_owned()),
    };
    let distance = match is_relative {
        false => Some(both),
        true => key.abs().checked_mul(both).and_then(|part| part.checked_div(Decimal::ONE_HUNDRED)),
    };
    let distance = distance.filter(|distance| *distance >= Decimal::ZERO);
    let distance = distance.ok_or("Its tolerance is negative or too large. Write a number such as 0.25.")?;
    Ok((distance.normalize(), distance.normalize()))
}

/// Returns a number in its shortest form, so that equal numbers have the same text. Returns any other value trimmed.
pub(super) fn as_number(value: &str) -> String {
    number::exact(value).map_or_else(|| value.trim().to_owned(), |number| number.normalize().to_string())
}
