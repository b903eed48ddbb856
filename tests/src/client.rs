//! A minimal GraphQL client.

use serde_json::{Value, json};

/// Returns the builder of an HTTP client for servers on loopback, which do not use TLS.
///
/// The client trusts no certificate. Loading the system's certificates takes a debug build tens of milliseconds for
/// each client.
pub fn loopback_client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().tls_certs_only([])
}

/// A client that sends GraphQL operations, with or without an access token.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Client {
    /// Creates a client of the server at this URL. The client is signed in if a token is given.
    #[must_use]
    pub fn new(http: reqwest::Client, url: String, token: Option<String>) -> Self {
        Self { http, url, token }
    }

    /// Returns whether the client sends no access token.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.token.is_none()
    }

    /// Returns the access token that the client sends. Panics if the client is not signed in.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("a client that is signed in")
    }

    /// Sends a document and returns the response, which may be an error.
    pub async fn send(&self, query: &str, variables: Value) -> GraphqlResponse {
        let mut request = self.http.post(&self.url).json(&json!({ "query": query, "variables": variables }));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.expect("the server answers");
        let status = response.status().as_u16();
        let body = response.json().await.expect("the answer is JSON");
        GraphqlResponse { status, body }
    }

    /// Sends a document. Panics if the response has errors.
    pub async fn run(&self, query: &str) -> GraphqlResponse {
        self.run_with(query, Value::Null).await
    }

    /// Sends a document with variables. Panics if the response has errors.
    pub async fn run_with(&self, query: &str, variables: Value) -> GraphqlResponse {
        let answer = self.send(query, variables).await;
        assert!(answer.body.get("errors").is_none(), "{query}\n{:#}", answer.body);
        answer
    }

    /// Sends a document that must fail, and returns the code and the message of its first error.
    pub async fn fail(&self, query: &str, variables: Value) -> (String, String) {
        let answer = self.send(query, variables).await;
        let error = &answer.body["errors"][0];
        let text =
            |value: &Value| value.as_str().unwrap_or_else(|| panic!("{query}\n{:#}", answer.body)).to_owned();
        (text(&error["extensions"]["code"]), text(&error["message"]))
    }
}

/// A response to an operation.
#[derive(Clone, Debug)]
pub struct GraphqlResponse {
    /// The HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: Value,
}

impl GraphqlResponse {
    /// Returns the value at a JSON pointer below `data`.
    #[must_use]
    pub fn at(&self, pointer: &str) -> &Value {
        self.body["data"].pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {:#}", self.body))
    }

    /// Returns the text at a JSON pointer below `data`.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_else(|| panic!("no text at {pointer} in {:#}", self.body))
    }

    /// Returns the number at a JSON pointer below `data`.
    #[must_use]
    pub fn number(&self, pointer: &str) -> i64 {
        self.at(pointer).as_i64().unwrap_or_else(|| panic!("no number at {pointer} in {:#}", self.body))
    }

    /// Returns the items of the list at a JSON pointer below `data`.
    #[must_use]
    pub fn list(&self, pointer: &str) -> &[Value] {
        self.at(pointer).as_array().unwrap_or_else(|| panic!("no list at {pointer} in {:#}", self.body))
    }
}
