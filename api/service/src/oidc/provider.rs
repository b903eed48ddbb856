//! The issuer, and the requests to it for a sign-in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::jwk::Jwk;
use reqwest::StatusCode;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use url::Url;

use super::id_token::{Expected, OidcIdentity, PersonClaims, key_needed};
use super::{InvalidIdToken, OidcFailure, OidcOptions, http};

/// The time for which the metadata and the keys of the issuer are used before the server reads them again.
const METADATA_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Minimum time between two reads of the issuer's keys that an unknown key id causes.
const MIN_SEARCH_INTERVAL: Duration = Duration::from_secs(60);

/// A reason why the issuer cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OidcSetUpError {
    /// The URL of the issuer does not use HTTPS.
    #[error("--oidc-issuer must be an https:// URL. Only an issuer on this machine may use http://")]
    Issuer,
    /// The HTTP client cannot be built.
    #[error("the HTTP client for OpenID Connect cannot be built: {0}")]
    Client(#[from] reqwest::Error),
}

/// The issuer at which people sign in, with its cached metadata and keys.
pub struct OidcProvider {
    options: OidcOptions,
    client: reqwest::Client,
    metadata: Mutex<Option<(Instant, Arc<Metadata>)>>,
    keys: Mutex<CachedKeys>,
}

/// The keys of the issuer, as the server last read them.
#[derive(Default)]
struct CachedKeys {
    keys: Arc<[Jwk]>,
    read_at: Option<Instant>,
    /// The time when the server last read the keys because of an unknown key id.
    searched_at: Option<Instant>,
}

/// The part of the issuer's metadata that a sign-in needs (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The values of one sign-in that the issuer returns or checks.
#[derive(Clone, Copy)]
pub struct AuthorizationRequest<'a> {
    /// The address to which the issuer sends the person back.
    pub redirect_uri: &'a str,
    /// The value that the issuer returns with the code.
    pub state: &'a str,
    /// The value that the issuer returns in the ID token.
    pub nonce: &'a str,
    /// The secret of PKCE (RFC 7636). The address at the issuer has only its hash.
    pub code_verifier: &'a str,
}

#[derive(Deserialize)]
struct TokenResponse {
    id_token: String,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

impl OidcProvider {
    /// Sets up the issuer. The server reads the metadata of the issuer at the first sign-in, so it can start without
    /// the issuer.
    ///
    /// # Errors
    /// See [`OidcSetUpError`].
    pub fn new(options: OidcOptions) -> Result<Self, OidcSetUpError> {
        if !http::is_allowed(&options.issuer) {
            return Err(OidcSetUpError::Issuer);
        }
        Ok(Self { options, client: http::client()?, metadata: Mutex::default(), keys: Mutex::default() })
    }

    /// Returns the URL of the issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.options.issuer
    }

    /// Returns whether the operator allows the issuer to send people back to this address.
    #[must_use]
    pub fn allows_redirect_to(&self, address: &str) -> bool {
        self.options.redirect_uris.iter().any(|allowed| allowed == address)
    }

