//! Dependencies point one way: server, http, graphql, service, entity.

use std::fs;
use std::path::{Path, PathBuf};

/// What the files of a folder must not name.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("entity/src", &["async_graphql", "axum", "jishu_api", "jishu_migration", "jishu_repair"]),
    ("migration/src", &["async_graphql", "axum", "jishu_api", "jishu_entity", "jishu_repair"]),
    ("migration/repair/src", &["async_graphql", "axum", "jishu_api", "jishu_entity", "jishu_migration"]),
    (
        "api/src/database",
        &[
            "async_graphql",
            "axum",
            "crate::service",
            "crate::graphql",
            "crate::http",
            "crate::server",
            "crate::cli",
        ],
    ),
    (
        "api/src/auth",
        &[
            "async_graphql",
            "axum",
            "sea_orm",
            "crate::service",
            "crate::graphql",
            "crate::http",
            "crate::server",
            "crate::cli",
        ],
    ),
    (
        "api/src/limit",
        &[
            "async_graphql",
            "axum",
            "sea_orm",
            "crate::service",
            "crate::graphql",
            "crate::http",
            "crate::server",
            "crate::cli",
            "crate::config",
        ],
    ),
    (
        "api/src/service",
        &[
            "async_graphql",
            "axum",
            "crate::graphql",
            "crate::http",
            "crate::server",
            "crate::cli",
            "crate::config",
        ],
    ),
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

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
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
        assert!(!files.is_empty(), "{folder} has sources");
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
