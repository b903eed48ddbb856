//! An issuer of OpenID Connect for tests. Its token endpoint takes an ID token as the code, and returns this ID token.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::extract::State;
use axum::http::Uri;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jishu_service::Services;
use jishu_service::account::{self, OidcReturn, SignInOutcome};
use jishu_service::clock::Clock;
use jishu_service::limit::ClientAddress;
use jishu_service::oidc::{OidcOptions, OidcProvider};
use jishu_tests::TestApp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::{Url, form_urlencoded};

const CLIENT_ID: &str = "jishu";
const REDIRECT_URI: &str = "https://academy.example/signed-in";
const KEY_ID: &str = "the only key";

/// The documents of the issuer.
struct Documents {
    metadata: Value,
    keys: Value,
}

/// A running issuer. Dropping this value stops the issuer.
pub(super) struct Issuer {
    origin: String,
    key: Ed25519KeyPair,
    /// The services of the app, with this issuer.
    services: Services,
    serving: JoinHandle<()>,
}

impl Issuer {
    pub(super) async fn start(app: &TestApp) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let key = Ed25519KeyPair::generate().unwrap();
        let metadata = json!({
            "issuer": origin,
            "authorization_endpoint": format!("{origin}/authorize"),
            "token_endpoint": format!("{origin}/token"),
            "jwks_uri": format!("{origin}/keys"),
        });
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        let keys =
            json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": KEY_ID, "x": x }] });
        let router = Router::new().fallback(respond).with_state(Arc::new(Documents { metadata, keys }));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let options = OidcOptions {
            issuer: origin.clone(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: None,
            scopes: vec!["openid".to_owned(), "email".to_owned()],
            redirect_uris: vec![REDIRECT_URI.to_owned()],
        };
        let mut services = app.services.clone();
        services.oidc = Some(Arc::new(OidcProvider::new(options).unwrap()));
        Self { origin, key, services, serving }
    }

    /// Signs in at the issuer as the person with this subject and this verified address, and completes the sign-in at
    /// the app.
    pub(super) async fn sign_in(&self, app: &TestApp, subject: &str, email: &str) -> SignInOutcome {
        let client = ClientAddress::new([127, 0, 0, 1].into());
        let begun = account::begin_oidc_login(&self.services, client, REDIRECT_URI).await.unwrap();
        let address = Url::parse(&begun.authorization_url).unwrap();
        let parameter = |name: &str| {
            let found = address.query_pairs().find(|(key, _)| key == name);
            found.unwrap_or_else(|| panic!("no {name} in {address}")).1.into_owned()
        };
        let now = app.clock.now().timestamp();
        let claims = json!({
            "iss": self.origin,
            "aud": CLIENT_ID,
            "sub": subject,
            "nonce": parameter("nonce"),
            "iat": now,
            "exp": now + 300,
            "email": email,
            "email_verified": true,
        });
        let returned = OidcReturn {
            code: self.id_token(&claims),
            state: parameter("state"),
            browser_key: begun.browser_key.as_str().to_owned(),
        };
        account::complete_oidc_login(&self.services, client.into(), &returned).await.unwrap()
    }

    /// Signs in as [`Issuer::sign_in`] does, and returns the challenge of the second factor.
    pub(super) async fn challenge(&self, app: &TestApp, subject: &str, email: &str) -> String {
        match self.sign_in(app, subject, email).await {
            SignInOutcome::SecondFactorRequired(challenge) => challenge.token.as_str().to_owned(),
            SignInOutcome::SignedIn(_) => panic!("the sign-in did not wait for the second factor"),
        }
    }

    fn id_token(&self, claims: &Value) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let text = format!("{}.{}", encode(&json!({ "alg": "EdDSA", "kid": KEY_ID })), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn respond(State(documents): State<Arc<Documents>>, uri: Uri, body: String) -> Json<Value> {
    Json(match uri.path() {
        "/.well-known/openid-configuration" => documents.metadata.clone(),
        "/keys" => documents.keys.clone(),
        "/token" => {
            let code = form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "code");
            json!({ "id_token": code.expect("a code").1 })
        }
        path => panic!("no document at {path}"),
    })
}
