use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use super::*;
use crate::auth::RefreshToken;

const ISSUER: &str = "https://jishu.test";
const AUDIENCE: &str = "jishu";
const VIEWER: Viewer = Viewer { user_id: UserId(42), role: Role::Support, session_id: Uuid::nil() };

fn tokens() -> AccessTokens {
    tokens_of(KeyRing::generate().unwrap())
}

fn tokens_of(keys: KeyRing) -> AccessTokens {
    AccessTokens::new(keys, ISSUER, AUDIENCE, Duration::from_secs(900))
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// Returns the claims of a token that is issued `at(0)`.
fn good_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "42", "jti": "b7d5", "role": "support", "sid": Uuid::nil(),
        "nbf": at(0).timestamp(), "iat": at(0).timestamp(), "exp": at(900).timestamp(),
    })
}

fn good_header(tokens: &AccessTokens) -> Header {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some(tokens.keys.signing().0.to_owned());
    header
}

fn verify_claims(claims: &Value) -> Result<Viewer, TokenError> {
    let tokens = tokens();
    let token = encode(&good_header(&tokens), claims, tokens.keys.signing().1).unwrap();
    tokens.verify(&token, at(1))
}

fn verify_header(change: impl FnOnce(&mut Header)) -> Result<Viewer, TokenError> {
    let tokens = tokens();
    let mut header = good_header(&tokens);
    change(&mut header);
    let token = encode(&header, &good_claims(), tokens.keys.signing().1).unwrap();
    tokens.verify(&token, at(1))
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn an_issued_token_verifies_as_its_viewer() {
    let tokens = tokens();
    for role in [Role::Learner, Role::Author, Role::Support, Role::Admin] {
        let viewer = Viewer { user_id: UserId(i64::MAX), role, session_id: Uuid::nil() };
        let access = tokens.issue(viewer, at(0)).unwrap();
        assert_eq!(access.expires_at, at(900));
        assert_eq!(tokens.verify(&access.token, at(0)), Ok(viewer));
        assert_eq!(tokens.verify(&access.token, at(0)), Ok(viewer), "the cached token was not verified");
    }
}

#[test]
fn a_token_has_the_claims_of_rfc_9068() {
    let tokens = tokens();
    let access = tokens.issue(VIEWER, at(0)).unwrap();
    let parts: Vec<&str> = access.token.split('.').collect();
    let kid = tokens.keys.signing().0;
    assert_eq!(decoded(parts[0]), json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": kid }));
    let mut claims = decoded(parts[1]);
    let jti = claims["jti"].take();
    assert_eq!(Uuid::parse_str(jti.as_str().unwrap()).unwrap().get_version_num(), 4);
    claims["jti"] = json!("b7d5");
    assert_eq!(claims, good_claims());
}

#[test]
fn the_claims_of_these_tests_are_valid() {
    assert_eq!(verify_claims(&good_claims()), Ok(VIEWER));
    assert_eq!(verify_header(|_| {}), Ok(VIEWER));
}

#[test]
fn a_token_expires_to_the_second_even_if_cached() {
    let tokens = tokens();
    let token = tokens.issue(VIEWER, at(0)).unwrap().token;
    assert_eq!(tokens.verify(&token, at(900)), Err(TokenError::Expired));
    assert_eq!(tokens.verify(&token, at(899)), Ok(VIEWER));
    assert_eq!(tokens.verify(&token, at(900)), Err(TokenError::Expired));
    assert_eq!(tokens.verify(&token, at(100_000)), Err(TokenError::Expired));
}

#[test]
fn a_token_is_accepted_early_only_within_the_leeway() {
    let tokens = tokens();
    let token = tokens.issue(VIEWER, at(0)).unwrap().token;
    assert_eq!(tokens.verify(&token, at(-LEEWAY_SECONDS - 1)), Err(TokenError::NotYetValid));
    assert_eq!(tokens.verify(&token, at(-LEEWAY_SECONDS)), Ok(VIEWER));
    assert_eq!(
        tokens.verify(&token, at(-LEEWAY_SECONDS - 1)),
        Err(TokenError::NotYetValid),
        "the cached token was not refused"
    );
}

#[test]
fn a_token_has_the_given_lifetime() {
    let tokens = tokens();
    let access = tokens.issue_for(VIEWER, at(0), Duration::from_secs(60)).unwrap();
    assert_eq!(access.expires_at, at(60));
    assert_eq!(tokens.verify(&access.token, at(59)), Ok(VIEWER));
    assert_eq!(tokens.verify(&access.token, at(60)), Err(TokenError::Expired));
    assert_eq!(tokens.issue_for(VIEWER, at(0), Duration::MAX), Err(TokenError::Lifetime));
}

#[test]
fn a_changed_token_is_a_forgery() {
    let tokens = tokens();
    let token = tokens.issue(VIEWER, at(0)).unwrap().token;
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims = decoded(parts[1]);
    claims["role"] = json!("admin");
    let promoted = format!("{}.{}.{}", parts[0], part(&claims), parts[2]);
    assert_eq!(tokens.verify(&promoted, at(1)), Err(TokenError::BadSignature));

    let zeros = format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([0; 64]));
    assert_eq!(tokens.verify(&zeros, at(1)), Err(TokenError::BadSignature));
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    assert_eq!(tokens.verify(&unsigned, at(1)), Err(TokenError::BadSignature));

    // This token has the right `kid`, but is signed with another key.
    let other_key = KeyRing::generate().unwrap();
    let forged = encode(&good_header(&tokens), &good_claims(), other_key.signing().1).unwrap();
    assert_eq!(tokens.verify(&forged, at(1)), Err(TokenError::BadSignature));
}

#[test]
fn other_algorithms_are_refused() {
    let tokens = tokens();
    let kid = tokens.keys.signing().0;
    let none = json!({ "typ": "at+jwt", "alg": "none", "kid": kid });
    for signature in ["", "AAAA"] {
        let token = format!("{}.{}.{signature}", part(&none), part(&good_claims()));
        assert_eq!(tokens.verify(&token, at(1)), Err(TokenError::Malformed));
    }

    // Everybody can read the public key. If the server used it as a secret of HMAC, anybody could sign tokens.
    let jwk = serde_json::to_value(tokens.jwks()).unwrap()["keys"][0].take();
    let public = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
    let mut header = good_header(&tokens);
    header.alg = Algorithm::HS256;
    for secret in [public.as_slice(), jwk.to_string().as_bytes(), jwk["x"].as_str().unwrap().as_bytes()] {
        let token = encode(&header, &good_claims(), &EncodingKey::from_secret(secret)).unwrap();
        assert_eq!(tokens.verify(&token, at(1)), Err(TokenError::WrongAlgorithm));
    }
}

#[test]
fn the_kid_must_name_a_live_key() {
    assert_eq!(verify_header(|header| header.kid = None), Err(TokenError::UnknownKey));
    assert_eq!(verify_header(|header| header.kid = Some(String::new())), Err(TokenError::UnknownKey));
    let foreign = tokens().issue(VIEWER, at(0)).unwrap().token;
    assert_eq!(tokens().verify(&foreign, at(1)), Err(TokenError::UnknownKey));
}

#[test]
fn a_key_in_the_header_is_ignored() {
    let (tokens, attacker) = (tokens(), KeyRing::generate().unwrap());
    let mut header = good_header(&tokens);
    header.jwk = attacker.jwks().keys.pop();
    let token = encode(&header, &good_claims(), attacker.signing().1).unwrap();
    assert_eq!(tokens.verify(&token, at(1)), Err(TokenError::BadSignature));
    header.kid = Some(attacker.signing().0.to_owned());
    let token = encode(&header, &good_claims(), attacker.signing().1).unwrap();
    assert_eq!(tokens.verify(&token, at(1)), Err(TokenError::UnknownKey));
}

#[test]
fn the_type_must_be_access_token() {
    for right in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert_eq!(verify_header(|header| header.typ = Some(right.to_owned())), Ok(VIEWER), "{right}");
    }
    for wrong in ["JWT", "", "at+jwtx", "text/at+jwt", "application/", "application/application/at+jwt"] {
        let answer = verify_header(|header| header.typ = Some(wrong.to_owned()));
        assert_eq!(answer, Err(TokenError::WrongType), "{wrong}");
    }
    assert_eq!(verify_header(|header| header.typ = None), Err(TokenError::WrongType));
    let refresh = RefreshToken::generate(&KeyRing::generate().unwrap().secrets()).unwrap();
    assert_eq!(tokens().verify(refresh.as_str(), at(1)), Err(TokenError::WrongType));
}

