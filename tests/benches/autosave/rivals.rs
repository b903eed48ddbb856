//! Saves answers with the tools that come with the databases. pgbench runs a prepared statement. mariadb-slap and the
//! sqlite3 shell run files of statements.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use chrono::{SecondsFormat, TimeDelta, Utc};
use jishu_tests::Backend;
use jishu_tests::pgbench::PgbenchScript;
use sea_orm::{ConnectionTrait, Database, Statement};

use crate::sittings::Sitting;
use crate::{ANSWERS_PER_BATCH, CONNECTIONS, QUESTIONS_PER_SITTING, SITTINGS_PER_CONNECTION, TURN_LENGTH};

pub(crate) struct Rival<'a> {
    pub(crate) backend: Backend,
    pub(crate) url: &'a str,
    pub(crate) folder: &'a Path,
    /// The statement with which the server saves a batch.
    pub(crate) statement: String,
    pub(crate) sittings: &'a [Sitting],
}

/// The columns of an answer, in the order of the statement, with their PostgreSQL types. The server's driver sends the
/// types in the protocol, so the recorded statement does not name them.
const ANSWER_COLUMNS: [(&str, &str); 10] = [
    ("session", "bigint"),
    ("owner", "bigint"),
    ("overdue", "timestamptz"),
    ("sequence", "int"),
    ("slot", "int"),
    ("chosen", "bigint"),
    ("number", "text"),
    ("text", "text"),
    ("flagged", "bool"),
    ("seconds", "int"),
];

