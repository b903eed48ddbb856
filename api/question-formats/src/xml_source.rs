//! Prepares XML as people and other systems write it: with a document type, and with HTML's names of characters.

use std::borrow::Cow;

use crate::entities;
use crate::parsed::UnreadableFile;

/// Makes the source of a document well-formed where its meaning is clear. Line numbers stay the same.
///
/// Leaves out the document type. HTML's names of characters, such as `&nbsp;`, become numbers. If white space is before
/// the XML declaration, leaves out the declaration.
///
/// # Errors
/// Refuses a document type that declares entities other than HTML's names of characters: such entities could grow
/// without bounds. The refusal has the line of the document type.
pub(crate) fn prepare(source: &str) -> Result<Cow<'_, str>, UnreadableFile> {
    let source = source.trim_start_matches('\u{feff}');
    let mut prepared = Cow::Borrowed(source);
    if source.starts_with(char::is_whitespace)
        && let Some((before, after)) = source.split_once("?>")
        && before.trim_start().starts_with("<?xml ")
    {
        prepared = Cow::Owned(format!("{}{after}", line_ends(before)));
    }
    if let Some((start, length)) = document_type(&prepared) {
        let (before, rest) = prepared.split_at(start);
        if declares_entities(&rest[..length]) {
            let line = u32::try_from(line_ends(before).len() + 1).unwrap_or(u32::MAX);
            let reason = "The file has a document type (<!DOCTYPE>) that declares entities, which is not allowed. Remove it.";
            return Err(UnreadableFile { line, reason: reason.to_owned() });
        }
        prepared = Cow::Owned(format!("{before}{}{}", line_ends(&rest[..length]), &rest[length..]));
    }
    Ok(match prepared.contains('&') {
        true => Cow::Owned(with_numbers(&prepared)),
        false => prepared,
    })
}

/// Returns only the line feeds of a text.
fn line_ends(text: &str) -> String {
    text.chars().filter(|char| *char == '\n').collect()
}

/// Returns the position and the length of the document type in bytes, or `None` if there is none or it does not end.
fn document_type(source: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    loop {
        at += source[at..].len() - source[at..].trim_start().len();
        let rest = &source[at..];
        let end = [("<!--", "-->"), ("<?", "?>")].into_iter().find(|(begin, _)| rest.starts_with(begin));
        match end {
            Some((_, end)) => at += rest.find(end)? + end.len(),
            None => break,
        }
    }
    let rest = &source[at..];
    if !rest.get(..9).is_some_and(|begin| begin.eq_ignore_ascii_case("<!DOCTYPE")) {
        return None;
    }
    let (mut quote, mut is_inside) = (None, false);
    for (length, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) => quote = Some(open).filter(|open| *open != byte),
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'[') => is_inside = true,
            (None, b']') => is_inside = false,
            (None, b'>') if !is_inside => return Some((at, length + 1)),
            _ => {}
        }
    }
    None
}

/// Returns whether a document type declares entities other than HTML's names of characters.
fn declares_entities(document_type: &str) -> bool {
    let mut names = document_type
        .split("<!ENTITY")
        .skip(1)
        .map(|declaration| declaration.split_whitespace().next().unwrap_or_default());
    names.any(|name| !entities::has_reference(&format!("&{name};")))
}

/// Replaces HTML's names of characters with numbers, except in CDATA sections and comments, where they are plain text.
fn with_numbers(source: &str) -> String {
    let mut prepared = String::with_capacity(source.len());
    let mut rest = source;
    while !rest.is_empty() {
        let start = rest.find("<!").unwrap_or(rest.len());
        prepared.push_str(&entities::names_to_numbers(&rest[..start]));
        let section = &rest[start..];
        let end = [("<![CDATA[", "]]>"), ("<!--", "-->"), ("<!", "")]
            .into_iter()
            .find(|(begin, _)| section.starts_with(begin));
        let length = match end {
            Some((begin, "")) => begin.len(),
            Some((_, end)) => section.find(end).map_or(section.len(), |at| at + end.len()),
            None => section.len(),
        };
        prepared.push_str(&section[..length]);
        rest = &section[length..];
    }
    prepared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_types_and_names_of_characters_are_prepared() {
        for (source, prepared) in [
            ("<quiz/>", "<quiz/>"),
            ("\u{feff}<?xml version=\"1.0\"?><quiz/>", "<?xml version=\"1.0\"?><quiz/>"),
            ("\n <?xml version=\"1.0\"?>\n<quiz/>", "\n\n<quiz/>"),
            ("<?xml version=\"1.0\"?>\n<!DOCTYPE quiz>\n<quiz/>", "<?xml version=\"1.0\"?>\n\n<quiz/>"),
            ("<!-- a > b --><!doctype quiz\nPUBLIC \"-//x>\" 'a.dtd'>\n<quiz/>", "<!-- a > b -->\n\n<quiz/>"),
            (
                "<!DOCTYPE quiz [<!ELEMENT quiz ANY>\n<!ENTITY nbsp \"&#160;\">]><a>&nbsp;</a>",
                "\n<a>&#160;</a>",
            ),
            ("<a>1&nbsp;&lt;&amp;&deg;</a>", "<a>1&#160;&lt;&amp;&#176;</a>"),
            (
                "<a b='&eacute;'><![CDATA[&nbsp;]]>&nbsp;<!-- &nbsp; --></a>",
                "<a b='&#233;'><![CDATA[&nbsp;]]>&#160;<!-- &nbsp; --></a>",
            ),
            ("<a>&unknown; & </a>", "<a>&unknown; & </a>"),
            ("<!DOCTYPE quiz", "<!DOCTYPE quiz"),
            ("<![CDATA[ &nbsp;", "<![CDATA[ &nbsp;"),
        ] {
            assert_eq!(prepare(source).expect("a document"), prepared, "{source}");
        }
        for source in [
            "<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY nbsp \"&lol;&lol;\">]>\n<quiz>&nbsp;</quiz>",
            "<!DOCTYPE x [<!ENTITY % p SYSTEM \"http://x.example/a.dtd\"> %p;]><quiz/>",
            "<!DOCTYPE x [<!ENTITY file SYSTEM \"file:///etc/passwd\">]><quiz>&file;</quiz>",
        ] {
            assert!(
                prepare(source).is_err_and(|error| error.reason.contains("declares entities")),
                "{source}"
            );
        }
    }
}
