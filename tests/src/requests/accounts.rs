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
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
}

impl Registration {
    /// Creates a registration. The fields may be invalid.
    #[must_use]
    pub fn new(name: &str, email: &str, password: &str) -> Self {
        Self { name: name.to_owned(), email: email.to_owned(), password: password.to_owned() }
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The global id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The e-mail address.
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
    /// Whether the request was refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        !self.user_errors.is_empty()
    }

    /// The user.
    ///
    /// # Panics
    /// Panics if the request was refused.
    #[must_use]
    pub fn user(&self) -> &User {
        self.user.as_ref().unwrap_or_else(|| panic!("nobody is signed in: {self:#?}"))
    }

    /// The access token.
    ///
    /// # Panics
    /// Panics if the request was refused.
    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.tokens().access_token
    }

    /// The refresh token.
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

    /// The errors. All other fields must be null.
    ///
    /// # Panics
    /// Panics if the request was not refused.
    #[must_use]
    pub fn errors(&self) -> &[UserError] {
        let is_empty = self.user.is_none() && self.tokens.is_none();
        assert!(is_empty && self.is_refused(), "it was not refused: {self:#?}");
        &self.user_errors
    }

    /// The code of the first error. All other fields must be null.
    #[must_use]
    pub fn refusal(&self) -> &str {
        &self.errors()[0].code
    }
}

impl Client {
    /// Registers.
    pub async fn register(&self, registration: &Registration) -> SignedIn {
        self.mutate(REGISTER, "register", &json!(registration)).await
    }

    /// Signs in.
    pub async fn login(&self, email: &str, password: &str) -> SignedIn {
        self.mutate(LOGIN, "login", &json!({ "email": email, "password": password })).await
    }

    /// Exchanges a refresh token.
    pub async fn refresh(&self, token: &str) -> SignedIn {
        self.run_with(REFRESH, json!({ "token": token })).await.read("/refreshTokens")
    }
}

impl TestApp {
    /// A client signed in as a new learner.
    pub async fn learner(&self, name: &str) -> Client {
        let registration = Registration::new(name, &address(name), PASSWORD);
        self.with_token(self.anonymous().register(&registration).await.access_token())
    }

    /// A client signed in as a learner who registered before.
    pub async fn learner_again(&self, name: &str) -> Client {
        self.with_token(self.anonymous().login(&address(name), PASSWORD).await.access_token())
    }
}

const PASSWORD: &str = "correct horse battery";

fn address(name: &str) -> String {
    format!("{}@example.com", name.to_lowercase())
}
