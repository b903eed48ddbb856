use std::io::Write;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

fn pack(files: &[(&str, &str)]) -> Vec<u8> {
    pack_as(CompressionMethod::Deflated, files)
}

fn pack_as(method: CompressionMethod, files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).expect("a file");
        writer.write_all(text.as_bytes()).expect("written");
    }
    writer.finish().expect("an archive").into_inner()
}

fn item(id: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\r\n<assessmentItem xmlns=\"http://www.imsglobal.org/xsd/imsqti_v2p1\" identifier=\"{id}\" \
         title=\"{id}\" adaptive=\"false\" timeDependent=\"false\"><responseDeclaration identifier=\"RESPONSE\" \
         cardinality=\"single\" baseType=\"identifier\"><correctResponse><value>A</value></correctResponse>\
         </responseDeclaration><itemBody><p>Which, {id}?</p><choiceInteraction responseIdentifier=\"RESPONSE\" \
         shuffle=\"true\" maxChoices=\"1\"><simpleChoice identifier=\"A\">yes</simpleChoice><simpleChoice \
         identifier=\"B\">no</simpleChoice></choiceInteraction></itemBody><responseProcessing \
         template=\"http://www.imsglobal.org/question/qti_v2p1/rptemplates/match_correct\"/></assessmentItem>"
    )
}

fn manifest(hrefs: &[&str]) -> String {
    let resource = |href: &&str| {
        format!(
            "<resource identifier=\"r\" type=\"imsqti_item_xmlv2p1\" href=\"{href}\"><file href=\"{href}\"/></resource>"
        )
    };
    let resources: String = hrefs.iter().map(resource).collect();
    format!(
        "<manifest xmlns=\"http://www.imsglobal.org/xsd/imscp_v1p1\"><resources>{resources}</resources></manifest>"
    )
}

fn ids(bytes: &[u8]) -> Vec<String> {
    let parsed = read_package(bytes).expect("a package");
    assert_eq!(parsed.refused, []);
    parsed.questions.into_iter().filter_map(|found| found.external_id).collect()
}

#[test]
fn items_are_read_in_the_order_of_the_manifest() {
    let (a, b, c) = (item("a"), item("b"), item("c"));
    let named = manifest(&["items/b%20b.xml", "items/A.XML", "test.xml", "none.xml"]);
    let test = "<assessmentTest xmlns=\"http://www.imsglobal.org/xsd/imsqti_v2p1\"/>";
    let package = pack(&[
        ("imsmanifest.xml", &named),
        ("test.xml", test),
        ("items/a.xml", &a),
        ("items/b b.xml", &b),
        ("c.xml", &c),
        ("style.css", "p {}"),
        ("meta.xml", "<lom/>"),
        (
            "quiz/assessment_meta.xml",
            "<quiz xmlns=\"http://canvas.instructure.com/xsd/cccv1p0\"><title>x</title></quiz>",
        ),
        ("__MACOSX/items/._a.xml", "\0"),
    ]);
    assert!(crate::is_package(&package));
    assert_eq!(ids(&package), ["b", "a", "c"]);
    // The items are in a folder of the package. The names of the files have backslashes, as on Windows.
    let package =
        pack(&[("p\\a.xml", &a), ("p\\b.xml", &b), ("p\\imsmanifest.xml", &manifest(&["b.xml", "a.xml"]))]);
    assert_eq!(ids(&package), ["b", "a"]);
    // Without a manifest that can be read, all items are read.
    assert_eq!(ids(&pack(&[("a.xml", &a), ("b.xml", &b)])), ["a", "b"]);
    assert_eq!(ids(&pack(&[("imsmanifest.xml", "<broken"), ("b.xml", &b)])), ["b"]);
}