impl Rival<'_> {
    pub(crate) fn tool(&self) -> &'static str {
        match self.backend {
            Backend::Postgres => "pgbench -M prepared",
            Backend::MariaDb => "mariadb-slap",
            Backend::Sqlite => "sqlite3",
        }
    }

    /// Saves batches with sequences above `base` and returns the batches per second. pgbench runs for one turn, the
    /// other tools save about `batches` batches.
    pub(crate) async fn run(&self, batches: u32, base: i64) -> f64 {
        // The tool blocks this thread, which has nothing else to do meanwhile.
        tokio::task::block_in_place(|| match self.backend {
            Backend::Postgres => self.pgbench(base),
            Backend::MariaDb => self.slap(batches, base),
            Backend::Sqlite => self.shell(batches, base),
        })
    }

    /// Returns whether the tool has stored more than five answers for each sitting on average, from batches with a
    /// sequence above `base`.
    pub(crate) async fn wrote(&self, base: i64) -> bool {
        let connection = Database::connect(self.url).await.expect("the database answers");
        let count = format!("SELECT COUNT(*) FROM test_answers WHERE sequence > {base}");
        let count = Statement::from_string(connection.get_database_backend(), count);
        let row = connection.query_one_raw(count).await.expect("the query runs").expect("a count");
        let count: i64 = row.try_get_by_index(0).expect("a number");
        connection.close().await.expect("it closes");
        usize::try_from(count).is_ok_and(|count| count > self.sittings.len() * ANSWERS_PER_BATCH)
    }

    fn pgbench(&self, base: i64) -> f64 {
        let (first, owner) = (self.sittings[0].row, self.sittings[0].owner);
        for (sitting, number) in self.sittings.iter().zip(0..) {
            assert_eq!(
                (sitting.row, sitting.owner),
                (first + number, owner + number),
                "the ids must be consecutive"
            );
        }
        let groups = QUESTIONS_PER_SITTING / ANSWERS_PER_BATCH - 1;
        let mut script = PgbenchScript::default();
        let last = SITTINGS_PER_CONNECTION - 1;
        script.set("place", format_args!(":client_id * {SITTINGS_PER_CONNECTION} + random(0, {last})"));
        script.set("session", format_args!("{first} + :place"));
        script.set("owner", format_args!("{owner} + :place"));
        script.set("sequence", ":sequence + 1");
        script.set("group", format_args!("random(0, {groups})"));
        for place in 0..ANSWERS_PER_BATCH {
            script.set(&format!("slot{place}"), format_args!(":group * {ANSWERS_PER_BATCH} + {}", place + 1));
            // The last answer of a batch is a number, and the other answers are options.
            let is_number = place + 1 == ANSWERS_PER_BATCH;
            script.set(&format!("chosen{place}"), if is_number { "0" } else { "1 << random(0, 3)" });
            script.set(&format!("number{place}"), "random(1, 99)");
        }
        let now = "'2026-01-01T00:00:00.123456Z'::timestamptz".to_owned();
        let mut values = vec!["ARRAY[CAST(:session AS bigint)]".to_owned(), now];
        for (name, kind) in ANSWER_COLUMNS {
            let value = |place| match name {
                "session" | "owner" | "overdue" | "sequence" => format!("CAST(:{name} AS {kind})"),
                "number" if place + 1 < ANSWERS_PER_BATCH => "''::text".to_owned(),
                "text" => "''::text".to_owned(),
                "flagged" => "false".to_owned(),
                "seconds" => "-1".to_owned(),
                _ => format!("CAST(:{name}{place} AS {kind})"),
            };
            let column: Vec<String> = (0..ANSWERS_PER_BATCH).map(value).collect();
            values.push(format!("ARRAY[{}]", column.join(", ")));
        }
        // The last parameter lists the sittings whose sequence the statement returns. The list is empty.
        values.push("'{}'::bigint[]".to_owned());
        script.statement(&self.statement, &values);
        let arguments = ["-T".to_owned(), TURN_LENGTH.as_secs().to_string()];
        let variables = [format!("sequence={base}"), format!("overdue={}", Utc::now().to_rfc3339())];
        let variables = variables.into_iter().flat_map(|variable| ["-D".to_owned(), variable]);
        let arguments: Vec<String> = arguments.into_iter().chain(variables).collect();
        script.run(self.url, self.folder, CONNECTIONS, &arguments)
    }

    /// Starts one mariadb-slap for each connection. One program with many connections would run the same statements on
    /// each connection, so the connections would wait for each other's row locks.
    fn slap(&self, batches: u32, base: i64) -> f64 {
        let each = usize::try_from(batches).expect("few") / CONNECTIONS;
        let (server, name) = self.url.rsplit_once('/').expect("a database");
        let (_, port) = server.rsplit_once(':').expect("a port");
        let files: Vec<PathBuf> = (self.sittings.chunks(SITTINGS_PER_CONNECTION).enumerate())
            .map(|(number, sittings)| self.list(number, sittings, each, base, ";\n"))
            .collect();
        let started = Instant::now();
        let programs: Vec<Child> = files
            .iter()
            .map(|file| {
                Command::new("mariadb-slap")
                    .args([
                        "--no-defaults",
                        "-h",
                        "127.0.0.1",
                        "-u",
                        "root",
                        "-P",
                        port,
                        "--silent",
                        "--no-drop",
                    ])
                    .args(["--concurrency=1", "--iterations=1", "--delimiter=;", "--create-schema", name])
                    .arg(format!("--query={}", file.display()))
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .spawn()
                    .expect("mariadb-slap is installed")
            })
            .collect();
        for mut program in programs {
            assert!(program.wait().expect("it ends").success(), "mariadb-slap failed");
        }
        per_second(each * CONNECTIONS, started)
    }

    /// Runs one sqlite3 shell, because SQLite allows only one writer at a time.
    fn shell(&self, batches: u32, base: i64) -> f64 {
        let path = self.url.trim_start_matches("sqlite://").trim_end_matches("?mode=rwc");
        let batches = usize::try_from(batches).expect("few");
        let file = self.list(0, self.sittings, batches, base, ";\n");
        let started = Instant::now();
        let status = Command::new("sqlite3")
            .args([
                "-batch",
                "-bail",
                "-cmd",
                "PRAGMA synchronous = FULL",
                "-cmd",
                "PRAGMA foreign_keys = ON",
                path,
            ])
            .stdin(fs::File::open(file).expect("the list"))
            .status()
            .expect("sqlite3 is installed");
        assert!(status.success(), "sqlite3 failed");
        per_second(batches, started)
    }

    /// Writes a file with `batches` statements and returns its path. Each statement saves a batch of answers for one of
    /// the sittings, which is chosen at random.
    fn list(&self, number: usize, sittings: &[Sitting], batches: usize, base: i64, end: &str) -> PathBuf {
        let mut list = String::new();
        for sequence in (base + 1..).take(batches) {
            let sitting = &sittings[rand::random_range(0..sittings.len())];
            list.push_str(&self.filled(sitting, sequence));
            list.push_str(end);
        }
        let file = self.folder.join(format!("list{number}.sql"));
        fs::write(&file, list).expect("a list");
        file
    }

    /// Returns the statement that saves a batch, with values in place of its parameters.
    fn filled(&self, sitting: &Sitting, sequence: i64) -> String {
        let time = |at: chrono::DateTime<Utc>| match self.backend {
            Backend::MariaDb => format!("'{}'", at.format("%Y-%m-%d %H:%M:%S%.6f")),
            _ => format!("'{}'", at.to_rfc3339_opts(SecondsFormat::AutoSi, false)),
        };
        let now = Utc::now();
        let overdue_before = time(now - TimeDelta::seconds(5));
        let mut values = vec![time(now)];
        let first = rand::random_range(0..QUESTIONS_PER_SITTING / ANSWERS_PER_BATCH) * ANSWERS_PER_BATCH;
        for place in 1..=ANSWERS_PER_BATCH {
            // The last answer of a batch is a number, and the other answers are options.
            let (chosen, number) = match place == ANSWERS_PER_BATCH {
                true => (0, format!("'{}'", rand::random_range(1..99))),
                false => (1 << rand::random_range(0..4), "NULL".to_owned()),
            };
            let slot = first + place;
            let (session, owner) = (sitting.row.to_string(), sitting.owner.to_string());
            values.extend([
                session,
                owner,
                overdue_before.clone(),
                sequence.to_string(),
                slot.to_string(),
                chosen.to_string(),
                number,
                // The answer has no text, no flag, and no time spent on it.
                "NULL".to_owned(),
            ]);
            values.extend(["0", "NULL"].map(str::to_owned));
        }
        let parts = self.statement.split('?');
        assert_eq!(parts.clone().count(), values.len() + 1, "{}", self.statement);
        let values = values.iter().map(String::as_str).chain([""]);
        parts.zip(values).flat_map(|(part, value)| [part, value]).collect()
    }
}

fn per_second(batches: usize, since: Instant) -> f64 {
    f64::from(u32::try_from(batches).expect("few")) / since.elapsed().as_secs_f64()
}
