//! Recognises the kinds of files in other formats, so that a refusal can name the kind.

use std::borrow::Cow;

use crate::labels::excerpt;
use crate::{fence, markup, package, qti, xml};

const HOW_TO_EXPORT: &str = "Export the questions as GIFT, Aiken, Moodle XML or QTI.";

/// The first bytes of files in other formats, and the names of these formats.
const SIGNATURES: [(&[u8], &str); 13] = [
    (b"\x1f\x8b", "a compressed file (gzip), such as a backup of Moodle (.mbz)"),
    (b"%PDF", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "a document of an old Microsoft Office, such as .doc or .xls"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"RIFF", "a picture or a recording (RIFF)"),
    (b"Rar!", "an archive (RAR)"),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)"),
    (b"BZh", "a compressed file (bzip2)"),
    (b"\xfd7zXZ", "a compressed file (xz)"),
    (b"SQLite format 3", "a database (SQLite)"),
    (b"{\\rtf", "a document in RTF"),
];

/// Returns whether a file is a ZIP archive by its first bytes. Packages of questions are ZIP archives.
#[must_use]
pub fn is_package(bytes: &[u8]) -> bool {
    [b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"].iter().any(|begin| bytes.starts_with(*begin))
}

/// Names the kind of a file in another format. Returns sentences for the author: what the file is, then what to
/// do. Returns `None` if the kind is not known.
#[must_use]
pub fn explain_unknown(bytes: &[u8]) -> Option<String> {
    if is_package(bytes) {
        return Some(match package::document_kind(bytes) {
            Some(kind) => format!("The file is {kind}. {HOW_TO_EXPORT}"),
            None => "The file is a ZIP package, not a text. Import it as a package, or unpack it and import the files in \
                     it one by one."
                .to_owned(),
        });
    }
    if let Some((_, kind)) = SIGNATURES.iter().find(|(begin, _)| bytes.starts_with(begin)) {
        return Some(format!("The file is {kind}. {HOW_TO_EXPORT}"));
    }
    let text = fence::stripped(std::str::from_utf8(bytes).ok()?).into_owned();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    // The lines of a text in Aiken can look like a table as well. So `of_text`, on which the detection of formats
    // relies, does not check for tables.
    let table = || is_table(text).then_some(Cow::Borrowed("a table (CSV)"));
    match of_text(text).or_else(table)? {
        Cow::Borrowed(sentence) if sentence.ends_with('.') => Some(sentence.to_owned()),
        kind => Some(format!("The file is {kind}, which cannot be imported. {HOW_TO_EXPORT}")),
    }
}

/// Returns the kind of a text in another format, or whole sentences with advice. Returns `None` if the kind is not
/// known.
pub(crate) fn of_text(text: &str) -> Option<Cow<'static, str>> {
    if let Some(name) = foreign_root(text) {
        return Some(match name {
            "manifest" => qti::MANIFEST_REASON.into(),
            "quiz" => "the settings of a quiz in Canvas (<quiz>)".into(),
            "html" | "head" | "body" => format!("a web page (<{name}>)").into(),
            name => format!("XML with the root element <{}>", excerpt(name)).into(),
        });
    }
    let kind = match () {
        () if is_json(text) => "JSON",
        () if text.starts_with("{\\rtf") => "a document in RTF",
        () if is_latex(text) => "LaTeX",
        () => return None,
    };
    Some(kind.into())
}

/// Returns the name of the root element of a text in XML or HTML that is in no format of this crate. Returns `None` for
/// a text that only begins with an element of HTML, because a question can begin in this way.
fn foreign_root(text: &str) -> Option<&str> {
    if !text.starts_with('<') || xml::detect(text).is_some() {
        return None;
    }
    let name = xml::root_name(text).filter(|name| !name.is_empty())?;
    let is_declared = text.starts_with("<?xml")
        || text.get(..9).is_some_and(|begin| begin.eq_ignore_ascii_case("<!DOCTYPE"));
    let end = text.trim_end().rsplit_once("</").map(|(_, end)| end.trim_end_matches('>').trim());
    let is_whole =
        end.is_some_and(|end| end.rsplit(':').next() == Some(name)) || text.trim_end().ends_with("/>");
    (is_declared || is_whole && !markup::is_html_element(name)).then_some(name)
}

/// Returns whether a text begins as JSON does, with an array or an object, and not as a question such as `[html]`,
/// `[1]` or `{=`.
fn is_json(text: &str) -> bool {
    let Some(inside) = text.strip_prefix(['[', '{']) else { return false };
    let first = inside.trim_start().chars().next();
    match (text.as_bytes()[0], first) {
        (b'[', Some('{' | '[' | '"')) | (b'{', Some('"')) => true,
        (_, Some(']' | '}')) => {
            text.trim_end().len() == inside.trim_end().len() + 1 && inside.trim().len() == 1
        }
        _ => false,
    }
}

