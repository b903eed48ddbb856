//! The outbox: deliveries that fail, hang, expire, or are shared by several nodes.

mod kill;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use jishu_service::{account, outbox};
use jishu_tests::{Backend, MailServer, MailServerMode, TestApp, wait_until};
use serde_json::Value;

use crate::command_line::{fail, jishu, succeed};
use crate::mail::{count, register, with_mail_server};

with_mail_server!(&[];
    a_failed_delivery_is_repeated_with_the_same_id,
    a_refused_mail_is_dead_until_the_operator_retries,
    a_mail_that_nobody_needs_any_more_is_erased,
    a_mail_that_expires_during_its_delivery_is_erased_after_its_lease,
    two_nodes_deliver_each_mail_once,
    a_lease_of_a_dead_node_passes_to_another,
);

const ASHA: &str = "asha@example.com";

async fn a_failed_delivery_is_repeated_with_the_same_id(app: Arc<TestApp>, mail: Arc<MailServer>) {
    mail.set_mode(MailServerMode::Refuse(451));
    register(&app, ASHA).await;
    let failed =
        "SELECT COUNT(*) FROM outbox WHERE state = 'pending' AND attempts = 1 AND last_error LIKE '%451%'";
    wait_until("the first attempt fails", async || app.number(failed).await == 1).await;
    let id = jishu_tests::rows(app.connection(), "SELECT message_id FROM outbox").await.concat().remove(0);
    mail.set_mode(MailServerMode::Accept);
    app.clock.advance(TimeDelta::minutes(1));
    wait_until("the second attempt succeeds", async || count(&app, "sent").await == 1).await;
    let mails = mail.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].header("Message-ID"), format!("<{id}@academy.example>"));
}

/// Returns the command `jishu outbox` with these arguments, for the database of the app.
fn outbox_command(app: &TestApp, arguments: &[&str]) -> Command {
    let all = [&["outbox"], arguments, &["--database-url", &app.database_url]].concat();
    jishu(app.key_file().parent().unwrap(), &all)
}

async fn a_refused_mail_is_dead_until_the_operator_retries(app: Arc<TestApp>, mail: Arc<MailServer>) {
    mail.set_mode(MailServerMode::Refuse(550));
    register(&app, ASHA).await;
    wait_until("the mail is dead", async || count(&app, "dead").await == 1).await;
    let list = succeed(outbox_command(&app, &["list", "--json"]));
    let entry: Value = serde_json::from_str(list.lines().next().unwrap()).unwrap();
    assert_eq!((&entry["kind"], &entry["state"]), (&"mail.verify_email".into(), &"dead".into()), "{list}");
    assert!(entry["lastError"].as_str().unwrap().contains("550"), "{list}");
    let text = succeed(outbox_command(&app, &["list", "--state=dead"]));
    assert!(
        text.contains("verify_email") && !list.contains("asha") && !text.contains("asha"),
        "{text}{list}"
    );

    mail.set_mode(MailServerMode::Accept);
    let unknown = fail(outbox_command(&app, &["retry", "999999"]));
    assert!(unknown.contains("do not exist, are not dead, or have expired"), "{unknown}");
    // An id that is given twice counts once.
    let id = entry["id"].to_string();
    let retried = succeed(outbox_command(&app, &["retry", &id, &id]));
    assert!(retried.contains("1 message"), "{retried}");
    // The command makes the message due by the clock of the machine, which is ahead of the clock of the app.
    app.clock.advance(TimeDelta::minutes(10));
    wait_until("it is delivered", async || count(&app, "sent").await == 1).await;
    assert_eq!(mail.mails_to(ASHA).len(), 1);
    assert_eq!(succeed(outbox_command(&app, &["list"])), "", "a delivered message is still listed");
    assert!(succeed(outbox_command(&app, &["list", "--state=sent"])).contains("verify_email"));
}

async fn a_mail_that_nobody_needs_any_more_is_erased(app: Arc<TestApp>, mail: Arc<MailServer>) {
    mail.set_mode(MailServerMode::Refuse(550));
    register(&app, ASHA).await;
    wait_until("the mail is dead", async || count(&app, "dead").await == 1).await;
    let contents = "SELECT COUNT(*) FROM outbox WHERE payload IS NOT NULL";
    assert_eq!(app.number(contents).await, 1);
    let clean = async || {
        outbox::erase_old(&app.services).await.unwrap();
        account::erase_old(&app.services).await.unwrap();
    };
    clean().await;
    assert_eq!(app.number(contents).await, 1);
    app.clock.advance(TimeDelta::hours(49));
    clean().await;
    assert_eq!(app.number(contents).await, 0);
    app.clock.advance(TimeDelta::days(31));
    clean().await;
    assert_eq!(app.number("SELECT COUNT(*) FROM outbox").await, 0);
    assert_eq!(app.number("SELECT COUNT(*) FROM account_links").await, 0);
}

