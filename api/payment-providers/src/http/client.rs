//! The client of HTTP.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded};

use super::{
    HttpOptions,
    circuit::Circuit,
    outcome::{Outcome, Repeat, Response},
};
use crate::{ConfigError, ProviderError};

/// The way in which requests prove who sends them.
pub(crate) enum Auth {
    Basic { user: String, password: SecretString },
    Bearer(SecretString),
}

/// A call, which is sent once or repeatedly.
pub(crate) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<(&'static str, Vec<u8>)>,
    repeat: Repeat,
}

impl Call {
    /// Reads something.
    pub(crate) fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            repeat: Repeat::Read,
        }
    }

    /// Writes something.
    pub(crate) fn post(path: String, repeat: Repeat) -> Self {
        Self { method: Method::POST, path, query: Vec::new(), headers: Vec::new(), body: None, repeat }
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn json(mut self, value: &serde_json::Value) -> Self {
        self.body = Some(("application/json", value.to_string().into_bytes()));
        self
    }

    pub(crate) fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body = Some(("application/x-www-form-urlencoded", text.into_bytes()));
        self
    }
}

/// Sends calls to one provider.
pub(crate) struct HttpClient {
    client: reqwest::Client,
    base: Url,
    auth: Auth,
    headers: Vec<(&'static str, &'static str)>,
    options: HttpOptions,
    circuit: Circuit,
    /// Reads the code and the message of an error.
    explain: fn(&[u8]) -> (String, String),
}

/// Maximum length of a message of a provider, in characters.
const MAX_MESSAGE_CHARACTERS: usize = 300;
/// Maximum time that a provider can make a call wait between two requests.
const MAX_PAUSE: Duration = Duration::from_secs(10);

impl HttpClient {
    pub(crate) fn new(
        base: Url,
        auth: Auth,
        headers: Vec<(&'static str, &'static str)>,
        options: HttpOptions,
        explain: fn(&[u8]) -> (String, String),
    ) -> Result<Self, ConfigError> {
        let loopback = is_loopback(&base);
        if base.scheme() != "https" && !(base.scheme() == "http" && loopback) {
            return Err(ConfigError::NotHttps(base.to_string()));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(ConfigError::BaseHasMore);
        }
        let mut client = reqwest::Client::builder()
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            .timeout(options.request_timeout)
            .user_agent(concat!("jishu-payment-providers/", env!("CARGO_PKG_VERSION")));
        if loopback {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| ConfigError::Client(error.to_string()))?;
        let circuit = Circuit::new(options.circuit);
        Ok(Self { client, base, auth, headers, options, circuit, explain })
    }

    /// Sends a call, and reads the body of a success.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, ProviderError> {
        let repeat = call.repeat;
        let response = self.send(&call).await?;
        if !response.status.is_success() {
            let (code, message) = (self.explain)(&response.body);
            let message = message.chars().take(MAX_MESSAGE_CHARACTERS).collect();
            return Err(ProviderError::Refused { status: response.status.as_u16(), code, message });
        }
        serde_json::from_slice(&response.body).map_err(|error| {
            // The text of the error can quote the body, so only its position is kept.
            let reason = format!(
                "the body of its success cannot be read at line {}, column {}",
                error.line(),
                error.column()
            );
            if repeat == Repeat::Read {
                ProviderError::Unreadable(reason)
            } else {
                ProviderError::UnknownOutcome { reason }
            }
        })
    }

    async fn send(&self, call: &Call) -> Result<Response, ProviderError> {
        let started = Instant::now();
        let mut maybe_done = false;
        let mut attempt = 1;
        loop {
            if let Err(retry_after) = self.circuit.enter(Instant::now()) {
                return Err(if maybe_done && call.repeat != Repeat::Read {
                    ProviderError::UnknownOutcome { reason: "the provider failed repeatedly".into() }
                } else {
                    ProviderError::CircuitOpen { retry_after }
                });
            }
            let left = self.options.total_timeout.saturating_sub(started.elapsed());
            let (outcome, status) = self.attempt(call, left).await;
            if outcome.is_failure(status) {
                self.circuit.failed(Instant::now());
            } else {
                self.circuit.succeeded();
            }
            maybe_done |= matches!(outcome, Outcome::MaybeDone { .. });
            if attempt >= self.options.max_attempts || !outcome.may_repeat(call.repeat) {
                return outcome.end(call.repeat, maybe_done);
            }
            let pause = self.pause(attempt, outcome.retry_after());
            let left = self.options.total_timeout.saturating_sub(started.elapsed());
            if pause > MAX_PAUSE || pause >= left {
                return outcome.end(call.repeat, maybe_done);
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// The pause after an attempt. The random part spreads callers that failed together.
    fn pause(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let full = self.options.backoff.saturating_mul(1 << (attempt - 1).min(10));
        let own = full.mul_f64(rand::random_range(0.5..=1.0));
        own.max(asked.unwrap_or_default())
    }

    async fn attempt(&self, call: &Call, left: Duration) -> (Outcome, Option<StatusCode>) {
        match tokio::time::timeout(left, self.request(call)).await {
            Ok(Ok(response)) => {
                let status = response.status;
                (Outcome::of(response), Some(status))
            }
            Ok(Err(outcome)) => (outcome, None),
            Err(_) => (maybe_done("it sent no response in time"), None),
        }
    }

    async fn request(&self, call: &Call) -> Result<Response, Outcome> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), call.path));
        let mut request = self.client.request(call.method.clone(), url).query(&call.query);
        request = match &self.auth {
            Auth::Basic { user, password } => request.basic_auth(user, Some(password.expose_secret())),
            Auth::Bearer(token) => request.bearer_auth(token.expose_secret()),
        };
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if let Some(traceparent) = (self.options.traceparent)() {
            request = request.header("traceparent", traceparent);
        }
        if let Some((kind, body)) = &call.body {
            request = request.header(header::CONTENT_TYPE, *kind).body(body.clone());
        }

        let mut response = request.send().await.map_err(|error| {
            if error.is_connect() {
                Outcome::NothingDone { reason: "it could not be reached".into(), retry_after: None }
            } else if error.is_builder() {
                Outcome::NothingDone { reason: "the request could not be built".into(), retry_after: None }
            } else if error.is_timeout() {
                maybe_done("it sent no response in time")
            } else {
                maybe_done("the connection broke before its response")
            }
        })?;
        let status = response.status();
        let seconds = |name: &str| response.headers().get(name)?.to_str().ok()?.trim().parse().ok();
        let retry_after = seconds("retry-after").map(Duration::from_secs);
        let should_retry =
            response.headers().get("stripe-should-retry").map(|value| value.as_bytes() == b"true");
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|_| maybe_done("the connection broke in the middle of its response"))?
        {
            if body.len() + chunk.len() > self.options.max_response_bytes {
                return Err(maybe_done("its response is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, body, retry_after, should_retry })
    }
}

fn maybe_done(reason: &str) -> Outcome {
    Outcome::MaybeDone { reason: reason.to_owned(), may_repeat: true }
}

/// Whether an address leads to this machine. Only then may it do without TLS.
fn is_loopback(base: &Url) -> bool {
    match base.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