#[test]
fn a_refusal_names_the_file() {
    let two = item("b").replace("<value>A</value>", "");
    let parsed = read_package(&pack(&[
        ("a.xml", &item("a")),
        ("b.xml", &two),
        ("c.xml", "<assessmentItem>\n<a></b>"),
        ("d.xml", "<questestinterop/>"),
    ]))
    .expect("a package");
    let refused: Vec<_> =
        parsed.refused.iter().map(|refused| (refused.line, refused.reason.as_str())).collect();
    assert_eq!((parsed.questions.len(), refused.len(), parsed.refused_count), (1, 3, 3));
    assert_eq!(
        refused[0],
        (2, "In b.xml, line 2: It has no correct response. Declare it in correctResponse.")
    );
    assert!(
        refused[1].0 == 3 && refused[1].1.starts_with("In c.xml, line 2: This is not well-formed"),
        "{refused:?}"
    );
    assert!(
        refused[2].0 == 4
            && refused[2].1.starts_with("In d.xml, line 1: The file is QTI 1.2 without an item"),
        "{refused:?}"
    );
    let bank =
        format!("<question-bank>{}</question-bank>", item("e") + "\n" + &item("f").replace(">A<", ">Z<"));
    let bank = bank.replace("<?xml version=\"1.0\"?>\r\n", "");
    let parsed = read_package(&pack(&[("a.xml", &item("a")), ("bank.xml", &bank)])).expect("a package");
    let lines: Vec<u32> = parsed.questions.iter().map(|found| found.line).collect();
    assert_eq!((lines.as_slice(), parsed.refused[0].line), (&[1, 2][..], 3));
}

#[test]
fn hostile_and_foreign_archives_are_refused() {
    let a = item("a");
    let bomb = format!("<assessmentItem>{}</assessmentItem>", " ".repeat(1_000_000));
    for (package, named) in [
        (pack(&[("a.xml", &a), ("../../etc/cron.d/x", "x")]), "leads out"),
        (pack(&[("a.xml", &a), ("..\\x.xml", "x")]), "leads out"),
        (pack(&[("a.xml", &a), ("C:\\x.xml", "x")]), "leads out"),
        (pack(&[("a.xml", &bomb)]), "200 times"),
        (pack(&[("word/document.xml", "<w/>"), ("[Content_Types].xml", "<Types/>")]), "Word"),
        (pack(&[("imsmanifest.xml", &manifest(&[])), ("test.xml", "<assessmentTest/>")]), "not its items"),
        (pack(&[("readme.txt", "x")]), "no items"),
        (b"PK\x03\x04".to_vec(), "damaged"),
    ] {
        let refused = read_package(&package).expect_err(named);
        assert!(refused.reason.contains(named), "{named}: {}", refused.reason);
    }
    let names: Vec<String> = (0..=MAX_FILES).map(|number| format!("{number}.xml")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert!(read_package(&pack(&many)).expect_err("many").reason.contains("more than"));
    // An archive that is cut or changed anywhere must not crash the reader.
    let whole = pack(&[("imsmanifest.xml", &manifest(&["a.xml"])), ("a.xml", &a)]);
    for at in 0..whole.len() {
        let _ = read_package(&whole[..at]);
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        let _ = read_package(&changed);
    }
}

#[test]
fn large_files_are_refused() {
    let large = "a".repeat(usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX) + 1);
    let package = pack_as(CompressionMethod::Stored, &[("a.xml", &item("a")), ("b.xml", &large)]);
    let parsed = read_package(&package).expect("a package");
    assert_eq!(parsed.questions.len(), 1);
    assert!(parsed.refused[0].reason.contains("8 MiB"), "{:?}", parsed.refused);
}

#[test]
fn a_refusal_of_too_many_bytes_names_all_files_that_were_read() {
    let packed = pack(&[("a.xml", &item("a"))]);
    let mut package = Package::open(&packed).expect("a package");
    package.bytes_left = 10;
    let refused = package.text(0).expect_err("too many bytes");
    assert!(refused.reason.contains("and the files that they show"), "{}", refused.reason);
}

