//! Finds tags of HTML in a text that otherwise stays as it is.
//!
//! The reader follows the states of the HTML standard for tags, with one intended difference: a tag in which another
//! tag begins does not count. Most likely, its author forgot to end the outer tag, and learners should see its text.
//! Libraries follow the standard in this case; the module `comments` has further reasons against libraries.

const VOID_ELEMENTS: [&str; 13] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];

/// Returns whether an element cannot have content, and so has no end tag.
pub(crate) fn is_void(name: &str) -> bool {
    VOID_ELEMENTS.iter().any(|void| void.eq_ignore_ascii_case(name))
}

/// The state of reading a tag, as the HTML standard defines it.
#[derive(Clone, Copy)]
enum TagState {
    Element,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value,
    Quoted(u8),
}

impl TagState {
    /// Returns the state after this byte.
    fn after(self, byte: u8) -> Self {
        let is_blank = byte.is_ascii_whitespace();
        match (self, byte) {
            (Self::Quoted(quote), _) if byte == quote => Self::BeforeName,
            (Self::Quoted(_), _) => self,
            (Self::BeforeValue, b'"' | b'\'') => Self::Quoted(byte),
            (Self::BeforeValue, _) if is_blank => self,
            (Self::BeforeValue, _) => Self::Value,
            (Self::Value, _) if !is_blank => self,
            (Self::Name | Self::AfterName, b'=') => Self::BeforeValue,
            (Self::Name | Self::AfterName, _) if is_blank => Self::AfterName,
            (Self::Element | Self::BeforeName | Self::Name | Self::AfterName, b'/') => Self::BeforeName,
            (Self::Element, _) if !is_blank => self,
            (Self::Element | Self::BeforeName | Self::Value, _) if is_blank => Self::BeforeName,
            _ => Self::Name,
        }
    }
}

/// Returns the length in bytes of the tag at the beginning of HTML. Returns `None` if the HTML does not begin with a
/// tag, if the tag does not end, or if another tag begins in this tag.
pub(crate) fn tag_length(html: &str) -> Option<usize> {
    length(html, true)
}

/// Returns the length in bytes of the tag at the beginning of HTML, as browsers read it: a value in quotes may contain
/// tags. Returns `None` if the HTML does not begin with a tag, or if the tag does not end.
pub(crate) fn tag_length_in_browsers(html: &str) -> Option<usize> {
    length(html, false)
}

fn length(html: &str, stops_at_tags: bool) -> Option<usize> {
    let inside = html.strip_prefix('<')?;
    let name = inside.strip_prefix('/').unwrap_or(inside);
    if !name.starts_with(|char: char| char.is_ascii_alphabetic()) {
        return None;
    }
    let begins_tag = |byte: u8| byte == b'/' || byte.is_ascii_alphabetic();
    let start = html.len() - name.len();
    let mut state = TagState::Element;
    for (at, byte) in html.bytes().enumerate().skip(start) {
        match (state, byte) {
            (TagState::Quoted(_), b'<')
                if stops_at_tags && html.as_bytes().get(at + 1).is_some_and(|next| begins_tag(*next)) =>
            {
                return None;
            }
            (TagState::Quoted(_), _) => {}
            (_, b'<') => return None,
            (_, b'>') => return Some(at + 1),
            _ => {}
        }
        state = state.after(byte);
    }
    None
}

/// Returns the name of the element of a tag. The `<` at the beginning of `tag` may be missing.
pub(crate) fn name(tag: &str) -> &str {
    let name = tag.trim_start_matches('<').trim_start_matches('/');
    let end = name.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(name.len());
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_ends_at_a_sign_outside_of_quotes() {
        for (html, length) in [
            ("<b>x", Some(3)),
            ("</b >x", Some(5)),
            ("<img alt=\"if x>5\">y", Some(18)),
            ("<img alt = '<!-- a'/>y", Some(21)),
            ("<a b\"c>d\">", Some(7)),
            ("<a/b = c d='>'>", Some(15)),
            // In the next three tags, quotes are parts of names and of values without quotes.
            ("<a =\">x\">", Some(6)),
            ("<a b=c=\">x\">", Some(9)),
            ("<a b='' =\">x\">", Some(11)),
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
