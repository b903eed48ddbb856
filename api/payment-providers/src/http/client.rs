//! The HTTP client, which sends a call to a provider and repeats its request where that is allowed.

use std::time::{Duration, Instant};

use reqwest::{Method, header};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded};

use super::{
    HttpOptions,
    circuit::Circuit,
    outcome::{Health, Outcome, Repeat, Response},
};
use crate::{ConfigError, ProviderError};

/// The credentials in the header `Authorization` of each request.
pub(crate) enum Auth {
    Basic { user: String, password: SecretString },
    Bearer(SecretString),
}

/// A call to a provider: one HTTP request, which is sent again if it fails and may be repeated.
pub(crate) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<(&'static str, Vec<u8>)>,
    repeat: Repeat,
}

impl Call {
    /// Makes a call that only reads, without query, headers and body.
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

    /// Makes a call that writes, without query, headers and body. `repeat` says whether the request may be repeated if
    /// the provider may have carried it out.
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
    /// Reads the code and the message of an error from the body of a response.
    explain: fn(&[u8]) -> (String, String),
}

/// Maximum length of a provider's error message, in characters. The rest of a longer message is cut off.
const MAX_MESSAGE_CHARACTERS: usize = 300;
/// Maximum pause between two requests of a call. If the pause would be longer, the call ends without another request.
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
        // Refused first, because the other error shows the address.
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(ConfigError::BaseHasMore);
        }
        if base.scheme() != "https" && !(base.scheme() == "http" && loopback) {
            return Err(ConfigError::NotHttps(base.to_string()));
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

    /// Sends a call, and reads the JSON body of a successful response. A response that refuses the request becomes the
    /// error `Refused`.
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
                "the body of the successful response cannot be read at line {}, column {}",
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
            let pass = self.circuit.enter(Instant::now()).map_err(|retry_after| {
                if maybe_done && call.repeat != Repeat::Read {
                    ProviderError::UnknownOutcome {
                        reason: "requests to the provider failed repeatedly, so no more are sent for a while"
                            .into(),
                    }
                } else {
                    ProviderError::CircuitOpen { retry_after }
                }
            })?;
            let left = self.options.total_timeout.saturating_sub(started.elapsed());
            let (outcome, health) = self.attempt(call, left).await;
            match health {
                Health::Works => self.circuit.succeeded(pass),
                Health::Fails => self.circuit.failed(pass, Instant::now()),
                Health::Unknown => {}
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

    /// Returns the pause after an attempt: the backoff, or the time that the provider `asked` for if that time is
    /// longer. The random part of the backoff spreads callers that failed at the same time.
    fn pause(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let full = self.options.backoff.saturating_mul(1 << (attempt - 1).min(10));
        let own = full.mul_f64(rand::random_range(0.5..=1.0));
        own.max(asked.unwrap_or_default())
    }

    async fn attempt(&self, call: &Call, left: Duration) -> (Outcome, Health) {
        match tokio::time::timeout(left, self.request(call)).await {
            Ok(Ok(response)) => {
                let health = Health::of(response.status);
                (Outcome::of(response), health)
            }
            Ok(Err(failed)) => failed,
            Err(_) => (maybe_done("the provider sent no response in time"), Health::Fails),
        }
    }

    async fn request(&self, call: &Call) -> Result<Response, (Outcome, Health)> {
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
            if error.is_builder() {
                return (nothing_done("the request to the provider could not be built"), Health::Unknown);
            }
            let outcome = if error.is_connect() {
                nothing_done("the provider could not be reached")
            } else if error.is_timeout() {
                maybe_done("the provider sent no response in time")
            } else {
                maybe_done("the connection to the provider broke before its response")
            };
            (outcome, Health::Fails)
        })?;
        let status = response.status();
        let seconds = |name: &str| response.headers().get(name)?.to_str().ok()?.trim().parse().ok();
        let retry_after = seconds("retry-after").map(Duration::from_secs);
        let should_retry =
            response.headers().get("stripe-should-retry").map(|value| value.as_bytes() == b"true");
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| {
            let reason = if error.is_timeout() {
                "the provider did not finish its response in time"
            } else {
                "the connection to the provider broke in the middle of its response"
            };
            (maybe_done(reason), Health::Fails)
        })? {
            if body.len() + chunk.len() > self.options.max_response_bytes {
                return Err((maybe_done("the provider's response is too large"), Health::of(status)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, body, retry_after, should_retry })
    }
}

fn nothing_done(reason: &str) -> Outcome {
    Outcome::NothingDone { reason: reason.to_owned(), retry_after: None }
}

fn maybe_done(reason: &str) -> Outcome {
    Outcome::MaybeDone { reason: reason.to_owned(), may_repeat: true }
}

/// Returns whether an address is a loopback address. Only such an address may be used without TLS.
fn is_loopback(base: &Url) -> bool {
    match base.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
