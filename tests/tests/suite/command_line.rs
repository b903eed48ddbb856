//! Runs the real binary as an operator does.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use jishu_tests::process::binary;
use jishu_tests::{UNLIMITED, wait_for};
use serde_json::{Value, json};

pub(crate) fn jishu(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("jishu"));
    command.current_dir(folder).args(arguments).env_remove("DATABASE_URL").env_remove("RUST_LOG");
    command
}

pub(crate) fn succeed(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("UTF-8")
}

pub(crate) fn fail(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().expect("it runs");
    assert!(!status.success());
    String::from_utf8(stderr).expect("UTF-8")
}

#[test]
fn schema_is_printed_without_a_database() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(succeed(jishu(folder.path(), &["schema"])), jishu_api::graphql::sdl());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn migrations_are_applied_shown_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| succeed(jishu(folder.path(), arguments));
    assert!(run(&["migrate", "up"]).lines().all(|line| line.starts_with("applied")));
    let status = run(&["migrate", "status"]);
    // Without --yes the command lists the data that would be lost, and changes nothing.
    let refused = jishu(folder.path(), &["migrate", "down", "--steps", "99"]).output().unwrap();
    assert!(!refused.status.success());
    let (told, why) = (String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert!(told.contains("would be lost: table mock_test_attempts, 0 rows"), "{told}");
    assert!(told.contains("would be lost: table users, 0 rows") && why.contains("--yes"), "{told}{why}");
    assert_eq!(run(&["migrate", "status"]), status);
    let down = run(&["migrate", "down", "--steps", "2", "--yes"]);
    assert!(down.contains("This reverts m") && down.contains("\npending m"), "{down}");
    assert!(run(&["migrate", "status"]).contains("applied m20261123_000002_catalogue"));
    let down = run(&["migrate", "down", "--steps", "99", "--yes"]);
    assert!(
        down.lines().filter(|line| line.contains(" m2026")).skip(1).all(|line| line.starts_with("pending"))
    );
}

#[test]
fn wrong_configuration_says_what_to_change() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, named) in [
        (&["--database-url", "oracle://x"][..], "must begin with sqlite://"),
        (
            &["--database-url", "sqlite://missing/folder/x.db?mode=rwc"],
            "cannot be opened: there is no such file",
        ),
        (&["--database-url", "postgres://nobody@127.0.0.1:1/x"], "refused"),
        (&["--database-url", "mysql://nobody@127.0.0.1:1/x"], "refused"),
        (&["--listen", "nowhere"], "localhost:8080"),
        (&["--listen", "nowhere.invalid:80"], "cannot listen on nowhere.invalid:80"),
        (&["--access-token-seconds", "5"], "60..=3600"),
        (&["--tax-percent", "101"], "from 0 to 100"),
        (&["--signing-keys", "absent.pem"], "openssl genpkey"),
        (&["--cors-origins", "*"], "such as https://app.example.com"),
        (&["--trusted-proxies", "10.0.0.0/8,proxy"], "10.0.0.0/8,192.0.2.7"),
        (&["--request-seconds", "0"], "1..=600"),
        (&["--max-requests", "0"], "1..=100000"),
    ] {
        let message = fail(jishu(folder.path(), arguments));
        assert!(message.contains(named), "{arguments:?}: {message}");
    }
}