fn is_latex(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('%'));
    lines.next().is_some_and(|line| {
        ["\\documentclass", "\\begin{", "\\usepackage", "\\input{"]
            .iter()
            .any(|begin| line.starts_with(begin))
    })
}

/// Returns whether the first lines of a text are rows of a table with three columns or more. A text with an opening
/// brace does not count as a table, because it may be GIFT.
fn is_table(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let columns = |line: &str, separator: char| line.matches(separator).count();
    let is_of = |separator: char| {
        lines.len() > 1
            && columns(lines[0], separator) > 1
            && lines.iter().take(3).all(|line| columns(line, separator) >= columns(lines[0], separator))
    };
    !text.contains('{') && [',', ';', '\t'].into_iter().any(is_of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    #[test]
    fn files_of_other_kinds_are_named() {
        for (text, named) in [
            ("[{\"question\":\"What is 2+2?\",\"options\":[\"3\",\"4\"],\"answer\":1}]", "JSON"),
            ("\u{feff} {\r\n  \"quiz\": {\"q\": \"~=\"}}", "JSON"),
            ("[\"{=a ~b}\"]", "JSON"),
            ("```json\n[{\"q\": \"{=a ~b}\"}]\n```", "JSON"),
            ("[]", "JSON"),
            ("<?xml version=\"1.0\"?>\n<manifest xmlns=\"x\">{T}</manifest>", "manifest"),
            ("<manifest>{=a ~b}</manifest>", "manifest"),
            ("<?xml version='1.0'?><rss>{=a ~b}</rss>", "<rss>"),
            ("<moodle_backup/>", "<moodle_backup>"),
            ("<!DOCTYPE html>\n<html><style>p {color: red} a {}</style></html>", "web page"),
            ("<HTML><body>{}</body></HTML>", "<HTML>"),
            ("{\\rtf1\\ansi {\\fonttbl}}", "RTF"),
            ("% mine\n\\documentclass{exam}\n\\begin{document}{}\\end{document}", "LaTeX"),
            ("question,a,b,key\nWhat?,1,2,A\n", "CSV"),
        ] {
            assert_eq!(Format::detect(text), None, "{text}");
            let said = explain_unknown(text.as_bytes()).unwrap_or_default();
            assert!(said.contains(named), "{text}: {said}");
        }
        for (bytes, named) in [
            (&b"PK\x03\x04rest"[..], "ZIP package"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"%PDF-1.7 {=a ~b}", "PDF"),
            (b"\xd0\xcf\x11\xe0\0", "Office"),
        ] {
            assert!(explain_unknown(bytes).is_some_and(|said| said.contains(named)), "{named}");
        }
    }

    #[test]
    fn braces_alone_are_not_gift() {
        for text in
            ["a { color: red }", "def f(): return {x}", "The set {a, b} is {finite}.", "const q = { a: 1 };"]
        {
            assert_eq!((Format::detect(text), explain_unknown(text.as_bytes())), (None, None), "{text}");
        }
        for text in [
            "[html]<p>What?</p> {=a ~b}",
            "[1] What? {=a ~b}",
            "{=Iron ~Gold} is a metal.",
            "<p>What? {=a ~b}</p>",
            "<b>What?</b> {\n=a\n~b\n}",
            "<x>y</x> {=a ~b}",
            "A, b, c?{=a ~b}\nd, e, f",
            "Write. {}",
            "Is it? {TRUE#yes}",
            "How many? { #5:1 }",
            "::a:: b",
            "$CATEGORY: x",
            "Odd {x ~y}",
            "```gift\n::Q:: What? {=a ~b}\n```",
        ] {
            assert_eq!(Format::detect(text), Some(Format::Gift), "{text}");
        }
        for (text, format) in [
            ("```\nWhich?\nA. a\nB. b\nANSWER: A\n```", Format::Aiken),
            ("```xml\n<?xml version=\"1.0\"?>\n<quiz/>\n```", Format::MoodleXml),
            ("<assessmentItem/>", Format::Qti),
            ("<?xml version=\"1.0\"?><questestinterop><item>[x]{y}</item></questestinterop>", Format::Qti),
            ("<qti:questestinterop xmlns:qti='x'>{=a ~b}</qti:questestinterop>", Format::Qti),
            ("Which, of a, b, c?\nA. 1, 2, 3, 4\nB. 2, 3, 4, 5\nANSWER: A\n", Format::Aiken),
        ] {
            assert_eq!(Format::detect(text), Some(format), "{text}");
        }
    }
}
