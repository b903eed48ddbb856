//! The verification of ID tokens (OpenID Connect Core 1.0, section 3.1.3.7).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use chrono::{DateTime, Utc};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

/// The accepted algorithms of signatures. All of them use public keys. A token that is signed with the secret of the
/// client, or is not signed, is refused.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Number of seconds by which the clock of the issuer may differ from the clock of this server.
const LEEWAY_SECONDS: i64 = 30;
/// Maximum size of an ID token in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Maximum number of characters in the subject of an ID token. It is the limit of the specification.
const MAX_SUBJECT_CHARS: usize = 255;

/// A reason to refuse an ID token. It is for the log, and not for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdToken {
    /// The token is not a JWT, is too long, or its header has a critical extension.
    #[error("the token cannot be read")]
    Malformed,
    /// The token is not signed with an accepted algorithm.
    #[error("the algorithm of the token is not accepted")]
    Algorithm,
    /// The issuer does not publish the key that signed the token, or the key cannot be used.
    #[error("the key of the token is unknown")]
    UnknownKey,
    /// The signature, the issuer or the audience does not match. Or the token claims cannot be read.
    #[error(
        "the signature, the issuer or the audience of the token does not match, or its claims cannot be read"
    )]
    Mismatch,
    /// The token is also meant for other clients, or was issued to another client.
    #[error("the token is meant for another client")]
    OtherClient,
    /// The token has expired, or it is not valid yet.
    #[error("the token has expired, or it is not valid yet")]
    Time,
    /// The token belongs to another sign-in.
    #[error("the nonce of the token does not match")]
    Nonce,
    /// The subject is empty, too long or has a NUL character. Or it differs from the subject of the user information.
    #[error("the subject of the token cannot be used")]
    Subject,
}

/// A person at an issuer, as a verified ID token names them. The user information of the issuer can add the e-mail
/// address and the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcIdentity {
    /// The URL of the issuer.
    pub issuer: String,
    /// The id of the person at the issuer. It never changes, unlike an e-mail address.
    pub subject: String,
    /// The e-mail address from the ID token or else from the user information, and whether the issuer has verified the
    /// address. None if neither names an address.
    pub email: Option<(String, bool)>,
    /// The display name of the person, from the ID token or else from the user information. The user information is
    /// read only if the ID token has no e-mail address. None if the name is unknown.
    pub name: Option<String>,
}

/// The token claims about a person. An ID token has them, and so has the user information of the issuer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PersonClaims {
    pub(super) sub: String,
    email: Option<String>,
    email_verified: Option<Value>,
    name: Option<String>,
}

impl PersonClaims {
    /// Returns the e-mail address, and whether the issuer has verified it. Some issuers send the text `true` in place
    /// of the boolean.
    pub(super) fn email(&self) -> Option<(String, bool)> {
        let is_verified = match &self.email_verified {
            Some(Value::Bool(is_verified)) => *is_verified,
            Some(Value::String(text)) => text == "true",
            _ => false,
        };
        self.email.clone().map(|email| (email, is_verified))
    }

    pub(super) fn name(&self) -> Option<String> {
        self.name.clone()
    }
}

#[derive(Debug, Deserialize)]
struct IdTokenClaims {
    aud: Audience,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    nonce: Option<String>,
    azp: Option<String>,
    #[serde(flatten)]
    person: PersonClaims,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// The values that an ID token must have.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: DateTime<Utc>,
}

/// The algorithm and the key id in the header of an ID token. The header is acceptable, and the signature is not
/// checked yet.
pub(super) struct KeyNeeded {
    algorithm: Algorithm,
    kid: Option<String>,
}

/// Reads the header of an ID token, and refuses it if the header is not acceptable.
pub(super) fn key_needed(token: &str) -> Result<KeyNeeded, InvalidIdToken> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(InvalidIdToken::Malformed);
    }
    let header = decode_header(token).map_err(|_unreadable| InvalidIdToken::Malformed)?;
    // RFC 7515, 4.1.11: a critical extension that is not understood must be refused. This code supports no extension.
    if header.crit.is_some() {
        return Err(InvalidIdToken::Malformed);
    }
    if !ALGORITHMS.contains(&header.alg) {
        return Err(InvalidIdToken::Algorithm);
    }
    Ok(KeyNeeded { algorithm: header.alg, kid: header.kid })
}

impl KeyNeeded {
    /// Finds the key that signed the token among the keys of the issuer. If the token names no key id, finds a key
    /// only if the issuer has exactly one usable key.
    pub(super) fn find<'k>(&self, keys: &'k [Jwk]) -> Option<&'k Jwk> {
        let mut usable = keys.iter().filter(|key| {
            let is_for_signatures =
                key.common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
            let algorithm = key.common.key_algorithm.map(|algorithm| algorithm.to_string());
            let fits = algorithm.is_none_or(|algorithm| algorithm == format!("{:?}", self.algorithm));
            is_for_signatures && fits
        });
        match &self.kid {
            Some(kid) => usable.find(|key| key.common.key_id.as_ref() == Some(kid)),
            None => usable.next().filter(|_| usable.next().is_none()),
        }
    }

    /// Verifies the signature of an ID token with this key, and its token claims. Returns the claims about the
    /// person.
    pub(super) fn verify(
        &self,
        token: &str,
        key: &Jwk,
        expected: &Expected<'_>,
    ) -> Result<PersonClaims, InvalidIdToken> {
        let key = DecodingKey::from_jwk(key).map_err(|_unusable| InvalidIdToken::UnknownKey)?;
        let mut validation = Validation::new(self.algorithm);
        validation.set_issuer(&[expected.issuer]);
        validation.set_audience(&[expected.client_id]);
        // Without this call, the library accepts a token without `iss` or `aud`.
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library would read the clock of the system. So the times are compared below, with the time of the
        // caller.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = decode::<IdTokenClaims>(token, &key, &validation)
            .map_err(|_mismatch| InvalidIdToken::Mismatch)?
            .claims;
        let is_only_for_us = match &claims.aud {
            Audience::One(audience) => audience == expected.client_id,
            Audience::Many(audiences) => audiences.iter().all(|audience| audience == expected.client_id),
        };
        if !is_only_for_us || claims.azp.as_deref().is_some_and(|azp| azp != expected.client_id) {
            return Err(InvalidIdToken::OtherClient);
        }
        let now = expected.now.timestamp();
        let has_expired = now >= claims.exp.saturating_add(LEEWAY_SECONDS);
        let begins = claims.iat.max(claims.nbf.unwrap_or(claims.iat));
        if has_expired || now.saturating_add(LEEWAY_SECONDS) < begins {
            return Err(InvalidIdToken::Time);
        }
        let nonce = claims.nonce.as_deref().unwrap_or_default();
        verify_slices_are_equal(nonce.as_bytes(), expected.nonce.as_bytes())
            .map_err(|_different| InvalidIdToken::Nonce)?;
        let length = claims.person.sub.chars().count();
        if length == 0 || length > MAX_SUBJECT_CHARS || claims.person.sub.contains('\0') {
            return Err(InvalidIdToken::Subject);
        }
        Ok(claims.person)
    }
}
