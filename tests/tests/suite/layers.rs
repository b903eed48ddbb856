//! Folders inside a crate depend on each other in one direction. The crates enforce the other rules: `jishu-service` does
//! not depend on async-graphql or axum, and `jishu-entity` depends on no crate of jishu.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders, each with the paths that its files may not use.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("api/service/src/database", RULES),
    ("api/service/src/auth", RULES),
    ("api/service/src/auth", &["sea_orm", "crate::database"]),
    ("api/service/src/limit", RULES),
    ("api/service/src/limit", &["sea_orm", "crate::database"]),
    (
        "api/src/graphql",
        &[
            "axum",
            "crate::http",
            "crate::server",
            "crate::cli",
            "crate::config",
            "EntityTrait",
            "ConnectionTrait",
        ],
    ),
    ("api/src/http", &["sea_orm::", "jishu_entity", "crate::server", "crate::cli"]),
];

/// The folders of `jishu-service` with the rules. The folders below them must not use these.
const RULES: &[&str] = &[
    "crate::account",
    "crate::adopt",
    "crate::card",
    "crate::cart",
    "crate::catalog",
    "crate::demo",
    "crate::entitlement",
    "crate::events",
    "crate::extra_time",
    "crate::integrity",
    "crate::paper",
    "crate::pricing",
    "crate::progress",
    "crate::purchase",
    "crate::question_bank",
    "crate::session",
    "crate::test_settings",
    "crate::Services",
];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the file can be read").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn no_layer_names_one_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut wrong = Vec::new();
    for (folder, forbidden) in FORBIDDEN {
        let mut files = Vec::new();
        sources(&root.join(folder), &mut files);
        assert!(!files.is_empty(), "{folder} has no sources");
        for file in files {
            let text = fs::read_to_string(&file).expect("UTF-8");
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for (number, line) in code.enumerate() {
                let words =
                    line.split(|character: char| !(character.is_alphanumeric() || "_:".contains(character)));
                for word in words {
                    if forbidden.iter().any(|name| {
                        word == *name || word.starts_with(&format!("{}::", name.trim_end_matches("::")))
                    }) {
                        wrong.push(format!("{} line {}: {word}", file.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The folders whose public types have names of their own.
const CRATES: &[&str] = &["api", "entity", "migration"];

/// Returns the name of the public type that a line defines. A macro has no name there, but a parameter.
fn public_type(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub ")?;
    let (kind, rest) = rest.split_once(' ')?;
    let name = rest.split(|character: char| !character.is_alphanumeric()).next()?;
    (["struct", "enum", "trait", "type", "union"].contains(&kind) && !name.is_empty()).then_some(name)
}

#[test]
fn no_two_public_types_have_one_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in CRATES {
        let mut files = Vec::new();
        sources(&root.join(folder), &mut files);
        for file in files {
            let path = file.strip_prefix(&root).expect("below the root").display().to_string();
            // Tests, benches and examples are programs of their own.
            if ["/tests", "/benches/", "/examples/"].iter().any(|part| path.contains(part)) {
                continue;
            }
            let text = fs::read_to_string(&file).expect("UTF-8");
            for name in text.lines().filter_map(public_type) {
                places.entry(name.to_owned()).or_default().push(path.clone());
            }
        }
    }
    // SeaORM gives the row of each table this name.
    assert!(places.remove("Model").is_some_and(|rows| rows.len() > 40), "the entities were not read");
    places.retain(|_, files| files.len() > 1);
    assert!(places.is_empty(), "give each of these types a name of its own: {places:#?}");
}
