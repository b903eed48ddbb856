//! Bundles the GraphiQL page, so that `http/graphiql.rs` can embed it.
//!
//! The environment variable `JISHU_GRAPHIQL` selects what happens:
//!
//! - unset: bundles the page with npm. If that fails, warns, and embeds the page that loads GraphiQL from a CDN.
//! - `required`: bundles the page with npm. If that fails, the build fails.
//! - `cdn`: embeds the page that loads GraphiQL from a CDN.

#![expect(clippy::expect_used, reason = "a build script that fails can only stop the build")]

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

/// The files and folders below `graphiql/` that the bundle is built from.
const INPUTS: [&str; 4] = ["package.json", "package-lock.json", "build.mjs", "src"];

/// The files that the fallback page loads from this server, with their content types.
const FALLBACK_ASSETS: [(&str, &str); 6] = [
    ("app.js", "text/javascript; charset=utf-8"),
    ("fallback.js", "text/javascript; charset=utf-8"),
    ("queries.js", "text/javascript; charset=utf-8"),
    ("session.js", "text/javascript; charset=utf-8"),
    ("staff-queries.js", "text/javascript; charset=utf-8"),
    ("page.css", "text/css; charset=utf-8"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=JISHU_GRAPHIQL");
    for input in INPUTS {
        println!("cargo::rerun-if-changed=graphiql/{input}");
    }

    let work = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("graphiql");
    copy_inputs(&work);

    let table = match env::var("JISHU_GRAPHIQL").unwrap_or_default().as_str() {
        "cdn" => fallback(&work),
        "required" => bundle(&work).unwrap_or_else(|cause| {
            fail(&format!("GraphiQL is not bundled, and JISHU_GRAPHIQL=required: {cause}"))
        }),
        "" => bundle(&work).unwrap_or_else(|cause| {
            println!(
                "cargo::warning=GraphiQL is not bundled, so its page will load it from cdn.jsdelivr.net: {cause}. \
                 Set JISHU_GRAPHIQL=cdn to accept this, or run `touch api/build.rs` and build again."
            );
            fallback(&work)
        }),
        other => fail(&format!("JISHU_GRAPHIQL is {other:?}. Set it to `cdn` or `required`, or unset it.")),
    };
    fs::write(work.join("assets.rs"), table).expect("the table of assets can be written to OUT_DIR");
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(1)
}

/// Copies the inputs to `work`, a folder below the target folder, because npm writes into the folder in which it runs.
fn copy_inputs(work: &Path) {
    if work.exists() {
        fs::remove_dir_all(work).expect("the folder of the last build can be removed");
    }
    fs::create_dir_all(work.join("src")).expect("a folder can be made in OUT_DIR");
    let source = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"))
        .join("graphiql");
    for input in INPUTS {
        let path = source.join(input);
        if path.is_dir() {
            for entry in fs::read_dir(&path).expect("the folder of sources can be read") {
                let entry = entry.expect("the folder of sources can be read");
                fs::copy(entry.path(), work.join(input).join(entry.file_name()))
                    .expect("a source can be copied to OUT_DIR");
            }
        } else {
            fs::copy(&path, work.join(input)).expect("a source can be copied to OUT_DIR");
        }
    }
}

/// Bundles the page with npm. Returns the table of its files, read from the manifest that `build.mjs` writes.
fn bundle(work: &Path) -> Result<String, String> {
    // No package needs its install script: npm installs esbuild's binary as a package.
    let install = ["ci", "--ignore-scripts", "--include=dev", "--prefer-offline", "--no-audit", "--no-fund"];
    npm(work, &[&install[..], &["--fetch-retries=1"]].concat())?;
    npm(work, &["run", "build"])?;
    // Removes the packages: they take 200 MB, and the next build installs them again.
    fs::remove_dir_all(work.join("node_modules")).map_err(|error| error.to_string())?;

    let manifest = fs::read_to_string(work.join("dist/manifest.tsv")).map_err(|error| error.to_string())?;
    let mut page = None;
    let mut assets = Vec::new();
    for line in manifest.lines() {
        let [name, content_type, sha256] =
            line.split('\t').collect::<Vec<_>>().try_into().map_err(|_| format!("manifest line {line:?}"))?;
        let asset = entry(name, content_type, sha256, &format!("dist/{name}.gz"));
        if name == "index.html" {
            page = Some(asset);
        } else {
            assets.push(asset);
        }
    }
    Ok(render(true, &page.ok_or("the manifest lists no page")?, &assets))
}

/// Runs npm in `work`. If it fails, the error has the first lines of its output.
fn npm(work: &Path, arguments: &[&str]) -> Result<(), String> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output = Command::new(program)
        .args(arguments)
        .current_dir(work)
        .output()
        .map_err(|error| format!("{program} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = complaint.lines().filter(|line| !line.starts_with("npm warn")).take(3).collect();
    Err(format!("npm {} failed: {}", arguments[0], lines.join(" / ")))
}

/// Returns the table of files of the page that loads GraphiQL from a CDN.
fn fallback(work: &Path) -> String {
    let asset = |name: &str, content_type: &str| {
        let file = format!("src/{name}");
        let mut hasher = DefaultHasher::new();
        fs::read(work.join(&file)).expect("the copied sources have the file").hash(&mut hasher);
        entry(name, content_type, &format!("{:016x}", hasher.finish()), &file)
    };
    let assets: Vec<_> =
        FALLBACK_ASSETS.iter().map(|(name, content_type)| asset(name, content_type)).collect();
    render(false, &asset("fallback.html", "text/html; charset=utf-8"), &assets)
}

/// Returns the Rust expression for one file of the page.
fn entry(name: &str, content_type: &str, hash: &str, file: &str) -> String {
    // A weak tag, because the compressed file and the plain file share it.
    let etag = format!("W/\"{hash}\"");
    format!(
        "Asset::new({name:?}, {content_type:?}, {etag:?}, \
         include_bytes!(concat!(env!(\"OUT_DIR\"), \"/graphiql/{file}\")))"
    )
}

/// Returns the Rust source that `http/graphiql.rs` includes.
fn render(self_hosted: bool, page: &str, assets: &[String]) -> String {
    let mut table = String::new();
    writeln!(table, "const SELF_HOSTED: bool = {self_hosted};").expect("a String takes any text");
    writeln!(table, "static PAGE: Asset = {page};").expect("a String takes any text");
    writeln!(table, "static ASSETS: [Asset; {}] = [", assets.len()).expect("a String takes any text");
    for asset in assets {
        writeln!(table, "    {asset},").expect("a String takes any text");
    }
    table.push_str("];\n");
    table
}
