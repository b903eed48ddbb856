//! The command `jishu user import`: creates accounts and grants subjects from a CSV file.

use std::collections::HashMap;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use csv::{ReaderBuilder, StringRecord, Trim};
use indicatif::{ProgressBar, ProgressStyle};

use super::RoleArg;
use crate::cli::{CommandResult, with_current_database};
use crate::config::DatabaseConfig;
use jishu_service::Error;
use jishu_service::auth::Passwords;
use jishu_service::clock::{Clock, SystemClock};
use jishu_service::database::create_private;
use jishu_service::enrolment::{self, Enrolled, Enrolment, EnrolmentResources, SubjectGrant};

/// The columns that a file can have.
const COLUMNS: [&str; 5] = ["email", "name", "role", "password", "grants"];
/// The columns that a file must have.
const REQUIRED_COLUMNS: [&str; 2] = ["email", "name"];

#[derive(Args, Debug)]
pub(super) struct ImportUsersArgs {
    /// The CSV file, in UTF-8, with a header. The column grants lists COURSE/SUBJECT codes with semicolons between
    /// them. COURSE alone means all subjects of the course that are on sale.
    file: PathBuf,

    /// Report what the import would do, but write nothing.
    #[arg(long)]
    dry_run: bool,

    /// The reason that is stored with the grants.
    #[arg(long, default_value = "Bulk enrolment", value_name = "TEXT")]
    reason: String,

    /// A new CSV file for the passwords that the import makes for new accounts whose row has no password. Without this
    /// flag, nobody knows these passwords: set others later with `jishu user set-password`.
    #[arg(long, value_name = "FILE")]
    passwords: Option<PathBuf>,

    #[command(flatten)]
    database: DatabaseConfig,
}

/// A row of the file: the account and grants that it asks for, or the reason why it is refused.
struct Row {
    line: u64,
    enrolment: Result<Enrolment, String>,
}

/// The number of accounts, purchases and cards that an import made, or would make in a dry run, and of refused rows.
#[derive(Default)]
struct Summary {
    created: usize,
    existing: usize,
    purchases: usize,
    test_cards: i64,
    refused: usize,
}

impl Summary {
    fn add(&mut self, enrolled: &Enrolled) {
        if enrolled.is_new {
            self.created += 1;
        } else {
            self.existing += 1;
        }
        self.purchases += enrolled.purchases;
        self.test_cards += enrolled.test_cards;
    }
}

pub(super) async fn run(args: ImportUsersArgs) -> CommandResult {
    let rows = read(&args.file, &args.reason)?;
    let name = args.file.display();
    let mut passwords_file = match (&args.passwords, args.dry_run) {
        (Some(path), false) => Some(new_passwords_file(path)?),
        _ => None,
    };
    let bar = ProgressBar::new(rows.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} users, {eta} left")?);
    let mut summary = Summary::default();
    with_current_database(&args.database, async |database| {
        let passwords = Passwords::new(NonZeroUsize::MIN)?;
        for Row { line, enrolment } in rows {
            let resources = EnrolmentResources {
                database,
                passwords: &passwords,
                now: SystemClock.now(),
                is_dry_run: args.dry_run,
            };
            let outcome = match enrolment {
                Ok(enrolment) => {
                    let email = enrolment.email.clone();
                    match enrolment::enrol(resources, enrolment).await {
                        Ok(enrolled) => Ok((email, enrolled)),
                        Err(Error::Refused(refusal)) => Err(refusal.to_string()),
                        Err(Error::Failed(fault)) => return Err(fault.into()),
                    }
                }
                Err(problem) => Err(problem),
            };
            match outcome {
                Ok((email, enrolled)) => {
                    summary.add(&enrolled);
                    if let (Some(file), Some(password)) = (&mut passwords_file, &enrolled.password) {
                        file.write_record([email.trim(), password])?;
                        file.flush()?;
                    }
                }
                Err(problem) => {
                    summary.refused += 1;
                    bar.suspend(|| println!("{name}:{line}: refused: {problem}"));
                }
            }
            bar.inc(1);
        }
        Ok(())
    })
    .await?;
    bar.finish_and_clear();
    let prefix = if args.dry_run { "Dry run, nothing was written: " } else { "" };
    let Summary { created, existing, purchases, test_cards, refused } = summary;
    println!(
        "{prefix}{created} new accounts, {existing} existing, {purchases} purchases granted with {test_cards} test \
         cards, {refused} rows refused"
    );
    match refused {
        0 => Ok(()),
        1 => Err("1 row was refused".into()),
        refused => Err(format!("{refused} rows were refused").into()),
    }
}

