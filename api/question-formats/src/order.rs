//! Decides the order in which a sitting shows options.

use crate::draft::{DraftTextFormat, OptionOrder};
use crate::labels::excerpt;
use crate::pointing::{self, Pointer};
use crate::visible::visible_text;

/// Returns the order of options that a file states. If the file states no order, all options keep their order if an
/// option points at other options, and are shuffled otherwise. Adds a loss if the options keep their order for this
/// reason. Also adds a loss if the stated order can make an option point at the wrong options.
pub(crate) fn decide(
    stated: Option<OptionOrder>,
    options: &[String],
    format: DraftTextFormat,
    losses: &mut Vec<String>,
) -> OptionOrder {
    let pointers = pointers(options, format);
    let quoted = |pointer: &Pointer| {
        let letter = ('A'..='Z').nth(pointer.option).unwrap_or('Z');
        let text = visible_text(&options[pointer.option], format);
        let words: Vec<&str> = text.split_whitespace().collect();
        format!("option {letter} (\"{}\")", excerpt(&words.join(" ")))
    };
    let Some(order) = stated else {
        let Some(first) = pointers.first() else { return OptionOrder::default() };
        losses.push(format!(
            "Its options keep their order in each sitting, because {} points at other options.",
            quoted(first)
        ));
        return OptionOrder::kept();
    };
    let order = match order.shuffled {
        true => OptionOrder::shuffled_except(order.fixed, options.len()),
        false => OptionOrder::kept(),
    };
    let moves = |pointer: &&Pointer| {
        !order.keeps(pointer.option) || pointer.named.iter().any(|named| !order.keeps(*named))
    };
    if let Some(first) = pointers.iter().find(moves) {
        losses.push(format!(
            "Its options are shuffled as the file says, but {} points at other options. State in the file that the \
             options keep their order.",
            quoted(first)
        ));
    }
    order
}

/// Returns the order of options for a source that states no order. All options keep their order if an option points at
/// other options, such as "all of the above". Otherwise, all options are shuffled.
pub(crate) fn assumed_order(options: &[String], format: DraftTextFormat) -> OptionOrder {
    match pointers(options, format).is_empty() {
        true => OptionOrder::default(),
        false => OptionOrder::kept(),
    }
}

fn pointers(options: &[String], format: DraftTextFormat) -> Vec<Pointer> {
    let texts: Vec<String> = options.iter().map(|option| visible_text(option, format)).collect();
    pointing::pointers(&texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide_for(stated: Option<OptionOrder>, options: &[&str]) -> (OptionOrder, Vec<String>) {
        let mut losses = Vec::new();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        (decide(stated, &options, DraftTextFormat::Html, &mut losses), losses)
    }

    #[test]
    fn a_stated_order_wins_and_a_wrong_one_is_told() {
        let options = ["<p>a</p>", "b", "<b>Both</b> A&nbsp;and B", "None of these"];
        let (order, losses) = decide_for(None, &options);
        assert_eq!(order, OptionOrder::kept());
        assert!(losses.len() == 1 && losses[0].contains("option C (\"Both A and B\")"), "{losses:?}");
        let shuffled = |fixed: &[usize]| OptionOrder { shuffled: true, fixed: fixed.to_vec() };
        for (stated, order, told) in [
            (OptionOrder::kept(), OptionOrder::kept(), None),
            (shuffled(&[]), shuffled(&[]), Some("option C")),
            (shuffled(&[2, 3]), shuffled(&[2, 3]), Some("option C")),
            (shuffled(&[9, 3, 3]), shuffled(&[3]), Some("option C")),
            (shuffled(&[0, 1, 2]), OptionOrder::kept(), None),
        ] {
            let (read, losses) = decide_for(Some(stated.clone()), &options);
            assert_eq!(read, order, "{stated:?}");
            assert_eq!(losses.len(), usize::from(told.is_some()), "{stated:?} {losses:?}");
            assert!(told.is_none_or(|told| losses[0].contains(told)), "{losses:?}");
        }
        assert_eq!(
            decide_for(Some(shuffled(&[2])), &["a", "b", "All of these"]),
            (shuffled(&[2]), Vec::new())
        );
        assert_eq!(decide_for(None, &["a", "b"]), (OptionOrder::default(), Vec::new()));
    }
}
