//! A person registers, moves to another address and deletes the account, over HTTP and by mail, on a server that is a
//! process of its own. Afterwards no table and no line of the server's log names the person.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use jishu_tests::process::{binary, free_port};
use jishu_tests::{Client, MailServer, TestApp, UNLIMITED, wait_until};
use serde_json::{Value, json};

use super::{MARK, World, consent_of, mentions, send};
use crate::mail::{ACCOUNT_DELETED, CHANGE, CHANGED, DELETE_ACCOUNT, RESET, VERIFY, with_mail_server};

with_mail_server!(&["--minimum-age-without-consent=18"]; a_person_comes_changes_and_leaves);

/// A server process whose log is written to a file. Dropping it kills the process.
struct LoggedServer {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl LoggedServer {
    async fn start(app: &TestApp, mail: &MailServer) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
        let child = Command::new(binary("jishu"))
            .args(["serve", &format!("--listen=127.0.0.1:{port}"), "--database-url", &app.database_url])
            .args(["--smtp-url", &mail.url(), "--mail-from=no-reply@academy.example", "--access-log"])
            .args(["--minimum-age-without-consent=18", "--signing-keys"])
            .arg(app.key_file())
            .args(UNLIMITED)
            .env_remove("DATABASE_URL")
            .env("RUST_LOG", "info,jishu_api=debug,jishu_service=debug")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(File::create(folder.path().join("out")).expect("a file"))
            .stderr(File::create(folder.path().join("log")).expect("a file"))
            .spawn()
            .expect("it starts");
        let server = Self { child, port, folder };
        let url = server.url("/health/ready");
        wait_until("the server is ready", async || {
            reqwest::get(&url).await.is_ok_and(|response| response.status().is_success())
        })
        .await;
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn client(&self, token: Option<&str>) -> Client {
        Client::new(reqwest::Client::new(), self.url("/graphql"), token.map(str::to_owned))
    }

    fn output(&self) -> String {
        let text = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).expect("a file");
        format!("{}{}", text("out"), text("log"))
    }
}

impl Drop for LoggedServer {
    fn drop(&mut self) {
        // Ignores errors, because the process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn a_person_comes_changes_and_leaves(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let world = World::new(&app).await;
    let server = LoggedServer::start(&app, &mail).await;
    let stranger = server.client(None);
    let first = format!("asha.{MARK}@example.com");
    let second = format!("rao.{MARK}@example.com");
    let register = async |year: Option<i32>| {
        let input = json!({ "name": format!("Asha {MARK}"), "email": first, "password": "correct horse",
            "birthYear": year });
        stranger.run_with(jishu_tests::REGISTER, json!({ "input": input })).await
    };
    let refused = register(None).await;
    assert_eq!(refused.text("/register/userErrors/0/code"), "BIRTH_YEAR_REQUIRED");
    let registered = register(Some(2012)).await;
    let asha = server.client(Some(registered.text("/register/tokens/accessToken")));
    let verified = format!("(token: \"{}\")", mail.newest(&first, VERIFY).await.token());
    let verified = send(&asha, "verifyEmail", &verified, "user { emailVerified }").await;
    assert_eq!(verified["user"]["emailVerified"], true, "{verified}");
    send(&stranger, "requestPasswordReset", &format!("(email: \"{first}\")"), "requested").await;
    let token = mail.newest(&first, RESET).await.token().to_owned();
    let reset = format!("(token: \"{token}\", password: \"another horse\")");
    let reset = send(&stranger, "resetPassword", &reset, "tokens { accessToken }").await;
    let asha_again = server.client(reset["tokens"]["accessToken"].as_str());
    let input = format!("(input: {{ email: \"{second}\", currentPassword: \"another horse\" }})");
    send(&asha_again, "updateProfile", &input, "user { email }").await;
    let change = format!("(token: \"{}\")", mail.newest(&second, CHANGE).await.token());
    let moved = send(&asha_again, "verifyEmail", &change, "user { email }").await;
    assert_eq!(moved["user"]["email"], json!(second), "{moved}");
    mail.newest(&first, CHANGED).await;
    // Tries to sign in with a wrong password, and with the former address. The log has a line for each failed sign-in,
    // because it may be an attack.
    assert!(stranger.login(&second, "wrong horse").await.is_refused());
    assert!(stranger.login(&first, "another horse").await.is_refused());

    consent_of(&asha_again, &stranger, &mail, &format!("guardian.{MARK}@example.com")).await;
    world.fill(&asha_again).await;
    let export = reqwest::Client::new().get(server.url("/me/export")).bearer_auth(asha_again.token());
    let export: Value = export.send().await.expect("a response").json().await.expect("JSON");
    assert_eq!(export["profile"]["email"], json!(second));
    assert_eq!(export["purchases"].as_array().map(Vec::len), Some(2));
    assert!(!mentions(&app, MARK).await.is_empty());

    // Deletes the account with a link in a mail, without the password.
    send(&asha_again, "requestAccountDeletion", "", "requested").await;
    let token = format!("(token: \"{}\")", mail.newest(&second, DELETE_ACCOUNT).await.token());
    let deleted = send(&stranger, "confirmAccountDeletion", &token, "deleted").await;
    assert_eq!(deleted, json!({ "deleted": true, "userErrors": [] }));
    let again = send(&stranger, "confirmAccountDeletion", &token, "deleted").await;
    assert_eq!(again["userErrors"][0]["code"], "LINK_INVALID");
    mail.newest(&second, ACCOUNT_DELETED).await;
    wait_until("no content is left in the outbox", async || {
        app.number("SELECT COUNT(*) FROM outbox WHERE payload IS NOT NULL").await == 0
    })
    .await;
    assert_eq!(mentions(&app, MARK).await, Vec::<String>::new());
    let log = server.output();
    assert!(
        log.contains("sign-in failed") && log.contains("an account was deleted"),
        "the log lacks these lines: {log}"
    );
    let named: Vec<&str> = log.lines().filter(|line| line.to_lowercase().contains(MARK)).collect();
    assert_eq!(named, Vec::<&str>::new());
    assert!(!log.contains("jlt_") && !log.contains("jrt_") && !log.contains("another horse"));
}
