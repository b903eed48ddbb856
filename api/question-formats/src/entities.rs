//! Characters that HTML has names for and XML has not.

/// From U+00A0 on.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn \
                     sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave \
                     Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH \
                     Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig \
                     agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc \
                     iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute \
                     thorn yuml";

/// From U+0391 on in capitals, which have no `sigmaf`, and from U+03B1 on in small letters.
const GREEK: &str = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigmaf \
                     sigma tau upsilon phi chi psi omega";

/// The others of questions, each with its character.
const OTHERS: &str = "OElig Œ oelig œ thetasym ϑ piv ϖ ensp \u{2002} emsp \u{2003} thinsp \u{2009} ndash – mdash — \
                      lsquo ‘ rsquo ’ ldquo “ rdquo ” dagger † Dagger ‡ bull • hellip … permil ‰ prime ′ Prime ″ \
                      oline ‾ frasl ⁄ euro € trade ™ larr ← uarr ↑ rarr → darr ↓ harr ↔ lArr ⇐ uArr ⇑ rArr ⇒ dArr ⇓ \
                      hArr ⇔ forall ∀ part ∂ exist ∃ empty ∅ nabla ∇ isin ∈ notin ∉ ni ∋ prod ∏ sum ∑ minus − \
                      lowast ∗ radic √ prop ∝ infin ∞ ang ∠ and ∧ or ∨ cap ∩ cup ∪ int ∫ there4 ∴ sim ∼ cong ≅ \
                      asymp ≈ ne ≠ equiv ≡ le ≤ ge ≥ sub ⊂ sup ⊃ nsub ⊄ sube ⊆ supe ⊇ oplus ⊕ otimes ⊗ perp ⊥ \
                      sdot ⋅ lceil ⌈ rceil ⌉ lfloor ⌊ rfloor ⌋ lang ⟨ rang ⟩ loz ◊";

/// The character of a name, as of `deg` in `&deg;`.
pub(crate) fn named(name: &str) -> Option<char> {
    let place = |names: &str, name: &str| names.split(' ').position(|known| known == name);
    let from =
        |first: u32, place: usize| u32::try_from(place).ok().and_then(|place| char::from_u32(first + place));
    let small = |name: &str| place(GREEK, name);
    let is_capital = name.starts_with(|char: char| char.is_ascii_uppercase()) && name != "Sigmaf";
    let mut others = OTHERS.split(' ').filter(|_| name.is_ascii());
    place(LATIN, name)
        .and_then(|place| from(0xa0, place))
        .or_else(|| small(name).and_then(|place| from(0x3b1, place)))
        .or_else(|| others.find(|known| *known == name).and_then(|_| others.next()?.chars().next()))
        .or_else(|| {
            small(&name.to_ascii_lowercase()).filter(|_| is_capital).and_then(|place| from(0x391, place))
        })
}

/// Whether a text has a character by its name or its number.
pub(crate) fn any(text: &str) -> bool {
    text.split('&').skip(1).any(|after| {
        let end =
            after.find(|char: char| char != '#' && !char.is_ascii_alphanumeric()).unwrap_or(after.len());
        let (name, is_closed) = (&after[..end], after[end..].starts_with(';'));
        let is_digits =
            |digits: &str, radix| !digits.is_empty() && digits.chars().all(|char| char.is_digit(radix));
        let is_number = |number: &str| match number.strip_prefix(['x', 'X']) {
            Some(digits) => is_digits(digits, 16),
            None => is_digits(number, 10),
        };
        // The longest name is short.
        is_closed
            && end <= 10
            && match name.strip_prefix('#') {
                Some(number) => is_number(number),
                None => matches!(name, "amp" | "lt" | "gt" | "quot" | "apos") || named(name).is_some(),
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_characters() {
        for (name, char) in [
            ("nbsp", '\u{a0}'),
            ("deg", '°'),
            ("yuml", 'ÿ'),
            ("alpha", 'α'),
            ("sigmaf", 'ς'),
            ("omega", 'ω'),
            ("Alpha", 'Α'),
            ("Rho", 'Ρ'),
            ("Sigma", 'Σ'),
            ("Omega", 'Ω'),
            ("rarr", '→'),
            ("loz", '◊'),
            ("Auml", 'Ä'),
        ] {
            assert_eq!(named(name), Some(char), "{name}");
        }
        for name in ["", "value", "ALPHA2", "Sigmaf", "→", "é"] {
            assert_eq!(named(name), None, "{name}");
        }
        for text in ["100&deg;C", "&#176;", "&#xB0;", "a & b &lt; c"] {
            assert!(any(text), "{text}");
        }
        for text in ["a & b", "&deg", "R&D;", "&value;", "&#;", "&#x;", "&#12a;", "&;"] {
            assert!(!any(text), "{text}");
        }
    }
}
