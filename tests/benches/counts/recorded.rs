//! Records counts in a file, and compares counts with the recorded ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Maximum share by which a count may differ from the recorded one.
const TOLERANCE: f64 = 0.05;

const HEADER: &str = "\
# Instructions per request, recorded by `UPDATE_INSTRUCTIONS=1 tests/benches/instructions`.
# A count that differs by more than 5 % fails the check. The counts depend on the version of the compiler and on the kind of
# processor, so record them anew after a new compiler, before the change that you want to judge.
";

/// The instructions per request by kind of request, and the compiler of the program.
pub(crate) struct Counts {
    compiler: String,
    counts: BTreeMap<String, u64>,
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/counts/instructions.txt")
}

impl Counts {
    /// Returns an empty set of counts, with the version of the installed compiler.
    pub(crate) fn of_this_compiler() -> Self {
        let version = Command::new("rustc").arg("--version").output().expect("rustc runs");
        let compiler = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        Self { compiler: format!("{compiler}, {}", std::env::consts::ARCH), counts: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, kind: &str, instructions: u64) {
        println!("{kind}: {instructions} instructions");
        self.counts.insert(kind.to_owned(), instructions);
    }

    /// Records the counts if `UPDATE_INSTRUCTIONS` is set. Then, in any case, compares the counts with the recorded
    /// counts. Panics if a count differs by more than [`TOLERANCE`].
    pub(crate) fn compare_or_record(&self) {
        if std::env::var_os("UPDATE_INSTRUCTIONS").is_some() {
            std::fs::write(file(), self.text()).expect("the file can be written");
        }
        let text = std::fs::read_to_string(file());
        let text = text.expect("no recorded counts: record them with UPDATE_INSTRUCTIONS=1");
        let recorded = Self::read(&text);
        if recorded.compiler != self.compiler {
            println!(
                "The counts were recorded with the compiler {}, and this build uses {}.",
                recorded.compiler, self.compiler
            );
        }
        let mut differing = Vec::new();
        for (kind, count) in &self.counts {
            let recorded = *recorded.counts.get(kind).expect("a recorded count of each kind");
            #[expect(clippy::cast_precision_loss, reason = "a ratio with a few decimal places")]
            let ratio = *count as f64 / recorded as f64;
            println!("{kind}: {ratio:.4} of the recorded {recorded}");
            if (ratio - 1.0).abs() > TOLERANCE {
                differing.push(kind);
            }
        }
        assert!(
            differing.is_empty(),
            "more or fewer instructions than recorded for {differing:?}. Find the reason, or record the counts with \
             UPDATE_INSTRUCTIONS=1"
        );
    }

    fn text(&self) -> String {
        let mut text = format!("{HEADER}compiler {}\n", self.compiler);
        for (kind, count) in &self.counts {
            let _infallible = writeln!(text, "{kind} {count}");
        }
        text
    }

    fn read(text: &str) -> Self {
        let mut read = Self { compiler: String::new(), counts: BTreeMap::new() };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split_once(' ').expect("a name and a value") {
                ("compiler", compiler) => compiler.clone_into(&mut read.compiler),
                (kind, count) => {
                    read.counts.insert(kind.to_owned(), count.parse().expect("a count"));
                }
            }
        }
        read
    }
}