#[test]
fn accounts_of_any_role_are_made() {
    let folder = tempfile::tempdir().unwrap();
    succeed(jishu(folder.path(), &["migrate", "up"]));
    let create = |password: &[u8]| {
        let arguments =
            ["user", "create", "--email", "admin@example.com", "--name", "Admin", "--role", "admin"];
        let mut command = jishu(folder.path(), &arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(password).unwrap();
        child.wait_with_output().unwrap()
    };
    let short = create(b"short\n");
    assert!(String::from_utf8_lossy(&short.stderr).contains("at least 8"), "{short:?}");
    let made = create(b"correct horse battery\n");
    assert!(String::from_utf8_lossy(&made.stdout).contains("admin@example.com"), "{made:?}");
    let again = create(b"correct horse battery\n");
    assert!(String::from_utf8_lossy(&again.stderr).contains("has an account"), "{again:?}");
}

/// The process of a server. Dropping this value kills the process, so a test that fails leaves no server running.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // An error means that the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The running command `jishu serve --demo`, in a folder of its own. A test ends it with [`Serving::stop`] or
/// [`Serving::kill`]. If a test panics before, the server is killed and its folder is removed.
pub(crate) struct Serving {
    // The first field is dropped first, so the server has ended when its folder is removed.
    child: KilledOnDrop,
    pub(crate) folder: tempfile::TempDir,
}

impl Serving {
    pub(crate) fn start(folder: tempfile::TempDir) -> Self {
        let output = std::fs::File::create(folder.path().join("output")).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = jishu(folder.path(), &["serve", "--demo", "--listen", "localhost:0"])
            .args(UNLIMITED)
            .stdout(output)
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child: KilledOnDrop(child), folder }
    }

    /// Waits until the server has printed its first query, and returns the rest of the printed line that begins with
    /// `name`.
    pub(crate) async fn printed(&self, name: &str) -> String {
        wait_for(&format!("{name} in the output of the server"), async || {
            let output = std::fs::read_to_string(self.folder.path().join("output")).unwrap();
            let is_ready = output.contains("A first query") && output.contains("}'");
            let line = output.lines().find_map(|line| line.strip_prefix(name)).filter(|_| is_ready)?;
            Some(line.trim().to_owned())
        })
        .await
    }

    /// Sends a query as the learner of the demo, and returns the whole response.
    pub(crate) async fn send(&self, query: &str, variables: Value) -> Value {
        let (endpoint, token) = (self.printed("Endpoint").await, self.printed("Token").await);
        let request = reqwest::Client::new().post(&endpoint).bearer_auth(&token);
        let body = json!({ "query": query, "variables": variables });
        request.json(&body).send().await.unwrap().json().await.unwrap()
    }

    /// Returns the log of the server.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Kills the server without a clean stop, as a power failure would, and returns its folder.
    pub(crate) fn kill(self) -> tempfile::TempDir {
        drop(self.child);
        self.folder
    }

    pub(crate) fn stop(mut self) -> tempfile::TempDir {
        let pid = self.child.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.0.wait().unwrap().success(), "the server did not end cleanly at SIGTERM");
        self.folder
    }
}

#[tokio::test]
async fn a_server_that_a_test_drops_is_killed() {
    let server = Serving::start(tempfile::tempdir().unwrap());
    server.printed("Endpoint").await;
    let process = format!("/proc/{}", server.child.0.id());
    assert!(Path::new(&process).exists());
    drop(server);
    assert!(!Path::new(&process).exists(), "the server still runs");
}

#[tokio::test]
async fn sigterm_ends_the_server_soon_with_clients_connected() {
    let server = Serving::start(tempfile::tempdir().unwrap());
    let endpoint = server.printed("Endpoint").await;
    let address = endpoint.trim_start_matches("http://").trim_end_matches("/graphql").to_owned();
    let slow: Vec<_> = (0..60)
        .map(|number| {
            let mut socket = std::net::TcpStream::connect(&address).unwrap();
            let sent: &[u8] = match number % 3 {
                0 => b"",
                1 => b"POST /graphql HTTP/1.1\r\nhost: te",
                _ => b"POST /graphql HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
            };
            socket.write_all(sent).unwrap();
            socket
        })
        .collect();
    assert_eq!(reqwest::get(endpoint.replace("/graphql", "/health/ready")).await.unwrap().status(), 200);
    let started = Instant::now();
    server.stop();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(5), "took {took:?}");
    drop(slow);
}

