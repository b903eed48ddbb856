//! What browsers do not show and learners would be sent: comments.

use std::collections::HashMap;

use crate::html::tag_length;

/// HTML without comments, and without what browsers take for such: `<!…>`, `<?…>` and `</ …>`. In Markdown without such
/// links as are comments, too; code stays as it is, where it is sure to be code. Blanks before the text are not kept, which
/// could make code of what is none.
pub(crate) fn without_comments(text: &str, is_markdown: bool) -> String {
    let mut text = text.trim_start().to_owned();
    // What is left can have other code in it than there was.
    for is_markdown in [is_markdown, is_markdown, is_markdown, false] {
        let without = taken_out(&text, is_markdown).trim_start().to_owned();
        if without == text {
            break;
        }
        text = without;
    }
    text
}

fn taken_out(text: &str, is_markdown: bool) -> String {
    let parts = if is_markdown { markdown_parts(text) } else { HashMap::new() };
    let mut without = String::with_capacity(text.len());
    let mut at = 0;
    let signs: &[char] = if is_markdown { &['<', '`', '~', '['] } else { &['<'] };
    while let Some(found) = text[at..].find(signs) {
        without.push_str(&text[at..at + found]);
        at += found;
        let rest = &text[at..];
        if let Some((length, is_kept)) = parts.get(&at) {
            without.push_str(if *is_kept { &rest[..*length] } else { "" });
            at += length;
        } else if let Some(length) = comment_length(rest) {
            // What was text makes no tag of what follows.
            if without.ends_with('<') {
                without.pop();
                without.push_str("&lt;");
            }
            at += length;
        } else {
            // In Markdown a tag over several lines may be none, and so may one with signs in it.
            let is_sure = |length: &usize| !is_markdown || !rest[1..*length].contains(['\n', '<']);
            let tag = tag_length(rest).filter(is_sure);
            // Marks of code come in runs.
            let run = || rest.len() - rest.trim_start_matches(['`', '~']).len();
            let length = tag.unwrap_or_else(|| run().max(1));
            without.push_str(&rest[..length]);
            at += length;
        }
    }
    without.push_str(&text[at..]);
    without
}

/// How long the comment is that HTML begins with, if it does. One that does not end takes the rest with it.
fn comment_length(html: &str) -> Option<usize> {
    if let Some(inside) = html.strip_prefix("<!--") {
        // These are whole comments, too.
        for whole in [">", "->"] {
            if inside.starts_with(whole) {
                return Some(4 + whole.len());
            }
        }
        let mut ends = inside.match_indices('>').map(|(at, _)| at);
        let end = ends.find(|at| inside[..*at].ends_with("--") || inside[..*at].ends_with("--!"));
        return Some(end.map_or(html.len(), |end| 4 + end + 1));
    }
    let is_end_of_none = html
        .strip_prefix("</")
        .is_some_and(|rest| rest.starts_with(|char: char| !char.is_ascii_alphabetic()));
    let is_taken_for_one = html.starts_with("<!") || html.starts_with("<?") || is_end_of_none;
    is_taken_for_one.then(|| html.find('>').map_or(html.len(), |end| end + 1))
}

/// Where code of Markdown begins, and links that are comments: how long each is, and whether it is kept. What may be code
/// or not, as CommonMark has it, is none: a fence that is indented or does not end, a span over the end of a line or
/// beside an escaped mark, and all that may stand in HTML.
fn markdown_parts(text: &str) -> HashMap<usize, (usize, bool)> {
    let lower = text.to_ascii_lowercase();
    // These go on over blank lines.
    let has_raw = ["<pre", "<script", "<style", "<textarea"].iter().any(|raw| lower.contains(raw));
    let (mut parts, mut at, mut fence, mut is_html) = (HashMap::new(), 0, None, has_raw);
    while let Some(line) = text[at..].split_inclusive('\n').next() {
        let bare = line.trim();
        let mut length = line.len();
        if let Some((start, marks)) = fence {
            if closes_fence(line, marks) {
                parts.insert(start, (at + line.trim_end().len() - start, true));
                fence = None;
            }
        } else {
            is_html = has_raw || !bare.is_empty() && (is_html || begins_html(bare));
            let indent = length - line.trim_start_matches(is_list_mark).len();
            if let Some(comment) = link_length(&text[at + indent..]) {
                parts.insert(at + indent, (comment, false));
                length = indent + comment;
            } else if let Some(marks) = fence_marks(line).filter(|_| !is_html) {
                fence = Some((at, marks));
            } else if !is_html && !line.contains("\\`") {
                add_spans(line, at, &mut parts);
            }
        }
        at += length;
    }
    parts
}

