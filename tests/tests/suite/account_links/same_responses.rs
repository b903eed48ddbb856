//! Responses that do not tell whether an address has an account.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jishu_tests::{MailServer, Registration, TestApp, wait_until};
use serde_json::json;

use super::{ASHA, code, request_reset, update, verify, verify_as};
use crate::mail::{ALREADY_REGISTERED, CHANGE, VERIFY, register, with_mail_server};

with_mail_server!(&["--require-verified-email"];
    nobody_signs_in_before_verifying,
    a_registration_says_the_same_for_every_address,
    a_new_address_says_the_same_for_every_address,
);

async fn nobody_signs_in_before_verifying(app: Arc<TestApp>, mail: Arc<MailServer>) {
    register(&app, ASHA).await;
    let token = mail.newest(ASHA, VERIFY).await.token().to_owned();
    let sessions = "SELECT COUNT(*) FROM refresh_tokens";
    assert_eq!(app.number(sessions).await, 0);
    // A sign-in does not tell a stranger whether an address has an account. The response to the right password of an
    // unverified account is the same as to an unknown address.
    let wrong = app.anonymous().login(ASHA, "wrong horse").await;
    let right = app.anonymous().login(ASHA, "correct horse").await;
    let unknown = app.anonymous().login("nobody@example.com", "correct horse").await;
    assert_eq!(right.refusal(), "INVALID_CREDENTIALS");
    assert_eq!([&wrong, &right], [&unknown, &unknown]);
    wait_until("another link", async || mail.mails_to(ASHA).len() == 2).await;
    assert_eq!(app.number(sessions).await, 0);
    verify(&app, &token).await;
    assert!(!app.anonymous().login(ASHA, "correct horse").await.is_refused());
}

async fn a_registration_says_the_same_for_every_address(app: Arc<TestApp>, mail: Arc<MailServer>) {
    let new = register(&app, ASHA).await;
    mail.newest(ASHA, VERIFY).await;
    let users = "SELECT COUNT(*) FROM users";
    let other = Registration::new("Other", ASHA, "another password");
    assert_eq!(app.anonymous().register(&other).await, new);
    mail.newest(ASHA, ALREADY_REGISTERED).await;
    assert_eq!(app.number(users).await, 1);
    assert_eq!(app.anonymous().login(ASHA, "another password").await.refusal(), "INVALID_CREDENTIALS");
    let invalid = Registration::new("Other", "other@example.com", "short");
    assert_eq!(app.anonymous().register(&invalid).await.refusal(), "PASSWORD_INVALID");
}

async fn a_new_address_says_the_same_for_every_address(app: Arc<TestApp>, mail: Arc<MailServer>) {
    for email in [ASHA, "binod@example.com"] {
        register(&app, email).await;
        verify(&app, mail.newest(email, VERIFY).await.token()).await;
    }
    let binod = app.anonymous().login("binod@example.com", "correct horse").await;
    let binod = app.with_token(binod.access_token());
    // The number of live links of each purpose, which a user sees in the export of their data.
    let links = "SELECT CONCAT(purpose, COUNT(*)) FROM account_links WHERE used_at IS NULL GROUP BY purpose";
    let mut seen = Vec::new();
    for email in ["free@example.com", ASHA] {
        let input = json!({ "email": email, "currentPassword": "correct horse" });
        let answer = update(&binod, input).await;
        let link = mail.newest(email, CHANGE).await;
        seen.push((answer.body, jishu_tests::rows(app.connection(), links).await.concat()));
        if email == ASHA {
            assert_eq!(code(&verify_as(&binod, link.token(), None).await, "verifyEmail"), "EMAIL_TAKEN");
        }
    }
    assert_eq!(seen[0], seen[1]);
}

/// Number of timed reset requests for the registered address. The test sends the same number for an unknown address.
const TIMED_REQUESTS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_known_address_cannot_be_told_from_an_unknown_one() {
    crate::mail::run(jishu_tests::Backend::Sqlite, &[], async |app, mail| {
        register(&app, ASHA).await;
        let mut times: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..TIMED_REQUESTS {
            for (times, email) in times.iter_mut().zip([ASHA, "nobody@example.com"]) {
                let started = Instant::now();
                let answer = request_reset(&app, email).await;
                times.push(started.elapsed());
                assert_eq!(
                    *answer.at("/requestPasswordReset"),
                    json!({ "requested": true, "userErrors": [] })
                );
            }
        }
        let median = |times: &mut Vec<Duration>| {
            times.sort_unstable();
            times[TIMED_REQUESTS / 2]
        };
        let [known, unknown] = times.each_mut().map(median);
        println!("median of {TIMED_REQUESTS}: known {known:?}, unknown {unknown:?}");
        let difference = known.abs_diff(unknown);
        assert!(difference < known.max(unknown) / 3 + Duration::from_micros(500), "{known:?}, {unknown:?}");
        assert!(mail.mails_to("nobody@example.com").is_empty());
    })
    .await;
}
