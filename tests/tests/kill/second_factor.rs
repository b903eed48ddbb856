//! Aborts the server at each boundary of switching a second factor on, and of a sign-in with a recovery code. After the
//! abort, nothing may have changed. The same request must then make the whole change.

use chrono::Utc;
use jishu_service::failpoint::{SECOND_FACTOR_LOGIN_BOUNDARIES, SECOND_FACTOR_ON_BOUNDARIES};
use jishu_tests::{Authenticator, COMPLETE_LOGIN, Client, Registration, loopback_client};
use serde_json::{Value, json};

use crate::world::World;

const PASSWORD: &str = "correct horse";
const CONFIRM: &str = "mutation ($code: String!) { confirmTwoFactor(code: $code) {
    recoveryCodes userErrors { code message } } }";

fn client(world: &World, token: Option<&str>) -> Client {
    // Each call makes a new HTTP client, because an aborted server closes its connections.
    Client::new(
        loopback_client().build().expect("a client"),
        world.server.endpoint(),
        token.map(str::to_owned),
    )
}

/// Sends a document that must make the server abort at this boundary. Then restarts the server.
async fn send_and_abort(
    world: &mut World,
    boundary: &str,
    token: Option<&str>,
    (document, variables): (&str, Value),
) {
    world.abort_at(boundary);
    let mut request = loopback_client().build().expect("a client").post(world.server.endpoint());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let sent = request.json(&json!({ "query": document, "variables": variables })).send().await;
    assert!(sent.is_err(), "the server did not abort");
    assert!(world.revive(), "{boundary}");
}

/// Returns the numbers of rows that a change of a second factor writes: confirmed factors, recovery codes, used
/// recovery codes, challenges that were tried or used, refresh tokens that are not revoked, audit events, and mails.
async fn state(world: &World) -> Vec<i64> {
    let connection = world.connect().await;
    let mut numbers = Vec::new();
    for query in [
        "SELECT COUNT(*) FROM second_factors WHERE confirmed_at IS NOT NULL",
        "SELECT COUNT(*) FROM recovery_codes",
        "SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NOT NULL",
        "SELECT COUNT(*) FROM sign_in_challenges WHERE attempts > 0 OR used_at IS NOT NULL",
        "SELECT COUNT(*) FROM refresh_tokens WHERE revoked_at IS NULL",
        "SELECT COUNT(*) FROM audit_events",
        "SELECT COUNT(*) FROM outbox",
    ] {
        numbers.extend(world.numbers(&connection, query).await);
    }
    connection.close().await.expect("closing");
    numbers
}

/// Aborts the server at each boundary of switching a factor on, and of a sign-in with a recovery code. Returns the
/// number of boundaries.
pub(crate) async fn abort_at_each_boundary(world: &mut World) -> usize {
    for (boundary, number) in SECOND_FACTOR_ON_BOUNDARIES.into_iter().zip(0..) {
        let email = format!("factor{number}@example.com");
        let registration = Registration::new("Asha", &email, PASSWORD);
        let token = client(world, None).register(&registration).await.access_token().to_owned();
        client(world, None).login(&email, PASSWORD).await;
        let connection = world.connect().await;
        let verify = "UPDATE users SET email_verified_at = created_at";
        world.change(&connection, verify).await;
        connection.close().await.expect("closing");
        let begin = "mutation { beginTwoFactor { secret userErrors { code } } }";
        let begun = client(world, Some(&token)).run(begin).await;
        let app = Authenticator::new(begun.text("/beginTwoFactor/secret"));
        let before = state(world).await;
        let variables = json!({ "code": app.code(Utc::now()) });
        send_and_abort(world, boundary, Some(&token), (CONFIRM, variables)).await;
        assert_eq!(state(world).await, before, "{:?} at {boundary}", world.backend);
        let variables = json!({ "code": app.code(Utc::now()) });
        let confirmed = client(world, Some(&token)).run_with(CONFIRM, variables).await;
        assert_eq!(confirmed.list("/confirmTwoFactor/recoveryCodes").len(), 10, "{boundary}");
        let after = state(world).await;
        assert_eq!(after[..2], [before[0] + 1, before[1] + 10], "{boundary}");
        assert_eq!(after[4] - before[4], -1, "{boundary}: not exactly one session ended");
        assert_eq!((after[5] - before[5], after[6] - before[6]), (1, 1), "{boundary}");
    }
    for (boundary, number) in SECOND_FACTOR_LOGIN_BOUNDARIES.into_iter().zip(10..) {
        let email = format!("factor{number}@example.com");
        let registration = Registration::new("Asha", &email, PASSWORD);
        let token = client(world, None).register(&registration).await.access_token().to_owned();
        let connection = world.connect().await;
        let verify = "UPDATE users SET email_verified_at = created_at";
        world.change(&connection, verify).await;
        connection.close().await.expect("closing");
        let (_, codes) = client(world, Some(&token)).set_up_second_factor(PASSWORD, Utc::now()).await;
        let challenge = client(world, None).challenge(&email, PASSWORD).await;
        let before = state(world).await;
        let input = json!({ "input": { "challenge": challenge, "recoveryCode": codes[0] } });
        send_and_abort(world, boundary, None, (COMPLETE_LOGIN, input)).await;
        assert_eq!(state(world).await, before, "{:?} at {boundary}", world.backend);
        let completed = client(world, None).complete_login(&challenge, "recoveryCode", &codes[0]).await;
        assert!(completed["tokens"]["accessToken"].is_string(), "{boundary}: {completed}");
        let after = state(world).await;
        let changes: Vec<_> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
        assert_eq!(changes, [0, 0, 1, 1, 1, 1, 1], "{boundary}");
    }
    SECOND_FACTOR_ON_BOUNDARIES.len() + SECOND_FACTOR_LOGIN_BOUNDARIES.len()
}
