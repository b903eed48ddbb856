//! Removes comments from texts. Browsers do not show a comment in HTML or Markdown, but a learner can read it in the
//! source of the page, and authors note keys in comments.
//!
//! `pulldown-cmark` finds the code of Markdown. This module finds comments and tags of HTML itself and uses no library,
//! for two reasons. First, the text around a comment must stay the same byte for byte: html5ever reports no positions,
//! and lol_html depends on 47 crates. Second, this scanner is intentionally stricter than browsers. If a tag never
//! ends, browsers read a comment in it as part of an attribute, but this scanner removes the comment.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};

use crate::html::tag_length;

/// The maximum number of passes over a Markdown text in which its code is protected.
const MAX_MARKDOWN_PASSES: usize = 3;

/// Removes comments from HTML or Markdown, and white space at the beginning of the text.
///
/// In HTML, removes everything that browsers treat as a comment, also `<!…>`, `<?…>` and `</ …>`. In Markdown, also
/// removes link definitions that serve as comments: `[//]: # (comment)`. Comments in the code of Markdown stay, because
/// learners see them.
pub(crate) fn without_comments(text: &str, is_markdown: bool) -> String {
    let mut text = text.trim_start().to_owned();
    // After comments are removed, Markdown can have other code than before. If the text still changes after the last
    // pass, it is read as HTML, in which code does not protect a comment.
    for is_markdown in std::iter::repeat_n(is_markdown, MAX_MARKDOWN_PASSES).chain([false]) {
        let without = remove_once(&text, is_markdown).trim_start().to_owned();
        if without == text {
            break;
        }
        text = without;
    }
    text
}

fn remove_once(text: &str, is_markdown: bool) -> String {
    let code = if is_markdown { code_ranges(text) } else { Vec::new() };
    let mut code = code.into_iter().peekable();
    let signs: &[char] = if is_markdown { &['<', '['] } else { &['<'] };
    let mut without = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        // Skip ranges of code that begin inside a comment or a tag that was just read.
        while code.next_if(|range| range.start < at).is_some() {}
        let next_code = code.peek().map_or(text.len(), |range| range.start);
        let next = text[at..next_code].find(signs).map_or(next_code, |found| at + found);
        without.push_str(&text[at..next]);
        at = next;
        let rest = &text[at..];
        if at == next_code {
            let end = code.next().map_or(at, |range| range.end);
            without.push_str(&text[at..end]);
            at = end;
        } else if let Some(length) = link_comment_length(text, at) {
            at += length;
        } else if let Some(length) = comment_length(rest) {
            // After the comment is removed, a `<` before it must not begin a tag.
            if without.ends_with('<') {
                without.pop();
                without.push_str("&lt;");
            }
            at += length;
        } else {
            // Markdown can read a tag as text if the tag has a `<` in it or has several lines. So do not skip such a
            // tag as a whole.
            let is_sure = |length: &usize| !is_markdown || !rest[1..*length].contains(['\n', '<']);
            let length = tag_length(rest).filter(is_sure).unwrap_or(1);
            without.push_str(&rest[..length]);
            at += length;
        }
    }
    without
}

/// Returns the length in bytes of the comment at the beginning of HTML, or `None` if the HTML does not begin with a
/// comment. A comment that does not end reaches to the end of the text.
fn comment_length(html: &str) -> Option<usize> {
    if let Some(inside) = html.strip_prefix("<!--") {
        // `<!-->` and `<!--->` are whole comments.
        for end in [">", "->"] {
            if inside.starts_with(end) {
                return Some(4 + end.len());
            }
        }
        let mut ends = inside.match_indices('>').map(|(at, _)| at);
        let end = ends.find(|at| inside[..*at].ends_with("--") || inside[..*at].ends_with("--!"));
        return Some(end.map_or(html.len(), |end| 4 + end + 1));
    }
    let is_end_without_name = html
        .strip_prefix("</")
        .is_some_and(|rest| rest.starts_with(|char: char| !char.is_ascii_alphabetic()));
    let is_comment = html.starts_with("<!") || html.starts_with("<?") || is_end_without_name;
    is_comment.then(|| html.find('>').map_or(html.len(), |end| end + 1))
}

