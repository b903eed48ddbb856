//! Character references of HTML, such as `&deg;` and `&#176;`.

use std::borrow::Cow;

/// The names of character references that both HTML and XML define.
const XML_NAMES: [&str; 5] = ["amp", "lt", "gt", "quot", "apos"];

/// Returns whether a text has a character reference. A reference without a semicolon, such as `&deg`, does not count.
pub(crate) fn has_reference(text: &str) -> bool {
    matches!(html_escape::decode_html_entities(text), Cow::Owned(_))
}

/// Replaces character references with names that XML does not define by references with numbers: `&deg;` becomes
/// `&#176;`.
///
/// The function does not insert the characters themselves, because a no-break space at the end of a text would later be
/// trimmed.
pub(crate) fn names_to_numbers(html: &str) -> String {
    let mut parts = html.split('&');
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(';').and_then(|(name, rest)| Some((named(name)?, rest))) {
            Some((characters, rest)) => {
                for char in characters.chars() {
                    replaced.push_str(&format!("&#{};", u32::from(char)));
                }
                replaced.push_str(rest);
            }
            None => {
                replaced.push('&');
                replaced.push_str(part);
            }
        }
    }
    replaced
}

/// Returns the characters that a name means in HTML, or `None` if HTML does not define the name or XML also defines the
/// name. About two per cent of the names mean two characters.
fn named(name: &str) -> Option<String> {
    if XML_NAMES.contains(&name) || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let reference = format!("&{name};");
    match html_escape::decode_html_entities(&reference) {
        Cow::Owned(characters) => Some(characters),
        Cow::Borrowed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_characters() {
        for (name, characters) in [
            ("nbsp", "\u{a0}"),
            ("deg", "°"),
            ("yuml", "ÿ"),
            ("alpha", "α"),
            ("sigmaf", "ς"),
            ("omega", "ω"),
            ("Alpha", "Α"),
            ("Rho", "Ρ"),
            ("Sigma", "Σ"),
            ("Omega", "Ω"),
            ("rarr", "→"),
            ("loz", "◊"),
            ("Auml", "Ä"),
            // The following names are in HTML 5, but not in HTML 4.
            ("lbrace", "{"),
            ("half", "½"),
            ("rightarrow", "→"),
            ("NotEqualTilde", "\u{2242}\u{338}"),
            ("CounterClockwiseContourIntegral", "∳"),
        ] {
            assert_eq!(named(name).as_deref(), Some(characters), "{name}");
        }
        for name in ["", "value", "ALPHA2", "Sigmaf", "→", "é", "amp", "lt", "#176"] {
            assert_eq!(named(name), None, "{name}");
        }
    }

    #[test]
    fn references_end_with_a_semicolon() {
        for text in ["100&deg;C", "&#176;", "&#xB0;", "a & b &lt; c", "1&half;", "&NotEqualTilde;"] {
            assert!(has_reference(text), "{text}");
        }
        for text in ["a & b", "&deg", "R&D;", "&value;", "&#;", "&#x;", "&#12a;", "&;", "&#-1;", "&#xD800;"] {
            assert!(!has_reference(text), "{text}");
        }
    }
}
