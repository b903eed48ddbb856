//! Mails: what jishu sends to a mail server or writes into a folder, what happens to a mail if neither is configured,
//! and which settings stop the start.

use std::sync::Arc;

use jishu_tests::{Backend, MailServer, Registration, TestApp, wait_until};

use crate::command_line::{fail, jishu};

/// The subject line of the mail that verifies an address. Each constant below is the subject line of another built-in
/// template.
pub(crate) const VERIFY: &str = "Confirm your e-mail address";
pub(crate) const RESET: &str = "Choose a new password";
pub(crate) const CHANGE: &str = "Confirm your new e-mail address";
pub(crate) const CHANGE_REQUESTED: &str = "A new e-mail address was asked for";
pub(crate) const CHANGED: &str = "Your e-mail address was changed";
pub(crate) const PASSWORD_CHANGED: &str = "Your password was changed";
pub(crate) const ALREADY_REGISTERED: &str = "You already have an account";
pub(crate) const DELETE_ACCOUNT: &str = "Delete your account";
pub(crate) const ACCOUNT_DELETED: &str = "Your account was deleted";
pub(crate) const GUARDIAN_CONSENT: &str = "Your consent is asked for";
pub(crate) const GUARDIAN_CONSENTED: &str = "You have consented";

/// Makes a test of each function on each database. Each test gets a server that runs with `$flags`, and a mail server.
macro_rules! with_mail_server {
    ($flags:expr; $($name:ident),+ $(,)?) => {
        crate::mail::with_mail_server!(@ sqlite, Sqlite, $flags, $($name),+);
        crate::mail::with_mail_server!(@ postgres, Postgres, $flags, $($name),+);
        crate::mail::with_mail_server!(@ mariadb, MariaDb, $flags, $($name),+);
    };
    (@ $module:ident, $backend:ident, $flags:expr, $($name:ident),+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::mail::run(jishu_tests::Backend::$backend, $flags, super::$name).await;
                }
            )+
        }
    };
}
pub(crate) use with_mail_server;

/// Starts a mail server, and a server with these flags that sends its mails to the mail server. Runs the test with both
/// servers.
pub(crate) async fn run(
    backend: Backend,
    flags: &[&str],
    test: impl AsyncFnOnce(Arc<TestApp>, Arc<MailServer>),
) {
    let mail = Arc::new(MailServer::start().await);
    let url = format!("--smtp-url={}", mail.url());
    let common =
        [&*url, "--mail-from=Academy <no-reply@academy.example>", "--frontend-url=https://academy.example"];
    TestApp::run_with(backend, &[&common, flags].concat(), async |app| test(app, mail).await).await;
}

/// Counts the messages of the outbox in a state, such as `sent`.
pub(crate) async fn count(app: &TestApp, state: &str) -> i64 {
    app.number(&format!("SELECT COUNT(*) FROM outbox WHERE state = '{state}'")).await
}

/// Registers a user named Asha with this address and the password `correct horse`. Returns the response.
pub(crate) async fn register(app: &TestApp, email: &str) -> jishu_tests::SignedIn {
    app.anonymous().register(&Registration::new("Asha", email, "correct horse")).await
}

with_mail_server!(&[]; a_mail_has_a_sender_a_link_and_two_texts);

async fn a_mail_has_a_sender_a_link_and_two_texts(app: Arc<TestApp>, mail: Arc<MailServer>) {
    register(&app, "asha@example.com").await;
    let caught = mail.newest("asha@example.com", VERIFY).await;
    assert_eq!(caught.header("From"), "Academy <no-reply@academy.example>");
    assert_eq!(caught.header("Auto-Submitted"), "auto-generated");
    assert!(caught.header("Message-ID").ends_with("@academy.example>"), "{}", caught.text);
    for part in ["text/plain", "text/html", "https://academy.example/verify-email#token=jlt_", "48 hours"] {
        assert!(caught.text.contains(part), "{part}: {}", caught.text);
    }
    // The mail does not contain the name, because a stranger could register any address with an advertisement as the
    // name.
    assert!(!caught.text.contains("Asha"), "{}", caught.text);
    wait_until("the outcome is recorded", async || count(&app, "sent").await == 1).await;
    assert_eq!(app.number("SELECT COUNT(*) FROM outbox WHERE payload IS NOT NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_gets_one_file_for_each_mail() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mails");
    let flag = format!("--mail-folder={}", path.display());
    TestApp::run_with(Backend::Sqlite, &[&flag], async |app| {
        register(&app, "asha@example.com").await;
        wait_until("the mail is written", async || count(&app, "sent").await == 1).await;
        let files: Vec<_> = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert_eq!(files[0].extension().unwrap(), "eml");
        let text = std::fs::read_to_string(&files[0]).unwrap();
        assert!(text.contains("To: asha@example.com") && text.contains("#token=jlt_"), "{text}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mail_server_a_mail_counts_as_sent() {
    TestApp::run(Backend::Sqlite, async |app| {
        register(&app, "asha@example.com").await;
        wait_until("the mail is logged", async || count(&app, "sent").await == 1).await;
        assert_eq!(app.number("SELECT COUNT(*) FROM outbox WHERE payload IS NOT NULL").await, 0);
    })
    .await;
}

#[test]
fn wrong_settings_of_mails_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let templates = folder.path().join("templates");
    std::fs::create_dir(&templates).unwrap();
    std::fs::write(templates.join("reset_password.txt"), "Subject: x\n\n{{ lnik }}\n").unwrap();
    let refused = |flag: &str| fail(jishu(folder.path(), &["serve", "--listen=127.0.0.1:0", flag]));
    for (flag, part) in [
        ("--smtp-url=mail.example.com", "smtp://USER:PASSWORD@HOST:PORT"),
        ("--smtp-url=smtp://a:b@mail.example.com?tls=none", "without encryption"),
        ("--mail-from=nobody", "Academy <no-reply@example.com>"),
        ("--frontend-url=academy.example", "https://app.example.com"),
        (&*format!("--mail-templates={}", templates.display()), "reset_password.txt"),
        ("--mail-templates=missing", "--mail-templates"),
    ] {
        let told = refused(flag);
        assert!(told.contains(part), "{flag}: {told}");
    }
    assert!(!folder.path().join("jishu.db").exists(), "a refused start created the database");
}
