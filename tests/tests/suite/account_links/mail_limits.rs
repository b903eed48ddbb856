//! Limits on the mails to one address.

use jishu_tests::wait_until;
use serde_json::{Value, json};

use super::{ASHA, code, request_reset, update};
use crate::mail::{RESET, register};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_flooded_with_mails() {
    let flags = ["--mails-per-receiver-per-hour=3", "--mail-requests-per-hour=0"];
    crate::mail::run(jishu_tests::Backend::Sqlite, &flags, async |app, mail| {
        register(&app, ASHA).await;
        for email in [ASHA, "nobody@example.com"] {
            for _ in 0..3 {
                request_reset(&app, email).await;
            }
            let document = "mutation ($email: String!) { requestPasswordReset(email: $email) { requested } }";
            let (code, _) = app.anonymous().fail(document, json!({ "email": email })).await;
            assert_eq!(code, "RATE_LIMITED", "{email}");
        }
        wait_until("the mails", async || mail.mails_to(ASHA).len() == 4).await;
        let asha = app.with_token(app.anonymous().login(ASHA, "correct horse").await.access_token());
        // The requests for a new password have used up no other budget.
        let again = "mutation { resendVerification { requested } }";
        for _ in 0..3 {
            asha.run(again).await;
        }
        assert_eq!(asha.fail(again, Value::Null).await.0, "RATE_LIMITED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_do_not_use_up_the_mails_of_an_owner() {
    let flags = ["--mails-per-receiver-per-hour=3", "--mail-requests-per-hour=0"];
    crate::mail::run(jishu_tests::Backend::Sqlite, &flags, async |app, mail| {
        register(&app, ASHA).await;
        let binod = app.with_token(register(&app, "binod@example.com").await.access_token());
        let input = json!({ "email": ASHA, "currentPassword": "correct horse" });
        for _ in 0..3 {
            assert_eq!(code(&update(&binod, input.clone()).await, "updateProfile"), "EMAIL_TAKEN");
        }
        let document =
            "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { user { id } } }";
        assert_eq!(binod.fail(document, json!({ "input": input })).await.0, "RATE_LIMITED");
        // A stranger who is signed in to an account with the address can ask for other mails only.
        let asha = app.with_token(app.anonymous().login(ASHA, "correct horse").await.access_token());
        for _ in 0..3 {
            asha.run("mutation { resendVerification { requested } }").await;
        }
        request_reset(&app, ASHA).await;
        mail.newest(ASHA, RESET).await;
    })
    .await;
}