/// Creates the file for passwords, which only its owner can read. Refuses a file that exists.
fn new_passwords_file(path: &Path) -> Result<csv::Writer<File>, Box<dyn std::error::Error + Send + Sync>> {
    if path.exists() {
        return Err(format!("{} exists. Name a new file for the passwords", path.display()).into());
    }
    let opened = create_private(path).and_then(|()| File::options().append(true).open(path));
    let file = opened.map_err(|error| format!("cannot create {}: {error}", path.display()))?;
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(["email", "password"])?;
    writer.flush()?;
    Ok(writer)
}

/// Reads the rows of a CSV file. If two rows have the same e-mail address, the second row is refused. Returns an error
/// if the header lacks a required column or has an unknown one.
fn read(file: &Path, reason: &str) -> Result<Vec<Row>, Box<dyn std::error::Error + Send + Sync>> {
    let bytes = std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    // Skip the byte order mark with which spreadsheet programs begin a file.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = ReaderBuilder::new().trim(Trim::All).flexible(true).from_reader(text);
    let header: Vec<String> = reader.headers()?.iter().map(str::to_ascii_lowercase).collect();
    for required in REQUIRED_COLUMNS {
        if !header.iter().any(|name| name == required) {
            return Err(format!(
                "{} has no column {required}. Its first line must name the columns, such as email,name,grants",
                file.display()
            )
            .into());
        }
    }
    if let Some(unknown) = header.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
        let known = COLUMNS.join(", ");
        return Err(format!(
            "{} has the unknown column {unknown}. Use only these columns: {known}",
            file.display()
        )
        .into());
    }
    let mut first_lines: HashMap<String, u64> = HashMap::new();
    let mut rows = Vec::new();
    for record in reader.records() {
        let (line, enrolment) = match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let enrolment = enrolment(&header, &record, reason).and_then(|enrolment| {
                    match first_lines.get(&enrolment.email.to_lowercase()) {
                        Some(first) => Err(format!(
                            "This e-mail address is in line {first} already. Remove one of the two rows."
                        )),
                        None => Ok(enrolment),
                    }
                });
                if let Ok(enrolment) = &enrolment {
                    first_lines.insert(enrolment.email.to_lowercase(), line);
                }
                (line, enrolment)
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                (line, Err(format!("This row cannot be read: {error}.")))
            }
        };
        rows.push(Row { line, enrolment });
    }
    Ok(rows)
}

/// Makes an enrolment from the fields of a row. Returns the reason if the row is wrong.
fn enrolment(header: &[String], record: &StringRecord, reason: &str) -> Result<Enrolment, String> {
    if record.len() != header.len() {
        return Err(format!(
            "The row has {} fields, but the header has {}. Give both the same number of fields.",
            record.len(),
            header.len()
        ));
    }
    let field = |name: &str| {
        let place = header.iter().position(|column| column == name)?;
        record.get(place).filter(|value| !value.is_empty())
    };
    let role = field("role").map(|role| {
        RoleArg::from_str(role, true)
            .map_err(|_| format!("{role} is not a role. Use learner, author, support or admin."))
    });
    Ok(Enrolment {
        name: field("name").unwrap_or_default().to_owned(),
        email: field("email").unwrap_or_default().to_owned(),
        role: role.transpose()?.map(Into::into),
        password: field("password").map(str::to_owned),
        grants: grants(field("grants").unwrap_or_default())?,
        reason: reason.to_owned(),
    })
}

/// Reads a list of grants, such as `neet/physics; neet/chemistry; jee`. A course without a subject stands for all
/// subjects of the course that are on sale.
fn grants(text: &str) -> Result<Vec<SubjectGrant>, String> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let grant = |part: &str| {
        let (course, subject) = match part.split_once('/') {
            Some((course, subject)) => (course.trim(), Some(subject.trim())),
            None => (part, None),
        };
        if course.is_empty() || subject.is_some_and(|subject| subject.is_empty() || subject.contains('/')) {
            return Err(format!(
                "{part} is not a grant. Write COURSE/SUBJECT or COURSE, such as neet/physics."
            ));
        }
        Ok(SubjectGrant { course: course.to_owned(), subject: subject.map(str::to_owned) })
    };
    parts.map(grant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_codes_with_semicolons_between_them() {
        let grant = |course: &str, subject: Option<&str>| SubjectGrant {
            course: course.to_owned(),
            subject: subject.map(str::to_owned),
        };
        let read = grants(" neet/physics;neet / chemistry ; jee;");
        let expected = [grant("neet", Some("physics")), grant("neet", Some("chemistry")), grant("jee", None)];
        assert_eq!(read.as_deref(), Ok(&expected[..]));
        assert_eq!(grants(""), Ok(Vec::new()));
        for wrong in ["/physics", "neet/", "a/b/c"] {
            assert!(grants(wrong).is_err(), "{wrong}");
        }
    }
}
