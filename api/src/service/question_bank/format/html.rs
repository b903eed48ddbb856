//! Tags of HTML.

const VOID: [&str; 13] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];

/// Whether an element has no content, and so no end.
pub(super) fn is_void(name: &str) -> bool {
    VOID.iter().any(|void| void.eq_ignore_ascii_case(name))
}

/// How long the tag is that HTML begins with, if it does and it ends. One that has another in it is none.
pub(super) fn tag_length(html: &str) -> Option<usize> {
    let bytes = html.as_bytes();
    let is_letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
    let starts =
        bytes.first() == Some(&b'<') && (is_letter(1) || bytes.get(1) == Some(&b'/') && is_letter(2));
    let (mut at, mut quote, mut is_value) = (1, None, false);
    while starts && at < bytes.len() {
        let byte = bytes[at];
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) if byte == b'<' && (is_letter(at + 1) || bytes.get(at + 1) == Some(&b'/')) => {
                return None;
            }
            Some(_) => {}
            None if byte == b'>' => return Some(at + 1),
            None if byte == b'<' => return None,
            None if is_value && matches!(byte, b'"' | b'\'') => quote = Some(byte),
            None => {}
        }
        is_value = quote.is_none() && (byte == b'=' || is_value && byte.is_ascii_whitespace());
        at += 1;
    }
    None
}

/// The name of the element that a tag, or what follows the sign that it begins with, names.
pub(super) fn name(tag: &str) -> &str {
    let name = tag.trim_start_matches('<').trim_start_matches('/');
    let end = name.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(name.len());
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_end_outside_of_quotes() {
        for (html, length) in [
            ("<b>x", Some(3)),
            ("</b >x", Some(5)),
            ("<img alt=\"if x>5\">y", Some(18)),
            ("<img alt = '<!-- a'/>y", Some(21)),
            ("<a b\"c>d\">", Some(7)),
            ("<a b='<c>'>", None),
            ("<a <b>", None),
            ("<a b=\"c>", None),
            ("<a", None),
            ("< a>", None),
            ("<!-- -->", None),
            ("</ a>", None),
            ("a<b>", None),
        ] {
            assert_eq!(tag_length(html), length, "{html}");
        }
        assert_eq!((name("</Sup >"), name("br/>"), name("<h1>")), ("Sup", "br", "h1"));
    }
}
