//! Folders inside a crate depend on each other in one direction. The crates enforce the other rules: `jishu-service`
//! does not depend on async-graphql or axum, and `jishu-entity` depends on no crate of jishu. Also checks that no two
//! public types have the same name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders, each with the Rust paths that its files must not use.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("api/service/src/auth", &["sea_orm", "crate::database"]),
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

/// The folder of the modules of `jishu-service`.
const SERVICE: &str = "api/service/src";

/// Modules of `jishu-service` without rules of the business. They must use neither a module with rules nor `Services`.
/// Every module that this list does not name has rules.
const FOUNDATIONS: &[&str] = &[
    "auth",
    "bounded_map",
    "clock",
    "database",
    "digest",
    "error",
    "failpoint",
    "limit",
    "metrics",
    "security",
    "trace",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Finds the Rust file at a path, or all Rust files in the folder at the path. Finds nothing if there is neither.
fn sources(path: &Path, into: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("the folder can be read") {
            sources(&entry.expect("the file can be read").path(), into);
        }
    } else if path.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
        into.push(path.to_owned());
    }
}

/// Returns the places in files where the code uses one of these Rust paths. An import `crate::{…}` counts too, because
/// the check does not compare the names in its braces.
fn uses(files: &[PathBuf], forbidden: &[impl AsRef<str>]) -> Vec<String> {
    let is_below = |word: &str, path: &str| {
        word == path || word.starts_with(&format!("{}::", path.trim_end_matches("::")))
    };
    let is_forbidden =
        |word: &str| word == "crate::" || forbidden.iter().any(|path| is_below(word, path.as_ref()));
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).expect("UTF-8");
        let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        for (number, line) in code {
            let words =
                line.split(|character: char| !(character.is_alphanumeric() || "_:".contains(character)));
            for word in words.filter(|word| is_forbidden(word)) {
                found.push(format!("{} line {}: {word}", file.display(), number + 1));
            }
        }
    }
    found
}

#[test]
fn no_layer_names_one_above_it() {
    let mut wrong = Vec::new();
    for (folder, forbidden) in FORBIDDEN {
        let mut files = Vec::new();
        sources(&root().join(folder), &mut files);
        assert!(!files.is_empty(), "{folder} has no sources");
        wrong.extend(uses(&files, forbidden));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_foundation_of_the_service_uses_its_rules() {
    let service = root().join(SERVICE);
    let entries = fs::read_dir(&service).expect("the folder can be read");
    let mut modules: BTreeSet<String> = entries
        .map(|entry| entry.expect("the file can be read").path())
        .map(|path| path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned())
        .collect();
    assert!(modules.remove("lib"), "{SERVICE} has no lib.rs");
    for foundation in FOUNDATIONS {
        assert!(modules.remove(*foundation), "{SERVICE} has no module {foundation}");
    }
    let mut rules: Vec<String> = modules.iter().map(|module| format!("crate::{module}")).collect();
    rules.push("crate::Services".to_owned());
    let mut files = Vec::new();
    for foundation in FOUNDATIONS {
        sources(&service.join(foundation), &mut files);
        sources(&service.join(format!("{foundation}.rs")), &mut files);
    }
    let wrong = uses(&files, &rules);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The folders in which no two public types may have the same name.
const CRATES: &[&str] = &["api", "entity", "migration"];

/// Returns the name of the public type that a line defines, or `None`. A line of a macro such as `pub struct $name`
/// gives `None`.
fn public_type(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub ")?;
    let (kind, rest) = rest.split_once(' ')?;
    let name = rest.split(|character: char| !character.is_alphanumeric()).next()?;
    (["struct", "enum", "trait", "type", "union"].contains(&kind) && !name.is_empty()).then_some(name)
}

#[test]
fn no_two_public_types_have_one_name() {
    let root = root();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in CRATES {
        let mut files = Vec::new();
        sources(&root.join(folder), &mut files);
        for file in files {
            let path = file.strip_prefix(&root).expect("below the root").display().to_string();
            // Skips tests, benches and examples, because each of them is a program of its own.
            if ["/tests", "/benches/", "/examples/"].iter().any(|part| path.contains(part)) {
                continue;
            }
            let text = fs::read_to_string(&file).expect("UTF-8");
            for name in text.lines().filter_map(public_type) {
                places.entry(name.to_owned()).or_default().push(path.clone());
            }
        }
    }
    // SeaORM requires the name `Model` for the row type of each table.
    assert!(places.remove("Model").is_some_and(|rows| rows.len() > 40), "the entities were not read");
    places.retain(|_, files| files.len() > 1);
    assert!(places.is_empty(), "give each of these types a name of its own: {places:#?}");
}
