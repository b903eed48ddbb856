use super::*;
use crate::draft::{DraftDifficulty, DraftQuestion};
use crate::picture::{MAX_PICTURE_BYTES, hash_of_picture, picture_hashes};
use crate::round_trip::complete;
use crate::{Format, read, read_with, write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Returns bytes that begin like a PNG file and have `content` after the header.
fn png(content: &str) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", content.as_bytes()].concat()
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn data(bytes: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64(bytes))
}

/// Returns the address by which a text names a picture.
fn address(bytes: &[u8]) -> String {
    picture_address(&hash_of_picture(bytes))
}

fn moodle(stem: &str, answers: &[(u8, &str)], rest: &str) -> String {
    let answers: String = answers
        .iter()
        .map(|(fraction, text)| format!("<answer fraction=\"{fraction}\" format=\"html\">{text}</answer>"))
        .collect();
    format!(
        "<quiz><question type=\"multichoice\"><questiontext format=\"html\">{stem}</questiontext>\
         <single>true</single>{answers}{rest}</question></quiz>"
    )
}

fn only(format: Format, text: &str) -> ParsedQuestion {
    let mut parsed = read(format, text).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(parsed.refused, [], "{text}");
    parsed.questions.remove(0)
}

fn refused(format: Format, text: &str) -> String {
    let parsed = read(format, text).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(parsed.questions.len(), 0, "{text}");
    parsed.refused[0].reason.clone()
}

fn options(question: &ParsedQuestion) -> Vec<&str> {
    question.answer.options().iter().map(|option| option.text.as_str()).collect()
}

#[test]
fn the_files_of_moodle_are_kept() {
    let (a, b, c) = (png("a"), png("b"), png("c"));
    let file = |name: &str, bytes: &[u8]| {
        format!("<file name=\"{name}\" path=\"/\" encoding=\"base64\">\n{}</file>", base64(bytes))
    };
    let img = |name: &str| format!("<![CDATA[<img src=\"@@PLUGINFILE@@/{name}\" alt=\"\">]]>");
    // Three parts have different files of the same name, and one name has escapes.
    let text = moodle(
        &format!("<text>Which? {}</text>{}", img("right%20key.png?time=1"), file("right key.png", &a)),
        &[
            (100, &format!("<text>{}</text>{}", img("image.png"), file("image.png", &b))),
            (0, &format!("<text>{}</text>{}", img("image.png"), file("image.png", &c))),
        ],
        &format!(
            "<generalfeedback><text>{}</text>{}</generalfeedback>",
            img("image.png"),
            file("image.png", &a)
        ),
    );
    let found = only(Format::MoodleXml, &text);
    assert_eq!(found.losses, [""; 0]);
    assert_eq!(found.stem, format!("Which? <img src=\"{}\" alt=\"\">", address(&a)));
    assert_eq!(options(&found), [&b, &c].map(|bytes| format!("<img src=\"{}\" alt=\"\">", address(bytes))));
    assert_eq!(found.explanation, Some(format!("<img src=\"{}\" alt=\"\">", address(&a))));
    assert_eq!(found.pictures.iter().map(|kept| &*kept.bytes).collect::<Vec<_>>(), [&a, &b, &c]);
    assert!(!format!("{found:?}").contains("right"));
}

#[test]
fn the_picture_of_an_old_moodle_stands_below_the_text() {
    let a = png("a");
    let old = |name: &str, content: &str| {
        let rest = format!("<image>{name}</image><image_base64>{content}</image_base64>");
        moodle("<text>Which lamp?</text>", &[(100, "<text>L1</text>"), (0, "<text>L2</text>")], &rest)
    };
    let found = only(Format::MoodleXml, &old("circuit.png", &base64(&a)));
    assert_eq!(found.stem, format!("Which lamp?<p><img src=\"{}\" alt=\"\"/></p>", address(&a)));
    assert_eq!((found.losses.len(), found.pictures.len()), (0, 1));
    let plain = old("circuit.png", &base64(&a)).replace("format=\"html\"", "format=\"plain_text\"");
    let found = only(Format::MoodleXml, &plain.replace("lamp?", "lamp &lt; 3?"));
    assert!(found.stem.starts_with("Which lamp &lt; 3?<p><img"), "{}", found.stem);
    assert_eq!(found.text_format, DraftTextFormat::Html);
    let found = only(Format::MoodleXml, &old("circuit.png", ""));
    assert!(
        found.losses[0].starts_with("The file \"circuit.png\" is left out: the file of questions does not")
    );
    // If the stem shows nothing but a file that is not kept, the picture below the stem is enough.
    let found =
        only(Format::MoodleXml, &old("a.png", &base64(&a)).replace("Which lamp?", "&lt;img src=\"x.png\">"));
    assert_eq!((found.losses.len(), found.pictures.len()), (1, 1));
}

