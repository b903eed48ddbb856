//! The log lines of the real server about attacks, and how programs such as fail2ban read them. Also the access log,
//! and the log lines about allowances.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};

use jishu_tests::process::{binary, free_port};
use jishu_tests::{wait_for, wait_until};
use regex::Regex;
use serde_json::{Value, json};

use crate::command_line::{jishu, succeed};
use crate::user_cli;

const LOGIN: &str = "mutation ($input: LoginInput!) { login(input: $input) { userErrors { code } } }";
const REGISTER: &str = "mutation ($input: RegisterInput!) { register(input: $input) { tokens { accessToken } userErrors { code } } }";
const REFRESH: &str =
    "mutation ($token: String!) { refreshTokens(refreshToken: $token) { userErrors { code } } }";
const GUESSER: &str = "192.0.2.1";
const CLASS: &str = "2001:db8::7";
/// A forged log line about a client that has sent nothing.
const FORGED: &str = "2026-11-28T00:00:00.000000Z  WARN jishu::security: sign-in failed client=203.0.113.66 ";

/// A server and its log. Dropping this value kills the server.
struct Logging {
    child: Child,
    origin: String,
    log: PathBuf,
    folder: tempfile::TempDir,
}

impl Logging {
    async fn start(format: &str, access_log: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let listen = format!("127.0.0.1:{}", free_port());
        let child = Command::new(binary("jishu"))
            .current_dir(folder.path())
            .args(["serve", "--listen", &listen, "--log-format", format, "--trusted-proxies=127.0.0.1"])
            .args(flags)
            .env_remove("DATABASE_URL")
            .env_remove("RUST_LOG")
            .env("JISHU_ACCESS_LOG", access_log)
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let server = Self { child, origin: format!("http://{listen}"), log, folder };
        server.line("\"address\"|address=").await;
        server
    }

