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
    // The package lies in a folder, and was packed on Windows.
    let package =
        pack(&[("p\\a.xml", &a), ("p\\b.xml", &b), ("p\\imsmanifest.xml", &manifest(&["b.xml", "a.xml"]))]);
    assert_eq!(ids(&package), ["b", "a"]);
    // Without a manifest, all items are read.
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
        refused[2].0 == 4 && refused[2].1.starts_with("In d.xml, line 1: The file is QTI 1.2"),
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
