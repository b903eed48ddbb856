//! HTML that stands in XML.

use std::borrow::Cow;

use super::xml::Xml;

/// Elements of HTML that have no end.
const VOID: [&str; 6] = ["br", "col", "hr", "img", "input", "wbr"];

/// Characters that HTML has names for and XML has not: those of questions.
const NAMED: [(&str, char); 42] = [
    ("nbsp", '\u{a0}'),
    ("times", '×'),
    ("divide", '÷'),
    ("deg", '°'),
    ("plusmn", '±'),
    ("middot", '·'),
    ("sup2", '²'),
    ("sup3", '³'),
    ("frac12", '½'),
    ("frac14", '¼'),
    ("micro", 'µ'),
    ("minus", '−'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("hellip", '…'),
    ("prime", '′'),
    ("le", '≤'),
    ("ge", '≥'),
    ("ne", '≠'),
    ("asymp", '≈'),
    ("infin", '∞'),
    ("radic", '√'),
    ("rarr", '→'),
    ("larr", '←'),
    ("harr", '↔'),
    ("sum", '∑'),
    ("int", '∫'),
    ("alpha", 'α'),
    ("beta", 'β'),
    ("gamma", 'γ'),
    ("theta", 'θ'),
    ("lambda", 'λ'),
    ("mu", 'μ'),
    ("pi", 'π'),
    ("omega", 'ω'),
    ("Delta", 'Δ'),
    ("Omega", 'Ω'),
    ("euro", '€'),
];

/// HTML as XML that says the same: as it is where that is XML already. None where its elements are not closed.
pub(super) fn as_xml(html: &str) -> Option<Cow<'_, str>> {
    if is_xml(html) {
        return Some(Cow::Borrowed(html));
    }
    let rewritten = without_names(&closed(html));
    is_xml(&rewritten).then_some(Cow::Owned(rewritten))
}

/// Whether it can stand in an element of XML, and be told from what we put around it.
fn is_xml(html: &str) -> bool {
    let has_foreign =
        html.contains("data-text-format") || html.contains("<!--") || html.contains("<![CDATA[");
    !has_foreign && Xml::parse(&format!("<div>{html}</div>")).is_ok()
}

/// With the ends that XML wants of elements such as `<br>`.
fn closed(html: &str) -> String {
    let mut parts = html.split('<');
    let mut closed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        closed.push('<');
        let name = part.split(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or_default();
        let end = part.find('>').filter(|end| !part[..*end].ends_with('/'));
        match end.filter(|_| VOID.iter().any(|void| void.eq_ignore_ascii_case(name))) {
            Some(end) => closed.extend([&part[..end], "/", &part[end..]]),
            None => closed.push_str(part),
        }
    }
    closed
}

/// With the numbers of characters instead of their names.
fn without_names(html: &str) -> String {
    let mut parts = html.split('&');
    let mut without = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let named = part.split_once(';').and_then(|(name, rest)| {
            NAMED.iter().find(|(known, _)| *known == name).map(|(_, char)| (*char, rest))
        });
        match named {
            Some((char, rest)) => {
                // As a number: a blank that is not to be broken would be cut off at an end.
                without.push_str(&format!("&#{};", u32::from(char)));
                without.push_str(rest);
            }
            None => {
                without.push('&');
                without.push_str(part);
            }
        }
    }
    without
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_xml_where_it_can() {
        for (html, xml) in [
            ("<p>a</p>", Some("<p>a</p>")),
            ("a<br>b<BR />c", Some("a<br/>b<BR />c")),
            ("<p>2&nbsp;&times; 3 &lt; 7</p>", Some("<p>2&#160;&#215; 3 &lt; 7</p>")),
            ("<img src=\"https://x.example/a.png\">", Some("<img src=\"https://x.example/a.png\"/>")),
            ("<p>a", None),
            ("</div><div>", None),
            ("a & b", None),
            ("&unknown;", None),
            ("<!-- x -->", None),
        ] {
            assert_eq!(as_xml(html).as_deref(), xml, "{html}");
        }
    }
}
