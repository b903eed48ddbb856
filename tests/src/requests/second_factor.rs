//! Second factors: an authenticator app, and the mutations that use it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::{Client, GraphqlResponse};

/// The document of [`Client::complete_login`].
pub const COMPLETE_LOGIN: &str = "mutation ($input: CompleteLoginInput!) { completeLogin(input: $input) {
    user { name } tokens { accessToken refreshToken } secondFactor { challenge } userErrors { code message path } } }";

/// An authenticator app: it computes codes from a secret.
pub struct Authenticator {
    codes: Totp,
}

impl Authenticator {
    /// Creates an authenticator app with the secret that the server shows.
    ///
    /// # Panics
    /// Panics if the secret is not base32, or too short.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let secret = Secret::try_from_base32(secret).expect("base32");
        Self { codes: Builder::new().with_secret(secret).build().expect("a secret of 20 bytes") }
    }

    /// Returns the code that the app shows at this time.
    #[must_use]
    pub fn code(&self, now: DateTime<Utc>) -> String {
        self.codes.generate(u64::try_from(now.timestamp()).expect("a time after 1970")).to_string()
    }
}

impl Client {
    /// Sets up a second factor for the account of this client. Returns the authenticator app and the recovery codes.
    ///
    /// # Panics
    /// Panics if the server refuses the password or the code.
    pub async fn set_up_second_factor(
        &self,
        password: &str,
        now: DateTime<Utc>,
    ) -> (Authenticator, Vec<String>) {
        let begin = "mutation ($password: String) { beginTwoFactor(password: $password) {
            secret otpauthUrl userErrors { code message } } }";
        let begun = self.run_with(begin, json!({ "password": password })).await;
        let app = Authenticator::new(begun.text("/beginTwoFactor/secret"));
        let confirmed = self.confirm_second_factor(&app.code(now)).await;
        let codes = confirmed.list("/confirmTwoFactor/recoveryCodes");
        (app, codes.iter().map(|code| code.as_str().expect("a text").to_owned()).collect())
    }

    /// Sends the code that switches the second factor on.
    pub async fn confirm_second_factor(&self, code: &str) -> GraphqlResponse {
        let confirm = "mutation ($code: String!) { confirmTwoFactor(code: $code) {
            recoveryCodes userErrors { code message path } } }";
        self.run_with(confirm, json!({ "code": code })).await
    }

    /// Starts to sign in with the password, and returns the challenge of the second factor.
    ///
    /// # Panics
    /// Panics if the account has no second factor.
    pub async fn challenge(&self, email: &str, password: &str) -> String {
        let login = "mutation ($input: LoginInput!) { login(input: $input) {
            user { name } tokens { accessToken } secondFactor { challenge expiresAt } userErrors { code } } }";
        let answer = self.run_with(login, json!({ "input": { "email": email, "password": password } })).await;
        assert_eq!(*answer.at("/login/user"), Value::Null);
        assert_eq!(*answer.at("/login/tokens"), Value::Null);
        assert_eq!(*answer.at("/login/userErrors"), json!([{ "code": "SECOND_FACTOR_REQUIRED" }]));
        answer.text("/login/secondFactor/challenge").to_owned()
    }

    /// Completes a sign-in with a code. `field` is the kind of the code: `code` or `recoveryCode`.
    pub async fn complete_login(&self, challenge: &str, field: &str, code: &str) -> Value {
        let input = json!({ "challenge": challenge, field: code });
        self.run_with(COMPLETE_LOGIN, json!({ "input": input })).await.at("/completeLogin").clone()
    }
}
