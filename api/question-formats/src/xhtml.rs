//! Rewrites HTML so that it can be inside XML.

use std::borrow::Cow;

use crate::xml::Xml;
use crate::{entities, html};

/// Rewrites HTML as XML with the same meaning. Returns the HTML unchanged if it already is XML.
///
/// # Errors
/// Returns a sentence that says what to change in HTML that cannot be XML.
pub(crate) fn as_xml(html: &str) -> Result<Cow<'_, str>, &'static str> {
    if check(html).is_ok() {
        return Ok(Cow::Borrowed(html));
    }
    let rewritten = entities::names_to_numbers(&close_void_elements(html));
    check(&rewritten)?;
    Ok(Cow::Owned(rewritten))
}

/// Checks that HTML is well-formed XML without elements of QTI, comments, processing instructions and CDATA sections.
/// Returns advice for the author if not.
fn check(html: &str) -> Result<(), &'static str> {
    let whole = format!("<div>{html}</div>");
    let xml = Xml::parse(&whole)
        .map_err(|_| "Close all elements of the HTML, and write & and < as &amp; and &lt;.")?;
    for node in xml.document.descendants() {
        if node.is_comment() || node.is_pi() {
            return Err("Remove the comments and processing instructions: learners could read them.");
        }
        if node.tag_name().name().starts_with("qti-") || node.has_attribute("data-text-format") {
            return Err(
                "Remove the QTI markup: elements that begin with `qti-`, and the attribute `data-text-format`.",
            );
        }
    }
    if html.contains("<![CDATA[") {
        return Err("Remove the CDATA sections: browsers do not show them.");
    }
    Ok(())
}

/// Closes elements that cannot have content, as XML requires: `<br>` becomes `<br/>`.
fn close_void_elements(html: &str) -> String {
    let mut closed = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        closed.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = html::tag_length(rest).unwrap_or(1);
        let tag = &rest[..length];
        let is_open = html::is_void(html::name(tag)) && !tag.starts_with("</") && !tag.ends_with("/>");
        match tag.strip_suffix('>').filter(|_| is_open) {
            Some(open) => closed.extend([open, "/>"]),
            None => closed.push_str(tag),
        }
        rest = &rest[length..];
    }
    closed.push_str(rest);
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_rewritten_as_xml_or_refused_with_advice() {
        for (html, xml) in [
            ("<p>a</p>", Some("<p>a</p>")),
            ("a<br>b<BR />c", Some("a<br/>b<BR />c")),
            ("<p>2&nbsp;&times; 3 &lt; 7</p>", Some("<p>2&#160;&#215; 3 &lt; 7</p>")),
            ("<img src=\"https://x.example/a.png\">", Some("<img src=\"https://x.example/a.png\"/>")),
            ("<br><img alt=\"if x>5\" src='a'>", Some("<br/><img alt=\"if x>5\" src='a'/>")),
            ("100&deg;C, &epsilon;<hr>", Some("100&#176;C, &#949;<hr/>")),
            ("1&half; &NotEqualTilde;", Some("1&#189; &#8770;&#824;")),
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
            ("<qti-prompt>a</qti-prompt>", "QTI markup"),
            ("<p data-text-format=\"html\">a</p>", "QTI markup"),
        ] {
            assert!(as_xml(html).is_err_and(|advice| advice.contains(named)), "{html}");
        }
        assert!(as_xml("<p>Use <my-interaction></my-interaction>, or data-text-format</p>").is_ok());
    }
}
