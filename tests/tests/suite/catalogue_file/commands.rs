//! `jishu catalogue`, as an operator runs it.

use crate::command_line::{fail, jishu, succeed};

const FILE: &str = "\
courses:
  - code: neet
    name: NEET
    currency: INR
    bundlePrice: 1499.00
    subjects:
      - { code: physics, name: Physics, listPrice: 599.00 }
";

#[test]
fn a_new_operator_applies_a_file_and_exports_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("c.yaml"), text).unwrap();
    let run = |arguments: &[&str]| succeed(jishu(folder.path(), arguments));
    write(FILE);
    let made = run(&["catalogue", "apply", "c.yaml"]);
    assert!(made.starts_with("new: course neet\n    bundlePrice: 1499.00\n"), "{made}");
    assert!(
        made.contains("new: subject neet/physics\n")
            && made.ends_with("2 new, 0 changed, 0 archived, 0 restored\n")
    );
    assert_eq!(run(&["catalogue", "apply", "c.yaml"]), "nothing to change\n");

    write(&FILE.replace("599.00", "549.00").replace("    bundlePrice: 1499.00\n", ""));
    let expected = "changed: course neet\n    bundlePrice: 1499.00 -> none\nchanged: subject neet/physics\n    \
                    listPrice: 599.00 -> 549.00\n";
    let dry = run(&["catalogue", "apply", "c.yaml", "--dry-run"]);
    assert_eq!(
        dry,
        format!("{expected}Dry run, nothing was written: 0 new, 2 changed, 0 archived, 0 restored\n")
    );
    let done = run(&["catalogue", "apply", "c.yaml"]);
    assert_eq!(done, format!("{expected}0 new, 2 changed, 0 archived, 0 restored\n"));

    let exported = run(&["catalogue", "export"]);
    assert!(exported.contains("listPrice: \"549.00\"") && !exported.contains("bundlePrice"), "{exported}");
    run(&["catalogue", "export", "--output", "e.yaml"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("e.yaml")).unwrap(), exported);
    assert_eq!(run(&["catalogue", "apply", "e.yaml", "--archive-missing"]), "nothing to change\n");

    write("courses: []\n");
    let listed = run(&["catalogue", "apply", "c.yaml"]);
    assert!(
        listed.contains("not in the file: course neet") && listed.contains("--archive-missing"),
        "{listed}"
    );
    let archived = run(&["catalogue", "apply", "c.yaml", "--archive-missing"]);
    assert!(archived.contains("archived: course neet\n    archived: false -> true\n"), "{archived}");
    // `jishu check` finds no problem in the rows that the file made.
    run(&["check"]);

    write(&FILE.replace("599.00", "599.001").replace("INR", "USD"));
    let refused = fail(jishu(folder.path(), &["catalogue", "apply", "c.yaml"]));
    assert!(
        refused.contains("c.yaml:4: course neet, currency: The currency of a course never changes"),
        "{refused}"
    );
    assert!(
        refused.contains(
            "c.yaml:7: subject neet/physics, listPrice: A price in INR has at most 2 decimal places"
        )
    );
    assert!(refused.contains("nothing was changed"));
    write("courses:\n  - code: neet\n    price: 1\n");
    let refused = fail(jishu(folder.path(), &["catalogue", "apply", "c.yaml"]));
    assert!(
        refused.contains("c.yaml:3: unknown field `price`") && refused.contains("Nothing was changed"),
        "{refused}"
    );
    let refused = fail(jishu(folder.path(), &["catalogue", "apply", "none.yaml"]));
    assert!(refused.contains("cannot read none.yaml"), "{refused}");
}
