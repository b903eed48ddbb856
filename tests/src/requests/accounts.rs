//! The mutations `register`, `login` and `refreshTokens`.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::UserError;
use crate::{Client, TestApp};

/// The document of [`Client::register`].
pub const REGISTER: &str = "mutation ($input: RegisterInput!) { register(input: $input) {
    user { id name email role createdAt } tokens { accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt }
    userErrors { code message path } } }";
/// The document of [`Client::login`].
pub const LOGIN: &str = "mutation ($input: LoginInput!) { login(input: $input) {
    user { id name email role createdAt } tokens { accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt }
    userErrors { code message path } } }";
/// The document of [`Client::refresh`].
pub const REFRESH: &str = "mutation ($token: String!) { refreshTokens(refreshToken: $token) {
    user { id name email role createdAt } tokens { accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt }
    userErrors { code message path } } }";

/// The input of `register`.
#[derive(Clone, Debug, Serialize)]
pub struct Registration {
    /// The name of the user.
    pub name: String,
    /// The e-mail address of the user.
    pub email: String,
    /// The password of the user.
    pub password: String,
}

impl Registration {
    /// Creates the input of `register`. The values may be invalid.
    #[must_use]
    pub fn new(name: &str, email: &str, password: &str) -> Self {
        Self { name: name.to_owned(), email: email.to_owned(), password: password.to_owned() }
    }
}

/// A user, as the payloads of `register`, `login` and `refreshTokens` contain it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The global id of the user.
    pub id: String,
    /// The name of the user.
    pub name: String,
    /// The e-mail address of the user.
    pub email: String,
    /// The role, such as `LEARNER`.
    pub role: String,
    /// The time when the account was made.
    pub created_at: String,
}

/// The tokens of a session.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// The access token.
    pub access_token: String,
    /// The time when the access token expires.
    pub access_token_expires_at: String,
    /// The refresh token.
    pub refresh_token: String,
    /// The time when the refresh token expires.
    pub refresh_token_expires_at: String,
}

/// The payload of `register`, `login` and `refreshTokens`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    user: Option<User>,
    tokens: Option<Tokens>,
    user_errors: Vec<UserError>,
}

impl SignedIn {
    /// Returns whether the request was refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        !self.user_errors.is_empty()
    }

    /// Returns the user.
    ///
    /// # Panics
    /// Panics if the request was refused.
    #[must_use]
    pub fn user(&self) -> &User {
        self.user.as_ref().unwrap_or_else(|| panic!("nobody is signed in: {self:#?}"))
    }

    /// Returns the access token.
    ///
    /// # Panics
    /// Panics if the request was refused.
    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.tokens().access_token
    }

    /// Returns the refresh token.
    ///
    /// # Panics
    /// Panics if the request was refused.
    #[must_use]
    pub fn refresh_token(&self) -> &str {
        &self.tokens().refresh_token
    }

    fn tokens(&self) -> &Tokens {
        assert_eq!(self.user_errors, [], "nobody was signed in");
        self.tokens.as_ref().unwrap_or_else(|| panic!("nobody is signed in: {self:#?}"))
    }

    /// Returns the user errors. The user and the tokens must be null.
    ///
    /// # Panics
    /// Panics if the request was not refused, or if the payload has a user or tokens.
    #[must_use]
    pub fn errors(&self) -> &[UserError] {
        let is_empty = self.user.is_none() && self.tokens.is_none();
        assert!(is_empty && self.is_refused(), "the request was not refused: {self:#?}");
        &self.user_errors
    }

    /// Returns the code of the first user error. The user and the tokens must be null.
    #[must_use]
    pub fn refusal(&self) -> &str {
        &self.errors()[0].code
    }
}

impl Client {
    /// Registers an account.
    pub async fn register(&self, registration: &Registration) -> SignedIn {
        self.mutate(REGISTER, "register", &json!(registration)).await
    }

    /// Signs in with an e-mail address and a password.
    pub async fn login(&self, email: &str, password: &str) -> SignedIn {
        self.mutate(LOGIN, "login", &json!({ "email": email, "password": password })).await
    }

    /// Exchanges a refresh token for new tokens.
    pub async fn refresh(&self, token: &str) -> SignedIn {
        self.run_with(REFRESH, json!({ "token": token })).await.read("/refreshTokens")
    }
}

impl TestApp {
    /// Registers a learner, and returns a client that is signed in as this learner.
    pub async fn learner(&self, name: &str) -> Client {
        let registration = Registration::new(name, &address(name), PASSWORD);
        self.with_token(self.anonymous().register(&registration).await.access_token())
    }

    /// Signs in as a learner whom [`TestApp::learner`] registered before, and returns the client.
    pub async fn learner_again(&self, name: &str) -> Client {
        self.with_token(self.anonymous().login(&address(name), PASSWORD).await.access_token())
    }
}

const PASSWORD: &str = "correct horse battery";

fn address(name: &str) -> String {
    format!("{}@example.com", name.to_lowercase())
}
