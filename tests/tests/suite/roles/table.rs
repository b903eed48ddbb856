//! The table in `api/docs/roles.md`.

use std::fmt::Write as _;

use super::RootField;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/docs/roles.md");
const BEGIN: &str = "<!-- roles: begin -->\n";
const END: &str = "<!-- roles: end -->";

pub(super) const ADVICE: &str =
    "Write the table anew: UPDATE_DOCS=1 cargo test --workspace --test suite roles_md";

/// The column of requests without an access token.
pub(super) const ANONYMOUS: &str = "anonymous";
pub(super) const COLUMNS: [&str; 5] = [ANONYMOUS, "LEARNER", "AUTHOR", "SUPPORT", "ADMIN"];

/// A row of the table: a root field, and who may use it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) field: String,
    /// The names of the columns of the roles that may use the field.
    pub(super) allowed: Vec<String>,
}

impl Row {
    pub(super) fn of(field: &RootField, needs_sign_in: bool) -> Self {
        let may = |column: &&str| match (*column, field.is_guarded()) {
            (role, true) => field.roles.iter().any(|of_field| of_field == role),
            (ANONYMOUS, false) => !needs_sign_in,
            (_, false) => true,
        };
        let allowed = COLUMNS.iter().filter(|column| may(column)).map(|column| (*column).to_owned());
        Self { field: field.name.clone(), allowed: allowed.collect() }
    }
}

/// Reads the rows of the table in `roles.md`.
pub(super) fn committed() -> Vec<Row> {
    let page = std::fs::read_to_string(FILE).expect("the page is in the repository");
    let (_, table) = page.split_once(BEGIN).expect("the table begins with a marker");
    let (table, _) = table.split_once(END).expect("the table ends with a marker");
    let lines = table.lines().filter(|line| line.starts_with("| `"));
    lines
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let field = cells.next().expect("a field").trim_matches('`').to_owned();
            let allowed = COLUMNS.iter().zip(cells).filter(|(_, cell)| *cell == "yes");
            Row { field, allowed: allowed.map(|(column, _)| (*column).to_owned()).collect() }
        })
        .collect()
}

/// Fails if the table in `roles.md` differs from these rows. With the variable `UPDATE_DOCS`, writes these rows to the
/// table instead.
pub(super) fn print(rows: &[Row]) {
    let page = std::fs::read_to_string(FILE).expect("the page is in the repository");
    let (before, rest) = page.split_once(BEGIN).expect("the table begins with a marker");
    let (table, after) = rest.split_once(END).expect("the table ends with a marker");
    let mut expected =
        format!("\n| field | {} |\n|---|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    for row in rows {
        let cell =
            |column: &&str| if row.allowed.iter().any(|allowed| allowed == column) { "yes" } else { "" };
        let cells: Vec<&str> = COLUMNS.iter().map(cell).collect();
        writeln!(expected, "| `{}` | {} |", row.field, cells.join(" | ")).expect("memory");
    }
    expected.push('\n');
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(FILE, format!("{before}{BEGIN}{expected}{END}{after}"))
            .expect("the page can be written");
        return;
    }
    assert!(table == expected, "The table in api/docs/roles.md differs from the server. {ADVICE}");
}