#[test]
fn addresses_with_content_are_kept_in_each_format() {
    let (a, b) = (png("a"), png("b"));
    let escaped = |bytes: &[u8]| data(bytes).replace(':', "\\:").replace('=', "\\=");
    for (format, text) in [
        (
            Format::Gift,
            format!("[html]Which? <img src\\=\"{}\"> {{=<img src\\=\"{}\"> ~x}}", escaped(&a), escaped(&b)),
        ),
        (Format::Gift, format!("[markdown]Which? ![]({}) {{=![b]({} \"b\") ~x}}", escaped(&a), escaped(&b))),
        (
            Format::MoodleXml,
            moodle(
                &format!("<text>Which? &lt;img src=\"{}\"></text>", data(&a)),
                &[(100, &format!("<text>&lt;img src='{}'></text>", data(&b))), (0, "<text>x</text>")],
                "",
            ),
        ),
    ] {
        let found = only(format, &text);
        assert_eq!(found.losses, [""; 0], "{text}");
        assert!(found.stem.contains(&address(&a)) && !found.stem.contains("data:"), "{}", found.stem);
        assert!(options(&found)[0].contains(&address(&b)), "{found:?}");
        assert_eq!(found.pictures.len(), 2);
    }
    // A picture is stored once, even if one address encodes it as base64 and another with percent signs.
    let percent: String = a.iter().map(|byte| format!("%{byte:02x}")).collect();
    let text = format!("[html]<img src='{}'> <img src=\"data:image/png,{percent}\"> {{=a ~b}}", data(&a));
    let text = text.replace(':', "\\:").replace("='", "\\='").replace("=\"", "\\=\"").replace("=d", "\\=d");
    let found = only(Format::Gift, &text.replace("iVBORw0KGgoAAAANSUhEUmE=", "iVBORw0KGgoAAAANSUhEUmE\\="));
    assert_eq!((found.pictures.len(), picture_hashes(&found.stem).count()), (1, 2), "{found:?}");
}

#[test]
fn what_is_not_kept_is_told_with_its_name_and_the_reason() {
    let large = png(&"x".repeat(MAX_PICTURE_BYTES));
    let html = b"<!DOCTYPE html><html><script>alert(1)</script></html>";
    let svg =
        b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let mp3 = b"ID3\x03\0\0\0\0\0\0\0\0\0\0";
    for (content, reason) in [
        (base64(html), "not a PNG, JPEG, GIF, WebP or AVIF picture, but text/html"),
        (base64(svg), "SVG"),
        (base64(mp3), "audio or video"),
        (base64(b"%PDF-1.7"), "application/pdf"),
        (base64(&[0, 0, 0]), "not a PNG"),
        ("%%%".to_owned(), "damaged"),
        (String::new(), "damaged"),
        (base64(&large), "more than 1 MiB"),
        ("A".repeat(2 * MAX_PICTURE_BYTES), "more than 1 MiB"),
    ] {
        let stem = format!(
            "<text>Which? &lt;img src=\"@@PLUGINFILE@@/key-is-B.png\"></text>\
             <file name=\"key-is-B.png\" encoding=\"base64\">{content}</file>"
        );
        let found =
            only(Format::MoodleXml, &moodle(&stem, &[(100, "<text>a</text>"), (0, "<text>b</text>")], ""));
        assert_eq!(found.pictures, [], "{reason}");
        let [loss] = &found.losses[..] else { panic!("{reason}: {:?}", found.losses) };
        assert!(
            loss.starts_with("The file \"key-is-B.png\" is left out: ") && loss.contains(reason),
            "{loss}"
        );
        // The address is replaced, because the name of the file could reveal the key.
        assert_eq!(found.stem, "Which? <img src=\"data:,\">");
    }
    let text = format!(
        "[html]Which? <img src\\=\"data\\:image/svg+xml;base64,{}\"> {{=a ~b}}",
        base64(svg).replace('=', "\\=")
    );
    let found = only(Format::Gift, &text);
    assert_eq!(found.stem, "Which? <img src=\"data:,\">");
    assert!(found.losses[0].starts_with("The file \"data:image/svg+xml;base64\" is left out: it is an SVG"));
    // Five pictures of one megabyte each are too much for one question.
    let many: String = (0..5)
        .map(|at| {
            format!(
                "<img src\\=\"{}\">",
                data(&png(&format!("{at}{}", "x".repeat(1_000_000)))).replace(':', "\\:").replace('=', "\\=")
            )
        })
        .collect();
    let found = only(Format::Gift, &format!("[html]Which? {many} {{=a ~b}}"));
    assert_eq!((found.pictures.len(), found.losses.len()), (4, 1));
    assert!(
        found.losses[0].contains("the pictures of the question have more than 4 MiB"),
        "{:?}",
        found.losses
    );
}

