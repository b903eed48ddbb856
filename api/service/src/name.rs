//! Rules for the characters in names of people and things, in any script.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Returns whether people can read a text as a name: it has a visible character, and no character that changes the
/// display of the text around it.
///
/// Returns false if the text has a control character, a line separator, a control of the writing direction, or an
/// invisible or unassigned character. Allows zero-width joiners and variation selectors after a visible character,
/// because words in Persian, Malayalam and other languages and emoji need them.
#[must_use]
pub fn is_readable(name: &str) -> bool {
    let mut follows_seen = false;
    let mut is_seen = false;
    for char in name.chars() {
        match char {
            ZERO_WIDTH_NON_JOINER | ZERO_WIDTH_JOINER if follows_seen => {}
            _ if is_variation_selector(char) && follows_seen => {}
            _ if is_refused(char) => return false,
            _ => {
                let category = char.general_category();
                let is_mark = matches!(
                    category,
                    GeneralCategory::NonspacingMark
                        | GeneralCategory::EnclosingMark
                        | GeneralCategory::SpacingMark
                );
                follows_seen =
                    if is_mark { follows_seen } else { category != GeneralCategory::SpaceSeparator };
                is_seen |= follows_seen;
            }
        }
    }
    is_seen
}

/// Returns whether a text has a visible character. Spaces and combining marks do not count.
#[must_use]
pub fn has_visible(text: &str) -> bool {
    text.chars().any(|char| {
        let category = char.general_category();
        !char.is_whitespace()
            && !matches!(category, GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
            && (category == GeneralCategory::PrivateUse || !is_refused(char))
    })
}

fn is_variation_selector(char: char) -> bool {
    matches!(char, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn is_refused(char: char) -> bool {
    match char.general_category() {
        GeneralCategory::Control
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator
        | GeneralCategory::PrivateUse
        | GeneralCategory::Surrogate
        // The noncharacters of Unicode have the category `Unassigned`, too.
        | GeneralCategory::Unassigned => true,
        // The only visible characters of the category `Format` are the signs around numbers in Arabic, Syriac and
        // Kaithi.
        GeneralCategory::Format => !matches!(
            char,
            '\u{600}'
                ..='\u{605}'
                    | '\u{6dd}'
                    | '\u{70f}'
                    | '\u{890}'
                    | '\u{891}'
                    | '\u{8e2}'
                    | '\u{110bd}'
                    | '\u{110cd}'
        ),
        // These characters are invisible, although their category is letter, mark or symbol.
        _ => {
            matches!(
                char,
                '\u{34f}'
                    | '\u{115f}'
                    | '\u{1160}'
                    | '\u{17b4}'
                    | '\u{17b5}'
                    | '\u{2800}'
                    | '\u{3164}'
                    | '\u{ffa0}'
                    | '\u{fffc}'
                    | '\u{1d159}'
            ) || is_variation_selector(char)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_scripts_are_readable() {
        for name in [
            "Asha",
            "आशा",
            "李小龍",
            "김철수",
            "O’Brien-Łukasz d'Arc Jr. 3rd",
            "Ada Lovelace",
            "علی‌رضا",
            "شریف‌زاده احمدی",
            // In the encoding of Malayalam before Unicode 5.1, words can end with a zero-width joiner.
            "അനില്‍",
            "ක්‍රිෂාන්",
            "রহিম উদ্‌দিন",
            "葛\u{e0100}城",
            "Asha 👩‍💻 ❤️",
            "e\u{301}lodie",
            "ᠮᠣᠩᠭᠣᠯ",
            "\u{601}1",
            "—",
        ] {
            assert!(is_readable(name), "{name:?}");
        }
    }

    #[test]
    fn invisible_text_is_refused() {
        for name in [
            "",
            " ",
            "\u{a0}\u{2003}\u{3000}",
            "\u{200b}",
            "\u{200c}",
            "\u{200d}\u{200d}",
            "\u{2060}",
            "\u{feff}",
            "\u{ad}",
            "\u{34f}",
            "\u{3164}",
            "\u{115f}\u{1160}",
            "\u{2800}",
            "\u{fe0f}",
            "\u{e0100}",
            "\u{301}",
            " \u{301}",
            "\u{e0041}",
            "\u{180e}",
            "\u{e000}",
        ] {
            assert!(!is_readable(name), "{name:?}");
            assert!(!has_visible(name) || name == "\u{e000}", "{name:?}");
        }
        assert!(has_visible("\u{202b}هل؟\u{202c}\n") && has_visible("?"));
    }

    #[test]
    fn characters_that_change_the_text_around_them_are_refused() {
        let controls = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        let others =
            ['\u{200e}', '\u{200f}', '\u{61c}', '\0', '\n', '\t', '\u{7f}', '\u{85}', '\u{2028}', '\u{2029}'];
        let hidden = ['\u{200b}', '\u{2060}', '\u{feff}', '\u{ad}', '\u{3164}', '\u{2800}', '\u{fff9}'];
        for char in controls.chain(others).chain(hidden) {
            for name in [format!("Asha{char}Rao"), format!("{char}Asha"), format!("Asha{char}")] {
                assert!(!is_readable(&name), "{name:?}");
            }
        }
        let noncharacters = ('\u{fdd0}'..='\u{fdef}')
            .chain(('\u{fffe}'..=char::MAX).filter(|char| u32::from(*char) & 0xfffe == 0xfffe));
        let noncharacters: Vec<char> = noncharacters.collect();
        assert_eq!(noncharacters.len(), 66);
        // Two unassigned characters and the object replacement character are tested, too.
        for char in noncharacters.into_iter().chain(['\u{378}', '\u{2065}', '\u{fffc}']) {
            for name in [char.to_string(), format!("Asha{char}Rao")] {
                assert!(!is_readable(&name), "{name:?}");
            }
        }
        assert!(!is_readable("Asha \u{200c}Rao"), "a zero-width non-joiner after a space was accepted");
        assert!(!is_readable("\u{200d}Asha"));
    }
}