    /// Waits for the first line that matches, and returns it.
    async fn line(&self, pattern: &str) -> String {
        let regex = Regex::new(pattern).unwrap();
        wait_for(&format!("{pattern} in the log"), async || {
            self.text().lines().find(|line| regex.is_match(line)).map(str::to_owned)
        })
        .await
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    async fn send(
        &self,
        path: &str,
        client: &str,
        headers: &[(&str, &str)],
        query: &str,
        variables: Value,
    ) -> Value {
        let mut request = reqwest::Client::new()
            .post(format!("{}{path}", self.origin))
            .header("x-forwarded-for", client)
            .json(&json!({ "query": query, "variables": variables }));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().json().await.unwrap_or_default()
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Reads the regular expressions of the fail2ban filter in `api/docs/operating.md`.
fn filter() -> Vec<Regex> {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/docs/operating.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, filter) = guide.split_once("failregex = ").unwrap();
    let (filter, _) = filter.split_once("```").unwrap();
    let lines = filter.lines().map(str::trim).filter(|line| !line.is_empty());
    let anchored = lines.inspect(|line| assert!(line.starts_with('^'), "{line}"));
    anchored.map(|line| Regex::new(&line.replace("<HOST>", "(?P<host>[0-9A-Fa-f:.]+)")).unwrap()).collect()
}

/// Counts the log lines that match the filter, by client address. Removes the date from a line first, as fail2ban does.
fn counted(log: &str) -> BTreeMap<String, usize> {
    let (filter, date) = (filter(), Regex::new(r#"^(?:\{"timestamp":")?20[0-9-]+T[0-9:.]+Z"#).unwrap());
    let mut counted = BTreeMap::new();
    for line in log.lines() {
        let line = date.replace(line, "");
        if let Some(found) = filter.iter().find_map(|regex| regex.captures(&line)) {
            *counted.entry(found["host"].to_owned()).or_default() += 1;
        }
    }
    counted
}

async fn attacks_are_logged_once_each_and_cannot_be_forged(format: &str) {
    let flags =
        ["--sign-in-failures-per-hour=3", "--registrations-per-hour=1", "--address-cost-per-minute=200"];
    let server = Logging::start(format, "0", &flags).await;
    let registration =
        json!({ "input": { "name": "A", "email": "a@example.com", "password": "correct horse" } });
    server.send("/graphql", CLASS, &[], REGISTER, registration.clone()).await;
    // Causes log lines: three wrong passwords, a locked account, two bad tokens, and a registration over the limit.
    let email = format!("x@example.com\n{FORGED}\r\n");
    for _ in 0..4 {
        let input = json!({ "input": { "email": email, "password": FORGED } });
        server.send("/graphql", GUESSER, &[], LOGIN, input).await;
    }
    server.send("/graphql", GUESSER, &[], REFRESH, json!({ "token": format!("jrt_\n{FORGED}") })).await;
    server
        .send("/graphql", GUESSER, &[("authorization", "Bearer a.b.c")], "{ __typename }", Value::Null)
        .await;
    server.send("/graphql", CLASS, &[], REGISTER, registration).await;
    // Sends operations until the cost budget of this address is spent.
    let spender = "198.51.100.3";
    while server.send("/graphql", spender, &[], "{ __typename }", Value::Null).await["errors"].is_null() {}
    // A client forges headers and paths, and sends `x-forwarded-for` with an invalid address.
    let forged_path = "/x}:jishu::security:sign-in%20failed%0Aclient=203.0.113.66";
    let headers = [("x-request-id", FORGED.trim()), ("user-agent", FORGED.trim())];
    server.send(forged_path, "203.0.113.66, nonsense\tWARN", &headers, "{ __typename }", Value::Null).await;
    server.send("/graphql", "203.0.113.9\tx", &headers, "{ nonsense }", Value::Null).await;
    server.line("too many requests.*198.51.100.3").await;

    let log = server.text();
    let expected = [(GUESSER, 6), (CLASS, 1), (spender, 1)].map(|(client, count)| (client.to_owned(), count));
    assert_eq!(counted(&log), BTreeMap::from(expected), "{log}");
    for message in [
        "sign-in failed",
        "account locked",
        "refresh token refused",
        "access token refused",
        "too many requests",
    ] {
        let line =
            log.lines().find(|line| line.contains(message)).unwrap_or_else(|| panic!("{message}: {log}"));
        assert!(line.contains("jishu::security") && line.contains("WARN"), "{line}");
    }
    assert!(!log.contains('@') && !log.contains("203.0.113.66 "), "{log}");
    if format == "json" {
        for line in log.lines() {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        }
    }
    assert!(!log.contains("jishu::access"), "the access log was written although it is off");
}

#[tokio::test]
async fn attacks_are_logged_once_each_in_text() {
    attacks_are_logged_once_each_and_cannot_be_forged("text").await;
}

#[tokio::test]
async fn attacks_are_logged_once_each_in_json() {
    attacks_are_logged_once_each_and_cannot_be_forged("json").await;
}

#[tokio::test]
async fn a_request_that_exceeds_the_budget_of_mails_is_logged() {
    let flags = ["--mail-requests-per-hour=1", "--minimum-age-without-consent=18"];
    let server = Logging::start("text", "0", &flags).await;
    let minor =
        json!({ "name": "A", "email": "a@example.com", "password": "correct horse", "birthYear": 2015 });
    let answer = server.send("/graphql", CLASS, &[], REGISTER, json!({ "input": minor })).await;
    let token = answer["data"]["register"]["tokens"]["accessToken"].as_str().unwrap();
    let bearer = format!("Bearer {token}");
    // A request to a guardian requires a verified address, so it comes from an account of `jishu user create`.
    let folder = server.folder.path();
    user_cli::create(folder, "c@example.com", "learner");
    succeed(jishu(folder, &["user", "set-birth-year", "--email", "c@example.com", "--year", "2015"]));
    let login = "mutation { login(input: { email: \"c@example.com\", password: \"correct horse battery\" }) {
        tokens { accessToken } } }";
    let answer = server.send("/graphql", CLASS, &[], login, Value::Null).await;
    let token = answer["data"]["login"]["tokens"]["accessToken"].as_str().unwrap();
    let verified = format!("Bearer {token}");
    let reset = r#"requestPasswordReset(email: "b@example.com") { requested }"#;
    let others = [
        reset,
        "resendVerification { requested }",
        "requestAccountDeletion { requested }",
        r#"requestGuardianConsent(guardianEmail: "b@example.com") { done }"#,
        r#"updateProfile(input: { email: "b@example.com", currentPassword: "correct horse" }) { userErrors { code } }"#,
    ];
    // The first request uses up the budget for mails, so the server refuses and logs each later request.
    for (index, field) in [reset].into_iter().chain(others).enumerate() {
        let document = format!("mutation {{ {field} }}");
        let bearer = if field.starts_with("requestGuardianConsent") { &verified } else { &bearer };
        let headers = [("authorization", bearer.as_str())];
        let answer = server.send("/graphql", GUESSER, &headers, &document, Value::Null).await;
        let is_refused = answer["errors"][0]["extensions"]["code"] == "RATE_LIMITED";
        assert_eq!(is_refused, index > 0, "{field}: {answer}");
        let log = server.text();
        assert_eq!(counted(&log).get(GUESSER).copied().unwrap_or_default(), index, "{field}: {log}");
    }
}

#[tokio::test]
async fn a_repeated_grant_of_an_allowance_is_not_logged() {
    let server = Logging::start("text", "0", &[]).await;
    let input = json!({ "input": { "name": "A", "email": "a@example.com", "password": "correct horse" } });
    let answer = server.send("/graphql", CLASS, &[], REGISTER, input).await;
    let token = answer["data"]["register"]["tokens"]["accessToken"].as_str().unwrap();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let viewer = server.send("/graphql", CLASS, &headers, "{ viewer { id } }", Value::Null).await;
    let user = viewer["data"]["viewer"]["id"].as_str().unwrap();
    let arguments = ["user", "set-role", "--email", "a@example.com", "--role", "support"];
    succeed(jishu(server.folder.path(), &arguments));
    // The last grant differs, so its log line shows that the lines of all grants before are written.
    for seconds in [60, 60, 120] {
        let grant = format!(
            "mutation {{ grantAllowance(input: {{ userId: \"{user}\", extraSeconds: {seconds} }}) {{
             allowance {{ extraSeconds }} userErrors {{ code }} }} }}"
        );
        let granted = server.send("/graphql", CLASS, &headers, &grant, Value::Null).await;
        assert_eq!(granted["data"]["grantAllowance"]["allowance"]["extraSeconds"], seconds, "{granted}");
    }
    let grants = || server.text().matches("an allowance was granted").count();
    wait_until("two grants in the log", async || grants() >= 2).await;
    assert_eq!(grants(), 2, "{}", server.text());
}