/// Whether HTML begins with a line, or in the list or the quotation that does.
fn begins_html(bare: &str) -> bool {
    bare.trim_start_matches(is_list_mark).starts_with('<')
}

/// Whether a sign can stand before the text of a list or a quotation.
fn is_list_mark(char: char) -> bool {
    matches!(char, '-' | '+' | '*' | '>' | '.' | ')' | ' ' | '\t') || char.is_ascii_digit()
}

/// The mark of a fence that a line opens, and how often it stands there.
fn fence_marks(line: &str) -> Option<(char, usize)> {
    let mark = line.chars().next().filter(|char| matches!(char, '`' | '~'))?;
    let after = line.trim_start_matches(mark);
    let count = line.len() - after.len();
    (count >= 3 && (mark == '~' || !after.contains('`'))).then_some((mark, count))
}

fn closes_fence(line: &str, (mark, count): (char, usize)) -> bool {
    let marks = line.trim_end();
    let unindented = marks.trim_start_matches(' ');
    marks.len() - unindented.len() <= 3
        && unindented.len() >= count
        && unindented.chars().all(|char| char == mark)
}

/// How long the link is that Markdown begins with, where it is a comment: `[//]: # (so)`. Its title can follow on lines of
/// its own.
fn link_length(markdown: &str) -> Option<usize> {
    let begins =
        |label: &str| markdown.get(..label.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(label));
    if !["[//]:", "[comment]:"].iter().any(|label| begins(label)) {
        return None;
    }
    let (mut length, mut is_in_title) = (0, false);
    for line in markdown.split_inclusive('\n') {
        let bare = line.trim();
        if length > 0 && (bare.is_empty() || !is_in_title && !bare.starts_with(['(', '"', '\''])) {
            break;
        }
        is_in_title = length > 0 || [" (", " \"", " '"].iter().any(|open| bare.contains(open));
        length += line.len();
        if is_in_title && bare.ends_with([')', '"', '\'']) {
            break;
        }
    }
    Some(length)
}

