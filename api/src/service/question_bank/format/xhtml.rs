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

/// HTML as XML that says the same: as it is where that is XML already.
///
/// # Errors
/// Why it cannot be, as a sentence that says what to do.
pub(super) fn as_xml(html: &str) -> Result<Cow<'_, str>, &'static str> {
    if check(html).is_ok() {
        return Ok(Cow::Borrowed(html));
    }
    let rewritten = without_names(&closed(html));
    check(&rewritten)?;
    Ok(Cow::Owned(rewritten))
}

/// Whether it can stand in an element of XML, and be told from what we put around it.
fn check(html: &str) -> Result<(), &'static str> {
    let whole = format!("<div>{html}</div>");
    let xml =
        Xml::parse(&whole).map_err(|_| "Close all of its elements, and write & and < as &amp; and &lt;.")?;
    for node in xml.document.descendants() {
        if node.is_comment() || node.is_pi() {
            return Err("Take out its comments and processing instructions, which learners could read.");
        }
        if node.tag_name().name().starts_with("qti-") || node.has_attribute("data-text-format") {
            return Err("Take out its elements and attributes of QTI.");
        }
    }
    if html.contains("<![CDATA[") {
        return Err("Take out its CDATA sections, which browsers do not show.");
    }
    Ok(())
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
            assert_eq!(as_xml(html).ok().as_deref(), xml, "{html}");
        }
        for (html, named) in [
            ("<p>a", "Close all"),
            ("<p>a<!-- x --></p>", "comments"),
            ("<p>a<?x?></p>", "processing"),
            ("<p><![CDATA[a]]></p>", "CDATA"),
            ("<qti-prompt>a</qti-prompt>", "of QTI"),
            ("<p data-text-format=\"html\">a</p>", "of QTI"),
        ] {
            assert!(as_xml(html).is_err_and(|advice| advice.contains(named)), "{html}");
        }
        assert!(as_xml("<p>Use <my-interaction></my-interaction>, or data-text-format</p>").is_ok());
    }
}