    /// Returns the address at the issuer at which a person signs in.
    ///
    /// # Errors
    /// Fails if the issuer's metadata cannot be read.
    pub async fn authorization_url(&self, request: AuthorizationRequest<'_>) -> Result<String, OidcFailure> {
        let metadata = self.metadata().await?;
        let mut url = Url::parse(&metadata.authorization_endpoint)
            .map_err(|_| OidcFailure::Unavailable("the authorization endpoint is not a URL".to_owned()))?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(request.code_verifier.as_bytes()));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.options.client_id)
            .append_pair("redirect_uri", request.redirect_uri)
            .append_pair("scope", &self.options.scopes.join(" "))
            .append_pair("state", request.state)
            .append_pair("nonce", request.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Exchanges the code of a sign-in for an ID token, verifies the token, and returns the identity of the person.
    /// If the token has no e-mail address, asks the issuer for the user information.
    ///
    /// # Errors
    /// See [`OidcFailure`].
    pub async fn complete(
        &self,
        code: &str,
        request: AuthorizationRequest<'_>,
        now: DateTime<Utc>,
    ) -> Result<OidcIdentity, OidcFailure> {
        let metadata = self.metadata().await?;
        let tokens = self.exchange(&metadata, code, request).await?;
        let person = self.verify(&metadata, &tokens.id_token, request.nonce, now).await?;
        let (mut email, mut name) = (person.email(), person.name());
        if let (None, Some(endpoint), Some(token)) =
            (&email, &metadata.userinfo_endpoint, &tokens.access_token)
        {
            let request = self.client.get(endpoint).bearer_auth(token);
            let information: PersonClaims = http::json(request, http::unexpected).await?;
            if information.sub != person.sub {
                return Err(InvalidIdToken::Subject.into());
            }
            email = information.email();
            name = name.or_else(|| information.name());
        }
        Ok(OidcIdentity { issuer: self.options.issuer.clone(), subject: person.sub, email, name })
    }

    async fn exchange(
        &self,
        metadata: &Metadata,
        code: &str,
        request: AuthorizationRequest<'_>,
    ) -> Result<TokenResponse, OidcFailure> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", request.redirect_uri),
            ("code_verifier", request.code_verifier),
            ("client_id", &self.options.client_id),
        ];
        let mut post = self.client.post(&metadata.token_endpoint).header("accept", "application/json");
        if let Some(secret) = &self.options.client_secret {
            // If the metadata lists no methods, the specification says that the secret is sent in a header.
            let takes_header = metadata
                .token_endpoint_auth_methods_supported
                .as_ref()
                .is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"));
            if takes_header {
                post = post.header("authorization", basic(&self.options.client_id, secret));
            } else {
                form.push(("client_secret", secret));
            }
        }
        http::json(post.form(&form), |status, body| {
            // The field `error` is a word of the specification. The rest of the body can be anything, so it is not
            // logged.
            let error = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
            let error: String = error["error"].as_str().unwrap_or_default().chars().take(64).collect();
            if status == StatusCode::BAD_REQUEST && error == "invalid_grant" {
                OidcFailure::CodeRefused(error)
            } else {
                OidcFailure::Unavailable(format!("the token endpoint responded with {status} {error:?}"))
            }
        })
        .await
    }

    /// Verifies an ID token. If its key is unknown, reads the keys of the issuer again, because the issuer may have
    /// rotated them.
    async fn verify(
        &self,
        metadata: &Metadata,
        token: &str,
        nonce: &str,
        now: DateTime<Utc>,
    ) -> Result<PersonClaims, OidcFailure> {
        let needed = key_needed(token)?;
        let (issuer, client_id) = (self.options.issuer.as_str(), self.options.client_id.as_str());
        let expected = Expected { issuer, client_id, nonce, now };
        for is_search in [false, true] {
            let keys = self.keys(metadata, is_search).await?;
            if let Some(key) = needed.find(&keys) {
                return Ok(needed.verify(token, key, &expected)?);
            }
        }
        Err(InvalidIdToken::UnknownKey.into())
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, OidcFailure> {
        // The lock is held during the request, so that many sign-ins at once cause one request.
        let mut cached = self.metadata.lock().await;
        if let Some((at, metadata)) = &*cached
            && at.elapsed() < METADATA_LIFETIME
        {
            return Ok(Arc::clone(metadata));
        }
        let address =
            format!("{}/.well-known/openid-configuration", self.options.issuer.trim_end_matches('/'));
        let metadata: Metadata = http::json(self.client.get(address), http::unexpected).await?;
        if metadata.issuer != self.options.issuer {
            let message = "the metadata names another issuer. Correct --oidc-issuer";
            return Err(OidcFailure::Unavailable(message.to_owned()));
        }
        let endpoints = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
        if !endpoints.into_iter().chain(&metadata.userinfo_endpoint).all(|address| http::is_allowed(address))
        {
            return Err(OidcFailure::Unavailable("the metadata has an address without HTTPS".to_owned()));
        }
        let metadata = Arc::new(metadata);
        *cached = Some((Instant::now(), Arc::clone(&metadata)));
        Ok(metadata)
    }

    /// Returns the keys of the issuer. Reads them again if they are old. If `is_search` is true, because a key id was
    /// not among them, also reads them again, at most once a minute.
    async fn keys(&self, metadata: &Metadata, is_search: bool) -> Result<Arc<[Jwk]>, OidcFailure> {
        let is_younger = |at: Option<Instant>, age: Duration| at.is_some_and(|at| at.elapsed() < age);
        let mut cached = self.keys.lock().await;
        let is_usable = match is_search {
            false => is_younger(cached.read_at, METADATA_LIFETIME),
            true => is_younger(cached.searched_at, MIN_SEARCH_INTERVAL),
        };
        if is_usable {
            return Ok(Arc::clone(&cached.keys));
        }
        let set: KeySet = http::json(self.client.get(&metadata.jwks_uri), http::unexpected).await?;
        // A key of an unknown kind is left out, so that the other keys can still be used.
        cached.keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
        cached.read_at = Some(Instant::now());
        if is_search {
            cached.searched_at = cached.read_at;
        }
        Ok(Arc::clone(&cached.keys))
    }
}

/// Makes the `Authorization` header of a client with a secret (RFC 6749, section 2.3.1). The id and the secret are
/// encoded as in a form.
fn basic(id: &str, secret: &str) -> String {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret))))
}