/// Adds the spans of code of a line: each from a run of marks to the next that is as long.
fn add_spans(line: &str, at: usize, parts: &mut HashMap<usize, (usize, bool)>) {
    let mut last = HashMap::new();
    let mut end = 0;
    while let Some(found) = line[end..].find('`') {
        let start = end + found;
        let marks = line[start..].bytes().take_while(|byte| *byte == b'`').count();
        end = start + marks;
        if let Some(opened) = last.insert(marks, start) {
            parts.insert(at + opened, (end - opened, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn comments_are_taken_out_of_html() {
        for (html, without) in [
            ("a<!-- key is TWO -->b<!---->c", "abc"),
            ("a<!-->b<!--->c<!-- x --!>d", "abcd"),
            ("a<!-- never ends", "a"),
            ("a<![CDATA[x]]>b<?php x ?>c<!DOCTYPE html>d", "abcd"),
            ("a < b && c <b>d</b> `<!-- x -->`", "a < b && c <b>d</b> ``"),
            ("<p>x</p></ KEY> y</", "<p>x</p> y</"),
            ("<img alt=\"<!-- a\"> which?", "<img alt=\"<!-- a\"> which?"),
            ("<img alt=\"<!-- KEY --> which?", "<img alt=\" which?"),
            ("<a =\"><!-- KEY -->\">", "<a =\">\">"),
            // The sign is text, as it was.
            ("<<!-- a -->!-- THERE -->", "&lt;!-- THERE -->"),
            ("<<!-- a --><!-- b -->b>", "&lt;b>"),
        ] {
            assert_eq!(without_comments(html, false), without, "{html}");
        }
    }

    #[test]
    fn comments_are_taken_out_of_markdown_but_for_its_code() {
        for markdown in [
            "a `<!-- y -->` c",
            "```html\n<!-- ` -->\n```",
            "~~~\n<!-- ` -->\n ~~~~ \nb",
            "a ``<!-- ` -->`` b",
            "[a]: # (b)\n[/]: # (b)",
            "````\n```\n<!-- x -->\n````",
        ] {
            assert_eq!(without_comments(markdown, true), markdown);
        }
        for (markdown, without) in [
            ("a<!-- x -->b `<!-- y -->` c", "ab `<!-- y -->` c"),
            ("`open <!-- KEY -->", "`open "),
            ("a \\` b <!-- KEY --> c `", "a \\` b  c `"),
            ("a \\`` b ` <!-- KEY --> `", "a \\`` b `  `"),
            ("don`t\n\n<!-- KEY -->\n\nwon`t", "don`t\n\n\n\nwon`t"),
            ("a `b\n# <!-- KEY --> `", "a `b\n#  `"),
            ("~~~\n`\n~~~\n<!-- KEY -->\n`", "~~~\n`\n~~~\n\n`"),
            ("```\nx\n````\n<!-- KEY -->\n```\ny\n```", "```\nx\n````\n\n```\ny\n```"),
            ("```\nx\n``` y\n<!-- KEY -->", "```\nx\n``` y\n"),
            ("- a\n  ```\n\nb <!-- KEY -->\n```", "- a\n  ```\n\nb \n```"),
            ("- <div>\n  `<!-- KEY -->`", "- <div>\n  ``"),
            ("<div>\n```\n<!-- KEY -->\n```", "<div>\n```\n\n```"),
            ("<pre>\n\n```\n<!-- KEY -->\n```", "<pre>\n\n```\n\n```"),
            ("<b title=\"\n\n<!-- KEY -->\n\n\">", "<b title=\"\n\n\n\n\">"),
            ("`<!-- x -->`` <!-- KEY --> ``", "```  ``"),
            ("<!--\n```\n-->\n```\n```\n<!-- KEY -->\n```", "```\n```\n\n```"),
            ("a\n\n[//]: # (KEY)\nb", "a\n\nb"),
            ("\n ```\n<!-- y -->\n```", "```\n<!-- y -->\n```"),
            ("<?x?> ```\n<!-- y -->\n```", "```\n\n```"),
            ("[Comment]: <> \"KEY\nKEY\"\nb", "b"),
            ("  [//]: #\n'KEY'\nb", "b"),
            ("[//]: #\nb", "b"),
            ("- a\n- [//]: # (KEY)", "- a\n- "),
            ("<pre>a</pre>\n\n[//]: # (KEY)", "<pre>a</pre>\n\n"),
            ("<b ` x=\"<!-- KEY -->\">", "<b ` x=\"\">"),
            ("x <a b='`'> ` <!-- y --> ` <!-- KEY --> `", "x <a b='`'> ` <!-- y --> `  `"),
        ] {
            assert_eq!(without_comments(markdown, true), without, "{markdown}");
        }
    }

    #[test]
    fn no_text_takes_long() {
        let growing =
            |mark: char| -> String { (1..700).map(|count| mark.to_string().repeat(count) + " ").collect() };
        let started = Instant::now();
        for text in [
            growing('`'),
            growing('`').replace(' ', "\n"),
            growing('~').replace(' ', "\n"),
            "<a b='c=\"' x=\"".repeat(20_000),
            "<!".repeat(100_000),
            "[//]: #\n".repeat(30_000),
        ] {
            without_comments(&text, true);
            without_comments(&text, false);
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
}