#[tokio::test]
async fn the_demo_serves_a_first_query_and_a_purchase_and_keeps_them() {
    let mut folder = tempfile::tempdir().unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let server = Serving::start(folder);
        let send = async |query: &str, variables: Value| server.send(query, variables).await;
        // The printed query works without changes.
        server.printed("Token").await;
        let output = std::fs::read_to_string(server.folder.path().join("output")).unwrap();
        let (_, printed) = output.split_once("-d '").unwrap();
        let body: Value = serde_json::from_str(printed.split('\'').next().unwrap()).unwrap();
        let answer = send(body["query"].as_str().unwrap(), Value::Null).await;
        assert_eq!(answer["data"]["viewer"]["name"], "Demo Learner");
        let courses = answer["data"]["courses"]["edges"].as_array().unwrap();
        let subjects = |course: &Value| course["node"]["subjects"]["edges"].as_array().unwrap().len();
        assert!(courses.len() >= 3 && courses.iter().map(subjects).sum::<usize>() >= 12);
        assert!(courses.iter().all(|course| course["node"]["bundlePrice"]["amount"].is_string()));
        let course = &courses[0]["node"]["id"];
        let bought = send(
            "mutation ($course: ID!) { purchase(input: { courseId: $course, purchaseType: FULL_BUNDLE }) { outcome } }",
            json!({ "course": course }),
        )
        .await;
        outcomes.push(bought["data"]["purchase"]["outcome"].clone());
        folder = server.stop();
    }
    assert_eq!(outcomes, ["CREATED", "EXISTING"]);
}

