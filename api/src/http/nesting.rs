//! How deeply a document's brackets nest, found without parsing it.
//!
//! The engine's parser descends once for each bracket, before any of its limits counts: 400 nested lists, 0.8 KB,
//! overflowed the stack and ended the process.

/// The deepest that brackets may nest. Introspection by GraphiQL goes to 15.
pub(super) const DEEPEST_NESTING: usize = 64;

/// Whether brackets nest deeper than [`DEEPEST_NESTING`], strings and comments left out.
pub(super) fn nests_too_deep(document: &str) -> bool {
    let mut rest = document.as_bytes();
    let mut depth = 0_usize;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'{' | b'[' | b'(' => {
                depth += 1;
                if depth > DEEPEST_NESTING {
                    return true;
                }
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'#' => rest = after(tail, |text| text.starts_with(b"\n") || text.starts_with(b"\r")),
            b'"' if tail.starts_with(b"\"\"") => rest = after_block_string(&tail[2..]),
            b'"' => rest = after_string(tail),
            _ => {}
        }
    }
    false
}

/// What follows the first place where `ends` holds; nothing if there is none.
fn after(mut text: &[u8], ends: impl Fn(&[u8]) -> bool) -> &[u8] {
    while !text.is_empty() && !ends(text) {
        text = &text[1..];
    }
    text
}

/// A string ends at a quote or, in error, with its line.
fn after_string(mut text: &[u8]) -> &[u8] {
    loop {
        match text {
            [b'\\', _, tail @ ..] => text = tail,
            [b'"' | b'\n' | b'\r', tail @ ..] => return tail,
            [_, tail @ ..] => text = tail,
            [] => return text,
        }
    }
}

fn after_block_string(mut text: &[u8]) -> &[u8] {
    loop {
        if let Some(tail) = text.strip_prefix(b"\\\"\"\"") {
            text = tail;
        } else if let Some(tail) = text.strip_prefix(b"\"\"\"") {
            return tail;
        } else if let [_, tail @ ..] = text {
            text = tail;
        } else {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_and_not_brackets() {
        assert!(!nests_too_deep(&"{a}".repeat(1_000)));
        assert!(!nests_too_deep(&format!("{}{}", "{".repeat(64), "}".repeat(64))));
        for open in ["{", "[", "(", "{[("] {
            assert!(nests_too_deep(&open.repeat(65)));
        }
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let many = "[".repeat(100);
        for document in [
            format!("{{ a(b: \"{many}\") }}"),
            format!("{{ a(b: \"\\\"{many}\") }}"),
            format!("{{ a(b: \"\"\"\n{many} \\\"\"\" {many}\"\"\") }}"),
            format!("# {many}\n{{ a }}"),
        ] {
            assert!(!nests_too_deep(&document), "{document}");
        }
        // What looks like the end of a string is followed.
        assert!(nests_too_deep(&format!("\"\" {many}")));
        assert!(nests_too_deep(&format!("\"\"\" \"\"\" {many}")));
        assert!(nests_too_deep(&format!("\"open\n {many}")));
        assert!(nests_too_deep(&format!("# comment\r {many}")));
    }
}