#[test]
fn a_question_with_nothing_but_a_dead_picture_is_refused() {
    let dead = "<text>&lt;p>&lt;img src=\"@@PLUGINFILE@@/g.png\" alt=\"graph\">&lt;/p></text>\
                <file name=\"g.png\" encoding=\"base64\">AAAA</file>";
    let live = "<text>a</text>";
    let reason = refused(Format::MoodleXml, &moodle("<text>Which?</text>", &[(100, live), (0, dead)], ""));
    assert!(
        reason.starts_with("Option B shows only a file that is not kept. The file \"g.png\" is left out"),
        "{reason}"
    );
    let reason = refused(Format::MoodleXml, &moodle(dead, &[(100, live), (0, "<text>b</text>")], ""));
    assert!(reason.starts_with("Its text shows only a file"), "{reason}");
    for text in [
        "[html]<img src\\=\"a.png\"> {=a ~b}",
        "[markdown]![what](a.png) {=a ~b}",
        "[html]Which? {=a ~<img src\\=\"a.png\">}",
        "[html]<img src\\=\"http\\://m.example/pluginfile.php/1/a.png\"> {=a ~b}",
    ] {
        assert!(refused(Format::Gift, text).contains("shows only a file"), "{text}");
    }
    // Learners do not need the explanation to answer, so the question is kept.
    let found = only(Format::Gift, "[html]Which? {=a ~b ####<img src\\=\"a.png\">}");
    assert_eq!(found.losses.len(), 1);
}

#[test]
fn a_text_from_outside_names_no_picture_by_its_hash() {
    let text = format!("[html]Which? <img src\\=\"{}\"> {{=a ~b}}", address(b"x").replace(':', "\\:"));
    let found = only(Format::Gift, &text);
    assert_eq!((picture_hashes(&found.stem).count(), found.losses.len()), (0, 1), "{}", found.stem);
    // The application recognises the addresses of its own pictures.
    let hash = hash_of_picture(b"x");
    let known = |address: &str| (address == "/media/1").then(|| hash.clone());
    let text = "[html]Which? <img src\\=\"/media/1\"> {=<img src\\=\"/media/2\"> a ~b}";
    let found = read_with(Format::Gift, text, &known).expect("a text").questions.remove(0);
    assert_eq!(found.stem, format!("Which? <img src=\"picture:sha256-{hash}\">"));
    assert_eq!((found.pictures.len(), found.losses.len()), (0, 1));
}

#[test]
fn ids_do_not_depend_on_what_is_kept() {
    let ask = |content: &str| {
        let stem = format!(
            "<text>Read it. &lt;img src=\"@@PLUGINFILE@@/image.png\"></text><file name=\"image.png\" \
             path=\"/\" encoding=\"base64\">{content}</file>"
        );
        only(Format::MoodleXml, &moodle(&stem, &[(100, "<text>a</text>"), (0, "<text>b</text>")], ""))
    };
    // An older version of this crate derived this id, which must stay the same.
    assert_eq!(ask("AAAA").derived_id, "auto-3ace307e1536ffa66edbe0be3f8e7d81");
    let ids = [ask("AAAA"), ask("BBBB"), ask(&base64(&png("a"))), ask(&base64(&png("b")))]
        .map(|found| found.derived_id);
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id), "{ids:?}");
    }
}

#[test]
fn a_question_with_pictures_comes_back_from_each_format() {
    let (a, b) = (png("a"), png("b"));
    let escaped = |bytes: &[u8]| data(bytes).replace(':', "\\:").replace('=', "\\=");
    for text in [
        format!(
            "// [id:q]\n[html]<p>Which?</p><img src\\=\"{}\"/> {{=<img src\\=\"{}\"/> ~x #### See <img src\\=\"{}\"/>}}",
            escaped(&a),
            escaped(&b),
            escaped(&a)
        ),
        format!("// [id:q]\n[markdown]Which? ![]({}) {{=![b]({} \"b\") ~x}}", escaped(&a), escaped(&b)),
    ] {
        let question = complete(only(Format::Gift, &text));
        let question =
            DraftQuestion { line: 0, topic: "T".to_owned(), difficulty: DraftDifficulty::Hard, ..question };
        assert_eq!(question.pictures.len(), 2);
        for format in [Format::Gift, Format::MoodleXml, Format::Qti] {
            let written = write(format, std::slice::from_ref(&question));
            assert_eq!(written.losses, [], "{format:?}");
            assert!(!written.text.contains("picture:"), "{}", written.text);
            let again = complete(only(format, &written.text));
            assert_eq!(DraftQuestion { line: 0, ..again }, question, "{}", written.text);
        }
        let aiken = write(Format::Aiken, std::slice::from_ref(&question));
        assert_eq!((aiken.text.as_str(), aiken.losses.len()), ("", 1));
    }
}
