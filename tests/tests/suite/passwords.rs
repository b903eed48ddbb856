//! Password hashes: those of the old system, unreadable ones, and many first sign-ins at once.

use std::sync::Arc;

use jishu_tests::{Client, TestApp, on_each_database};

use crate::accounts::asha;

on_each_database!(
    a_hash_of_werkzeug_signs_in_and_is_replaced,
    a_hash_that_nobody_can_read_is_a_wrong_password,
    sixteen_first_sign_ins_at_once_all_succeed,
);

/// Hashes that Werkzeug made from "correct horse battery".
const WERKZEUG_HASHES: [&str; 4] = [
    "scrypt:32768:8:1$pqemSvxh47zPwLPK$00ab3e344a6e5aeeb4a5c1f456e57d58a3dc21ed791d35cc4c049d20d02869e2299508f237dbb8118d990bf373df893c3074e51db2f2e171019f8f97649106f0",
    "pbkdf2:sha256:260000$6909WLCfDNfNlC6i$4814d9d19c76ed2dbc963a99ded530b92382ad6bd2809853633ab8bf743dbdb5",
    "pbkdf2:sha512:1000$xHtemUVJxyNBkB4f$c4d50b36748031700ef7a7ac6853fc430a7e4c786d477c3e188ac317c8cd61c3752e4220466f437a08f6ea7607c1345ca962d271bf640ab3abe0a4d35db66bf7",
    "pbkdf2:sha1:1000$gLuGf5SKTA55PoX6$555427c868693e21c9a35bf1d1666d98d55a9d7a",
];
const PASSWORD: &str = "correct horse battery";

async fn set_hash(app: &TestApp, hash: &str) {
    app.execute(&format!("UPDATE users SET password_hash = '{hash}'")).await;
}

async fn with_hash(app: &TestApp, hash: &str) -> i64 {
    app.number(&format!("SELECT COUNT(*) FROM users WHERE password_hash LIKE '{hash}'")).await
}

async fn a_hash_of_werkzeug_signs_in_and_is_replaced(app: Arc<TestApp>) {
    app.anonymous().register(&asha()).await;
    for hash in WERKZEUG_HASHES {
        set_hash(&app, hash).await;
        let before = app.row_counts().await;
        for wrong in ["correct horse", "", &"x".repeat(2_000)] {
            assert_eq!(
                app.anonymous().login("asha@example.com", wrong).await.refusal(),
                "INVALID_CREDENTIALS"
            );
        }
        assert_eq!((app.row_counts().await, with_hash(&app, hash).await), (before, 1), "{hash}");
        assert_eq!(app.anonymous().login("asha@example.com", PASSWORD).await.user().name, "Asha");
        assert_eq!(with_hash(&app, "$argon2id$v=19$m=19456,t=2,p=1$%").await, 1, "{hash}");
        assert_eq!(app.anonymous().login("asha@example.com", PASSWORD).await.user().name, "Asha");
        assert_eq!(
            app.anonymous().login("asha@example.com", "correct horse").await.refusal(),
            "INVALID_CREDENTIALS"
        );
    }
    // A sign-in to a deactivated account is refused, and does not replace the hash.
    set_hash(&app, WERKZEUG_HASHES[3]).await;
    app.execute("UPDATE users SET status = 'deactivated'").await;
    assert_eq!(app.anonymous().login("asha@example.com", PASSWORD).await.refusal(), "INVALID_CREDENTIALS");
    assert_eq!(with_hash(&app, WERKZEUG_HASHES[3]).await, 1);
}

async fn a_hash_that_nobody_can_read_is_a_wrong_password(app: Arc<TestApp>) {
    app.anonymous().register(&asha()).await;
    for hash in [
        "",
        "none",
        "$2b$12$LQv3c1yqBWVHxkd0LHAkCOYz6TtxMQJqhN8/LewdBPj4J/HS.iK8i",
        "sha256$XI27eD22$796b7a91346452d316fb0bd6f2f33b011b5c8f2c3c6022e6fbbb7ff7b3d7f72c",
        "pbkdf2:sha256:999999999$TsJBS4KUounN08uI$067c1055c5728bacb6c3099aac10687a6cd62c84ba75bc87e6a05b76782df13a",
        "$argon2id$v=19$m=4194304,t=9,p=1$c2FsdHNhbHRzYWx0$ZmFrZWZha2VmYWtlZmFrZWZha2VmYWtl",
        "$argon2id$v=99$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        &WERKZEUG_HASHES[0].replace("32768:8:1", "2:524288:1"),
    ] {
        set_hash(&app, hash).await;
        let before = app.row_counts().await;
        let answer = app.anonymous().login("asha@example.com", PASSWORD).await;
        assert_eq!(answer.refusal(), "INVALID_CREDENTIALS");
        let unknown = app.anonymous().login("nobody@example.com", PASSWORD).await;
        assert_eq!(answer, unknown, "{hash}");
        assert_eq!((app.row_counts().await, with_hash(&app, hash).await), (before, 1));
    }
    set_hash(&app, "").await;
    assert_eq!(app.anonymous().login("asha@example.com", "").await.refusal(), "INVALID_CREDENTIALS");
}

async fn sixteen_first_sign_ins_at_once_all_succeed(app: Arc<TestApp>) {
    app.anonymous().register(&asha()).await;
    app.execute("DELETE FROM sign_in_networks").await;
    set_hash(&app, WERKZEUG_HASHES[3]).await;
    // The first node remembers this network since the registration, so all sixteen sign-ins go to the second node. The
    // database has no row of the network either, so the sign-ins race to insert this row.
    let node = app.second_node().await;
    let client = Client::new(app.http().clone(), node.url("/graphql"), None);
    let sign_ins = (0..16).map(|_| client.login("asha@example.com", PASSWORD));
    let answers = futures_util::future::join_all(sign_ins).await;
    node.stop().await;
    for answer in answers {
        assert!(!answer.is_refused(), "{answer:?}");
    }
    assert_eq!(with_hash(&app, "$argon2id$%").await, 1);
    assert_eq!(app.number("SELECT COUNT(*) FROM sign_in_networks").await, 1);
}