#[test]
fn questions_are_imported_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| jishu(folder.path(), arguments).output().expect("it runs");
    let nowhere = ["--course", "neet-ug", "--subject", "physics"];
    std::fs::write(folder.path().join("bank.gift"), "// [id:q1]\nIs it? {=yes ~no}\n\nWrite. {}\n").unwrap();
    let import = |more: &[&str]| run(&[&["import", "questions", "bank.gift"], &nowhere[..], more].concat());
    // An import in a folder without a database fails, and does not create a database.
    assert!(String::from_utf8_lossy(&import(&[]).stderr).contains("there is no such file"));
    assert!(!folder.path().join("jishu.db").exists());
    succeed(jishu(folder.path(), &["migrate", "up"]));
    let missing = import(&[]);
    assert!(!missing.status.success());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no course neet-ug. There are: none"));

    let catalogue = "INSERT INTO courses (code, name, currency, created_at) VALUES ('neet-ug', 'NEET', 'INR', '2026-11-25T00:00:00+00:00');
        INSERT INTO subjects (course_id, code, name, list_price, total_mock_tests, max_attempts, created_at)
        VALUES (1, 'physics', 'Physics', 10000, 50, 3, '2026-11-25T00:00:00+00:00')";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = format!("sqlite://{}/jishu.db", folder.path().display());
    runtime.block_on(async {
        let database = sea_orm::Database::connect(&url).await.unwrap();
        sea_orm::ConnectionTrait::execute_unprepared(&database, catalogue).await.unwrap();
        database.close().await.unwrap();
    });

    let dry = import(&["--dry-run", "--report", "json"]);
    assert_eq!(dry.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&dry.stdout).unwrap();
    assert_eq!(
        (&report["dryRun"], &report["created"], &report["refused"][0]["line"]),
        (&json!(true), &json!(1), &json!(4))
    );
    let wet = import(&[]);
    assert_eq!(wet.status.code(), Some(1));
    let told = String::from_utf8_lossy(&wet.stdout);
    assert!(told.contains("bank.gift:4: refused: It is an essay"), "{told}");
    assert!(told.contains("1 new, 0 changed, 0 unchanged, 1 refused; losses: 0"), "{told}");

    let export = ["export", "questions", "--course", "1", "--subject", "1", "--format"];
    let gift = run(&[&export[..], &["gift", "--output", "again.gift"]].concat());
    assert!(gift.status.success() && gift.stdout.is_empty());
    let again =
        succeed(jishu(folder.path(), &[&["import", "questions", "again.gift"], &nowhere[..]].concat()));
    assert!(again.contains("0 new, 0 changed, 1 unchanged, 0 refused; losses: 0"), "{again}");
    let aiken = run(&[&export[..], &["aiken"]].concat());
    assert_eq!(String::from_utf8_lossy(&aiken.stdout), "Is it?\nA. yes\nB. no\nANSWER: A\n\n");
    assert!(String::from_utf8_lossy(&aiken.stderr).contains("q1: Aiken cannot store its external id"));

    let question = |action: &str, id: &str, more: &[&str]| {
        run(&[&["question", action, "--id", id], &nowhere[..], more].concat())
    };
    let corrected = question("correct", "q1", &["--key", "B", "--reason", "The book says no."]);
    assert!(String::from_utf8_lossy(&corrected.stdout).contains("corrected"), "{corrected:?}");
    let gift = run(&[&export[..], &["gift"]].concat());
    assert!(String::from_utf8_lossy(&gift.stdout).contains("=no"), "{gift:?}");
    for (id, more, named) in [
        ("q9", &["--key", "A", "--reason", "So."][..], "no question q9"),
        ("q1", &["--key", "B", "--reason", "So."], "Nothing to do"),
        ("q1", &["--key", "2", "--reason", "So."], "letters from A to Z"),
        ("q1", &["--value", "-2", "--reason", "So."], "has options"),
        ("q1", &["--key", "A", "--reason", " "], "1 to 1000"),
        ("q1", &["--reason", "So."], "--key"),
    ] {
        let refused = question("correct", id, more);
        let message = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && message.contains(named), "{message}");
    }
    for (action, told) in [("archive", "archived"), ("archive", "nothing to do"), ("restore", "restored")] {
        let set = question(action, "q1", &[]);
        assert_eq!(String::from_utf8_lossy(&set.stdout).trim(), told, "{set:?}");
    }

    // Imports a question that is answered with a text, and a question whose first option names two other options.
    let two = "// [id:t]\nWhich river? {=Kaveri}\n\n// [id:p]\nWho wrote it? {=Both B and C ~Asha ~Ravi}\n";
    std::fs::write(folder.path().join("bank.gift"), two).unwrap();
    let told = String::from_utf8(import(&[]).stdout).unwrap();
    assert!(told.contains("2 new") && told.contains("keep their order in each sitting"), "{told}");
    let texts = ["--text", "Kaveri", "--text", "Cauvery", "--case-sensitive", "true", "--reason", "So."];
    let corrected = question("correct", "t", &texts);
    assert!(String::from_utf8_lossy(&corrected.stdout).contains("corrected"), "{corrected:?}");
    let refused = question("correct", "t", &["--value", "1", "--reason", "So."]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("answered with a text"), "{refused:?}");

    // The name of the file determines the format, even if a question looks like another format. `--names-are-ids` takes
    // the names of the questions in the file as their external ids.
    let named = "::q1:: Fill in.\nANSWER: A, B ___ {~yes =no}\n";
    std::fs::write(folder.path().join("bank.gift"), named).unwrap();
    let told = String::from_utf8(import(&["--dry-run"]).stdout).unwrap();
    assert!(told.contains("1 new, 0 changed, 0 unchanged, 0 refused; losses: 1"), "{told}");
    let told = String::from_utf8(import(&["--dry-run", "--names-are-ids"]).stdout).unwrap();
    assert!(told.contains("0 new, 1 changed, 0 unchanged, 0 refused; losses: 0"), "{told}");
    std::fs::write(folder.path().join("bank.gift"), "Write. {}\n\n".repeat(1_003) + named).unwrap();
    let told = String::from_utf8(import(&[]).stdout).unwrap();
    assert!(told.contains("3 more were refused") && told.contains("1 new"), "{told}");

    for (bytes, named) in [
        (&b"Caf\xe9? {=a ~b}"[..], "not in UTF-8"),
        (b"\xff\xfeQ\0", "UTF-16"),
        (b"a\nb\0", "line 2"),
        (b"%PDF-1.7\n\xe2\xe3", "a PDF"),
        (b"PK\x03\x04\0", "ZIP archive is damaged"),
        (b"no question", "1 question was refused"),
    ] {
        std::fs::write(folder.path().join("bank.gift"), bytes).unwrap();
        let message = String::from_utf8_lossy(&import(&["--format", "auto"]).stderr).into_owned();
        assert!(message.contains(named), "{message}");
    }
}