#[test]
fn only_texts_that_can_be_read_are_visited() {
    let packed =
        pack_bytes(&[("a.xml", b"<a/>"), ("b.xml", b"<b>\xff</b>"), ("c.txt", b"c"), ("d.xml", b"<d/>")]);
    let mut visited = Vec::new();
    visit_package_texts(&packed, &mut |text| visited.push(text.to_owned()));
    assert_eq!(visited, ["<a/>", "<d/>"]);
}

fn png(content: &[u8]) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", content].concat()
}

/// Packs files whose content may be binary.
fn pack_bytes(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        writer.start_file(*name, options).expect("a file");
        writer.write_all(bytes).expect("written");
    }
    writer.finish().expect("an archive").into_inner()
}

#[test]
fn pictures_of_a_package_are_kept() {
    let (a, b) = (png(b"a"), png(b"b"));
    let shows = |address: &str| {
        item("a").replace("<p>Which, a?</p>", &format!("<p>Which? <img src=\"{address}\"/></p>"))
    };
    for (item_name, address, picture) in [
        ("items/a.xml", "../images/a%20b.png", "images/a b.png"),
        ("items/a.xml", "./Images/../images/A.PNG", "items/images/a.png"),
        ("a.xml", "images/a.png", "images\\a.png"),
    ] {
        let text = shows(address)
            .replace("yes<", "yes <object type=\"image/png\" data=\"b.png\"><p>the key</p></object><");
        let folder = item_name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let other = format!("{folder}b.png");
        let package = pack_bytes(&[(item_name, text.as_bytes()), (picture, &a), (&other, &b)]);
        let found = read_package(&package).expect("a package").questions.remove(0);
        assert_eq!((found.losses.len(), found.pictures.len()), (0, 2), "{address}: {:?}", found.losses);
        assert!(found.stem.contains(&crate::picture_address(&hash_of_picture(&a))), "{}", found.stem);
        let option = &found.answer.options()[0].text;
        let img = format!("<img src=\"{}\" alt=\"the key\"/>", crate::picture_address(&hash_of_picture(&b)));
        assert!(option.contains(&img), "{option}");
    }
    for (address, picture, bytes, named) in [
        ("../../a.png", "a.png", &a[..], "does not have it"),
        ("/a.png", "a.png", &a, "does not have it"),
        ("%2e%2e/a.png", "a.png", &a, "does not have it"),
        ("a.png", "b.png", &a, "does not have it"),
        ("a.png", "a.png", b"<html><script>", "not a PNG"),
        ("a.png", "a.png", b"<svg><script/></svg>", "SVG"),
    ] {
        let package = pack_bytes(&[("a.xml", shows(address).as_bytes()), (picture, bytes)]);
        let found = read_package(&package).expect("a package").questions.remove(0);
        assert!(found.losses.len() == 1 && found.losses[0].contains(named), "{address}: {:?}", found.losses);
        assert!(found.pictures.is_empty() && found.stem.contains("\"data:,\""), "{}", found.stem);
    }
    // If the picture of a question has other bytes, the question has another derived id.
    let id = |bytes: &[u8]| {
        let package = pack_bytes(&[("a.xml", shows("a.png").as_bytes()), ("a.png", bytes)]);
        read_package(&package).expect("a package").questions.remove(0).derived_id
    };
    assert_ne!(id(&a), id(&b));
}

#[test]
fn pictures_that_unpack_too_large_are_refused() {
    let shows = item("a").replace("<p>Which, a?</p>", "<p>Which? <img src=\"a.png\"/></p>");
    let bomb = png(&vec![0; 50_000_000]);
    let package = pack_bytes(&[("a.xml", shows.as_bytes()), ("a.png", &bomb)]);
    assert!(read_package(&package).expect_err("a bomb").reason.contains("200 times"));
    let noise: Vec<u8> =
        (0..2_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
    let package = pack_bytes(&[("a.xml", shows.as_bytes()), ("a.png", &png(&noise))]);
    let found = read_package(&package).expect("a package").questions.remove(0);
    assert!(found.losses[0].contains("more than 1 MiB"), "{:?}", found.losses);
}