async fn a_mail_that_expires_during_its_delivery_is_erased_after_its_lease(
    app: Arc<TestApp>,
    mail: Arc<MailServer>,
) {
    mail.set_mode(MailServerMode::Refuse(451));
    register(&app, ASHA).await;
    let failed = "SELECT COUNT(*) FROM outbox WHERE state = 'pending' AND attempts = 1";
    wait_until("the first attempt fails", async || app.number(failed).await == 1).await;
    // The next delivery is due in 15 to 30 seconds. In the state `leased`, this `due_at` is the end of the lease. The
    // message has expired already, but it is not erased before the end of the lease.
    app.execute(
        "UPDATE outbox SET state = 'leased', lease_owner = 'another node', attempts = 2, expires_at = created_at",
    )
    .await;
    outbox::erase_old(&app.services).await.unwrap();
    let leased = "SELECT COUNT(*) FROM outbox WHERE state = 'leased' AND payload IS NOT NULL";
    assert_eq!(app.number(leased).await, 1, "a message was erased although a node is delivering it");
    app.clock.advance(TimeDelta::seconds(30));
    outbox::erase_old(&app.services).await.unwrap();
    let erased = "SELECT COUNT(*) FROM outbox WHERE state = 'dead' AND payload IS NULL";
    assert_eq!(app.number(erased).await, 1);
}

async fn two_nodes_deliver_each_mail_once(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let second = app.second_node().await;
    let addresses: Vec<String> = (0..24).map(|number| format!("learner{number}@example.com")).collect();
    futures_util::future::join_all(addresses.iter().map(|address| register(&app, address))).await;
    wait_until("all are sent", async || count(&app, "sent").await == 24).await;
    let receivers: Vec<String> = mail.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(receivers.len(), 24, "not every mail was sent exactly once");
    assert_eq!(receivers.iter().collect::<BTreeSet<_>>().len(), 24);
    second.stop().await;
}

async fn a_lease_of_a_dead_node_passes_to_another(app: Arc<TestApp>, mail: Arc<MailServer>) {
    mail.set_mode(MailServerMode::Refuse(451));
    register(&app, ASHA).await;
    let failed = "SELECT COUNT(*) FROM outbox WHERE state = 'pending' AND attempts = 1";
    wait_until("the first attempt fails", async || app.number(failed).await == 1).await;
    app.execute("UPDATE outbox SET state = 'leased', lease_owner = 'a dead node', attempts = 2").await;
    mail.set_mode(MailServerMode::Accept);
    app.clock.advance(TimeDelta::minutes(5));
    wait_until("it is delivered", async || count(&app, "sent").await == 1).await;
    // Gives the message the state that it has if its node dies during the tenth and last delivery. The message becomes
    // dead, and no node delivers it again.
    app.execute("UPDATE outbox SET state = 'leased', attempts = 10, sent_at = NULL").await;
    wait_until("it is dead", async || count(&app, "dead").await == 1).await;
    assert_eq!(mail.mails().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_hangs_delays_nobody() {
    crate::mail::run(Backend::Sqlite, &["--mail-seconds=1"], async |app, mail| {
        mail.set_mode(MailServerMode::Hang);
        let addresses: Vec<String> = (0..12).map(|number| format!("learner{number}@example.com")).collect();
        for address in &addresses {
            register(&app, address).await;
        }
        wait_until("deliveries hang", async || mail.connections() >= 8).await;
        // Most of the time of a registration is the hashing of its password. The queries show whether requests wait for
        // the mail server.
        let started = Instant::now();
        for _ in 0..50 {
            app.anonymous().run("{ courses { totalCount } }").await;
        }
        let answered = register(&app, ASHA).await;
        assert!(!answered.is_refused());
        let elapsed = started.elapsed();
        println!("50 queries and a registration while 8 deliveries hung: {elapsed:?}");
        assert!(elapsed < Duration::from_secs(15), "{elapsed:?}");
        let stopped = "SELECT COUNT(*) FROM outbox WHERE last_error LIKE '%longer than%' OR last_error LIKE '%in time%'";
        wait_until("they are stopped", async || app.number(stopped).await >= 8).await;
        mail.set_mode(MailServerMode::Accept);
        wait_until("all arrive", async || {
            // Moves the clock past the pauses between retries. Waits until no message is leased, because the move would
            // end a lease, too.
            if count(&app, "leased").await == 0 {
                app.clock.advance(TimeDelta::seconds(20));
            }
            count(&app, "sent").await == 13
        })
        .await;
    })
    .await;
}