#[test]
fn a_critical_extension_is_refused() {
    let answer = verify_header(|header| header.crit = Some(vec!["exp".to_owned()]));
    assert_eq!(answer, Err(TokenError::Malformed));
}

#[test]
fn each_claim_is_required() {
    for claim in ["iss", "aud", "exp", "nbf", "iat", "sub", "jti", "sid", "role"] {
        let mut without = good_claims();
        without.as_object_mut().unwrap().remove(claim);
        assert_eq!(verify_claims(&without), Err(TokenError::BadClaims), "no {claim}");
        let mut null = good_claims();
        null[claim] = Value::Null;
        assert_eq!(verify_claims(&null), Err(TokenError::BadClaims), "null {claim}");
    }
}

#[test]
fn a_claim_must_have_the_issued_form() {
    for (claim, value) in [
        ("sub", json!("")),
        ("sub", json!("forty-two")),
        ("sub", json!(42)),
        ("jti", json!("")),
        ("sid", json!("not-a-uuid")),
        ("role", json!("root")),
        ("exp", json!("1800000900")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("iss", json!([ISSUER, "https://evil.test"])),
        ("aud", json!([AUDIENCE, "another"])),
    ] {
        let mut claims = good_claims();
        claims[claim] = value;
        assert_eq!(verify_claims(&claims), Err(TokenError::BadClaims), "{claim}");
    }
}

#[test]
fn issuer_and_audience_are_exact() {
    for (claim, refusal) in [("iss", TokenError::WrongIssuer), ("aud", TokenError::WrongAudience)] {
        for value in ["", "another", "https://jishu.test/", "JISHU", "jishu "] {
            let mut claims = good_claims();
            claims[claim] = json!(value);
            assert_eq!(verify_claims(&claims), Err(refusal.clone()), "{claim} {value}");
        }
    }
}

#[test]
fn garbage_is_malformed() {
    let tokens = tokens();
    for garbage in ["", ".", "..", "...", "a.b.c", "Bearer x", "e30.e30.e30", "💥.💥.💥", "\0"] {
        assert_eq!(tokens.verify(garbage, at(1)), Err(TokenError::Malformed), "{garbage}");
    }
    let token = tokens.issue(VIEWER, at(0)).unwrap().token;
    for changed in [format!("{token}="), format!(" {token}"), format!("{token}.e30"), format!("{token}\n")] {
        assert_eq!(tokens.verify(&changed, at(1)), Err(TokenError::Malformed));
    }
}

#[test]
fn a_token_that_is_too_long_is_refused() {
    let tokens = tokens();
    assert_eq!(tokens.verify(&"a".repeat(MAX_TOKEN_BYTES + 1), at(1)), Err(TokenError::TooLong));
    assert_eq!(tokens.verify(&"a".repeat(MAX_TOKEN_BYTES), at(1)), Err(TokenError::Malformed));
    let padded = verify_header(|header| header.cty = Some("x".repeat(MAX_TOKEN_BYTES)));
    assert_eq!(padded, Err(TokenError::TooLong));
}

#[test]
fn debug_output_hides_the_secrets() {
    let tokens = tokens();
    let access = tokens.issue(VIEWER, at(0)).unwrap();
    assert!(!format!("{access:?}").contains("eyJ"));
    let private = URL_SAFE_NO_PAD.encode(tokens.keys.signing().1.as_bytes());
    let bytes = format!("{:?}", tokens.keys.signing().1.as_bytes());
    let debug = format!("{tokens:?}");
    assert!(!debug.contains(&private) && !debug.contains(bytes.trim_matches(['[', ']'])));
}
