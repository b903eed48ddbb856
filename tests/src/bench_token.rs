//! Verifies the access tokens of jishu in the hand-written handlers with which benchmarks compare the server.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use jishu_service::auth::KeyRing;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use crate::bench_server::serve_config;
use crate::load::ServerTask;

/// The key and the rules of access tokens.
#[derive(Clone)]
pub struct TokenCheck(Arc<(DecodingKey, Validation)>);

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

impl TokenCheck {
    /// Reads the signing keys of the jishu server in the folder of the task.
    ///
    /// # Panics
    /// Panics if the keys cannot be read.
    #[must_use]
    pub fn of(task: &ServerTask) -> Self {
        let config = serve_config(&task.database_url, &task.folder, task.port, &[]);
        let keys = KeyRing::from_pem_file(&task.folder.join("keys.pem")).expect("the keys of jishu");
        let key = DecodingKey::from_jwk(&keys.jwks().keys[0]).expect("a public key");
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&config.token_issuer]);
        validation.set_audience(&[&config.token_audience]);
        Self(Arc::new((key, validation)))
    }

    /// Returns the row id of the user to whom the access token of a request belongs. None if there is no valid token.
    #[must_use]
    pub fn user(&self, headers: &HeaderMap) -> Option<i64> {
        let (key, validation) = &*self.0;
        let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        decode::<Claims>(token, key, validation).ok()?.claims.sub.parse().ok()
    }
}
