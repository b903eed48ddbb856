//! Checks that the modules of this crate depend one way, without circles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The top-level modules. Each may use only the modules before it.
const ORDER: [&str; 13] = [
    "names", "sql", "error", "session", "inspect", "plan", "report", "runs", "merge", "progress", "execute",
    "apply", "undo",
];

/// Returns the code of each module, by its path such as `inspect::state`. Leaves out `lib.rs`, this file, tests and
/// comments.
fn modules() -> BTreeMap<String, String> {
    fn read(folder: &Path, prefix: &str, modules: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("the folder exists") {
            let path = entry.expect("the entry can be read").path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("the name is UTF-8").to_owned();
            let name = if prefix.is_empty() { stem.clone() } else { format!("{prefix}::{stem}") };
            if path.is_dir() {
                read(&path, &name, modules);
            } else if !["lib", "layers"].contains(&stem.as_str()) {
                let text = fs::read_to_string(&path).expect("the file is UTF-8");
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let name = if stem == "mod" { prefix.to_owned() } else { name };
                modules.insert(name, code.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    let mut modules = BTreeMap::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut modules);
    modules
}

/// Returns the paths that follow `prefix` in the code. Braces are expanded one level: `a::{b, c}` becomes `a::b` and
/// `a::c`.
fn paths(code: &str, prefix: &str) -> BTreeSet<String> {
    let is_path = |letter: char| letter.is_alphanumeric() || "_:".contains(letter);
    let mut found = BTreeSet::new();
    for (start, _) in code.match_indices(prefix) {
        let rest = &code[start + prefix.len()..];
        let path = rest.split(|letter| !is_path(letter)).next().unwrap_or_default();
        if let Some(list) = rest[path.len()..].strip_prefix('{') {
            let list = list.split('}').next().unwrap_or_default();
            found.extend(list.split(',').map(|name| format!("{path}{}", name.trim())));
        } else {
            found.insert(path.to_owned());
        }
    }
    found
}

/// Returns the modules that each module uses. A path such as `inspect::state::TableState` is a use of the deepest
/// module in it, here `inspect::state`.
fn uses(modules: &BTreeMap<String, String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let resolve = |path: &str| {
        let mut parts: Vec<&str> = path.split("::").collect();
        while !parts.is_empty() {
            if let Some((name, _)) = modules.get_key_value(&parts.join("::")) {
                return Some(name.as_str());
            }
            parts.pop();
        }
        None
    };
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, code) in modules {
        let parent = name.rsplit_once("::").map_or("", |(parent, _)| parent);
        let from_root = paths(code, "crate::");
        let from_parent = paths(code, "super::").into_iter().map(|path| format!("{parent}::{path}"));
        let mut used: BTreeSet<&str> =
            from_root.into_iter().chain(from_parent).filter_map(|path| resolve(&path)).collect();
        // The `mod.rs` of a folder counts as using all files in the folder.
        let prefix = format!("{name}::");
        used.extend(modules.keys().map(String::as_str).filter(|module| module.starts_with(&prefix)));
        uses.insert(name, used);
    }
    uses
}

fn top(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

#[test]
fn each_module_uses_only_modules_before_it() {
    let modules = modules();
    let position = |module: &str| ORDER.iter().position(|name| *name == top(module));
    let mut wrong = Vec::new();
    for (module, used) in uses(&modules) {
        assert!(position(module).is_some(), "`ORDER` lacks the module {module}: add it");
        let higher = used.into_iter().filter(|other| position(other) > position(module));
        wrong.extend(higher.map(|other| format!("{module} uses {other}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let modules = modules();
    let mut uses = uses(&modules);
    let count = |uses: &BTreeMap<&str, BTreeSet<&str>>| uses.values().map(BTreeSet::len).sum::<usize>();
    assert!(
        count(&uses) > modules.len(),
        "too few uses of modules were found, so the code was not read correctly"
    );
    // Remove the modules that use no remaining module, until only circles remain.
    while let Some(free) = uses.iter().find(|(_, used)| used.is_empty()).map(|(module, _)| *module) {
        uses.remove(free);
        for used in uses.values_mut() {
            used.remove(free);
        }
    }
    assert!(uses.is_empty(), "these modules are in a circle, or use a module of a circle: {uses:#?}");
}