/// Returns the ranges of code in Markdown, in order: spans, and blocks with both fences.
///
/// A block whose fence never closes does not count, and neither does indented text: usually, they are a mistake of the
/// author and not code.
fn code_ranges(markdown: &str) -> Vec<Range<usize>> {
    let events = Parser::new(markdown).into_offset_iter();
    let code = events.filter(|(event, range)| match event {
        Event::Code(_) => true,
        Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => is_closed(&markdown[range.clone()]),
        _ => false,
    });
    code.map(|(_, range)| range).collect()
}

/// Returns whether a fenced block of code ends with a closing fence. A block without a closing fence ends where the
/// text around the block ends.
fn is_closed(block: &str) -> bool {
    let block = block.trim();
    let Some(mark) = block.chars().next() else { return false };
    let opening = block.len() - block.trim_start_matches(mark).len();
    let Some((_, last)) = block.rsplit_once('\n') else { return false };
    let closing = last.trim_matches(['>', ' ', '\t']);
    closing.len() >= opening && closing.chars().all(|char| char == mark)
}

/// Returns the length in bytes of the link definition at `at`, if it serves as a comment: `[//]: # (comment)`. Its
/// title can be on the lines below. Returns `None` for any other text.
///
/// pulldown-cmark cannot be used here, because it reports only the first of several definitions with the same label.
fn link_comment_length(text: &str, at: usize) -> Option<usize> {
    let (above, definition) = text.split_at(at);
    let begins =
        |label: &str| definition.get(..label.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(label));
    let before = above.trim_end_matches(is_list_mark);
    let is_at_line_start = before.is_empty() || before.ends_with('\n');
    if !is_at_line_start || !["[//]:", "[comment]:"].iter().any(|label| begins(label)) {
        return None;
    }
    let (mut length, mut is_in_title) = (0, false);
    for line in definition.split_inclusive('\n') {
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

/// Returns whether a character can be before the text of a list item or a quotation.
fn is_list_mark(char: char) -> bool {
    matches!(char, '-' | '+' | '*' | '>' | '.' | ')' | ' ' | '\t') || char.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn comments_are_removed_from_html() {
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
            // The `<` before the comment stays text.
            ("<<!-- a -->!-- THERE -->", "&lt;!-- THERE -->"),
            ("<<!-- a --><!-- b -->b>", "&lt;b>"),
        ] {
            assert_eq!(without_comments(html, false), without, "{html}");
        }
    }

    #[test]
    fn comments_are_removed_from_markdown_except_in_code() {
        for markdown in [
            "a `<!-- y -->` c",
            "```html\n<!-- ` -->\n```",
            "~~~\n<!-- ` -->\n ~~~~ \nb",
            "a ``<!-- ` -->`` b",
            "[a]: # (b)\n[/]: # (b)",
            "````\n```\n<!-- x -->\n````",
            // An earlier scanner took the code in the next texts for normal text, and removed the comments.
            "a `code\nover <!-- y --> lines` b",
            "a \\` b `<!-- y -->` c",
            "- a\n\n  ```\n  <!-- y -->\n  ```",
            "> ```\n> <!-- y -->\n> ```",
            "1. `<!-- y -->`",
            "a\n\n   ```\n   <!-- y -->\n   ```",
            "<b>x</b> `<!-- y -->`",
            "<div>\n\n`<!-- y -->`\n\n</div>",
            "```\n[//]: # (y)\n```",
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
            ("[//]: # (KEY)\n[//]: # (KEY)\nb", "b"),
            ("    <!-- KEY -->\na", "a"),
            ("a\n\n    <!-- KEY -->", "a\n\n    "),
            ("> ```\n> <!-- KEY -->\n\nb", "> ```\n> \n\nb"),
            ("`a <!-- KEY -->\n\nb`", "`a \n\nb`"),
            ("```a`b\n<!-- KEY -->\n```", "```a`b\n\n```"),
            ("<pre>a</pre>\n\n[//]: # (KEY)", "<pre>a</pre>\n\n"),
            ("<b ` x=\"<!-- KEY -->\">", "<b ` x=\"\">"),
            ("x <a b='`'> ` <!-- y --> ` <!-- KEY --> `", "x <a b='`'> ` <!-- y --> `  `"),
        ] {
            assert_eq!(without_comments(markdown, true), without, "{markdown}");
        }
    }

    #[test]
    fn no_text_takes_long_to_clean() {
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