#[tokio::test]
async fn the_access_log_has_a_line_for_each_request() {
    let server = Logging::start("json", "1", &[]).await;
    let input = json!({ "input": { "name": "A", "email": "a@example.com", "password": "correct horse" } });
    let answer = server.send("/graphql?secret=1", CLASS, &[("x-request-id", "first")], REGISTER, input).await;
    let token = answer["data"]["register"]["tokens"]["accessToken"].as_str().unwrap();
    let bearer = format!("Bearer {token}");
    let headers = [("x-request-id", "second"), ("authorization", bearer.as_str())];
    let answer = server.send("/graphql", GUESSER, &headers, "{ viewer { name } }", Value::Null).await;
    assert_eq!(answer["data"]["viewer"]["name"], "A");
    server.send("/nowhere", GUESSER, &[("x-request-id", "third")], "", Value::Null).await;
    server
        .send(
            "/graphql",
            GUESSER,
            &[("x-request-id", "fourth"), ("authorization", "x")],
            "{ __typename }",
            Value::Null,
        )
        .await;
    server.line("fourth").await;

    let lines: Vec<Value> = server.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |id: &str| -> Value {
        let found: Vec<_> = lines.iter().filter(|line| line["request_id"] == id).collect();
        assert_eq!(found.len(), 1, "{id}: {lines:#?}");
        assert_eq!((&found[0]["target"], &found[0]["level"]), (&json!("jishu::access"), &json!("INFO")));
        assert!(found[0]["milliseconds"].is_u64());
        found[0].clone()
    };
    let fields =
        |line: &Value| ["method", "path", "status", "client", "user"].map(|field| line[field].clone());
    assert_eq!(fields(&of("first")), ["POST", "/graphql", "200", CLASS, ""].map(value));
    assert_eq!(fields(&of("second")), ["POST", "/graphql", "200", GUESSER, "1"].map(value));
    assert_eq!(of("second")["bytes"], json!(answer.to_string().len()));
    assert_eq!(of("third")["status"], 404);
    assert_eq!(of("fourth")["status"], 401);
    assert!(!server.text().contains("secret"));
}

/// Converts an expected text to the JSON value of a log field: null if the text is empty, otherwise a number or a text.
fn value(text: &str) -> Value {
    match (text.is_empty(), text.parse::<u64>()) {
        (true, _) => Value::Null,
        (_, Ok(number)) => json!(number),
        _ => json!(text),
    }
}
