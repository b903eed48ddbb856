//! Tests of the order of options.

use super::*;
use crate::draft::OptionOrder;

#[test]
fn the_order_of_options_is_read() {
    let declaration = key("single", "identifier", &["Y"]);
    let read = |shuffle: &str, fixed: &[&str]| {
        let mut asked = choice("<qti-prompt>Which?</qti-prompt>").replace(
            "</qti-choice-interaction>",
            "<qti-simple-choice identifier=\"Z\">None of these</qti-simple-choice></qti-choice-interaction>",
        );
        asked = asked.replace("max-choices", &format!("{shuffle} max-choices"));
        for id in fixed {
            let identifier = format!("identifier=\"{id}\"");
            asked = asked.replace(&identifier, &format!("{identifier} fixed=\"true\""));
        }
        only(&item(&declaration, &asked, ""))
    };
    for (shuffle, fixed, order, told) in [
        ("shuffle=\"false\"", &[][..], OptionOrder::kept(), 0),
        ("shuffle=\"false\"", &["Z"], OptionOrder::kept(), 0),
        // By default, the standard does not shuffle options.
        ("", &["Z"], OptionOrder::kept(), 0),
        ("shuffle=\"true\"", &["Z"], OptionOrder { shuffled: true, fixed: vec![2] }, 0),
        ("shuffle=\"1\"", &[], OptionOrder::default(), 1),
        ("shuffle=\"true\"", &["X", "Z"], OptionOrder::kept(), 0),
    ] {
        let found = read(shuffle, fixed);
        assert_eq!((&found.option_order, found.losses.len()), (&order, told), "{shuffle} {:?}", found.losses);
    }
}
